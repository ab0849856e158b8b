"""Decode a request of readings by its Content-Type."""

from ..exceptions import IngestError
from .decode_arrow import decode_arrow
from .decode_body import TooLargeError, UnsupportedError
from .decode_json import decode_json, decode_ndjson
from .decoded import Decoded

JSON = ("application/json", "text/json", "")
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
ARROW = ("application/vnd.apache.arrow.stream",)

MAX_CELLS = 16_000_000
"""Most values in a request of JSON: each takes up to 100 bytes of memory while it is decoded."""


def decode(body: bytes, content_type: str, type_name: str | None, max_rows: int) -> Decoded:
    """Read an unpacked body; `type_name` is the type of rows where nothing in the body names one.

    Rows that can't be read are singled out in the answer. Raises IngestError where the body can't be read as
    a whole, UnsupportedError for another content type, TooLargeError past `max_rows` or `MAX_CELLS`.
    """
    media = content_type.partition(";")[0].strip().lower()
    if media in ARROW:
        return decode_arrow(body, type_name, max_rows)
    if media not in JSON and media not in NDJSON:
        raise UnsupportedError(f"Content-Type is {content_type[:80]!r}; expected {JSON[0]}, {NDJSON[0]} or {ARROW[0]}")
    if not body.strip():
        raise IngestError("the body is empty; expected readings")
    if body.count(b",") > MAX_CELLS:
        raise TooLargeError(f"the body has more than {MAX_CELLS:,} values; send fewer rows in a request, or Arrow")
    if media in NDJSON and body.count(b"\n") > max_rows:
        raise _too_many(body.count(b"\n"), max_rows)
    try:
        decoded = decode_ndjson(body, type_name) if media in NDJSON else decode_json(body, type_name)
    except RecursionError:
        raise IngestError("the body can't be read: the JSON is nested too deeply") from None
    if decoded.count > max_rows:
        raise _too_many(decoded.count, max_rows)
    return decoded


def _too_many(rows: int, max_rows: int) -> TooLargeError:
    return TooLargeError(f"the body has {rows:,} rows; at most {max_rows:,} are taken: send fewer in a request")
