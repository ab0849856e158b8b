"""What the devices of a site share, minute by minute: weather, sun, people's habits, the grid."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .randomness import Floats, add_autoregression, add_wander, keys_of, subkey
from .sites import Site

LEAD: Final = 16
"""Readings before the first one that every stretch of channels carries, for short memories of devices."""

TEMPERATURE, CLOUD, SUN, EAST, DEMAND, BUSINESS, USAGE, HUMIDITY, GRID_VOLTAGE, GRID_FREQUENCY = range(10)
N_CHANNELS: Final = 10
"""Outdoor °C; cloud cover 0 to 1; sine of the sun's height; how much more an east-facing surface gets; water
demand of homes 0 to 1; how busy a shop is 0 to 1; the town's own mood, mean 0 and deviation 1; outdoor relative
humidity %; deviation of the mains in V and in Hz."""

SITES = 1
"""The family of sites in the tree of random keys; device types have their own."""


def channels(
    seed: int, sites: Sequence[Site], numbers: NDArray[np.int64], first: int, count: int, interval_ms: int
) -> Floats:
    """Return the channels (n_sites, N_CHANNELS, LEAD + count) of readings `first - LEAD` to `first + count`.

    `numbers` are the places of `sites` in the fleet's list. Reading k is at k * `interval_ms` after 1970 UTC. A
    value depends on (seed, site, k) alone.
    """
    start, total = first - LEAD, LEAD + count
    out = np.zeros((len(sites), N_CHANNELS, total))
    _fill(
        out,
        start,
        interval_ms / 1000,
        keys_of(seed, SITES, numbers),
        np.uint64(subkey(keys_of(seed, SITES, np.array([-1]))[0], 0)),
        np.array([site.latitude for site in sites]),
        np.array([site.longitude for site in sites]),
        _utc_offsets(sites, start, total, interval_ms),
    )
    return out


def standard_offsets(sites: Sequence[Site]) -> Floats:
    """Return seconds east of UTC (n_sites,) in winter: what controllers that know no summer time go by."""
    winter = datetime(2026, 1, 10, tzinfo=UTC)
    return np.array([_offset_s(ZoneInfo(site.time_zone), winter) for site in sites])


def _offset_s(zone: ZoneInfo, at: datetime) -> float:
    offset = at.astimezone(zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _utc_offsets(sites: Sequence[Site], start: int, total: int, interval_ms: int) -> Floats:
    """Return the UTC offset in seconds (n_sites, total), looked up once per zone and hour."""
    hours = (np.arange(start, start + total) * interval_ms) // 3_600_000
    known, place = np.unique(hours, return_inverse=True)
    moments = [datetime.fromtimestamp(int(hour) * 3600, UTC) for hour in known]
    by_zone = {name: ZoneInfo(name) for name in {site.time_zone for site in sites}}
    tables = {name: np.array([_offset_s(zone, moment) for moment in moments])[place] for name, zone in by_zone.items()}
    return np.array([tables[site.time_zone] for site in sites])


@compiled
def _bump(hour: float, centre: float, width: float) -> float:
    """Return a bell of height 1 on the circle of 24 hours."""
    away = abs(hour - centre)
    away = min(away, 24.0 - away) / width
    return float(np.exp(-0.5 * away * away))


@compiled
def _rise(x: float) -> float:
    """Return 0 below 0, 1 above 1, and a smooth step between."""
    x = min(1.0, max(0.0, x))
    return x * x * (3.0 - 2.0 * x)


@compiled
def _demand(hour: float, weekday: int) -> float:
    """Return the water demand of homes, 0 to 1: two peaks on working days, a late broad one at weekends."""
    if weekday >= 5:
        return 0.16 + 0.56 * _bump(hour, 10.3, 2.3) + 0.26 * _bump(hour, 14.0, 3.0) + 0.48 * _bump(hour, 19.2, 2.4)
    return 0.16 + 0.62 * _bump(hour, 7.4, 1.5) + 0.30 * _bump(hour, 12.8, 2.8) + 0.60 * _bump(hour, 19.0, 2.3)


@compiled
def _business(hour: float, weekday: int) -> float:
    """Return how busy a shop is, 0 to 1: opening hours, a lunch and an after-work peak, quiet Sundays."""
    opened = _rise((hour - 7.3) / 1.2) * (1.0 - _rise((hour - 19.6) / 1.8))
    busy = opened * (0.45 + 0.25 * _bump(hour, 12.4, 1.3) + 0.38 * _bump(hour, 17.4, 1.5))
    if weekday == 6:
        return 0.35 * busy
    return busy * 1.12 if weekday == 5 else busy


@compiled
def _cells(seconds: float, interval_s: float) -> int:
    return max(1, int(np.rint(seconds / interval_s)))


@compiled
def _fill(
    out: Floats,
    start: int,
    interval_s: float,
    keys: NDArray[np.uint64],
    grid_key: np.uint64,
    latitude: Floats,
    longitude: Floats,
    offset_s: Floats,
) -> None:
    n = out.shape[2]
    fast = np.empty(n)
    three_hours = _cells(10800.0, interval_s)
    hour_cells = _cells(3600.0, interval_s)
    for s in range(out.shape[0]):
        c = out[s]
        key = keys[s]
        add_autoregression(c[TEMPERATURE], subkey(key, 1), start, three_hours, 0.9512, 140, 2.8)
        add_autoregression(c[CLOUD], subkey(key, 2), start, hour_cells, 0.8948, 64, 1.0)
        fast[:] = 0.0
        add_wander(fast, subkey(key, 3), start, _cells(120.0, interval_s), 0.4)
        add_wander(fast, subkey(key, 4), start, _cells(480.0, interval_s), 0.7)
        add_wander(fast, subkey(key, 5), start, _cells(1500.0, interval_s), 0.6)
        add_wander(c[USAGE], subkey(key, 6), start, _cells(600.0, interval_s), 0.4)
        add_wander(c[USAGE], subkey(key, 7), start, _cells(4800.0, interval_s), 0.6)
        add_wander(c[USAGE], subkey(key, 8), start, _cells(43200.0, interval_s), 0.7)
        add_wander(c[HUMIDITY], subkey(key, 9), start, _cells(7200.0, interval_s), 3.5)
        add_wander(c[GRID_VOLTAGE], subkey(key, 10), start, _cells(240.0, interval_s), 0.45)
        add_wander(c[GRID_VOLTAGE], subkey(key, 11), start, _cells(2400.0, interval_s), 0.9)
        add_wander(c[GRID_FREQUENCY], subkey(grid_key, 1), start, _cells(60.0, interval_s), 0.006)
        add_wander(c[GRID_FREQUENCY], subkey(grid_key, 2), start, _cells(240.0, interval_s), 0.012)
        add_wander(c[GRID_FREQUENCY], subkey(grid_key, 3), start, _cells(1200.0, interval_s), 0.011)
        phi = latitude[s] * np.pi / 180.0
        hemisphere = 1.0 if latitude[s] >= 0.0 else -1.0
        mean = 30.0 - 0.38 * abs(latitude[s])
        swing = 0.17 * abs(latitude[s])
        for i in range(n):
            seconds = float(start + i) * interval_s
            days = seconds / 86400.0
            local = (seconds + offset_s[s, i]) / 86400.0
            hour = (local - np.floor(local)) * 24.0
            weekday = int((np.floor(local) + 3.0) % 7.0)
            year = 2.0 * np.pi / 365.2425
            declination = 0.4093 * np.sin(year * (days - 80.0))
            solar = days + longitude[s] / 360.0
            angle = 2.0 * np.pi * (solar - np.floor(solar)) - np.pi
            cosine = np.cos(declination)
            c[SUN, i] = max(0.0, np.sin(phi) * np.sin(declination) + np.cos(phi) * cosine * np.cos(angle))
            c[EAST, i] = -cosine * np.sin(angle)
            cover = 1.0 / (1.0 + np.exp(-1.6 * c[CLOUD, i]))
            c[CLOUD, i] = min(1.0, max(0.0, cover + 0.9 * cover * (1.0 - cover) * fast[i]))
            summer = -hemisphere * np.cos(year * (days - 20.0))
            daily = (2.6 + 1.6 * summer) * (1.0 - 0.55 * cover) * np.cos(angle - 0.72)
            season = mean + swing * summer
            c[TEMPERATURE, i] += season + daily
            c[DEMAND, i] = _demand(hour, weekday)
            c[BUSINESS, i] = _business(hour, weekday)
            moist = 76.0 + 16.0 * (cover - 0.5) - 2.4 * daily + c[HUMIDITY, i]
            c[HUMIDITY, i] = min(99.0, max(20.0, moist))
            c[GRID_VOLTAGE, i] -= 1.6 * c[DEMAND, i]
