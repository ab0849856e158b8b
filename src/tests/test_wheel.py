"""The wheel: built, installed where there is nothing but the locked dependencies, and run."""

import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from .checkout import ROOT, run, sources

UV = Path(sys.executable).parent / "uv"

IMPORT_EVERYTHING = """
import importlib, pkgutil, faultwatch
names = [m.name for m in pkgutil.walk_packages(faultwatch.__path__, "faultwatch.", onerror=lambda name: 1 / 0)]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(len(names))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: the build leaves files beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "checkout"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy)
    for name in ("src", "cloud"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
    done = run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy])
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("faultwatch-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that has the runtime lock and the wheel, and no checkout."""
    folder = tmp_path_factory.mktemp("environment")
    programs = folder / "env" / "bin"
    assert run([UV, "venv", "--python", sys.executable, folder / "env"]).returncode == 0
    install: list[str | Path] = [UV, "pip", "install", "--python", programs / "python"]
    locked = [*install, "--require-hashes", "-r", ROOT / "requirements.txt"]
    done = run([*locked, "--offline"])
    if done.returncode:  # not all of it is in uv's cache
        done = run(locked)
    assert done.returncode == 0, done.stderr
    done = run([*install, "--offline", "--no-deps", wheel])
    assert done.returncode == 0, done.stderr
    return programs


def test_the_wheel_holds_every_file_of_the_package_and_no_test(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = (inside for path, inside in sources("*") if path.is_file())
    expected = {
        f"faultwatch/{file.as_posix()}"
        for file in files
        if file.parts[0] != "tests" and "__pycache__" not in file.parts and file.name not in (".DS_Store", "Dockerfile")
    }
    assert sorted(expected - packed) == [], "not in the wheel: see package-data in pyproject.toml"
    assert sorted(packed - expected) == []


def test_the_wheel_carries_its_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {Path(name).name for name in archive.namelist() if "/licenses/" in name}
        metadata = next(archive.read(n).decode() for n in archive.namelist() if n.endswith("METADATA"))
    assert {"LICENSE", "NOTICE"} <= names
    assert "License-Expression: Apache-2.0" in metadata


def test_the_installed_command_runs(installed: Path, tmp_path: Path) -> None:
    done = run([installed / "faultwatch", "--version"], cwd=tmp_path)
    assert done.stdout.startswith("faultwatch 0."), done.stderr
    done = run([installed / "faultwatch", "settings"], cwd=tmp_path)
    assert f'data = "{tmp_path / "faultwatch-data"}"  [default]' in done.stdout, done.stderr
    done = run([installed / "python", "-m", "faultwatch", "--help"], cwd=tmp_path)
    assert "settings" in done.stdout, done.stderr


def test_every_module_imports_with_the_runtime_dependencies_alone(installed: Path, tmp_path: Path) -> None:
    done = run([installed / "python", "-c", IMPORT_EVERYTHING], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10
