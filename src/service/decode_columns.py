"""Read JSON columns: `{"device_id": [...], "timestamp": [...], "pressure": [...]}`, each a list, all of one length."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import polars as pl

from ..exceptions import IngestError
from ..telemetry.quality import Reason, not_finite
from ..telemetry.timestamps import explain_timestamp, parse_timestamps
from .decode_loose import Flaw, is_text, kind, listed, loads, name_complaint, number_complaint, time_complaint
from .decoded import MAX_NAME, Block, Decoded, Names

T = TypeVar("T")

_names = msgspec.json.Decoder(list[str])
_names_or_null = msgspec.json.Decoder(list[str | None])
_times = msgspec.json.Decoder(list[str | float])
_numbers = msgspec.json.Decoder(list[float | None])


def decode_columns(columns: Mapping[str, bytes], type_name: str | None) -> Decoded:
    """Make a block of columns, each JSON text; `type_name` where neither rows nor columns name a type.

    Raises IngestError where columns are missing, no lists or of different lengths. A row with a cell that
    can't be read is singled out.
    """
    for field in ("device_id", "timestamp"):
        if field not in columns:
            raise IngestError(f"columns has no {field}; it has {listed(dict(columns))}")
    if strange := [name for name in columns if not is_text(name)]:
        raise IngestError(f"the name of column {listed(strange)} is no valid Unicode")
    flaws: dict[int, Flaw] = {}
    ids = _column("device_id", columns, _names, name_complaint, "", flaws)
    times = _column("timestamp", columns, _times, lambda _, value: time_complaint(value), 0.0, flaws)
    types = _named("type", columns, flaws)
    sites = _named("site", columns, flaws)
    sensors = [name for name in columns if name not in ("device_id", "timestamp", "type", "site")]
    cells = {name: _column(name, columns, _numbers, number_complaint, None, flaws) for name in sensors}
    _same_length(len(ids), {"timestamp": times, "type": types, "site": sites, **cells})
    for i, device_id in enumerate(ids):
        if not 1 <= len(device_id) <= MAX_NAME:
            flaws.setdefault(i, Flaw(name_complaint("device_id", device_id) or ""))
    ts, good = parse_timestamps(times)
    for i in np.flatnonzero(~good).tolist():
        flaws.setdefault(i, Flaw(explain_timestamp(times[i])))
    values = np.empty((len(ids), len(sensors)))
    for at, name in enumerate(sensors):
        values[:, at] = np.array(cells[name], np.float64)
    index = np.arange(len(ids))
    block = Block(
        numbers=index,
        requests=np.zeros(len(ids), np.int64),
        device_ids=pl.Series(ids, dtype=pl.String),
        ts=ts,
        types=Names.of(types, type_name) if types is not None else Names.same(type_name, len(ids)),
        sites=None if sites is None else Names.of(sites),
        sensors=tuple(sensors),
        values=values,
    )
    return without(block, flaws)


def without(block: Block, flaws: Mapping[int, Flaw]) -> Decoded:
    """The request that a block is, its rows with flaws singled out."""
    if not flaws:
        return Decoded(len(block), blocks=[block])
    unread = [flaw.at(i, block.device_ids[i], block.raw(i)) for i, flaw in sorted(flaws.items())]
    good = np.setdiff1d(np.arange(len(block)), np.array(sorted(flaws), np.int64))
    return Decoded(len(block), blocks=[block.take(good)] if len(good) else [], unread=unread)


def _named(field: str, columns: Mapping[str, bytes], flaws: dict[int, Flaw]) -> Sequence[str | None] | None:
    if field not in columns:
        return None

    def complaint(field: str, value: object) -> str | None:
        return None if value is None else name_complaint(field, value)

    names = _column(field, columns, _names_or_null, complaint, None, flaws)
    for i, name in enumerate(names):
        if name is not None and not 1 <= len(name) <= MAX_NAME:
            flaws.setdefault(i, Flaw(name_complaint(field, name) or ""))
    return names


def _column(
    name: str,
    columns: Mapping[str, bytes],
    typed: "msgspec.json.Decoder[list[T]]",
    complaint: Callable[[str, object], str | None],
    fill: T,
    flaws: dict[int, Flaw],
) -> list[T]:
    """Read a column; cells that can't be read become `fill`, and a flaw of their row."""
    try:
        return typed.decode(columns[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        cells = loads(columns[name])
    if not isinstance(cells, list):
        raise IngestError(f"column {name[:MAX_NAME]!r} is {kind(cells)}; expected a list")
    for i, cell in enumerate(cells):
        if message := complaint(name, cell):
            flaws.setdefault(i, Flaw(message))
            cells[i] = fill
        elif isinstance(cell, float) and not np.isfinite(cell):
            if name == "timestamp":
                flaws.setdefault(i, Flaw(explain_timestamp(cell)))
            else:
                flaws.setdefault(i, Flaw(not_finite(name[:MAX_NAME], cell), reason=Reason.not_finite))
            cells[i] = fill
    return cells


def _same_length(n: int, columns: Mapping[str, Sequence[object] | None]) -> None:
    for name, column in columns.items():
        if column is not None and len(column) != n:
            raise IngestError(
                f"columns are of different lengths: device_id has {n:,} values, {name[:MAX_NAME]} {len(column):,}"
            )
