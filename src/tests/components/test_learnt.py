"""What a model learnt from is kept beside it, and says of any reading whether it may have been among it."""

from pathlib import Path

import numpy as np
import pytest

from ...components import learnt
from ...components.learnt import FILE, Learnt
from ...exceptions import ModelError, StorageError


def test_it_is_kept_beside_the_model(tmp_path: Path) -> None:
    assert learnt.read(tmp_path) is None, "a model of an earlier version"
    source = Learnt.of(np.array([7, 3, 7]), np.array([20, 10, 30]))
    assert source == Learnt([3, 7], 10, 31)
    learnt.write(tmp_path, source)
    assert learnt.read(tmp_path) == source
    (tmp_path / FILE).write_text('{"devices": 3}')
    with pytest.raises(ModelError, match=f"{FILE}, what a model learnt from, can't be read"):
        learnt.read(tmp_path)
    with pytest.raises(StorageError, match="No such file or directory"):
        learnt.write(tmp_path / "gone", source)


def test_it_knows_devices_and_times() -> None:
    source = Learnt([3, 7], 10, 31)
    slots, ts = np.array([0, 0, 0, 1, 1, 2]), np.array([9, 10, 31, 30, 40, 20])
    assert source.holds(np.array([3, 7, 8]), slots, ts).tolist() == [False, True, False, True, False, False]
