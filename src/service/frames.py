"""Scored rows as frames: the columns of the lake, and of the snapshot that pages read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..telemetry import bands
from ..telemetry.readings import concat
from ..telemetry.schema import DeviceType
from .type_state import NEVER, Batch, TypeState

UTC_US = pl.Datetime("us", "UTC")


@dataclass(frozen=True, slots=True)
class Logged:
    """A batch of rows, and the record that gave it."""

    batch: Batch
    seq: int
    now_ms: int

    def __len__(self) -> int:
        return len(self.batch.readings)


def lake_frame(logged: Sequence[Logged], spec: DeviceType) -> pl.DataFrame:
    """Rows of one type in the columns of the lake, and `unchecked`, which the lake's commit settles and drops.

    A row newer than all its device has sent can't be a repetition; a late one may be.
    """
    readings = concat([item.batch.readings for item in logged]).widen(len(spec.sensors))
    late = pl.Series(_each(logged, [item.batch.late for item in logged]), dtype=pl.Boolean)
    version = pl.Series(_each(logged, [item.batch.model_version or 0 for item in logged]), dtype=pl.Int32)
    columns: dict[str, pl.Series] = {
        "device_key": pl.Series(readings.keys, dtype=pl.Int64),
        "timestamp": _timestamps(readings.ts),
    }
    for number, name in enumerate(spec.sensor_names):
        columns[name] = _numbers(readings.values[:, number])
    columns |= {
        "score": _numbers(np.concatenate([_score(item.batch) for item in logged])),
        "model_version": version.set(version == 0, None),
        "late": late,
        "ingest_seq": pl.Series(_each(logged, [item.seq for item in logged]), dtype=pl.Int64),
        "bands": _bands(logged, len(spec.sensors)),
        "blame": _blame(logged),
        "arrived": _timestamps(_each(logged, [item.now_ms for item in logged])),
        "unchecked": late,
    }
    return pl.DataFrame(columns)


def snapshot_frame(
    state: TypeState, keys: npt.NDArray[np.int64], status: npt.NDArray[np.uint8], since_ms: npt.NDArray[np.int64]
) -> pl.DataFrame:
    """The last reading, the status code and since when, of each device of a type; all (n_devices,)."""
    devices = state.devices
    columns: dict[str, pl.Series] = {
        "device_key": pl.Series(keys, dtype=pl.Int64),
        "status": pl.Series(status),
        "status_since_ms": pl.Series(since_ms),
        "last_ts": _times(devices["scored_ts"]),
        "last_arrival": _times(devices["arrived_ms"]),
        "score": _numbers(devices["score"]),
        "threshold": pl.Series(devices["enter"]),
        "n_readings": pl.Series(devices["readings"]),
    }
    for number, name in enumerate(state.spec.sensor_names):
        centre, width = devices["centre"][:, number], devices["width"][:, number]
        columns[f"value_{name}"] = _numbers(devices["value"][:, number])
        columns[f"low_{name}"] = _numbers(np.subtract(centre, width))
        columns[f"high_{name}"] = _numbers(np.add(centre, width))
    return pl.DataFrame(columns)


def _each(logged: Sequence[Logged], values: Sequence[int | bool]) -> npt.NDArray[np.int64]:
    """Each batch's value, once for each of its rows."""
    return np.repeat(np.array(values, np.int64), [len(item) for item in logged])


def _score(batch: Batch) -> npt.NDArray[np.float32]:
    return np.full(len(batch.readings), np.nan, np.float32) if batch.scores is None else batch.scores.score


def _bands(logged: Sequence[Logged], n_sensors: int) -> pl.Series:
    rows = np.flatnonzero(np.concatenate([item.batch.kept for item in logged]))
    packed = [
        bands.pack_bands(
            _widened(item.batch.scores.centre[item.batch.kept], n_sensors),
            _widened(item.batch.scores.width[item.batch.kept], n_sensors),
        )
        for item in logged
        if item.batch.scores is not None
    ]
    if not len(rows):
        return pl.Series([None], dtype=pl.List(pl.Float32)).new_from_index(0, sum(map(len, logged)))
    return bands.bands_column(np.concatenate(packed), rows, sum(map(len, logged)))


def _blame(logged: Sequence[Logged]) -> pl.Series:
    kept = np.concatenate([item.batch.kept for item in logged])
    packed = np.zeros(len(kept), np.int32)
    found = [
        bands.pack_blame(item.batch.scores.contribution[item.batch.kept])
        for item in logged
        if item.batch.scores is not None
    ]
    if found:
        packed[kept] = np.concatenate(found)
    return pl.Series(packed).set(pl.Series(~kept), None)


def _widened(values: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    missing = width - values.shape[1]
    return np.pad(values, ((0, 0), (0, missing)), constant_values=np.nan) if missing else values


def _timestamps(ts: npt.NDArray[np.int64]) -> pl.Series:
    return pl.Series(ts * 1000, dtype=pl.Int64).cast(UTC_US)


def _times(ms: npt.NDArray[np.generic]) -> pl.Series:
    series = pl.Series(ms)
    return series.set(series == NEVER, None)


def _numbers(values: npt.NDArray[np.generic]) -> pl.Series:
    return pl.Series(np.ascontiguousarray(values)).fill_nan(None)
