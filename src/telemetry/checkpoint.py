"""Checkpoints: the state arrays of a shard as one checksummed file, written beside the last and renamed.

A file is: magic, length of the table of contents, its CRC-32; the table as JSON (number of the record it
stands for, what the caller adds, and name, dtype, shape, place and CRC-32 of each array); the arrays,
each at a multiple of 64 bytes.
"""

import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import structlog
from msgspec import structs

from ..exceptions import StorageError

log = structlog.get_logger(__name__)

Arrays = dict[str, npt.NDArray[np.generic]]

KEPT = 2
"""How many checkpoints stay: the newest, and one more for when it turns out to be damaged."""

_MAGIC = b"FWSTATE1"
_HEADER = struct.Struct("<8sII")
_ALIGNMENT = 64
_LONGEST_SUM = 2**32 - 1


class _Entry(msgspec.Struct, frozen=True):
    name: str
    dtype: str
    shape: tuple[int, ...]
    offset: int
    crc: int


class _Contents(msgspec.Struct, frozen=True):
    seq: int
    meta: dict[str, object]
    arrays: tuple[_Entry, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """A whole checkpoint of the state after record `seq`, in a file that is none yet."""

    seq: int
    path: Path


def save(folder: Path, seq: int, arrays: Mapping[str, npt.NDArray[np.generic]], meta: Mapping[str, object]) -> Path:
    """Write the state after record `seq`; return its file once it is on disk, and keep the one before it.

    `meta` must be JSON. Raises StorageError where the file can't be written; what was there before stays.
    """
    return settle(draft(folder, seq, arrays, meta))


def draft(folder: Path, seq: int, arrays: Mapping[str, npt.NDArray[np.generic]], meta: Mapping[str, object]) -> Draft:
    """Write the state after record `seq` beside the checkpoints; the arrays may change once this returns.

    Two copies in memory would take longer to make than the file. Raises StorageError as `save` does.
    """
    for name, array in arrays.items():
        if array.dtype.hasobject or array.dtype.names:
            raise StorageError(f"array {name!r} is of {array.dtype}; a checkpoint holds plain numbers only")
    path = _draft_of(folder, seq)
    with _whole(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            entries = _lay_out(seq, arrays, meta)
            sums = []
            for entry, array in zip(entries, arrays.values(), strict=True):
                content = _bytes_of(np.asarray(array, order="C"))
                sums.append(zlib.crc32(content))
                file.seek(entry.offset)
                file.write(content)
            file.truncate()
            file.seek(0)
            file.write(_head(seq, meta, [structs.replace(e, crc=crc) for e, crc in zip(entries, sums, strict=True)]))
    return Draft(seq, path)


def settle(written: Draft) -> Path:
    """Make a draft the newest checkpoint; return its file once it is on disk. Raises StorageError as `save` does."""
    path = written.path.with_suffix(".state")
    with _whole(written.path):
        _fsync(written.path, os.O_RDWR)
        os.replace(written.path, path)
        _fsync(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    _drop_old(path.parent, written.seq)
    return path


def load_latest(folder: Path) -> tuple[int, Arrays, dict[str, object]] | None:
    """Return (number of its record, arrays, meta) of the newest whole checkpoint, None where there is none.

    The arrays are the caller's to change. A damaged file is passed over with a warning.
    """
    for path in sorted(folder.glob("*.state"), reverse=True):
        try:
            return _load(path)
        except (StorageError, OSError) as error:
            log.warning("checkpoint.damaged", file=str(path), reason=str(error), action="trying the one before it")
    return None


def kept_seqs(folder: Path) -> list[int]:
    """The records that the checkpoints in `folder` stand for, newest first; whether they are whole isn't looked at."""
    return sorted((int(path.stem) for path in folder.glob("*.state")), reverse=True)


def check(path: Path) -> int:
    """The number of a checkpoint's record. Raises StorageError where the file can't be read or is damaged."""
    try:
        return _load(path)[0]
    except (StorageError, OSError, msgspec.DecodeError) as error:
        raise StorageError(f"the checkpoint {path} is damaged: {error}") from error


def _draft_of(folder: Path, seq: int) -> Path:
    return folder / f"{seq:020d}.tmp"


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Leave nothing half written. Raises StorageError in place of OSError."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise StorageError(
            f"the checkpoint {path.with_suffix('.state')} could not be written: {error.strerror}. The one before it"
            " stays in use; free space on that disk, or repair it"
        ) from error


def _lay_out(seq: int, arrays: Mapping[str, npt.NDArray[np.generic]], meta: Mapping[str, object]) -> tuple[_Entry, ...]:
    """Return the entries with their places in the file, their checksums yet to be filled in."""
    start = 0
    while True:
        offset, entries = start, []
        for name, array in arrays.items():
            entries.append(_Entry(name, array.dtype.str, array.shape, offset, _LONGEST_SUM))
            offset = _aligned(offset + array.nbytes)
        needed = _aligned(len(_head(seq, meta, entries)))
        if needed <= start or not entries:
            return tuple(entries)
        start = needed + _ALIGNMENT


def _head(seq: int, meta: Mapping[str, object], entries: Sequence[_Entry]) -> bytes:
    table = msgspec.json.encode(_Contents(seq, dict(meta), tuple(entries)))
    return _HEADER.pack(_MAGIC, len(table), zlib.crc32(table)) + table


def _load(path: Path) -> tuple[int, Arrays, dict[str, object]]:
    with path.open("rb") as file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size or head[:8] != _MAGIC:
            raise StorageError("it doesn't begin as a checkpoint does")
        _, length, crc = _HEADER.unpack(head)
        table = file.read(length)
        if len(table) < length or zlib.crc32(table) != crc:
            raise StorageError("the checksum of its table of contents is wrong")
        contents = msgspec.json.decode(table, type=_Contents)
        arrays: Arrays = {}
        for entry in contents.arrays:
            array = np.empty(math.prod(entry.shape), np.dtype(entry.dtype))
            file.seek(entry.offset)
            into = _bytes_of(array)
            if file.readinto(into) < len(into) or zlib.crc32(into) != entry.crc:
                raise StorageError(f"the checksum of array {entry.name!r} is wrong")
            arrays[entry.name] = array.reshape(entry.shape)
    return contents.seq, arrays, contents.meta


def _bytes_of(array: npt.NDArray[np.generic]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(bytearray())


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGNMENT) * _ALIGNMENT


def _drop_old(folder: Path, seq: int) -> None:
    for leftover in folder.glob("*.tmp"):
        if leftover <= _draft_of(folder, seq):
            leftover.unlink()
    for path in sorted(folder.glob("*.state"), reverse=True)[KEPT:]:
        path.unlink()


def _fsync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
