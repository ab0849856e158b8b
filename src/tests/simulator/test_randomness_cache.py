"""Machine code is kept on disk apart for each name of the package: one cache folder serves both."""

from pathlib import Path

from ..checkout import run_python

PROGRAM = """
import numpy
from {root}.simulator.randomness import keys_of
print(keys_of(1, 2, numpy.arange(3)).tolist())
"""


def test_both_names_of_the_package_use_one_cache_folder_without_harm(tmp_path: Path) -> None:
    env = {"NUMBA_CACHE_DIR": str(tmp_path)}
    said = {run_python("-c", PROGRAM.format(root=root), env=env) for root in ("src", "faultwatch")}
    assert len(said) == 1
    assert len(list(tmp_path.rglob("randomness.keys_of_*.nbi"))) == 2
