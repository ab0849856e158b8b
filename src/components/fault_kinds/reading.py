"""An episode of a device as the lake has it: up to a week before the first signs, and up to a week after them."""

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

from ...exceptions import ModelError
from ...faults.episodes import Episode
from ...faults.labels import Bools
from ...telemetry.lake import Lake
from ...telemetry.schema import DeviceType, Sensor

WEEK_MS = 7 * 86_400_000
MOST_ROWS = 600_000
"""Rows before the first signs that are read at most, of devices that send often."""

FINEST_MS = 60_000
"""Of what comes more often than this, one row of each such time is looked at."""


def sensors_of(device_type: DeviceType) -> tuple[Sensor, ...]:
    """The sensors that an episode has, in its order: those that aren't retired."""
    return tuple(sensor for sensor in device_type.sensors if not sensor.retired)


def read_episode(
    lake: Lake,
    type_id: int,
    device_type: DeviceType,
    device_key: int,
    onset_ms: int,
    end_ms: int,
    faulty: Iterable[tuple[int, int | None]] = (),
) -> Episode:
    """The rows of a device around `onset_ms`, before `end_ms`; those of its past that are `faulty` (from, to) left out.

    Raises ModelError where there are too few to tell a kind of fault by, or sensors are too few or too many.
    """
    names = [sensor.name for sensor in sensors_of(device_type)]
    past_ms = min(WEEK_MS, MOST_ROWS * device_type.interval_ms)
    rows = lake.read(
        type_id,
        device_keys=[device_key],
        start_ms=onset_ms - past_ms,
        end_ms=min(end_ms, onset_ms + past_ms),
        columns=["timestamp", *names],
    )
    ts = rows["timestamp"].dt.epoch("ms").to_numpy().astype(np.int64)
    values = rows.select(pl.col(names).cast(pl.Float64)).fill_null(np.nan).to_numpy()
    kept = np.isfinite(values).any(axis=1) & ~_within(ts, onset_ms, faulty)
    if device_type.interval_ms < FINEST_MS:
        kept &= _first_of_each(ts, kept)
    ts, values = ts[kept], np.ascontiguousarray(values[kept])
    begin = int(np.searchsorted(ts, onset_ms))
    if begin == 0:
        raise ModelError("no reading before the first signs: what is normal for the device isn't known")
    return Episode(values, ts, begin, max(device_type.interval_ms, FINEST_MS))


def rows_after(episode: Episode, minutes: Sequence[int]) -> list[int]:
    """How many rows of an episode had come so many minutes after its first signs, for each of `minutes`."""
    first = int(episode.ts[episode.begin])
    return [int(np.searchsorted(episode.ts, first + 60_000 * after)) for after in minutes]


def _within(ts: np.ndarray, onset_ms: int, faulty: Iterable[tuple[int, int | None]]) -> Bools:
    found = np.zeros(len(ts), np.bool_)
    for start_ms, end_ms in faulty:
        found |= (ts >= start_ms) & (ts < min(onset_ms, onset_ms if end_ms is None else end_ms))
    return found


def _first_of_each(ts: np.ndarray, kept: Bools) -> Bools:
    """Of the kept rows, the first of each `FINEST_MS`."""
    found = np.zeros(len(ts), np.bool_)
    places = np.flatnonzero(kept)
    _, firsts = np.unique(ts[places] // FINEST_MS, return_index=True)
    found[places[firsts]] = True
    return found
