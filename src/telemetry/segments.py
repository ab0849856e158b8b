"""Segment files of the log: how a record is framed, and where a file stops being whole.

A file begins with a header: magic, a random salt, and the header's own checksum. A frame is magic,
length, number of the record, number of the first record written together with it (its group), a CRC-32
of all that, the salt and the payload; then the payload. The salt keeps a payload that looks like a frame
(someone may send one) from ever being taken for one. The group tells a write that was torn apart by a
power cut (its pages reach the disk in any order) from a file that went bad later.
"""

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ..exceptions import StorageError

FILE_MAGIC = b"FWLOG001"
FRAME_MAGIC = b"\xf5WR\x01"
_FILE_HEADER = struct.Struct("<8sII")
_FRAME_HEADER = struct.Struct("<4sIQQI")
_SEALED = struct.Struct("<IIQQ")
HEADER_BYTES = _FILE_HEADER.size
FRAME_BYTES = _FRAME_HEADER.size
MAX_PAYLOAD = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame: number of the record, its first byte in the file, and the record's bytes."""

    seq: int
    offset: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Where a segment stops being whole.

    `torn`: what follows is the unfinished end of one write. `corrupt`: records written later follow it, so
    something that was whole has changed.
    """

    offset: int
    kind: Literal["torn", "corrupt"]
    reason: str


def segment_path(folder: Path, first_seq: int) -> Path:
    """The file whose first record has the number `first_seq`."""
    return folder / f"{first_seq:020d}.log"


def list_segments(folder: Path) -> list[tuple[int, Path]]:
    """Return (number of the first record, file) of each segment in order. A missing folder has none."""
    found = []
    for path in folder.glob("*.log"):
        if not (path.stem.isdecimal() and len(path.stem) == 20):
            raise StorageError(f"{path} is no segment of a log: expected a name of 20 digits; move it away")
        found.append((int(path.stem), path))
    return sorted(found)


def file_header(salt: int) -> bytes:
    """The first bytes of a segment."""
    return _FILE_HEADER.pack(FILE_MAGIC, salt, zlib.crc32(FILE_MAGIC + salt.to_bytes(4, "little")))


def frames(first_seq: int, payloads: Sequence[bytes], salt: int) -> list[bytes]:
    """Frame `payloads` as one group, numbered from `first_seq`: what is to be written, header and payload in turn.

    Raises StorageError on a payload past 4 GiB.
    """
    parts: list[bytes] = []
    for seq, payload in enumerate(payloads, first_seq):
        if len(payload) > MAX_PAYLOAD:
            raise StorageError(f"a record of {len(payload)} bytes was to be logged; at most {MAX_PAYLOAD}: split it")
        checksum = _checksum(len(payload), seq, first_seq, salt, payload)
        parts += (_FRAME_HEADER.pack(FRAME_MAGIC, len(payload), seq, first_seq, checksum), payload)
    return parts


class SegmentReader:
    """Reads the frames of one segment in order, holding one at a time; `broken` says why it stopped early.

    `offset` is the byte after the last whole frame. A file that grows is followed: `frames` may be called
    again after it ended at an unfinished tail.
    """

    def __init__(self, file: BinaryIO, first_seq: int) -> None:
        self._file = file
        self._salt = 0
        self.next_seq = first_seq
        self.offset = 0
        self.broken: Break | None = None

    @property
    def salt(self) -> int:
        """What the checksums of this file are salted with; known once a frame was asked for."""
        return self._salt

    def frames(self) -> Iterator[Frame]:
        """Yield whole frames until the end of the file or the first break."""
        self.broken = None
        size = os.fstat(self._file.fileno()).st_size
        if self.offset == 0 and not self._read_header(size):
            return
        self._file.seek(self.offset)
        while self.offset < size:
            frame = self._read_frame(size)
            if frame is None:
                return
            self.offset += FRAME_BYTES + len(frame.payload)
            self.next_seq += 1
            yield frame
            if self.offset >= size:
                size = os.fstat(self._file.fileno()).st_size

    def _read_header(self, size: int) -> bool:
        self._file.seek(0)
        header = self._file.read(HEADER_BYTES)
        if len(header) == HEADER_BYTES:
            salt = _FILE_HEADER.unpack(header)[1]
            if header == file_header(salt):
                self._salt, self.offset = salt, HEADER_BYTES
                return True
        torn = size <= HEADER_BYTES or not any(header)
        self.broken = Break(0, "torn" if torn else "corrupt", "its header is not that of a segment")
        return False

    def _read_frame(self, size: int) -> Frame | None:
        header = self._file.read(FRAME_BYTES)
        if len(header) < FRAME_BYTES:
            return self._stop(size, f"{len(header)} bytes where the {FRAME_BYTES} of a frame's header were expected")
        magic, length, seq, group, checksum = _FRAME_HEADER.unpack(header)
        if magic != FRAME_MAGIC:
            return self._stop(size, "no frame begins there")
        if length > size - self.offset - FRAME_BYTES:
            return self._stop(size, f"a record of {length} bytes goes past the end of the file")
        payload = self._file.read(length)
        if len(payload) < length or checksum != _checksum(length, seq, group, self._salt, payload):
            return self._stop(size, "the checksum of a record is wrong")
        if seq != self.next_seq:
            self.broken = Break(self.offset, "corrupt", f"record {seq} stands where {self.next_seq} was expected")
            return None
        return Frame(seq, self.offset, payload)

    def _stop(self, size: int, reason: str) -> Frame | None:
        """Note the break and return no frame."""
        kind: Literal["torn", "corrupt"] = "corrupt" if self._later_group_follows(size) else "torn"
        self.broken = Break(self.offset, kind, reason)
        return None

    def _later_group_follows(self, size: int) -> bool:
        """Whether a whole frame of a write begun after the broken record follows the break."""
        self._file.seek(self.offset)
        rest = self._file.read(size - self.offset)
        at = rest.find(FRAME_MAGIC, 1)
        while at >= 0 and at + FRAME_BYTES <= len(rest):
            _, length, seq, group, checksum = _FRAME_HEADER.unpack_from(rest, at)
            end = at + FRAME_BYTES + length
            if self.next_seq < group <= seq and end <= len(rest):
                payload = memoryview(rest)[at + FRAME_BYTES : end]
                if checksum == _checksum(length, seq, group, self._salt, payload):
                    return True
            at = rest.find(FRAME_MAGIC, at + 1)
        return False


def _checksum(length: int, seq: int, group: int, salt: int, payload: bytes | memoryview) -> int:
    return zlib.crc32(payload, zlib.crc32(_SEALED.pack(salt, length, seq, group)))
