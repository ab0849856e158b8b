"""Counts over the rows of a snapshot: of all of them as a stream, of some devices row by row, and a thin choice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ...telemetry.lake import Lake
from ...telemetry.lake_snapshots import Snapshot
from ...telemetry.schema import Sensor

THIN_ROWS = 1_000_000
"""About as many rows of a snapshot say what its values are like."""

SPARSEST = 90
"""At least one row in so many is taken: of a minute's readings 16 a day."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Of all rows as they are stored: how many, and by sensor the values that are missing or out of range."""

    rows: int
    missing: Mapping[str, int]
    outside: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Closely:
    """Of the rows of some devices: how many, how many repeat the one before within half an interval, follow it at
    another interval, and by sensor the values in long runs of equal ones."""

    rows: int
    repeated: int
    irregular: int
    still: Mapping[str, int]


def count(lake: Lake, snapshot: Snapshot, sensors: Sequence[Sensor]) -> Counts:
    """Count over every stored row; nothing but the counts is kept in memory."""
    names = [sensor.name for sensor in sensors]
    asked = [
        pl.len().alias("rows"),
        *(pl.col(name).null_count().alias(f"missing {name}") for name in names),
        *(_outside(sensor).sum().alias(f"outside {sensor.name}") for sensor in sensors),
    ]
    row = lake.survey(snapshot, names, lambda rows: rows.select(asked)).row(0, named=True)
    return Counts(
        row["rows"],
        {name: row[f"missing {name}"] for name in names},
        {name: row[f"outside {name}"] for name in names},
    )


def thin(lake: Lake, snapshot: Snapshot, sensors: Sequence[Sensor], interval_ms: int) -> pl.DataFrame:
    """Rows of every device at even distances, each at other minutes, by device and time; the same every time."""
    one_in = min(max(1, -(-snapshot.rows // THIN_ROWS)), SPARSEST)
    turn = pl.col("timestamp").dt.epoch("ms") // interval_ms + pl.col("device_key")
    columns = ["device_key", "timestamp", *(sensor.name for sensor in sensors)]
    kept = lake.survey(snapshot, columns, lambda rows: rows.filter(turn % one_in == 0))
    return kept.sort("device_key", "timestamp", *columns[2:])


def closely(parts: Iterable[pl.DataFrame], sensors: Sequence[Sensor], interval_ms: int, still_rows: int) -> Closely:
    """Look at rows in their order. Each part has whole devices and is sorted by device and time."""
    rows = repeated = irregular = 0
    still = {sensor.name: 0 for sensor in sensors}
    for part in parts:
        device = part["device_key"].to_numpy()
        same_device = device[1:] == device[:-1]
        gap = np.diff(part["timestamp"].dt.epoch("ms").to_numpy())
        irregular += int((same_device & (np.abs(gap - interval_ms) > interval_ms / 2)).sum())
        again = np.flatnonzero(same_device & (gap < interval_ms / 2))
        for name in still:
            values = part[name].fill_null(float("nan")).to_numpy()
            absent = np.isnan(values)
            again = again[(values[again + 1] == values[again]) | (absent[again + 1] & absent[again])]
            there = ~absent
            still[name] += _in_runs(device[there], values[there], still_rows)
        repeated += len(again)
        rows += len(part)
    return Closely(rows, repeated, irregular, still)


def _in_runs(device: npt.NDArray[np.int64], values: npt.NDArray[np.float64], longer_than: int) -> int:
    """How many values are in runs of more than so many equal ones of one device."""
    if not len(values):
        return 0
    begins = np.flatnonzero((values[1:] != values[:-1]) | (device[1:] != device[:-1])) + 1
    lengths = np.diff(np.concatenate([[0], begins, [len(values)]]))
    return int(lengths[lengths > longer_than].sum())


def _outside(sensor: Sensor) -> pl.Expr:
    value = pl.col(sensor.name)
    bad = ~value.is_finite()
    if sensor.low is not None:
        bad = bad | (value < sensor.low)
    if sensor.high is not None:
        bad = bad | (value > sensor.high)
    return bad.fill_null(False)
