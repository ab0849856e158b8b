"""The lake keeps every reading once, gives it back merged, and lets nobody wait for anybody."""

import math
import threading
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ...exceptions import StorageError
from ...telemetry.lake import Lake
from ...telemetry.lake_rows import Settled
from ...telemetry.published import PublishedReader, Publisher, read_recent
from ...telemetry.records import BadRow, Quarantined, Start, Tick
from ..systems.s3 import Bucket
from .frames import DAY_MS, START_MS, scored


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def append(lake: Lake, seq: int, frame: pl.DataFrame, type_id: int = 3) -> bool:
    return lake.append(type_id, frame, app_id="shard-0", version=seq)


def test_rows_come_back_by_device_and_time(lake: Lake) -> None:
    frame = scored(
        [2, 1, 1],
        [0, 1, 0],
        flow=[1.5, math.nan, 2.5],
        heat=[None, 7.0, 8.0],
        score=[0.25, None, 3.0],
        bands=[[1.0, 2.0, 3.0, 4.0], None, None],
        blame=[5, None, None],
    )
    assert append(lake, 1, frame)
    rows = lake.read(3)
    assert rows.columns == (
        ["device_key", "timestamp", "score", "model_version", "late", "ingest_seq", "bands", "blame", "arrived"]
        + ["flow", "heat"]
    )
    assert rows["device_key"].to_list() == [1, 1, 2]
    assert rows["flow"].to_list() == [2.5, None, 1.5]
    assert rows["heat"].to_list() == [8.0, 7.0, None]
    assert rows["score"].to_list() == [3.0, None, 0.25]
    assert rows["bands"].to_list() == [None, None, [1.0, 2.0, 3.0, 4.0]]
    assert rows["late"].to_list() == [False] * 3
    assert rows["timestamp"].dt.epoch("ms").to_list() == [START_MS, START_MS + 60_000, START_MS]


def test_a_table_that_was_never_written_is_empty(lake: Lake) -> None:
    assert lake.read(3).is_empty()
    assert lake.read(3, columns=["timestamp", "flow"]).schema == {
        "timestamp": pl.Datetime("us", "UTC"),
        "flow": pl.Float64(),
    }
    assert lake.committed(3, "shard-0") is None
    assert lake.existing(3, np.array([1]), np.array([START_MS])).is_empty()
    assert list(lake.chunks(3)) == []
    assert lake.compact(3, START_MS).rows == lake.vacuum(3) == 0
    assert lake.pins() == {}


def test_a_commit_is_taken_once(lake: Lake) -> None:
    frame = scored([1], [0], flow=[1.0])
    assert append(lake, 7, frame)
    assert not append(lake, 7, frame)
    assert not append(lake, 6, frame)
    assert lake.append(3, frame, app_id="backfill-ab12", version=0)
    assert not lake.append(3, frame, app_id="backfill-ab12", version=0)
    assert (lake.committed(3, "shard-0"), lake.committed(3, "backfill-ab12")) == (7, 0)
    assert lake.committed(3, "shard-1") is None
    assert Lake(lake.url).committed(3, "shard-0") == 7


def test_an_empty_commit_moves_the_watermark_on(lake: Lake) -> None:
    frame = scored([1], [0], flow=[1.0])
    assert append(lake, 1, frame)
    assert append(lake, 9, frame.clear())
    assert lake.committed(3, "shard-0") == 9
    assert len(lake.read(3)) == 1


def test_a_sensor_is_added_to_a_live_table(lake: Lake) -> None:
    append(lake, 1, scored([1], [0], flow=[1.0]))
    assert lake.read(3, columns=["heat", "flow"]).rows() == [(None, 1.0)]
    append(lake, 2, scored([1], [1], flow=[2.0], heat=[20.0]))
    append(lake, 3, scored([1], [2], flow=[3.0]))
    assert lake.read(3).select("flow", "heat").rows() == [(1.0, None), (2.0, 20.0), (3.0, None)]
    lake.compact(3, START_MS + 2 * DAY_MS)
    assert lake.read(3).select("flow", "heat").rows() == [(1.0, None), (2.0, 20.0), (3.0, None)]


def test_parts_merge_and_the_first_value_stays(lake: Lake) -> None:
    append(lake, 5, scored([1, 2], [0, 0], 5, flow=[1.0, 4.0], heat=[None, None], score=[2.0, 1.0]))
    append(lake, 6, scored([1, 1], [0, 1], 6, flow=[9.0, 5.0], heat=[30.0, 31.0], late=[True, False]))
    append(lake, 7, scored([1], [0], 7, heat=[99.0], late=[True]))
    rows = lake.read(3)
    assert rows.select("device_key", "flow", "heat", "score", "late", "ingest_seq").rows() == [
        (1, 1.0, 30.0, 2.0, False, 5),
        (1, 5.0, 31.0, None, False, 6),
        (2, 4.0, None, 1.0, False, 5),
    ]
    assert lake.read(3, columns=["heat"]).rows() == [(30.0,), (31.0,), (None,)]


def test_reading_asks_by_device_time_and_number(lake: Lake) -> None:
    for hour in range(4):
        keys = [key for key in range(10) for _ in range(3)]
        minutes = [60 * hour + 10 * turn for _ in range(10) for turn in range(3)]
        append(lake, hour + 1, scored(keys, minutes, hour + 1, flow=[float(key) for key in keys]))
    assert lake.read(3, device_keys=[4])["flow"].to_list() == [4.0] * 12
    assert lake.read(3, device_keys=[2, 99, 8])["device_key"].unique().sort().to_list() == [2, 8]
    assert lake.read(3, device_keys=[]).is_empty()
    part = lake.read(3, device_keys=[4], start_ms=START_MS + 600_000, end_ms=START_MS + 70 * 60_000)
    assert ((part["timestamp"].dt.epoch("ms") - START_MS) // 60_000).to_list() == [10, 20, 60]
    assert lake.read(3, after_seq=3)["ingest_seq"].unique().to_list() == [4]
    assert len(lake.read(3, start_ms=START_MS + DAY_MS)) == 0
    parts = list(lake.chunks(3, start_ms=START_MS + 3_600_000, columns=["device_key", "flow"], chunk_rows=20))
    assert [part["device_key"].unique().to_list() for part in parts] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
    assert all(part.columns == ["device_key", "flow"] and len(part) == 18 for part in parts)


def test_existing_gives_the_rows_at_keys(lake: Lake) -> None:
    append(lake, 1, scored([1, 1, 2], [0, 1, 1], flow=[1.0, 2.0, 3.0]))
    append(lake, 2, scored([1], [1], 2, heat=[5.0], late=[True]))
    times = np.array([START_MS + 60_000, START_MS, START_MS + 60_000])
    rows = lake.existing(3, np.array([1, 2, 7]), times)
    assert rows.select("device_key", "flow", "heat").rows() == [(1, 2.0, 5.0)]


def test_rows_without_what_the_lake_needs_are_refused(lake: Lake) -> None:
    frame = scored([1], [0], flow=[1.0])
    with pytest.raises(StorageError, match="rows for the lake lack ingest_seq, arrived; they have device_key"):
        append(lake, 1, frame.drop("ingest_seq", "arrived"))
    with pytest.raises(StorageError, match="nulls in device_key; each row needs them"):
        append(lake, 1, frame.with_columns(device_key=pl.lit(None, pl.Int64)))
    assert lake.committed(3, "shard-0") is None


def test_a_lake_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StorageError, match=r"file/readings/type-3 could not be (read|written): .*Check that the address"
    ):
        append(Lake(str(tmp_path / "file")), 1, scored([1], [0], flow=[1.0]))


def test_a_full_disk_takes_nothing_and_leaves_the_lake_usable(lake: Lake, small_files: int) -> None:
    noise = np.random.default_rng(1).normal(size=small_files // 4)
    keys = list(range(len(noise)))
    append(lake, 1, scored([1], [0], 1, flow=[1.0]))
    with pytest.raises(StorageError, match="type-3 could not be written: .*File too large.*its disk has space"):
        append(lake, 2, scored(keys, [0] * len(keys), 2, flow=noise.tolist()))
    assert lake.committed(3, "shard-0") == 1
    assert append(lake, 2, scored([1], [1], 2, flow=[2.0]))
    assert lake.read(3)["flow"].to_list() == [1.0, 2.0]


def test_doubtful_rows_are_settled_against_the_lake(lake: Lake) -> None:
    append(lake, 5, scored([1, 1, 2], [0, 1, 0], 5, flow=[1.0, 2.0, 3.0], heat=[10.0, None, None]))
    frame = scored(
        [1, 1, 1, 2, 2, 9],
        [0, 1, 2, 0, 5, 0],
        6,
        flow=[1.0, 2.0, 4.0, 3.5, 6.0, 7.0],
        heat=[None, 20.0, None, 30.0, None, None],
        late=[False] * 6,
        unchecked=[True, True, True, True, True, False],
    )
    counts = lake.append_settled(3, frame, app_id="shard-0", version=6)
    assert counts == Settled(new=2, late_parts=2, duplicates=1, conflicts=1)
    assert lake.append_settled(3, frame, app_id="shard-0", version=6) is None
    assert lake.read(3).select("device_key", "flow", "heat").rows() == [
        (1, 1.0, 10.0),
        (1, 2.0, 20.0),
        (1, 4.0, None),
        (2, 3.0, 30.0),
        (2, 6.0, None),
        (9, 7.0, None),
    ]
    assert lake.read(3, after_seq=5).select("device_key", "flow", "heat", "late").rows() == [
        (1, None, 20.0, True),
        (1, 4.0, None, False),
        (2, None, 30.0, True),
        (2, 6.0, None, False),
        (9, 7.0, None, False),
    ]
    [conflict] = lake.read_quarantine(device_keys=[2]).rows(named=True)
    assert (conflict["reason"], conflict["type_id"], conflict["ingest_seq"]) == ("conflict", 3, 6)
    assert conflict["message"] == (
        "flow was 3.0 at 2026-01-01 00:00:00 UTC; 3.5 came later for the same time and is not kept"
    )
    assert lake.read_quarantine(device_keys=[1]).is_empty()


def test_doubtful_rows_are_settled_among_themselves(lake: Lake) -> None:
    frame = scored(
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [4, 5, 6, 7],
        flow=[None, 2.0, 2.0, 3.0],
        heat=[5.0, None, None, 5.0],
        unchecked=[True] * 4,
    )
    counts = lake.append_settled(3, frame, app_id="shard-0", version=7)
    assert counts == Settled(new=1, late_parts=1, duplicates=1, conflicts=1)
    assert lake.read(3).select("flow", "heat", "ingest_seq").rows() == [(2.0, 5.0, 4)]


def test_settling_that_was_killed_between_its_two_commits_gives_each_row_once(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(lake, 1, scored([1], [0], 1, flow=[1.0]))
    frame = scored([1], [0], 2, flow=[9.0], unchecked=[True])
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(lake.table(3), "append", _killed)
        lake.append_settled(3, frame, app_id="shard-0", version=2)
    assert len(lake.read_quarantine()) == 1
    assert Lake(lake.url).append_settled(3, frame, app_id="shard-0", version=2) == Settled(0, 0, 0, 1)
    assert len(lake.read_quarantine()) == 1
    assert lake.read(3)["flow"].to_list() == [1.0]


def _killed(*_: object, **__: object) -> bool:
    raise KeyboardInterrupt


def test_journals_are_kept_once_and_come_back(lake: Lake) -> None:
    bad = Quarantined(
        now_ms=START_MS,
        rows=(
            BadRow(1, 3, "pump-1", "out_of_range", "flow was 99", "{}"),
            BadRow(None, None, "?", "unknown_type", "no such type", "x"),
        ),
    )
    assert lake.quarantine([(4, bad)], app_id="shard-0", version=4)
    assert not lake.quarantine([(4, bad)], app_id="shard-0", version=4)
    [row] = lake.read_quarantine(owner_id=1).rows(named=True)
    assert (row["device_id"], row["reason"], row["raw"], row["ingest_seq"]) == ("pump-1", "out_of_range", "{}", 4)
    assert len(lake.read_quarantine()) == 2
    assert lake.read_quarantine(owner_id=2).is_empty()
    assert len(lake.read_quarantine(start_ms=START_MS, end_ms=START_MS + 1, limit=1)) == 1
    assert lake.read_quarantine(end_ms=START_MS).is_empty()

    assert lake.events([(5, Start(now_ms=START_MS)), (6, Tick(now_ms=START_MS + 1))], app_id="shard-0", version=6)
    assert lake.events([(7, Tick(now_ms=START_MS + 2))], app_id="shard-0", version=7)
    assert lake.read_events(after_seq=5) == [(6, Tick(now_ms=START_MS + 1)), (7, Tick(now_ms=START_MS + 2))]
    assert lake.journal_committed("events", "shard-0") == 7
    assert lake.journal_committed("quarantine", "shard-0") == 4
    assert lake.compact("events", START_MS + 2 * DAY_MS).rows == 3
    assert [seq for seq, _ in lake.read_events()] == [5, 6, 7]


def test_two_writers_and_a_compaction_at_once_lose_nothing(lake: Lake, tmp_path: Path) -> None:
    errors: list[BaseException] = []

    def write(shard: int) -> None:
        own = Lake(lake.url)
        try:
            for seq in range(1, 16):
                frame = scored([shard, shard], [seq, seq + 0.5], seq, flow=[1.0, 2.0], shard=[shard, shard])
                if seq == 8:
                    frame = frame.with_columns(pl.lit(5.0).alias(f"added_{shard}"))
                assert own.append(3, frame, app_id=f"shard-{shard}", version=seq)
        except BaseException as error:
            errors.append(error)

    def compact() -> None:
        own = Lake(lake.url)
        try:
            for hour in range(8):
                own.compact(3, START_MS + DAY_MS + hour)
                own.compact(3, START_MS + DAY_MS * 2)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(shard,)) for shard in (0, 1)] + [threading.Thread(target=compact)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    rows = lake.read(3)
    assert rows.group_by("device_key").len().sort("device_key").rows() == [(0, 30), (1, 30)]
    assert rows["added_0"].count() == rows["added_1"].count() == 2
    assert (lake.committed(3, "shard-0"), lake.committed(3, "shard-1")) == (15, 15)


def test_of_two_rewrites_of_the_same_files_one_fails(lake: Lake) -> None:
    for seq in (1, 2):
        append(lake, seq, scored([1], [seq], seq, flow=[1.0]))
    first, second = lake.table(3), Lake(lake.url).table(3)
    states = [table.state() for table in (first, second)]
    assert states[0] is not None and states[1] is not None
    frame = scored([1, 1], [1, 2], flow=[1.0, 1.0])
    entry = [table.write(frame, states[0].files["ingest_day"][0], -1, "day") for table in (first, second)]
    first.replace(states[0].files, [entry[0]], changes_rows=False)
    with pytest.raises(StorageError, match="was rewritten by another process meanwhile; start again"):
        second.replace(states[1].files, [entry[1]], changes_rows=False)
    assert len(lake.read(3)) == 2


def test_pages_see_lake_and_tail_without_a_gap_and_without_doubles(lake: Lake, tmp_path: Path) -> None:
    publisher, reader = Publisher(tmp_path / "published"), PublishedReader(tmp_path / "published")
    assert read_recent(lake, reader, 3).is_empty()
    first, second = scored([1, 2], [0, 0], 1, flow=[1.0, 2.0]), scored([1], [1], 2, flow=[3.0], heat=[4.0])
    publisher.publish_tail(3, first, 1, 1)
    assert read_recent(lake, reader, 3, columns=["flow"])["flow"].to_list() == [1.0, 2.0]
    append(lake, 1, first)
    publisher.publish_tail(3, second, 2, 2)
    assert read_recent(lake, reader, 3)["flow"].to_list() == [1.0, 3.0, 2.0]
    publisher.drop_tail_through(3, 1)
    assert read_recent(lake, reader, 3, columns=["device_key", "heat"]).rows() == [(1, None), (1, 4.0), (2, None)]
    append(lake, 2, second)
    rows = read_recent(lake, reader, 3, device_keys=[1], start_ms=START_MS + 60_000)
    assert rows.select("flow", "heat").rows() == [(3.0, 4.0)]


def test_a_page_that_reads_while_the_shard_commits_sees_every_row_once(lake: Lake, tmp_path: Path) -> None:
    publisher, reader = Publisher(tmp_path / "published"), PublishedReader(tmp_path / "published")
    last, stop = 0, threading.Event()

    def live() -> None:
        nonlocal last
        for seq in range(1, 40):
            frame = scored([1], [seq], seq, flow=[float(seq)])
            publisher.publish_tail(3, frame, seq, seq)
            last = seq
            append(lake, seq, frame)
            publisher.drop_tail_through(3, seq)
        stop.set()

    thread = threading.Thread(target=live)
    thread.start()
    own = Lake(lake.url)
    while not stop.is_set():
        before = last
        seen = read_recent(own, reader, 3, columns=["flow"])["flow"].to_list()
        assert seen == [float(number + 1) for number in range(len(seen))]
        assert len(seen) >= before
    thread.join()


def test_the_lake_lives_in_s3(moto_server: Bucket) -> None:
    import boto3

    lake = Lake(f"{moto_server.url}/fleet")
    for seq in (1, 2, 3):
        assert append(lake, seq, scored([1, 2], [seq, seq], seq, flow=[float(seq), 0.5]))
    assert not append(lake, 3, scored([1], [3], flow=[1.0]))
    assert Lake(f"{moto_server.url}/fleet").committed(3, "shard-0") == 3
    report = lake.compact(3, START_MS + 2 * DAY_MS)
    assert (report.days, report.files_before, report.files_after, report.rows) == (1, 3, 1, 6)
    assert lake.read(3, device_keys=[1])["flow"].to_list() == [1.0, 2.0, 3.0]
    state = lake.table(3).state()
    assert state is not None
    client = boto3.client("s3")
    for path, size in state.files.select("path", "size_bytes").iter_rows():
        head = client.head_object(Bucket=moto_server.name, Key=f"fleet/readings/type-3/{path}")
        assert head["ContentLength"] == size
    client.close()
    snapshot = lake.snapshot(3, START_MS, START_MS + DAY_MS, {0: 2})
    lake.pin("champion", snapshot)
    assert lake.vacuum(3, hours=0) == 3
    assert Lake(f"{moto_server.url}/fleet").read_snapshot(snapshot)["flow"].to_list() == [1.0, 2.0, 0.5, 0.5]


def test_two_writers_in_s3_lose_nothing(moto_server: Bucket) -> None:
    errors: list[BaseException] = []

    def write(shard: int) -> None:
        own = Lake(moto_server.url)
        try:
            for seq in range(1, 6):
                assert own.append(3, scored([shard], [seq], seq, flow=[1.0]), app_id=f"shard-{shard}", version=seq)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(shard,)) for shard in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(Lake(moto_server.url).read(3)) == 10


def test_a_bucket_that_is_not_there_is_named(moto_server: Bucket) -> None:
    lake = Lake("s3://no-such-bucket/lake")
    with pytest.raises(StorageError, match=r"s3://no-such-bucket/lake/readings/type-3 could not be (read|written)"):
        append(lake, 1, scored([1], [0], flow=[1.0]))
