"""Parquet files of the lake: how one is written, made durable, and described to Delta's log."""

import io
import json
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import polars as pl

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.schema import ArrayType, PrimitiveType
    from deltalake.transaction import AddAction

DAY, HOUR = "ingest_day", "ingest_hour"
PARTITIONS = (DAY, HOUR)
DAY_FILES = -1
"""The hour under which a closed day's rows stand."""

APPENDED, HOURLY, DAILY = "append", "hour", "day"
"""How a file came to be, the first word of its name: appended, or rewritten once, or twice."""

ROW_GROUP = 16_384

_DELTA_NAMES: dict[pl.DataType, str] = {
    pl.Int64(): "long",
    pl.Int32(): "integer",
    pl.Int16(): "short",
    pl.Int8(): "byte",
    pl.Float64(): "double",
    pl.Float32(): "float",
    pl.Boolean(): "boolean",
    pl.String(): "string",
    pl.Binary(): "binary",
    pl.Date(): "date",
    pl.Datetime("us", "UTC"): "timestamp",
}
_POLARS_TYPES = {name: dtype for dtype, name in _DELTA_NAMES.items()}


PATIENCE = {"max_retries": "2", "retry_timeout": "10s", "connect_timeout": "5s"}
"""How long an object store is asked for one thing, as delta-rs is told.

Whoever must have it asks again, and sees meanwhile whether to stop.
"""

_POLARS_PATIENCE = {"max_retries": 2, "retry_timeout_ms": 10_000}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table's files are, a folder or an s3:// address, and the options that reach it."""

    url: str
    options: Mapping[str, str]

    @property
    def local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "://" not in self.url

    def delta_options(self) -> dict[str, str]:
        """The options for delta-rs."""
        return dict(self.options) if self.local else {**PATIENCE, **self.options}

    def polars_options(self) -> dict[str, str | int] | None:
        """The options by the names Polars knows them by; how long it asks it wants told in numbers."""
        if self.local:
            return None
        known = {name.lower(): value for name, value in self.options.items()}
        return {**{name: value for name, value in known.items() if name not in PATIENCE}, **_POLARS_PATIENCE}


def write_file(
    place: Place, frame: pl.DataFrame, day: date, hour: int, word: str, *, told: Sequence[str], level: int
) -> "AddAction":
    """Write `frame`, without its partition columns, to a new file of a partition; return its entry for Delta's log.

    When this returns a local file is on disk. `level` is that of zstd; `told` are the columns whose smallest
    and largest values the entry tells.
    """
    from deltalake.transaction import AddAction

    folder = f"{DAY}={day.isoformat()}/{HOUR}={hour}"
    path = f"{folder}/{word}-{secrets.token_hex(12)}.parquet"
    whole = f"{place.url}/{path}"
    if place.local:
        Path(place.url, folder).mkdir(parents=True, exist_ok=True)
        _write_parquet(frame, Path(whole), level)
        fsync(Path(whole))
        fsync_up(Path(place.url, folder), Path(place.url))
        size = os.path.getsize(whole)
    else:
        _write_parquet(frame, whole, level, place.polars_options())
        size = _encoded_size(frame, level)
    partition: dict[str, str | None] = {DAY: day.isoformat(), HOUR: str(hour)}
    now_ms = time.time_ns() // 1_000_000
    return AddAction(path, size, partition, now_ms, word == APPENDED, _statistics(frame, told))


def polars_columns(table: "DeltaTable") -> dict[str, pl.DataType]:
    found: dict[str, pl.DataType] = {}
    for field in table.schema().fields:
        kind = json.loads(field.type.to_json())
        found[field.name] = (
            pl.List(_POLARS_TYPES[kind["elementType"]]) if isinstance(kind, dict) else _POLARS_TYPES[kind]
        )
    return found


def delta_type(dtype: pl.DataType) -> "PrimitiveType | ArrayType":
    from deltalake.schema import ArrayType, PrimitiveType

    if isinstance(dtype, pl.List):
        return ArrayType(PrimitiveType(_DELTA_NAMES[cast(pl.DataType, dtype.inner)]), contains_null=True)
    return PrimitiveType(_DELTA_NAMES[dtype])


def _statistics(frame: pl.DataFrame, told: Sequence[str]) -> str:
    """What Delta's log says about a file: rows, and smallest and largest value of the told columns."""
    ends = frame.select(
        *(pl.col(name).min().alias(f"min_{name}") for name in told),
        *(pl.col(name).max().alias(f"max_{name}") for name in told),
    ).row(0, named=True)
    return json.dumps(
        {
            "numRecords": len(frame),
            "minValues": {name: _said(ends[f"min_{name}"]) for name in told},
            "maxValues": {name: _said(ends[f"max_{name}"], timedelta(microseconds=999)) for name in told},
            "nullCount": {name: frame[name].null_count() for name in told},
        }
    )


def _said(value: object, up: timedelta = timedelta()) -> object:
    """As Delta's log writes it: times to the millisecond, the smallest rounded down and (by `up`) the largest up."""
    if isinstance(value, datetime):
        return (value + up).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return value


def _write_parquet(
    frame: pl.DataFrame, target: Path | str | IO[bytes], level: int, options: dict[str, str | int] | None = None
) -> None:
    frame.write_parquet(
        target,
        compression="zstd",
        compression_level=level,
        row_group_size=ROW_GROUP,
        storage_options=options,
        credential_provider=None,
    )


def _encoded_size(frame: pl.DataFrame, level: int) -> int:
    """How many bytes the file of `frame` has. Delta's log wants it, and an object store doesn't tell Polars;
    encoding is deterministic, so a second run counts them."""
    buffer = io.BytesIO()
    _write_parquet(frame, buffer, level)
    return buffer.getbuffer().nbytes


def fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_up(folder: Path, root: Path) -> None:
    """Bring the entries of `folder` and of the folders above it, up to `root`, to disk."""
    while True:
        fsync(folder)
        if folder == root:
            return
        folder = folder.parent
