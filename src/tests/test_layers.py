"""The rings of the architecture are held by import-linter; here: that it would notice."""

import itertools
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from .checkout import ROOT, SOURCE, run

LINT_IMPORTS = Path(sys.executable).parent / "lint-imports"


def layers() -> list[str]:
    """Names in the layers contract, outermost first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return [re.sub(r"[()\s]", "", name) for layer in contracts[0]["layers"] for name in re.split(r"[|:]", layer)]


def modules_of(folder: Path, package: str) -> set[str]:
    """Modules and packages right below a folder, without its `__init__`."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in folder.glob("*/__init__.py")}
    return {f"{package}.{name}" for name in files | folders}


def test_every_module_has_its_ring() -> None:
    rooms = modules_of(SOURCE, "src") - {"src.tests", "src.telemetry"}
    rooms |= modules_of(SOURCE / "telemetry", "src.telemetry")  # holds modules of two rings
    assert sorted(rooms - set(layers())) == [], "give these their layer in pyproject.toml, [tool.importlinter]"


@pytest.mark.parametrize(
    ("where", "line", "broken"),
    [
        (
            "telemetry/schema.py",
            "from .. import settings",
            "src.telemetry.schema is not allowed to import src.settings",
        ),
        ("web/__init__.py", "from .. import service", "src.web is not allowed to import src.service"),
        ("service/__init__.py", "from .. import web", "src.service is not allowed to import src.web"),
        ("detection/__init__.py", "import sqlalchemy", "src.detection is not allowed to import sqlalchemy"),
        ("web/__init__.py", "import boto3", "Illegal imports of protected package boto3: - src.web -> boto3"),
    ],
)
def test_an_import_that_points_outwards_is_found(tmp_path: Path, where: str, line: str, broken: str) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(SOURCE, tmp_path / "src", ignore=shutil.ignore_patterns("tests", "static", "__pycache__"))
    (tmp_path / "src" / "tests").mkdir()
    (tmp_path / "src" / "tests" / "__init__.py").touch()
    with (tmp_path / "src" / where).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")
    done = run([LINT_IMPORTS, "--no-cache", "--no-logo"], cwd=tmp_path)
    assert done.returncode == 1
    assert broken in " ".join(done.stdout.split())


def test_no_layer_is_named_twice() -> None:
    names = sorted(layers())
    assert [a for a, b in itertools.pairwise(names) if a == b] == []
