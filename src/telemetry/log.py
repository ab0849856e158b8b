"""The write-ahead log of a shard: what was answered for is on disk, in order, numbered without gaps."""

import fcntl
import os
import secrets
import socket
import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from ..exceptions import StorageError
from .records import Record, decode, encode
from .segments import HEADER_BYTES, Break, SegmentReader, file_header, frames, list_segments, segment_path

log = structlog.get_logger(__name__)

SEGMENT_BYTES = 64 << 20
IOV_MAX = 1024
"""How many parts Linux and macOS take in one write."""


class LogWriter:
    """The one writer of a shard's log.

    Opening takes the folder's lock, checks every record, and cuts off the unfinished end a crash left
    behind. `address` is put into the lock file for people to read. `after` is the highest number anything
    else (lake, database, checkpoint) has seen: an empty folder goes on from there, and a log that ends
    before it is an error, since numbers would be given twice. Raises StorageError where another process
    holds the lock or a record went bad.

    `append` and `delete_through` may be called from different threads. A forked child inherits the lock;
    start children with `spawn`.
    """

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES, address: str = "", after: int = 0) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._guard = threading.Lock()
        self._failed: str | None = None
        self._file = -1
        self._lock = -1
        try:
            _make_folder(folder)
            self._lock = _take_lock(folder, address)
            self._firsts = [first for first, _ in list_segments(folder)]
            self._open_last_segment(after)
        except OSError as error:
            self.close()
            raise StorageError(
                f"the log in {folder} can't be opened: {error.strerror} ({error.filename}); the folder must be on a"
                " disk with space, and this process must be allowed to write there"
            ) from error
        except BaseException:
            self.close()
            raise

    @property
    def last_seq(self) -> int:
        """The number of the last record; 0 before the first."""
        return self._last_seq

    @property
    def first_seq(self) -> int:
        """The number of the oldest record still in the log, or of the next one where there is none."""
        return self._firsts[0]

    def append(self, records: Sequence[Record]) -> list[int]:
        """Write `records` with one write and one fsync; return their numbers once they are on disk.

        Raises StorageError where they could not be written (disk full, broken disk): then none of them is
        in the log, and the writer may be used again.
        """
        payloads = [encode(record) for record in records]
        if not payloads:
            return []
        with self._guard:
            if self._failed is not None:
                raise StorageError(self._failed)
            if self._size >= self._segment_bytes and self._size > HEADER_BYTES:
                self._rotate()
            first = self._last_seq + 1
            self._write(frames(first, payloads, self._salt))
            self._last_seq += len(payloads)
            return list(range(first, self._last_seq + 1))

    def delete_through(self, seq: int) -> int:
        """Delete the segments all of whose records are numbered `seq` or below; return how many were deleted.

        The segment that is written to stays, so that numbers go on after a restart.
        """
        with self._guard:
            deleted = 0
            while len(self._firsts) > 1 and self._firsts[1] - 1 <= seq:
                segment_path(self._folder, self._firsts[0]).unlink()
                del self._firsts[0]
                deleted += 1
            if deleted:
                _fsync_folder(self._folder)
            return deleted

    def close(self) -> None:
        """Give the lock back. Appending ends."""
        self._failed = f"the log in {self._folder} is closed"
        for descriptor in (self._file, self._lock):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _open_last_segment(self, after: int) -> None:
        if not self._firsts:
            self._create_segment(after + 1)
            return
        _check_closed_segments(self._folder, self._firsts)
        first = self._firsts[-1]
        path = segment_path(self._folder, first)
        with path.open("rb") as file:
            reader = SegmentReader(file, first)
            for _ in reader.frames():
                pass
        self._salt, self._size, self._last_seq = reader.salt, reader.offset, reader.next_seq - 1
        if self._last_seq < after:
            raise StorageError(
                f"the log in {self._folder} ends at record {self._last_seq}, but record {after} was seen before:"
                " records were lost. Restore the folder from a copy, or move it away to start a new log after"
                f" record {after}; readings sent since then have to be sent again"
            )
        self._file = os.open(path, os.O_WRONLY)
        if reader.broken is not None:
            self._cut(path, reader.broken)
        os.lseek(self._file, self._size, os.SEEK_SET)

    def _cut(self, path: Path, broken: Break) -> None:
        if broken.kind == "corrupt":
            raise _corrupt(path, broken)
        cut = os.fstat(self._file).st_size - broken.offset
        os.ftruncate(self._file, broken.offset)
        if broken.offset == 0:
            self._start_segment()
        os.fsync(self._file)
        log.warning(
            "log.tail_cut",
            file=str(path),
            offset=broken.offset,
            bytes=cut,
            reason=broken.reason,
            last_seq=self._last_seq,
            meaning="a write was interrupted; nothing in it had been answered for",
        )

    def _create_segment(self, first_seq: int) -> None:
        path = segment_path(self._folder, first_seq)
        previous = self._file
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except OSError as error:
            raise self._not_written(error) from error
        try:
            self._start_segment()
            os.fsync(self._file)
            _fsync_folder(self._folder)
        except OSError as error:
            os.close(self._file)
            self._file = previous
            path.unlink()
            raise self._not_written(error) from error
        if previous >= 0:
            os.close(previous)
        self._firsts.append(first_seq)
        self._last_seq = first_seq - 1

    def _start_segment(self) -> None:
        salt = secrets.randbits(32)
        os.lseek(self._file, 0, os.SEEK_SET)
        _write_all(self._file, [file_header(salt)])
        self._salt, self._size = salt, HEADER_BYTES

    def _rotate(self) -> None:
        salt, size = self._salt, self._size
        try:
            self._create_segment(self._last_seq + 1)
        except StorageError:
            self._salt, self._size = salt, size
            raise

    def _write(self, data: Sequence[bytes]) -> None:
        try:
            _write_all(self._file, data)
            os.fdatasync(self._file)
        except OSError as error:
            self._take_back()
            raise self._not_written(error) from error
        self._size += sum(map(len, data))

    def _take_back(self) -> None:
        """Cut what a failed write left, so that the next one begins at a whole record."""
        try:
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)
            os.fsync(self._file)
        except OSError as error:
            self._failed = (
                f"the log in {self._folder} can't be written any more: after a failed write its end could not be"
                f" restored either ({error.strerror}); repair the disk and restart"
            )

    def _not_written(self, error: OSError) -> StorageError:
        return StorageError(
            f"the log in {self._folder} could not be written: {error.strerror}. Nothing of this write was taken;"
            " free space on that disk, or repair it, and send again"
        )


def check_log(folder: Path) -> tuple[int, int]:
    """Read every record of a log and check it: the numbers of the first and of the last one, whose successor is the
    first where there is none yet.

    Works while a writer appends; what is being written is not counted. Raises StorageError where a record went bad.
    """
    firsts = [first for first, _ in list_segments(folder)]
    if not firsts:
        return 1, 0
    _check_closed_segments(folder, firsts)
    path = segment_path(folder, firsts[-1])
    with path.open("rb") as file:
        reader = SegmentReader(file, firsts[-1])
        for _ in reader.frames():
            pass
    if reader.broken is not None and reader.broken.kind == "corrupt":
        raise _corrupt(path, reader.broken)
    return firsts[0], reader.next_seq - 1


def read_log(folder: Path, after: int) -> Iterator[tuple[int, Record]]:
    """Yield (number, record) of every record numbered above `after`, holding one record at a time.

    Works while a writer appends: it ends at the last record that is whole. Raises StorageError where
    record `after` + 1 is no longer there, and, with file and offset, where a record went bad.
    """
    segments = list_segments(folder)
    if not segments:
        return
    if segments[0][0] > after + 1:
        raise StorageError(
            f"records from {after + 1} on were asked for, but the log in {folder} begins at record {segments[0][0]}:"
            " older ones were deleted once lake, database and checkpoint held them. Restore the newest checkpoint"
        )
    first = max(first for first, _ in segments if first <= after + 1)
    while (path := segment_path(folder, first)).exists():
        following = yield from _read_segment(folder, first, after)
        if following is None:
            return
        first = following
    if list_segments(folder)[-1][0] > first:
        raise StorageError(
            f"{path} went while the log was read: it was deleted once lake, database and checkpoint held its records."
            " Read again from the newest checkpoint"
        )


def _read_segment(folder: Path, first: int, after: int) -> Generator[tuple[int, Record], None, int | None]:
    """Yield the records of a segment above `after`; return the number the next one begins with, None at the tail."""
    path = segment_path(folder, first)
    with path.open("rb") as file:
        reader = SegmentReader(file, first)
        closed = False
        while True:
            for frame in reader.frames():
                if frame.seq > after:
                    yield frame.seq, _decode(frame.payload, path, frame.seq, frame.offset)
            if reader.broken is None:
                return None if reader.next_seq == first else reader.next_seq
            if reader.broken.kind == "corrupt" or closed:
                raise _corrupt(path, reader.broken)
            closed = list_segments(folder)[-1][0] > first
            if not closed:
                return None


def _check_closed_segments(folder: Path, firsts: Sequence[int]) -> None:
    for first, following in zip(firsts, firsts[1:], strict=False):
        path = segment_path(folder, first)
        with path.open("rb") as file:
            reader = SegmentReader(file, first)
            for _ in reader.frames():
                pass
        if reader.broken is not None:
            raise _corrupt(path, reader.broken)
        if reader.next_seq != following:
            raise StorageError(
                f"{path} ends at record {reader.next_seq - 1}, but the next segment begins at record {following}:"
                " a file of the log is missing; restore the folder from a copy"
            )


def _corrupt(path: Path, broken: Break) -> StorageError:
    return StorageError(
        f"{path} is damaged at byte {broken.offset}: {broken.reason}, and records that were answered for follow."
        " Restore this file from a copy. Without one, what follows is lost: move the file and all later ones away"
    )


def _decode(payload: bytes, path: Path, seq: int, offset: int) -> Record:
    try:
        return decode(payload)
    except StorageError as error:
        raise StorageError(
            f"record {seq} in {path} at byte {offset} is whole but can't be read ({error});"
            " it was written by another version of faultwatch: start that version"
        ) from error


def is_in_use(folder: Path) -> bool:
    """Whether some process has the log in `folder` open for writing."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _take_lock(folder: Path, address: str) -> int:
    """Lock the folder for this process. Raises StorageError with what the holder wrote about itself."""
    path = folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        holder = path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
        raise StorageError(
            f"the log in {folder} is in use by {holder}; stop that faultwatch first, or give another data folder"
        ) from error
    words = f"process {os.getpid()} on {socket.gethostname()}" + (f", {address}" if address else "") + "\n"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, words.encode(), 0)
    return descriptor


def _write_all(descriptor: int, parts: Sequence[bytes]) -> None:
    """Write all parts without joining them first: a copy of every reading less."""
    waiting = deque(memoryview(part) for part in parts)
    while waiting:
        written = os.writev(descriptor, list(islice(waiting, IOV_MAX)))
        while waiting and written >= len(waiting[0]):
            written -= len(waiting.popleft())
        if written:
            waiting[0] = waiting[0][written:]


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, and bring their entries to disk."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        _fsync_folder(place.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
