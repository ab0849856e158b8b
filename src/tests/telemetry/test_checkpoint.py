"""A checkpoint comes back as it was saved, or the one before it does."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from structlog.testing import capture_logs

from ...exceptions import StorageError
from ...telemetry.checkpoint import draft, kept_seqs, load_latest, save, settle

DTYPES = st.sampled_from(["<f4", "<f8", "<i8", "|u1", "<u8", "|b1", "<U5"])


@settings(max_examples=40, deadline=None)
@given(
    arrays=st.dictionaries(
        st.text(max_size=20), DTYPES.flatmap(lambda d: hnp.arrays(d, hnp.array_shapes(min_dims=0, min_side=0)))
    )
)
def test_arrays_come_back_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]
) -> None:
    folder = tmp_path_factory.mktemp("state")
    save(folder, 7, arrays, {"model": "abc", "types": [1, 2]})
    loaded = load_latest(folder)
    assert loaded is not None
    seq, found, meta = loaded
    assert (seq, meta, list(found)) == (7, {"model": "abc", "types": [1, 2]}, list(arrays))
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.writeable


def test_the_newest_is_loaded_and_two_are_kept(tmp_path: Path) -> None:
    assert load_latest(tmp_path / "none") is None
    for seq in (5, 90, 1000):
        path = save(tmp_path, seq, {"a": np.full(3, seq)}, {})
        assert path.name == f"{seq:020d}.state"
    assert sorted(int(path.stem) for path in tmp_path.iterdir()) == [90, 1000]
    loaded = load_latest(tmp_path)
    assert loaded is not None and loaded[0] == 1000 and loaded[1]["a"].tolist() == [1000] * 3


def test_a_transposed_array_is_saved_by_its_values(tmp_path: Path) -> None:
    array = np.arange(12).reshape(3, 4).T
    save(tmp_path, 1, {"a": array}, {})
    loaded = load_latest(tmp_path)
    assert loaded is not None
    np.testing.assert_array_equal(loaded[1]["a"], array)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_damaged_one_is_passed_over_with_a_warning(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("state")
    save(folder, 1, {"a": np.arange(16), "b": np.ones(8)}, {"is": "old"})
    path = save(folder, 2, {"a": np.arange(16), "b": np.ones(8)}, {"is": "new"})
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans(), label="cut"):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        at = data.draw(st.integers(0, len(content) - 1).filter(lambda at: content[at] != 0))
        content[at] ^= 0xFF
    path.write_bytes(content)
    with capture_logs() as logged:
        loaded = load_latest(folder)
    assert loaded is not None and loaded[0] == 1 and loaded[2] == {"is": "old"}
    [warning] = logged
    assert (warning["event"], warning["log_level"], warning["file"]) == ("checkpoint.damaged", "warning", str(path))


def test_a_half_written_one_is_never_seen_and_goes_with_the_next(tmp_path: Path) -> None:
    save(tmp_path, 1, {"a": np.arange(4)}, {})
    (tmp_path / f"{2:020d}.tmp").write_bytes(b"FWSTATE1 half")
    loaded = load_latest(tmp_path)
    assert loaded is not None and loaded[0] == 1
    save(tmp_path, 3, {"a": np.arange(4)}, {})
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".state", ".state"]


def test_a_draft_is_no_checkpoint_until_it_is_settled_and_its_arrays_may_change_meanwhile(tmp_path: Path) -> None:
    array = np.arange(4)
    first = draft(tmp_path, 1, {"a": array}, {})
    array[:] = 9
    assert kept_seqs(tmp_path) == []
    save(tmp_path, 0, {"a": array}, {})
    assert settle(first).name == f"{1:020d}.state"
    loaded = load_latest(tmp_path)
    assert loaded is not None and (loaded[0], loaded[1]["a"].tolist()) == (1, [0, 1, 2, 3])


def test_a_draft_that_went_away_is_told_of(tmp_path: Path) -> None:
    gone = draft(tmp_path, 1, {"a": np.arange(4)}, {})
    gone.path.unlink()
    with pytest.raises(StorageError, match="could not be written: No such file"):
        settle(gone)


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="array 'a' is of object; a checkpoint holds plain numbers only"):
        save(tmp_path, 1, {"a": np.array([{}])}, {})


def test_a_full_disk_leaves_the_last_one(tmp_path: Path, small_files: int) -> None:
    save(tmp_path, 1, {"a": np.arange(4)}, {})
    with pytest.raises(StorageError, match="could not be written: File too large. The one before it stays in use"):
        save(tmp_path, 2, {"a": np.zeros(2 * small_files, np.uint8)}, {})
    assert [path.name for path in tmp_path.iterdir()] == [f"{1:020d}.state"]
    loaded = load_latest(tmp_path)
    assert loaded is not None and loaded[0] == 1
