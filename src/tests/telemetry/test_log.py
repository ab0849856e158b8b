"""The log keeps what was answered for, whatever happens to the process, the disk or the file."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...exceptions import StorageError
from ...telemetry.log import LogWriter, read_log
from ...telemetry.readings import Readings
from ...telemetry.records import BadRow, Quarantined, Record, Rows, Start, Tick
from ...telemetry.segments import FRAME_BYTES, HEADER_BYTES, file_header, frames, list_segments


def ticks(*times: int) -> list[Record]:
    return [Tick(now_ms=time) for time in times]


def numbers(folder: Path, after: int = 0) -> list[int]:
    return [seq for seq, _ in read_log(folder, after)]


def only_segment(folder: Path) -> Path:
    [(_, path)] = list_segments(folder)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_records_come_back_in_order_with_their_numbers(folder: Path) -> None:
    readings = Readings(3, np.array([1, 2]), np.array([10, 20]), np.array([[1.0, np.nan], [3.0, 4.0]]))
    with LogWriter(folder) as writer:
        assert writer.append([Start(now_ms=1), Rows.of(2, readings)]) == [1, 2]
        assert writer.append(ticks(3)) == [3]
        assert writer.append([]) == []
        assert writer.last_seq == 3
    (_, start), (_, rows), (_, tick) = read_log(folder, after=0)
    assert (start, tick) == (Start(now_ms=1), Tick(now_ms=3))
    assert isinstance(rows, Rows)
    np.testing.assert_array_equal(rows.readings().values, readings.values)
    assert numbers(folder, after=1) == [2, 3]
    assert numbers(folder, after=3) == []


def test_numbers_go_on_after_a_restart_and_across_segments(folder: Path) -> None:
    for start in (1, 6, 11):
        with LogWriter(folder, segment_bytes=100) as writer:
            for seq in range(start, start + 5):
                assert writer.append(ticks(seq)) == [seq]
    assert numbers(folder) == list(range(1, 16))
    assert numbers(folder, after=7) == list(range(8, 16))
    assert len(list_segments(folder)) > 3


def test_only_whole_segments_are_deleted_and_never_the_open_one(folder: Path) -> None:
    with LogWriter(folder, segment_bytes=100) as writer:
        for seq in range(1, 13):
            writer.append(ticks(seq))
        firsts = [first for first, _ in list_segments(folder)]
        assert writer.delete_through(firsts[1] - 2) == 0
        assert writer.delete_through(firsts[2] - 1) == 2
        assert writer.first_seq == firsts[2]
        assert writer.delete_through(1000) == len(firsts) - 3
        assert writer.append(ticks(13)) == [13]
    with LogWriter(folder) as writer:
        assert writer.append(ticks(14)) == [14]
    with pytest.raises(StorageError, match=r"records from 3 on were asked for, but the log .* begins at record"):
        numbers(folder, after=2)


def test_a_reader_follows_a_writer(folder: Path) -> None:
    def appended(writer: LogWriter) -> Iterator[int]:
        for seq in range(1, 40):
            writer.append(ticks(seq))
            yield seq

    seen = 0
    with LogWriter(folder, segment_bytes=200) as writer:
        for seq in appended(writer):
            seen = max(numbers(folder, after=seen), default=seen)
            assert seen == seq


def test_the_lock_says_who_holds_it(folder: Path) -> None:
    with LogWriter(folder, address="http://127.0.0.1:8300"):
        with pytest.raises(
            StorageError, match=rf"in use by process {os.getpid()} on .*, http://127.0.0.1:8300; stop that faultwatch"
        ):
            LogWriter(folder)
    LogWriter(folder).close()


def test_a_segment_deleted_under_a_reader_is_no_end_of_the_log(folder: Path) -> None:
    with LogWriter(folder, segment_bytes=50) as writer:
        for seq in range(1, 6):
            writer.append(ticks(seq))
        reading = read_log(folder, 0)
        assert next(reading)[0] == 1
        writer.delete_through(4)
        with pytest.raises(StorageError, match="went while the log was read: .* Read again from the newest checkpoint"):
            list(reading)


def test_a_folder_that_can_not_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StorageError, match=r"the log in .*data/log can't be opened: .* must be allowed to write there"):
        LogWriter(tmp_path / "data" / "log")


def test_a_closed_log_takes_nothing(folder: Path) -> None:
    writer = LogWriter(folder)
    writer.close()
    with pytest.raises(StorageError, match="is closed"):
        writer.append(ticks(1))


def test_an_empty_folder_goes_on_after_what_was_seen_elsewhere(folder: Path) -> None:
    with LogWriter(folder, after=41) as writer:
        assert writer.append(ticks(1)) == [42]
    assert numbers(folder, after=41) == [42]
    with LogWriter(folder, after=42) as writer:
        assert writer.last_seq == 42
    with pytest.raises(StorageError, match="ends at record 42, but record 43 was seen before: records were lost"):
        LogWriter(folder, after=43)


GROUPS = st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=3), min_size=1, max_size=5)


def write_groups(folder: Path, groups: list[list[bytes]]) -> tuple[Path, list[int]]:
    """Write groups of records; return the segment and, per group, the byte where it ends."""
    ends = []
    with LogWriter(folder) as writer:
        for group in groups:
            bad = [Quarantined(now_ms=1, rows=(BadRow(1, 1, "d", "range", "m", raw.hex()),)) for raw in group]
            writer.append(bad)
            ends.append(only_segment(folder).stat().st_size)
    return only_segment(folder), ends


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, data=st.data())
def test_a_file_cut_anywhere_gives_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut") / "log"
    path, ends = write_groups(folder, groups)
    whole = list(read_log(folder, 0))
    size = data.draw(st.integers(0, path.stat().st_size))
    os.truncate(path, size)
    before = list(read_log(folder, 0))
    with LogWriter(folder) as writer:
        assert list(read_log(folder, 0)) == before == whole[: len(before)]
        durable = sum(len(group) for group, end in zip(groups, ends, strict=True) if end <= size)
        assert durable <= len(before) == writer.last_seq
        assert writer.append(ticks(9)) == [len(before) + 1]
    assert list(read_log(folder, len(before))) == [(len(before) + 1, Tick(now_ms=9))]


@settings(max_examples=60, deadline=None)
@given(groups=GROUPS, data=st.data())
def test_a_changed_byte_is_always_found(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("flip") / "log"
    path, ends = write_groups(folder, groups)
    whole = list(read_log(folder, 0))
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    before_last_group = ends[-2] if len(ends) > 1 else HEADER_BYTES
    if at < before_last_group:
        with pytest.raises(StorageError, match="is damaged at byte"):
            list(read_log(folder, 0))
        with pytest.raises(StorageError, match="is damaged at byte"):
            LogWriter(folder)
    else:
        kept = list(read_log(folder, 0))
        assert kept == whole[: len(kept)] and len(kept) < len(whole)
        with LogWriter(folder) as writer:
            assert writer.last_seq == len(kept)


def test_damage_before_later_records_names_file_byte_and_what_to_do(folder: Path) -> None:
    path, ends = write_groups(folder, [[b"a"], [b"b"], [b"c"]])
    content = bytearray(path.read_bytes())
    content[ends[0] + FRAME_BYTES + 3] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError) as error:
        LogWriter(folder)
    assert str(error.value) == (
        f"{path} is damaged at byte {ends[0]}: the checksum of a record is wrong, and records that were answered for"
        " follow. Restore this file from a copy. Without one, what follows is lost: move the file and all later ones"
        " away"
    )
    assert path.read_bytes() == content
    reading = read_log(folder, 0)
    assert next(reading)[0] == 1
    with pytest.raises(StorageError, match="is damaged"):
        next(reading)


def test_damage_in_an_earlier_segment_is_never_cut_off(folder: Path) -> None:
    with LogWriter(folder, segment_bytes=50) as writer:
        for seq in range(1, 6):
            writer.append(ticks(seq))
    (_, first), *_, (_, last) = list_segments(folder)
    os.truncate(first, first.stat().st_size - 1)
    with pytest.raises(StorageError, match=f"{first} is damaged at byte"):
        LogWriter(folder)
    with pytest.raises(StorageError, match=f"{first} is damaged at byte"):
        numbers(folder)
    first.unlink()
    list_segments(folder)[1][1].unlink()
    with pytest.raises(StorageError, match="a file of the log is missing"):
        LogWriter(folder)


def test_a_write_whose_pages_arrived_in_any_order_is_cut_as_one(folder: Path) -> None:
    """A power cut may leave the end of a write on disk and zeros where it began; none of it was answered for."""
    path, ends = write_groups(folder, [[b"a"], [b"b" * 30, b"c", b"d"]])
    content = bytearray(path.read_bytes())
    content[ends[0] : ends[0] + 40] = bytes(40)
    path.write_bytes(content)
    with LogWriter(folder) as writer:
        assert writer.last_seq == 1
    assert path.stat().st_size == ends[0]


def test_a_payload_that_looks_like_a_frame_is_not_taken_for_one(folder: Path) -> None:
    with LogWriter(folder) as writer:
        writer.append(ticks(1))
        forged = b"".join(frames(3, [b"x"], 0))
        writer.append([Rows(now_ms=1, type_id=1, n_sensors=1, keys=forged, ts=b"", values=b"")])
    path = only_segment(folder)
    os.truncate(path, path.stat().st_size - 1)
    with LogWriter(folder) as writer:
        assert writer.last_seq == 1


def test_a_segment_that_was_only_just_begun_is_begun_again(folder: Path) -> None:
    with LogWriter(folder) as writer:
        writer.append(ticks(1))
    for rest in (b"", b"FWLO", bytes(HEADER_BYTES), bytes(4096)):
        (folder / f"{2:020d}.log").write_bytes(rest)
        with LogWriter(folder) as writer:
            assert writer.last_seq == 1
    with LogWriter(folder) as writer:
        assert writer.append(ticks(2)) == [2]
    assert numbers(folder) == [1, 2]


def test_files_that_are_none_of_the_log_are_named(folder: Path) -> None:
    folder.mkdir()
    (folder / "copy.log").touch()
    with pytest.raises(StorageError, match=r"copy.log is no segment of a log"):
        LogWriter(folder)


def test_a_record_of_a_later_version_is_told_from_damage(folder: Path) -> None:
    folder.mkdir()
    path = folder / f"{1:020d}.log"
    path.write_bytes(file_header(7) + b"".join(frames(1, [b"\x81\xa4type\xa3new"], 7)))
    with LogWriter(folder) as writer:
        assert writer.last_seq == 1
    with pytest.raises(StorageError, match=r"record 1 in .* at byte 16 is whole but can't be read"):
        numbers(folder)


def test_a_full_disk_takes_nothing_and_leaves_the_writer_usable(folder: Path, small_files: int) -> None:
    big = Rows(now_ms=1, type_id=1, n_sensors=1, keys=bytes(small_files), ts=b"", values=b"")
    with LogWriter(folder) as writer:
        writer.append(ticks(1))
        size = only_segment(folder).stat().st_size
        with pytest.raises(StorageError, match="could not be written: File too large. Nothing of this write was taken"):
            writer.append([Tick(now_ms=2), big])
        assert only_segment(folder).stat().st_size == size
        assert writer.append(ticks(2)) == [2]
    assert numbers(folder) == [1, 2]


def test_a_segment_that_can_not_be_created_leaves_the_writer_usable(
    folder: Path,
) -> None:
    with LogWriter(folder, segment_bytes=50) as writer:
        writer.append(ticks(1))
        blocked = folder / f"{2:020d}.log"
        blocked.mkdir()
        with pytest.raises(StorageError, match="could not be written"):
            writer.append(ticks(2))
        blocked.rmdir()
        assert writer.append(ticks(2)) == [2]
    assert numbers(folder) == [1, 2]


def test_what_a_failed_write_left_is_cut_or_the_writer_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken_disk(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with LogWriter(folder) as writer:
        writer.append(ticks(1))
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", broken_disk)
            with pytest.raises(StorageError, match="Input/output error. Nothing of this write was taken"):
                writer.append(ticks(2))
        assert writer.append(ticks(3)) == [2]
        with monkeypatch.context() as patched:
            patched.setattr(os, "fdatasync", broken_disk)
            patched.setattr(os, "ftruncate", broken_disk)
            with pytest.raises(StorageError, match="Nothing of this write was taken"):
                writer.append(ticks(4))
        with pytest.raises(StorageError, match="can't be written any more"):
            writer.append(ticks(4))


WRITER = """
    import sys
    from pathlib import Path
    from {package}.telemetry.log import LogWriter
    from {package}.telemetry.records import Tick

    writer = LogWriter(Path(sys.argv[1]), segment_bytes=4000)
    while True:
        writer.append([Tick(now_ms=writer.last_seq + 1 + more) for more in range(7)])
        sys.stdout.write(f"{{writer.last_seq}}\\n")
        sys.stdout.flush()
"""


def test_a_killed_writer_loses_nothing_it_answered_for(folder: Path) -> None:
    package = __package__.partition(".")[0]
    program = textwrap.dedent(WRITER.format(package=package))
    answered = 0
    for lifetime in (0.02, 0.05, 0.11):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(lifetime)
        child.kill()
        lines = [first, *child.stdout.read().splitlines(keepends=True)]
        child.wait()
        child.stdout.close()
        answered = max(int(line) for line in lines if line.endswith("\n"))
        with LogWriter(folder) as writer:
            assert writer.last_seq >= answered
        found = list(read_log(folder, 0))
        assert [seq for seq, _ in found] == list(range(1, writer.last_seq + 1))
        assert all(record == Tick(now_ms=seq) for seq, record in found)
