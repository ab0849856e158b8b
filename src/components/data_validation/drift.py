"""Drift of a snapshot's newest period against the four before it, on the two levels of `src/drift`."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from ...drift.by_device import DeviceDrift, device_drift
from ...drift.pooled import PooledDrift, Slice, plain_ks, pooled_drift

PERIODS = 5
PARTS = 7
WEEK_MS = 7 * 86_400_000
MIN_SLICE_DEVICES = 10


class SensorDrift(msgspec.Struct, frozen=True):
    """One sensor of one slice, on both levels; `plain_p` is what `ks_2samp` alone says. None where it can't be told."""

    slice: str
    sensor: str
    statistic: float
    usual: float
    pooled_p: float
    plain_p: float
    pooled: bool
    devices: int
    moved: int
    expected: float
    device_p: float
    by_device: bool


def period_ms(frame: pl.DataFrame) -> int:
    """A week, or a fifth of the snapshot's time where that is shorter."""
    times = frame["timestamp"].dt.epoch("ms")
    oldest, newest = times.min(), times.max()
    assert isinstance(oldest, int) and isinstance(newest, int)
    return min(WEEK_MS, (newest - oldest + 1) // PERIODS)


def drift(frame: pl.DataFrame, sensors: Sequence[str], sites: Mapping[int, int | None]) -> list[SensorDrift]:
    """Compare the newest period of `frame` with the four before it; slices are all devices, and each large site."""
    length = period_ms(frame)
    newest = frame["timestamp"].dt.epoch("ms").max()
    assert isinstance(newest, int)
    age = newest - pl.col("timestamp").dt.epoch("ms")
    recent = frame.filter(age < PERIODS * length).with_columns(
        part=(PERIODS * PARTS - 1 - age * PARTS // max(length, 1)).cast(pl.Int64)
    )
    devices = recent["device_key"].unique().sort().to_numpy()
    site_of = np.array([-1 if sites.get(int(key)) is None else int(sites[int(key)] or 0) for key in devices])
    by_device = _by_device(recent, sensors, devices, site_of)
    groups = {"all": devices} | {
        f"site {site}": devices[site_of == site]
        for site in np.unique(site_of)
        if site >= 0 and MIN_SLICE_DEVICES <= int((site_of == site).sum()) < len(devices)
    }
    slices = [
        _slice(recent.filter(pl.col("device_key").is_in(members.tolist())), name, sensor)
        for name, members in groups.items()
        for sensor in sensors
    ]
    return [
        _told(one, found, by_device[found.sensor] if found.name == "all" else None)
        for one, found in zip(slices, pooled_drift(slices), strict=True)
    ]


def _slice(rows: pl.DataFrame, name: str, sensor: str) -> Slice:
    values = [
        rows.filter(pl.col("part") // PARTS == period)[sensor].drop_nulls().to_numpy() for period in range(PERIODS)
    ]
    return Slice(name, sensor, values[:-1], values[-1])


def _by_device(
    rows: pl.DataFrame, sensors: Sequence[str], devices: np.ndarray, site_of: np.ndarray
) -> dict[str, DeviceDrift]:
    means = rows.group_by("device_key", "part").agg(pl.col(sensors).mean())
    table = np.full((PERIODS * PARTS, len(devices), len(sensors)), np.nan)
    place = np.searchsorted(devices, means["device_key"].to_numpy())
    table[means["part"].to_numpy(), place] = means.select(pl.col(sensors).fill_null(float("nan"))).to_numpy()
    parts = table.reshape(PERIODS, PARTS, len(devices), len(sensors))
    return {found.sensor: found for found in device_drift(parts[:-1], parts[-1], site_of, sensors)}


def _told(one: Slice, pooled: PooledDrift, devices: DeviceDrift | None) -> SensorDrift:
    return SensorDrift(
        slice=pooled.name,
        sensor=pooled.sensor,
        statistic=pooled.statistic,
        usual=pooled.usual,
        pooled_p=pooled.adjusted_p,
        plain_p=plain_ks(one.before, one.current),
        pooled=pooled.drifted,
        devices=0 if devices is None else devices.devices,
        moved=0 if devices is None else devices.moved,
        expected=0.0 if devices is None else devices.expected,
        device_p=1.0 if devices is None else devices.adjusted_p,
        by_device=devices is not None and devices.drifted,
    )
