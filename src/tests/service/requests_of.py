"""Bodies of requests as senders make them, for tests of decoders, intake and gateway."""

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from ...service.decode import decode
from ...service.decoded import Decoded, into_columns

JSON = "application/json"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"

Values = Mapping[str, float | None]
Sent = tuple[str, str | float, Values]
"""Device, timestamp, values."""


def row(device_id: str, timestamp: str | float, values: Mapping[str, object], **more: object) -> dict[str, object]:
    """A row of JSON."""
    return {"device_id": device_id, "timestamp": timestamp, "values": dict(values), **more}


def json_rows(rows: Sequence[Sent], type_name: str | None = "pump") -> bytes:
    """`{"type": …, "rows": […]}`."""
    return json.dumps({"type": type_name, "rows": [row(*sent) for sent in rows]}).encode()


def ndjson(rows: Sequence[Sent], type_name: str = "pump") -> bytes:
    """A row a line."""
    return b"\n".join(json.dumps(row(*sent, type=type_name)).encode() for sent in rows)


def json_columns(rows: Sequence[Sent], type_name: str = "pump") -> bytes:
    """`{"type": …, "columns": {…}}`."""
    return json.dumps({"type": type_name, "columns": _columns(rows)}).encode()


def arrow(rows: Sequence[Sent], type_name: str = "pump") -> bytes:
    """An Arrow IPC stream; timestamps are text."""
    columns = _columns(rows)
    frame = pl.DataFrame(columns, schema_overrides={"timestamp": pl.String}, strict=False)
    return stream_of(frame.with_columns(type=pl.lit(type_name)))


def stream_of(frame: pl.DataFrame) -> bytes:
    """A frame as an Arrow IPC stream."""
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    return stream.getvalue()


def _columns(rows: Sequence[Sent]) -> dict[str, list[object]]:
    sensors = list(dict.fromkeys(name for _, _, values in rows for name in values))
    return {
        "device_id": [device_id for device_id, _, _ in rows],
        "timestamp": [timestamp for _, timestamp, _ in rows],
        **{name: [values.get(name) for _, _, values in rows] for name in sensors},
    }


FORMATS = {
    "rows": (JSON, json_rows),
    "ndjson": (NDJSON, ndjson),
    "columns": (JSON, json_columns),
    "arrow": (ARROW, arrow),
}
"""Content type and writer of each format."""


def decoded(body: bytes, content_type: str = JSON, type_name: str | None = None, max_rows: int = 1000) -> Decoded:
    """Decode a body."""
    return decode(body, content_type, type_name, max_rows)


def rows_of(request: Decoded) -> dict[int, tuple[str, int, dict[str, float], str | None]]:
    """The rows that could be read, by number: device, ms, values that are there, type."""
    blocks = list(request.blocks)
    if request.rows:
        blocks += into_columns(request.rows, request.numbers)[0]
    found = {}
    for block in blocks:
        for at, number in enumerate(block.numbers.tolist()):
            values = zip(block.sensors, block.values[at].tolist(), strict=True)
            there = {name: value for name, value in values if not np.isnan(value)}
            type_name = None if block.types is None else block.types[at]
            found[number] = (block.device_ids[at], int(block.ts[at]), there, type_name)
    return found


def complaints_of(request: Decoded) -> dict[int, tuple[str, str]]:
    """The rows that could not be read, by number: reason and message."""
    unread = list(request.unread)
    if request.rows:
        unread += [row for _, row in into_columns(request.rows, request.numbers)[1]]
    return {row.number: (row.reason.name, row.message) for row in unread}
