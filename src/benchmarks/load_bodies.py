"""The requests of a load test, made beforehand: files of bodies that a sender only has to send, one after the other."""

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from .made_fleet import MINUTE_MS, MadeFleet

Format = Literal["arrow", "json-rows", "json-columns"]

CONTENT_TYPES: dict[Format, str] = {
    "arrow": "application/vnd.apache.arrow.stream",
    "json-rows": "application/json",
    "json-columns": "application/json",
}
_HEAD = struct.Struct("<II")


def write_bodies(
    path: Path, fleet: MadeFleet, numbers: npt.NDArray[np.int64], minutes: int, form: Format, rows_per_request: int
) -> None:
    """Write what some devices send: minute by minute, so that no device is ever ahead of itself."""
    ids = pl.Series("device_id", [fleet.device_id(number) for number in numbers.tolist()], dtype=pl.String)
    with path.open("wb") as file:
        for minute in range(minutes):
            frame = _minute(fleet, ids, numbers, minute)
            for part in frame.iter_slices(rows_per_request):
                body = encode(part, form)
                file.write(_HEAD.pack(len(body), part.height) + body)


def read_bodies(path: Path) -> Iterator[tuple[bytes, int]]:
    """The bodies of a file, and how many rows each has."""
    with path.open("rb") as file:
        while head := file.read(_HEAD.size):
            length, rows = _HEAD.unpack(head)
            yield file.read(length), rows


def encode(frame: pl.DataFrame, form: Format) -> bytes:
    """Rows with device_id, timestamp and sensors as the body of one request."""
    if form == "arrow":
        buffer = BytesIO()
        frame.write_ipc_stream(buffer, compat_level=pl.CompatLevel.oldest())
        return buffer.getvalue()
    frame = frame.with_columns(pl.col("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    if form == "json-columns":
        return msgspec.json.encode({"columns": frame.to_dict(as_series=False)})
    sensors = frame.columns[2:]
    rows = [
        {"device_id": row[0], "timestamp": row[1], "values": dict(zip(sensors, row[2:], strict=True))}
        for row in frame.iter_rows()
    ]
    return msgspec.json.encode({"rows": rows})


def _minute(fleet: MadeFleet, ids: pl.Series, numbers: npt.NDArray[np.int64], minute: int) -> pl.DataFrame:
    values = fleet.values(numbers, minute)
    ts = pl.Series("timestamp", [fleet.start_ms + minute * MINUTE_MS], dtype=pl.Int64).cast(pl.Datetime("ms", "UTC"))
    sensors = [pl.Series(name, values[:, at]) for at, name in enumerate(fleet.device_type.sensor_names)]
    return pl.DataFrame([ids, ts.new_from_index(0, len(ids)), *sensors])
