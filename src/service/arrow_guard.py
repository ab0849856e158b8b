"""Look through the metadata of an Arrow IPC stream before it is decoded.

The decoder behind is compiled code that trusts sizes: a stream that claims 2^60 rows, nests types a
thousand deep or compresses its buffers could take the process with it. So only what readings need passes:
flat columns of plain types, uncompressed, all buffers inside the message.
Layout: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ..exceptions import IngestError

MAX_COLUMNS = 256

_SCHEMA, _DICTIONARY, _RECORDS = 1, 2, 3
_TIMESTAMP = 10
_TYPES = {1: "null", 2: "int", 3: "float", 5: "text", _TIMESTAMP: "timestamp", 20: "text", 24: "text"}
_NAMED = {4: "binary", 6: "bool", 7: "decimal", 8: "date", 9: "time", 11: "interval", 12: "list", 13: "struct"}


class _Malformed(Exception):
    """The bytes break the format."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a FlatBuffer: fields by number. https://flatbuffers.dev/internals/"""

    data: bytes
    at: int

    def field(self, number: int) -> int | None:
        """Where a field's value begins; None where it is left out."""
        vtable = self.at - _read("<i", self.data, self.at)
        if vtable < 0 or 4 + 2 * number >= _read("<H", self.data, vtable):
            return None
        offset = _read("<H", self.data, vtable + 4 + 2 * number)
        return self.at + offset if offset else None

    def number(self, field: int, form: str) -> int:
        """A scalar field, 0 where it is left out."""
        at = self.field(field)
        return 0 if at is None else _read(form, self.data, at)

    def table(self, field: int) -> "_Table | None":
        """A field that is a table."""
        at = self.field(field)
        return None if at is None else _Table(self.data, at + _read("<I", self.data, at))

    def vector(self, field: int, size: int) -> tuple[int, int]:
        """Where a vector's items of `size` bytes begin, and how many there are."""
        at = self.field(field)
        if at is None:
            return 0, 0
        at += _read("<I", self.data, at)
        count = _read("<I", self.data, at)
        if at + 4 + count * size > len(self.data):
            raise _Malformed
        return at + 4, count

    def text(self, field: int) -> str:
        """A field that is a string."""
        at, length = self.vector(field, 1)
        return self.data[at : at + length].decode("utf-8", "replace")


def _read(form: str, data: bytes, at: int) -> int:
    if at < 0:
        raise _Malformed
    try:
        value: int = struct.unpack_from(form, data, at)[0]
    except struct.error:
        raise _Malformed from None
    return value


def count_rows(stream: bytes) -> int:
    """Check an Arrow IPC stream and return how many rows it holds. Raises IngestError where it can't be taken."""
    try:
        return _count_rows(stream)
    except _Malformed:
        raise IngestError(
            "the body is no Arrow IPC stream, or is cut off; expected what write_ipc_stream (Polars) or"
            " new_stream (PyArrow) writes, not an IPC file or Feather"
        ) from None


def _count_rows(stream: bytes) -> int:
    columns = -1
    rows = 0
    for kind, header, body_length in _messages(stream):
        if kind == _SCHEMA:
            if columns >= 0:
                raise _Malformed
            columns = _check_schema(header)
        elif kind == _RECORDS and columns >= 0:
            rows += _check_records(header, columns, body_length)
        elif kind == _DICTIONARY:
            raise IngestError("the stream has dictionaries; send plain text columns (cast categories to strings)")
        else:
            raise _Malformed
    if columns < 0:
        raise _Malformed
    return rows


def _messages(stream: bytes) -> Iterator[tuple[int, _Table, int]]:
    at = 0
    while at < len(stream):
        if _read("<I", stream, at) != 0xFFFF_FFFF:
            raise _Malformed
        length = _read("<i", stream, at + 4)
        if length == 0:
            return
        if length < 0 or at + 8 + length > len(stream):
            raise _Malformed
        metadata = stream[at + 8 : at + 8 + length]
        message = _Table(metadata, _read("<I", metadata, 0))
        header = message.table(2)
        body_length = message.number(3, "<q")
        at += 8 + length + body_length
        if header is None or body_length < 0 or at > len(stream):
            raise _Malformed
        yield message.number(1, "<B"), header, body_length


def _check_schema(schema: _Table) -> int:
    if schema.number(0, "<h") != 0:
        raise IngestError("the stream is big-endian; expected little-endian")
    first, count = schema.vector(1, 4)
    if count > MAX_COLUMNS:
        raise IngestError(f"the stream has {count:,} columns; expected at most {MAX_COLUMNS}")
    for i in range(count):
        at = first + 4 * i
        field = _Table(schema.data, at + _read("<I", schema.data, at))
        _check_field(field)
    return count


def _check_field(field: _Table) -> None:
    kind = field.number(2, "<B")
    if field.field(4) is not None:
        raise IngestError(f"column {field.text(0)[:60]!r} is dictionary-encoded; send plain text (cast it to strings)")
    if kind not in _TYPES or field.vector(5, 4)[1]:
        named = _NAMED.get(kind, "of a nested or unusual type")
        raise IngestError(f"column {field.text(0)[:60]!r} is {named}; expected numbers, text or timestamps")
    if kind == _TIMESTAMP and (timestamp := field.table(3)) is not None and not _is_zone(timestamp.text(1)):
        raise IngestError(
            f"column {field.text(0)[:60]!r} has the time zone {timestamp.text(1)[:60]!r}, which is not known:"
            " send it in UTC"
        )


def _is_zone(name: str) -> bool:
    """Whether a time zone is known; no zone at all is for the decoder to judge."""
    if not name:
        return True
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _check_records(records: _Table, columns: int, body_length: int) -> int:
    rows = records.number(0, "<q")
    if records.field(3) is not None:
        raise IngestError("the stream has compressed buffers; send them plain, with Content-Encoding: zstd or gzip")
    nodes, n_nodes = records.vector(1, 16)
    if rows < 0 or n_nodes != columns:
        raise _Malformed
    for i in range(n_nodes):
        length, nulls = struct.unpack_from("<qq", records.data, nodes + 16 * i)
        if length != rows or not 0 <= nulls <= rows:
            raise _Malformed
    buffers, n_buffers = records.vector(2, 16)
    for i in range(n_buffers):
        offset, length = struct.unpack_from("<qq", records.data, buffers + 16 * i)
        if offset < 0 or length < 0 or offset + length > body_length:
            raise _Malformed
    return rows
