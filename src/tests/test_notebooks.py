"""Notebooks run from top to bottom, and the two files of each say the same."""

import os
from pathlib import Path

import jupytext
import pytest

from .checkout import ROOT, run_python

FOLDER = ROOT / "notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name: str, tmp_path: Path) -> None:
    run_python(FOLDER / f"{name}.py", cwd=tmp_path, env={**os.environ, "MPLBACKEND": "agg", "TMPDIR": str(tmp_path)})


def test_the_two_files_of_a_notebook_say_the_same() -> None:
    assert NAMES and NAMES == sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in NAMES:
        script, notebook = (jupytext.read(FOLDER / f"{name}.{end}") for end in ("py", "ipynb"))
        cells = [[(cell.cell_type, cell.source) for cell in one.cells] for one in (script, notebook)]
        assert cells[0] == cells[1], f"{name}: run .venv/bin/jupytext --sync notebooks/{name}.py"
        assert not any(cell.get("outputs") for cell in notebook.cells), "outputs aren't kept"
