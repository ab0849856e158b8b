"""The folder src/ is the package faultwatch, under one name a process."""

import ast
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from .checkout import ROOT, SOURCE, run, run_python, sources


def packages_on_disk() -> set[str]:
    """Names of all packages below src/, as installed, without the tests."""
    folders = {inside.parent for _, inside in sources("__init__.py")}
    return {".".join(("faultwatch", *folder.parts)) for folder in folders if folder.parts[:1] != ("tests",)}


def test_every_package_is_listed_for_the_build() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert listed == sorted(packages_on_disk()), "the list `packages` in pyproject.toml differs from the folders"


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path, _ in sources("*.py") if "migrations" not in path.parts}
    assert [str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def absolute_imports(path: Path) -> Iterator[str]:
    """Places in a module that import the package by one of its two names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
        for name in names:
            if name.partition(".")[0] in ("src", "faultwatch"):
                yield f"{path.relative_to(ROOT)}: imports {name}"


def test_imports_inside_the_package_are_relative() -> None:
    assert [place for path, _ in sources("*.py") for place in absolute_imports(path)] == []


def test_code_for_clouds_is_in_the_package_by_a_link() -> None:
    assert (SOURCE / "cloud").is_symlink() and (SOURCE / "cloud").readlink() == Path("../cloud")


@pytest.mark.parametrize(("first", "second"), [("src", "faultwatch"), ("faultwatch", "src")])
def test_a_process_may_not_load_the_package_under_both_names(first: str, second: str) -> None:
    done = run([sys.executable, "-c", f"import {first}; import {second}"])
    assert done.returncode == 1
    assert f"has already imported '{first}'; importing '{second}' as well" in done.stderr


def test_the_checkout_and_the_installed_package_are_the_same_code(tmp_path: Path) -> None:
    tell = "import {0}, {0}.exceptions; print({0}.__version__, {0}.exceptions.__file__)"
    assert run_python("-c", tell.format("src")) == run_python("-c", tell.format("faultwatch"), cwd=tmp_path)


@pytest.mark.parametrize("name", ["src", "faultwatch"])
def test_it_runs_as_a_module_under_either_name(name: str) -> None:
    assert run_python("-m", name, "--version").startswith("faultwatch 0.")
