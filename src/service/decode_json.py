"""Read JSON and NDJSON bodies: whole and typed where all is well, row by row where it is not."""

from collections.abc import Sequence

import msgspec

from ..exceptions import IngestError
from .decode_alike import alike, is_list
from .decode_columns import decode_columns
from .decode_loose import Flaw, dumps, judge, judge_text, kind, listed, loads, name_complaint
from .decoded import Decoded, Row, clipped, default_type, into_columns

SMALL = 64
"""Up to so many rows, a request waits to be put into columns together with others."""

SHAPE = 'an object with "rows" (a list of rows) or "columns" (an object of lists), or a list of rows'


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[Row]
    type: str | None = None


class _RawEnvelope(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[msgspec.Raw] | None = None
    columns: dict[str, msgspec.Raw] | None = None
    type: str | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_raw_envelope = msgspec.json.Decoder(_RawEnvelope)
_rows = msgspec.json.Decoder(list[Row])
_raw_rows = msgspec.json.Decoder(list[msgspec.Raw])
_row = msgspec.json.Decoder(Row)

# What msgspec raises on bytes that are not what it was told to expect.
_UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_json(body: bytes, type_name: str | None) -> Decoded:
    """Read a JSON body; `type_name` is the type of rows where neither they nor the body name one.

    Raises IngestError where the body as a whole is none of the shapes. A row that can't be read is singled
    out, and the rows beside it pass.
    """
    if quickly := alike(body, type_name):
        return quickly
    try:
        if is_list(body):
            return _of_rows(_rows.decode(body), type_name)
        envelope = _envelope.decode(body)
        return _of_rows(envelope.rows, envelope.type or type_name)
    except _UNFIT:
        return _row_by_row(body, type_name)


def decode_ndjson(body: bytes, type_name: str | None) -> Decoded:
    """Read one row a line, empty lines left out; a line that can't be read is singled out."""
    if quickly := alike(body, type_name, lines=True):
        return quickly
    try:
        return _of_rows(_row.decode_lines(body), type_name)
    except _UNFIT:
        return _of_judged([_judged(line) for line in body.split(b"\n") if line.strip()], type_name)


def _of_rows(rows: Sequence[Row], type_name: str | None) -> Decoded:
    default_type(rows, type_name)
    if len(rows) <= SMALL:
        return Decoded(len(rows), rows, range(len(rows)))
    blocks, without_time = into_columns(rows, range(len(rows)))
    return Decoded(len(rows), blocks=blocks, unread=[row for _, row in without_time])


def _of_judged(judged: Sequence[Row | Flaw], type_name: str | None) -> Decoded:
    numbers = [i for i, row in enumerate(judged) if isinstance(row, Row)]
    rows = [row for row in judged if isinstance(row, Row)]
    unread = [row.at(i) for i, row in enumerate(judged) if isinstance(row, Flaw)]
    default_type(rows, type_name)
    if len(rows) <= SMALL:
        return Decoded(len(judged), rows, numbers, unread=unread)
    blocks, without_time = into_columns(rows, numbers)
    return Decoded(len(judged), blocks=blocks, unread=unread + [row for _, row in without_time])


def _judged(raw: bytes) -> Row | Flaw:
    try:
        return _row.decode(raw)
    except _UNFIT:
        return judge_text(raw)


def _row_by_row(body: bytes, type_name: str | None) -> Decoded:
    """Find out what is wrong: the whole, or rows of it."""
    try:
        if is_list(body):
            return _of_judged([_judged(bytes(raw)) for raw in _raw_rows.decode(body)], type_name)
        raw = _raw_envelope.decode(body)
    except _UNFIT:
        return _loosely(body, type_name)
    type_name = raw.type or type_name
    if raw.rows is not None and raw.columns is None:
        return _of_judged([_judged(bytes(row)) for row in raw.rows], type_name)
    if raw.columns is not None and raw.rows is None:
        return decode_columns({name: bytes(column) for name, column in raw.columns.items()}, type_name)
    raise _neither_or_both(neither=raw.rows is None)


def _neither_or_both(neither: bool) -> IngestError:
    return IngestError(f"the body has {'neither rows nor' if neither else 'both rows and'} columns; expected {SHAPE}")


def _loosely(body: bytes, type_name: str | None) -> Decoded:
    try:
        content = loads(body)
    except IngestError as error:
        raise IngestError(f"the body can't be read: {error}") from error
    if isinstance(content, list):
        return _of_judged([judge(row, clipped(dumps(row))) for row in content], type_name)
    if not isinstance(content, dict):
        raise IngestError(f"the body is {kind(content)}; expected {SHAPE}")
    if "device_id" in content:
        return _of_judged([_judged(body)], type_name)
    if unknown := [name for name in content if name not in ("rows", "columns", "type")]:
        raise IngestError(f"the body has {listed(unknown)}; expected {SHAPE}")
    named = content.get("type")
    if named is not None and (complaint := name_complaint("type", named)):
        raise IngestError(f"{complaint}: the name of a device type")
    rows, columns = content.get("rows"), content.get("columns")
    if isinstance(rows, list) and columns is None:
        return _of_judged([judge(row, clipped(dumps(row))) for row in rows], named or type_name)
    if isinstance(columns, dict) and rows is None:
        return decode_columns({name: dumps(column) for name, column in columns.items()}, named or type_name)
    if (rows is None) == (columns is None):
        raise _neither_or_both(neither=rows is None)
    if rows is not None:
        raise IngestError(f"rows is {kind(rows)}; expected a list of rows")
    raise IngestError(f"columns is {kind(columns)}; expected an object with a list for each column")
