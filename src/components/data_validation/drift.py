"""Drift of a snapshot's newest period against the four before it, on the two levels of `src/drift`."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
import polars as pl

from ...drift.by_device import DeviceDrift, device_drift
from ...drift.pooled import PooledDrift, Slice, plain_ks, pooled_drift
from ...drift.surprise import surprises
from ..html import paragraph, section, table

PERIODS = 5
PARTS = 7
CELLS = 12
"""A device is looked at in so many parts of a day."""

MOST_DEVICES = 2_000
"""So many devices of a larger fleet are looked at one by one: a tenth that moved is seen in 1,000."""

WEEK_MS = 7 * 86_400_000
MIN_SLICE_DEVICES = 10


class SensorDrift(msgspec.Struct, frozen=True):
    """One sensor of one slice, on both levels; `plain_p` is what `ks_2samp` alone says, of all
    devices only."""

    slice: str
    sensor: str
    statistic: float
    usual: float
    pooled_p: float
    plain_p: float | None
    pooled: bool
    devices: int
    moved: int
    one_way: int
    expected: float
    device_p: float
    by_device: bool


def period_ms(frame: pl.DataFrame) -> int:
    """A week, or a fifth of the snapshot's time where that is shorter."""
    times = frame["timestamp"].dt.epoch("ms")
    oldest, newest = times.min(), times.max()
    assert isinstance(oldest, int) and isinstance(newest, int)
    return min(WEEK_MS, (newest - oldest + 1) // PERIODS)


def drift(frame: pl.DataFrame, sensors: Sequence[str], sites: Mapping[int, str | None]) -> list[SensorDrift]:
    """Compare the newest period of `frame` with the four before it; slices are all devices, and each large site."""
    length = period_ms(frame)
    newest = frame["timestamp"].dt.epoch("ms").max()
    assert isinstance(newest, int)
    age = newest - pl.col("timestamp").dt.epoch("ms")
    recent = frame.filter(age < PERIODS * length).with_columns(
        part=(PERIODS * PARTS - 1 - age * PARTS // max(length, 1)).cast(pl.Int64),
        cell=(PERIODS * PARTS * CELLS - 1 - age * PARTS * CELLS // max(length, 1)).cast(pl.Int64),
    )
    devices = recent["device_key"].unique().sort().to_numpy()
    names = sorted({name for name in sites.values() if name is not None})
    number = {name: place for place, name in enumerate(names)}
    site_of = np.array([number.get(sites.get(int(key)) or "", -1) for key in devices], np.int64)
    by_device = _by_device(recent, sensors, devices, site_of)
    groups = {"all": devices} | {
        f"site {names[site]}": devices[site_of == site]
        for site in np.unique(site_of)
        if site >= 0 and MIN_SLICE_DEVICES <= int((site_of == site).sum()) < len(devices)
    }
    slices = [one for name, members in groups.items() for one in _slices(recent, members, name, sensors)]
    return [
        _told(one, found, by_device[found.sensor] if found.name == "all" else None)
        for one, found in zip(slices, pooled_drift(slices), strict=True)
    ]


def _slices(rows: pl.DataFrame, members: np.ndarray, name: str, sensors: Sequence[str]) -> list[Slice]:
    of_slice = rows.filter(pl.col("device_key").is_in(members.tolist()))
    period = (of_slice["part"] // PARTS).to_numpy()
    values = of_slice.select(pl.col(sensors).fill_null(float("nan"))).to_numpy()
    periods = [values[period == each] for each in range(PERIODS)]
    return [
        Slice(name, sensor, [each[:, s] for each in periods[:-1]], periods[-1][:, s])
        for s, sensor in enumerate(sensors)
    ]


def _by_device(
    rows: pl.DataFrame, sensors: Sequence[str], devices: np.ndarray, site_of: np.ndarray
) -> dict[str, DeviceDrift]:
    every = -(-len(devices) // MOST_DEVICES)
    chosen = devices[::every]
    of_chosen = rows.filter(pl.col("device_key").is_in(chosen.tolist()))
    means = of_chosen.group_by("device_key", "cell").agg(pl.col(sensors).mean())
    table = np.full((PERIODS * PARTS * CELLS, len(chosen), len(sensors)), np.nan)
    place = np.searchsorted(chosen, means["device_key"].to_numpy())
    table[means["cell"].to_numpy(), place] = means.select(pl.col(sensors).fill_null(float("nan"))).to_numpy()
    groups = site_of[::every]
    parts = surprises(table.reshape(PERIODS, PARTS, CELLS, len(chosen), len(sensors)), groups)
    return {found.sensor: found for found in device_drift(parts[:-1], parts[-1], groups, sensors)}


def _told(one: Slice, pooled: PooledDrift, devices: DeviceDrift | None) -> SensorDrift:
    return SensorDrift(
        slice=pooled.name,
        sensor=pooled.sensor,
        statistic=pooled.statistic,
        usual=pooled.usual,
        pooled_p=pooled.adjusted_p,
        plain_p=None if devices is None else plain_ks(one.before, one.current),
        pooled=pooled.drifted,
        devices=0 if devices is None else devices.devices,
        moved=0 if devices is None else devices.moved,
        one_way=0 if devices is None else devices.one_way,
        expected=0.0 if devices is None else devices.expected,
        device_p=1.0 if devices is None else devices.adjusted_p,
        by_device=devices is not None and devices.drifted,
    )


def drift_section(found: Sequence[SensorDrift]) -> str:
    """A section of a report on both levels."""
    rows = [
        (
            "drifted" if one.pooled or one.by_device else "stable",
            one.slice,
            one.sensor,
            one.statistic,
            one.usual,
            one.pooled_p,
            one.plain_p,
            f"{one.moved} of {one.devices}" if one.devices else None,
            one.one_way if one.devices else None,
            f"{one.expected:.1%}" if one.devices else None,
            one.device_p if one.devices else None,
        )
        for one in found
    ]
    columns = (
        "",
        "slice",
        "sensor",
        "KS",
        "usual KS",
        "p",
        "plain KS p",
        "devices moved",
        "one way",
        "expected",
        "p by device",
    )
    why = (
        "The newest period against the four before it. Pooled drift needs a small p-value and a KS statistic well past"
        " those of the earlier periods among themselves; the plain p-value calls almost any two weeks different."
    )
    return section("Drift", paragraph(why) + table(columns, rows))
