"""Small files become large ones: no row is rewritten more than twice, none is lost, and nobody waits."""

import subprocess
import sys
import textwrap
import time
from collections import Counter
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from ...exceptions import StorageError
from ...telemetry.lake import Lake
from ...telemetry.lake_files import DAY_FILES
from ...telemetry.lake_table import TableState
from .frames import DAY_MS, HOUR_MS, START_MS, scored

GRACE_MS = 600_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def append(lake: Lake, seq: int, minute: float, devices: int = 5) -> None:
    keys = list(range(devices))
    frame = scored(keys, [minute] * devices, seq, flow=[float(seq)] * devices)
    assert lake.append(3, frame, app_id="shard-0", version=seq)


def state(lake: Lake) -> TableState:
    found = lake.table(3).state()
    assert found is not None
    return found


def hours(lake: Lake) -> dict[int, int]:
    """Files by hour of arrival; DAY_FILES stands for closed days."""
    return dict(sorted(Counter(state(lake).files["ingest_hour"].to_list()).items()))


def test_closed_hours_then_the_closed_day_are_rewritten(lake: Lake) -> None:
    for seq, minute in enumerate(range(0, 180, 20), 1):
        append(lake, seq, minute)
    assert hours(lake) == {0: 3, 1: 3, 2: 3}
    report = lake.compact(3, START_MS + 2 * HOUR_MS + GRACE_MS)
    assert (report.hours, report.days, report.files_before, report.files_after, report.rows) == (2, 0, 6, 2, 30)
    assert hours(lake) == {0: 1, 1: 1, 2: 3}
    assert lake.compact(3, START_MS + 2 * HOUR_MS + GRACE_MS).rows == 0
    report = lake.compact(3, START_MS + DAY_MS + GRACE_MS)
    assert (report.hours, report.days, report.files_before, report.files_after, report.rows) == (0, 1, 5, 1, 45)
    assert hours(lake) == {DAY_FILES: 1}
    assert lake.compact(3, START_MS + 9 * DAY_MS).rows == 0
    assert lake.read(3)["flow"].to_list() == [float(seq) for _ in range(5) for seq in range(1, 10)]
    assert lake.committed(3, "shard-0") == 9


def test_an_hour_is_left_alone_until_its_last_commit_is_surely_in(lake: Lake) -> None:
    append(lake, 1, 10)
    append(lake, 2, 59)
    assert lake.compact(3, START_MS + HOUR_MS + GRACE_MS - 1).rows == 0
    assert lake.compact(3, START_MS + HOUR_MS + GRACE_MS).rows == 10


def test_no_row_is_rewritten_more_than_twice(lake: Lake) -> None:
    """A day lived in steps of 15 minutes; commits for closed hours, and for the closed day, come late."""
    seq, rewritten = 0, 0
    for minute in range(0, 1440, 15):
        seq += 1
        append(lake, seq, minute)
        if minute % 360 == 180:
            seq += 1
            append(lake, seq, minute - 170)
        if minute % 60 == 30:
            rewritten += lake.compact(3, START_MS + minute * 60_000).rows
    for day in (1, 2, 3):
        seq += 1
        append(lake, seq, 700.5 + day)
        rewritten += lake.compact(3, START_MS + day * DAY_MS + GRACE_MS).rows
    stored = 5 * seq
    assert stored < rewritten <= 2 * stored
    assert set(hours(lake)) == {DAY_FILES}
    assert state(lake).files["num_records"].sort().to_list() == [5, 5, stored - 10]
    assert lake.read(3)["flow"].n_unique() == seq


def test_large_partitions_are_sorted_in_parts(lake: Lake) -> None:
    for seq in range(1, 5):
        append(lake, seq, seq, devices=30)
    report = lake.compact(3, START_MS + 2 * DAY_MS, chunk_rows=40)
    assert (report.files_before, report.files_after) == (4, 3)
    files = state(lake).files.sort("min_device_key")
    assert files.select("min_device_key", "max_device_key").rows() == [(0, 9), (10, 19), (20, 29)]
    assert files["num_records"].to_list() == [40] * 3
    for path in files["path"]:
        rows = pl.read_parquet(f"{lake.url}/readings/type-3/{path}", hive_partitioning=False)
        assert rows.equals(rows.sort("device_key", "timestamp"))
    assert len(lake.read(3)) == 120


def test_an_append_to_the_partition_under_rewrite_goes_through(lake: Lake) -> None:
    append(lake, 1, 1)
    append(lake, 2, 2)
    table, before = lake.table(3), state(lake)
    new = table.write(table.scan(before).collect(), date(2026, 1, 1), 0, "hour")
    append(Lake(lake.url), 3, 3)
    table.replace(before.files, [new], changes_rows=False)
    assert hours(lake) == {0: 2}
    assert lake.read(3, device_keys=[0])["flow"].to_list() == [1.0, 2.0, 3.0]


def test_retention_removes_whole_days_of_arrival(lake: Lake) -> None:
    for day in range(4):
        append(lake, day + 1, 1440 * day)
    lake.compact(3, START_MS + 2 * DAY_MS)
    now = START_MS + 4 * DAY_MS
    report = lake.retain(3, 2, now)
    assert (report.days, report.rows, report.kept_for_pins) == (2, 10, ())
    assert lake.read(3, device_keys=[0])["flow"].to_list() == [3.0, 4.0]
    assert lake.retain(3, 2, now).rows == 0
    assert lake.committed(3, "shard-0") == 4


def test_vacuum_deletes_what_was_replaced_and_what_was_never_committed(lake: Lake) -> None:
    append(lake, 1, 1)
    append(lake, 2, 2)
    table = lake.table(3)
    table.write(scored([1], [1], flow=[1.0]), date(2026, 1, 1), 0, "hour")
    lake.compact(3, START_MS + 2 * DAY_MS)
    folder = Path(lake.url, "readings", "type-3")
    assert len(list(folder.rglob("ingest_hour=*/*.parquet"))) == 4
    assert lake.vacuum(3) == 0
    assert lake.vacuum(3, hours=0) == 3
    assert len(list(folder.rglob("ingest_hour=*/*.parquet"))) == 1
    assert len(lake.read(3)) == 10


def test_a_reader_of_long_ago_goes_on_after_the_log_was_summed_up(lake: Lake) -> None:
    append(lake, 1, 0)
    reader = Lake(lake.url)
    assert len(reader.read(3)) == 5
    for seq in range(2, 60):
        append(lake, seq, seq / 60, devices=1)
    lake.vacuum(3, hours=0)
    assert len(reader.read(3)) == 5 + 58
    assert reader.committed(3, "shard-0") == 59


def test_a_file_that_went_missing_is_said(lake: Lake) -> None:
    append(lake, 1, 1)
    [path] = Path(lake.url).rglob("append-*.parquet")
    path.unlink()
    with pytest.raises(StorageError, match=r"readings/type-3 could not be read: .*Check that the address exists"):
        lake.read(3)


def test_one_device_is_read_from_few_files(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    for seq in range(1, 4):
        append(lake, seq, seq, devices=40)
    lake.compact(3, START_MS + 2 * DAY_MS, chunk_rows=30)
    table, found = lake.table(3), state(lake)
    opened: list[str] = []
    scan = table.scan

    def counted(of: TableState, files: pl.DataFrame | None = None) -> pl.LazyFrame:
        assert files is not None
        opened.extend(files["path"])
        return scan(of, files)

    monkeypatch.setattr(table, "scan", counted)
    assert len(lake.read(3, device_keys=[17])) == 3
    assert (len(opened), len(found.files)) == (1, 4)
    opened.clear()
    assert len(lake.read(3, device_keys=[0, 39], start_ms=START_MS)) == 6
    assert len(opened) == 2


LIFE = """
    import sys
    import polars as pl
    from {package}.telemetry.lake import Lake
    from {package}.tests.telemetry.frames import DAY_MS, HOUR_MS, START_MS, scored

    lake = Lake(sys.argv[1])
    seq = lake.committed(3, "shard-0") or 0
    print("ready", flush=True)
    while True:
        seq += 1
        frame = scored([1, 2], [seq * 10, seq * 10], seq, flow=[float(seq)] * 2)
        lake.append(3, frame, app_id="shard-0", version=seq)
        print(seq, flush=True)
        if seq % 5 == 0:
            lake.compact(3, START_MS + seq * 600_000)
            lake.vacuum(3, hours=0)
"""


def test_a_killed_writer_leaves_a_lake_with_each_row_once(lake: Lake) -> None:
    """Killed at any moment of append, compaction, checkpoint or vacuum, then going on from what is committed."""
    package = __package__.partition(".")[0]
    program = textwrap.dedent(LIFE.format(package=package))
    for lifetime in (0.1, 0.25, 0.4, 0.55):
        child = subprocess.Popen(
            [sys.executable, "-c", program, lake.url],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(lifetime)
        child.kill()
        answered = [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
        child.wait()
        child.stdout.close()
        committed = Lake(lake.url).committed(3, "shard-0") or 0
        assert committed >= max(answered, default=0)
        rows = Lake(lake.url).read(3, device_keys=[1], columns=["flow"])
        assert rows["flow"].to_list() == [float(seq) for seq in range(1, committed + 1)]
        stored = Lake(lake.url).table(3).state()
        assert stored is None or sum(stored.files["num_records"]) == 2 * committed
    lake.vacuum(3, hours=0)
    assert lake.read(3, device_keys=[2])["flow"].len() == committed
