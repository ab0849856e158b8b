"""Counts over every stored row of a snapshot: by device and stretch of time, so that what is missing can be mapped."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ...exceptions import StorageError
from ...telemetry.lake import Lake
from ...telemetry.lake_snapshots import Snapshot
from ...telemetry.schema import Sensor

Floats = npt.NDArray[np.float64]


class SensorProfile(msgspec.Struct, frozen=True):
    """One sensor: of all stored rows how many have a value, how many lie out of its range, the smallest, mean and
    largest; quantiles and the share of values that equal the one before are of the chosen rows. None without a value.
    """

    sensor: str
    unit: str
    values: int
    missing: float
    outside: int
    least: float | None
    mean: float | None
    most: float | None
    quantiles: dict[str, float]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted: `rows` as they are stored, devices (n,) ascending, and the share of expected values that are
    missing by device and stretch (n_devices, n_stretches) and by sensor and stretch (n_sensors, n_stretches); totals of
    each of the `sensors`."""

    rows: int
    devices: npt.NDArray[np.int64]
    by_device: Floats
    by_sensor: Floats
    sensors: pl.DataFrame


QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def count(lake: Lake, snapshot: Snapshot, sensors: Sequence[Sensor], interval_ms: int, stretches: int) -> Counted:
    """Count all rows as a stream. What is expected is one row of a device an interval, within the snapshot's time.

    Raises StorageError where rows of the snapshot are no longer there.
    """
    names = [sensor.name for sensor in sensors]
    length = max(-(-(snapshot.end_ms - snapshot.start_ms) // stretches), 1)
    stretch = (pl.col("timestamp").dt.epoch("ms") - snapshot.start_ms) // length
    there = [pl.col(name).is_finite().fill_null(False).sum().alias(f"there {name}") for name in names]
    finite = [pl.col(name).filter(pl.col(name).is_finite()) for name in names]
    asked = [
        pl.len().alias("rows"),
        *there,
        *(one.min().alias(f"least {name}") for one, name in zip(finite, names, strict=True)),
        *(one.max().alias(f"most {name}") for one, name in zip(finite, names, strict=True)),
        *(one.sum().alias(f"sum {name}") for one, name in zip(finite, names, strict=True)),
        *(_outside(sensor).alias(f"outside {sensor.name}") for sensor in sensors),
    ]
    cells = lake.survey(
        snapshot,
        ["device_key", "timestamp", *names],
        lambda rows: rows.group_by("device_key", stretch.alias("stretch")).agg(asked),
    ).sort("device_key", "stretch")
    stored = int(cells["rows"].sum())
    if stored < snapshot.rows:
        raise StorageError(
            f"the lake holds {stored:,} of the {snapshot.rows:,} readings of this snapshot: retention took the others;"
            " take a new one (python -m src.components.data_ingestion)"
        )
    devices = cells["device_key"].unique().sort().to_numpy()
    at = (np.searchsorted(devices, cells["device_key"].to_numpy()), cells["stretch"].to_numpy())
    present = np.zeros((len(names), len(devices), stretches))
    for number, name in enumerate(names):
        present[number][at] = cells[f"there {name}"].to_numpy()
    begins = snapshot.start_ms + length * np.arange(stretches)
    expected = np.clip(snapshot.end_ms - begins, 0, length) / interval_ms
    with np.errstate(invalid="ignore", divide="ignore"):
        by_device = 1.0 - present.mean(axis=0) / expected
        by_sensor = 1.0 - present.mean(axis=1) / expected
    return Counted(
        stored,
        devices,
        np.clip(by_device, 0.0, 1.0),
        np.clip(by_sensor, 0.0, 1.0),
        _totals(cells, names),
    )


def profiles(counted: Counted, chosen: pl.DataFrame, sensors: Sequence[Sensor]) -> list[SensorProfile]:
    """The profile of each sensor: totals of all rows, quantiles of the chosen ones."""
    found = []
    for sensor, total in zip(sensors, counted.sensors.iter_rows(named=True), strict=True):
        values = chosen[sensor.name].filter(chosen[sensor.name].is_finite().fill_null(False))
        quantiles = {} if values.is_empty() else {f"{q:g}": float(values.quantile(q) or 0.0) for q in QUANTILES}
        n = total["there"]
        found.append(
            SensorProfile(
                sensor.name,
                sensor.unit,
                n,
                1.0 - n / max(counted.rows, 1),
                total["outside"],
                total["least"],
                total["sum"] / n if n else None,
                total["most"],
                quantiles,
            )
        )
    return found


def _totals(cells: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """A row a sensor: there, least, most, sum, outside."""
    return pl.concat(
        cells.select(
            pl.col(f"there {name}").cast(pl.Int64).sum().alias("there"),
            pl.col(f"least {name}").min().alias("least"),
            pl.col(f"most {name}").max().alias("most"),
            pl.col(f"sum {name}").sum().alias("sum"),
            pl.col(f"outside {name}").cast(pl.Int64).sum().alias("outside"),
        )
        for name in names
    )


def _outside(sensor: Sensor) -> pl.Expr:
    value = pl.col(sensor.name)
    low = pl.lit(False) if sensor.low is None else value < sensor.low
    high = pl.lit(False) if sensor.high is None else value > sensor.high
    return (low | high).fill_null(False).sum()
