"""A snapshot gives the same rows for as long as it is pinned, and says so when it can't."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import StorageError
from ...telemetry.lake import Lake
from ...telemetry.lake_snapshots import Fingerprint
from .frames import DAY_MS, START_MS, scored, time_column


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def fill(lake: Lake, seqs: range) -> None:
    for seq in seqs:
        frame = scored([1, 2], [seq * 300.0] * 2, seq, flow=[float(seq), -float(seq)])
        assert lake.append(3, frame, app_id="shard-0", version=seq)


def test_a_pinned_snapshot_outlives_compaction_vacuum_log_cleaning_and_retention(lake: Lake) -> None:
    fill(lake, range(1, 11))
    lake.append(3, scored([1], [900.0], 10, heat=[5.0], late=[True]), app_id="shard-0", version=11)
    snapshot = lake.snapshot(3, START_MS + 300_000, START_MS + 2 * DAY_MS, {0: 10})
    assert (snapshot.rows, snapshot.type_id, snapshot.seqs) == (2 * 9, 3, {0: 10})
    rows = lake.read_snapshot(snapshot)
    assert len(rows) == 18 and rows["heat"].count() == 1
    lake.pin("champion", snapshot)

    fill(lake, range(12, 40))
    lake.append(3, scored([1], [900.0], 40, mass=[7.0], late=[True]), app_id="shard-0", version=40)
    for day in range(1, 10):
        lake.compact(3, START_MS + day * DAY_MS)
    lake.vacuum(3, hours=0)
    _clean_log(lake)
    report = lake.retain(3, 1, START_MS + 20 * DAY_MS)
    lake.vacuum(3, hours=0)

    assert report.rows > 0 and len(report.kept_for_pins) == 2
    assert lake.pins() == {"champion": snapshot}
    again = Lake(lake.url).read_snapshot(lake.pins()["champion"])
    assert again.select(rows.columns).equals(rows)

    lake.unpin("champion")
    assert lake.pins() == {}
    lake.unpin("champion")
    assert lake.retain(3, 1, START_MS + 20 * DAY_MS).kept_for_pins == ()
    with pytest.raises(
        StorageError, match=r"the snapshot of type 3 had 18 rows .*, but the lake now gives 0 .*Take a new snapshot"
    ):
        lake.read_snapshot(snapshot)


def _clean_log(lake: Lake) -> None:
    """Clean Delta's log of all old versions at once, as a week's waiting would."""
    from deltalake import DeltaTable

    table = DeltaTable(f"{lake.url}/readings/type-3")
    table.alter.set_table_properties({"delta.logRetentionDuration": "interval 0 days"})
    table.create_checkpoint()
    table.cleanup_metadata()
    with pytest.raises(Exception, match="log segment|version"):
        DeltaTable(f"{lake.url}/readings/type-3", version=5)


def test_a_pin_of_the_same_name_moves(lake: Lake) -> None:
    fill(lake, range(1, 5))
    first = lake.snapshot(3, START_MS, START_MS + DAY_MS, {0: 2})
    second = lake.snapshot(3, START_MS, START_MS + DAY_MS, {0: 4})
    assert first.rows < second.rows
    lake.pin("champion", first)
    lake.pin("challenger", second)
    lake.pin("champion", second)
    assert Lake(lake.url).pins() == {"champion": second, "challenger": second}


def test_a_snapshot_of_nothing_is_empty(lake: Lake) -> None:
    snapshot = lake.snapshot(3, START_MS, START_MS + DAY_MS, {0: 0})
    assert (snapshot.rows, snapshot.fingerprint) == (0, "0" * 32)
    assert lake.read_snapshot(snapshot, columns=["flow"]).is_empty()
    fill(lake, range(1, 3))
    assert lake.snapshot(3, START_MS, START_MS + DAY_MS, {}).rows == 0
    assert lake.read_snapshot(snapshot).is_empty()


def test_a_snapshot_of_records_that_were_still_to_come_is_found_out(lake: Lake) -> None:
    fill(lake, range(1, 3))
    snapshot = lake.snapshot(3, START_MS, START_MS + DAY_MS, {0: 3})
    fill(lake, range(3, 4))
    with pytest.raises(StorageError, match="had 4 rows .*, but the lake now gives 6"):
        lake.read_snapshot(snapshot)


def test_rows_of_each_shard_count_by_their_own_number(lake: Lake) -> None:
    for shard, seq in ((0, 5), (1, 900)):
        frame = scored([shard], [1], seq, flow=[1.0], shard=[shard])
        lake.append(3, frame, app_id=f"shard-{shard}", version=seq)
    for seqs, rows in (({0: 5, 1: 900}, 2), ({0: 5, 1: 899}, 1), ({0: 4, 1: 900}, 1), ({1: 900}, 1)):
        assert lake.snapshot(3, START_MS, START_MS + DAY_MS, seqs).rows == rows


def test_a_snapshot_comes_in_parts_of_whole_devices(lake: Lake) -> None:
    fill(lake, range(1, 6))
    snapshot = lake.snapshot(3, START_MS, START_MS + 2 * DAY_MS, {0: 5})
    parts = list(lake.snapshot_chunks(snapshot, columns=["device_key", "flow"], chunk_rows=5))
    assert [part["device_key"].unique().to_list() for part in parts] == [[1], [2]]


KEYS = st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**43)), max_size=30, unique=True)


@given(keys=KEYS, data=st.data())
def test_the_hash_depends_on_the_keys_and_on_nothing_else(keys: list[tuple[int, int]], data: st.DataObject) -> None:
    def hashed(parts: list[list[tuple[int, int]]]) -> str:
        fingerprint = Fingerprint()
        for part in parts:
            device_keys = pl.Series("device_key", [key for key, _ in part], dtype=pl.Int64)
            times = time_column("timestamp", [time for _, time in part])
            fingerprint.add(pl.DataFrame([device_keys, times]))
        return fingerprint.hex()

    shuffled = data.draw(st.permutations(keys))
    cut = data.draw(st.integers(0, len(keys)))
    assert hashed([keys]) == hashed([shuffled[:cut], shuffled[cut:]])
    if keys:
        assert hashed([keys]) != hashed([keys[1:]])
        key, time = keys[0]
        assert hashed([keys]) != hashed([[(key + 1, time), *keys[1:]]])
