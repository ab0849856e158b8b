"""Pages see what the shard published last, whole, whenever they look."""

import math
import threading
from pathlib import Path

import polars as pl
import pytest

from ...exceptions import StorageError
from ...telemetry.published import Clock, PublishedReader, Publisher
from .frames import scored


def clock(now_ms: int) -> Clock:
    return Clock(now_ms=now_ms, published_ms=now_ms + 1, last_seq=9, applied_seq=8, lake_seq=7)


def rows(*seqs: int) -> pl.DataFrame:
    return scored([1] * len(seqs), list(range(len(seqs))), list(seqs), flow=[math.nan] * len(seqs))


def test_nothing_is_there_before_the_first_publishing(tmp_path: Path) -> None:
    reader = PublishedReader(tmp_path)
    assert reader.clock() is None
    assert reader.devices(3).is_empty()
    assert reader.tail(3, after_seq=0).is_empty()


def test_a_snapshot_is_replaced_and_an_open_one_stays(tmp_path: Path) -> None:
    publisher, reader = Publisher(tmp_path), PublishedReader(tmp_path)
    publisher.publish(clock(1), {3: pl.DataFrame({"device_key": [1, 2], "score": [0.5, None]})})
    opened = reader.devices(3)
    publisher.publish(clock(2), {3: pl.DataFrame({"device_key": [1, 2, 5], "score": [0.1, 0.2, 0.3]})})
    assert opened["score"].to_list() == [0.5, None]
    assert reader.devices(3)["device_key"].to_list() == [1, 2, 5]
    assert reader.devices(3, columns=["score"]).to_dict(as_series=False) == {"score": [0.1, 0.2, 0.3]}
    assert reader.clock() == clock(2)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_reader_never_sees_half_a_snapshot(tmp_path: Path) -> None:
    publisher, reader = Publisher(tmp_path), PublishedReader(tmp_path)
    stop = threading.Event()

    def publish() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            publisher.publish(clock(turn), {3: pl.DataFrame({"turn": [turn] * (1 + 997 * (turn % 3))})})

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        for _ in range(500):
            frame = reader.devices(3)
            if not frame.is_empty():
                assert frame["turn"].n_unique() == 1
                assert len(frame) == 1 + 997 * (frame["turn"][0] % 3)
    finally:
        stop.set()
        thread.join()


def test_the_tail_has_what_the_lake_does_not(tmp_path: Path) -> None:
    publisher, reader = Publisher(tmp_path), PublishedReader(tmp_path)
    publisher.publish_tail(3, rows(4, 5), 4, 5)
    publisher.publish_tail(3, rows(6).with_columns(added=pl.lit(1.5)), 6, 6)
    publisher.publish_tail(4, rows(6), 6, 6)
    assert reader.tail(3, after_seq=4)["ingest_seq"].to_list() == [5, 6]
    assert reader.tail(3, after_seq=4)["added"].to_list() == [None, 1.5]
    assert reader.tail(3, after_seq=4)["flow"].to_list() == [None, None]
    assert publisher.drop_tail_through(3, 4) == 0
    assert publisher.drop_tail_through(3, 5) == 1
    assert reader.tail(3, after_seq=0)["ingest_seq"].to_list() == [6]
    assert reader.tail(4, after_seq=0)["ingest_seq"].to_list() == [6]


def test_a_shard_that_starts_publishes_its_own_tail(tmp_path: Path) -> None:
    Publisher(tmp_path).publish_tail(3, rows(4, 5), 4, 5)
    publisher, reader = Publisher(tmp_path), PublishedReader(tmp_path)
    assert reader.tail(3, after_seq=0).is_empty()
    publisher.publish_tail(3, rows(4), 4, 4)
    assert reader.tail(3, after_seq=0)["ingest_seq"].to_list() == [4]


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "type-3.arrow").write_bytes(content)
    (tmp_path / "clock.json").write_bytes(content)
    reader = PublishedReader(tmp_path)
    with pytest.raises(StorageError, match="type-3.arrow .*; it is written anew when the shard publishes"):
        reader.devices(3)
    with pytest.raises(StorageError, match=r"clock.json can't be read .*; it is written anew"):
        reader.clock()


def test_a_full_disk_is_said(tmp_path: Path, small_files: int) -> None:
    publisher, reader = Publisher(tmp_path), PublishedReader(tmp_path)
    publisher.publish(clock(1), {3: pl.DataFrame({"a": [1]})})
    with pytest.raises(StorageError, match="type-3.arrow could not be written"):
        publisher.publish(clock(2), {3: pl.DataFrame({"a": range(small_files)})})
    assert reader.devices(3)["a"].to_list() == [1]
    assert reader.clock() == clock(1)
