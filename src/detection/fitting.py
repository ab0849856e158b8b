"""How a detector learns: what is normal, then, on rows that were not fitted on, how often normal looks odd."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..exceptions import ModelError
from .blocks import F32, F64, I64, TrainingRows
from .calibration import event_rates, knot_values, score_table
from .config import DAY_MS, DetectorConfig
from .expectation import Expectation, fit_expectation, usual_days
from .kernel import INNOVATION, JUMPY, N_CHANNELS, NOISY, SMOOTH_DAY, SMOOTH_FAST, SMOOTH_HOUR
from .noise import normal_rates, normal_score, rare, row_noise, shows_wander, smoothed_deviation, wander_factors

USUAL = 0.97
"""The part of healthy rows below the usual level."""

SHORT_REACH, LONG_REACH = 2.0, 30.0
"""Levels go so many times beyond the highest that was counted, where that was on less than a device-day, and else."""

RARE = 2.0
"""Where each channel's highest of a usual device comes to lie, in units of what is past `channel_tail`."""

MANY_ROWS = 2880
"""Rows from which on a device's highest says something of its tail."""

NEVER = 1e9
"""Scale of a channel that the training rows can't judge: it never counts."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Training rows by device (numbered from 0) and time, each time once; `values` (n, S), NaN where missing; `group`
    (n,) of peers, numbered from 0, -1 for none."""

    device: I64
    ts: I64
    values: F64
    group: I64

    def take(self, index: np.ndarray) -> "Sorted":
        """The rows chosen, devices numbered anew."""
        device = np.unique(self.device[index], return_inverse=True)[1]
        return Sorted(device, self.ts[index], self.values[index], self.group[index])

    @property
    def n_devices(self) -> int:
        """How many devices the rows are of."""
        return int(self.device[-1]) + 1

    @property
    def usual_rows(self) -> int:
        """Rows that half of the devices have."""
        return int(np.median(np.bincount(self.device)))


Replay = Callable[[Expectation, int, Sorted], tuple[F32, F32]]
"""(expectation, learning rows, rows) -> channels (n, S, channels + 1), stillness (n, S) of each row."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How odd is rare. `channels` and `bends` (S, channels), scale and power of each; `tails` (S,), how odd the usual
    device's sensor is in its oddest rows; `white` (S, S) and `joint_scale` for sensors together; `stuck` (S, 2)
    intervals, at home and away; `knots`, the score table; `levels` and `rates`, false events per device-day at each
    level; `usual`, the level that healthy rows seldom pass; `learn`, the readings for which a device learns; `few`,
    whether rows were too few to count, and to tell devices apart.
    """

    channels: F64
    bends: F64
    tails: F64
    white: F64
    joint_scale: float
    stuck: F64
    knots: F32
    levels: F64
    rates: F64
    usual: float
    learn: int
    few: bool


def sort_rows(rows: TrainingRows, config: DetectorConfig) -> Sorted:
    """Order, drop repeated times and infinities, leave out whole devices past `max_rows`.

    Raises ModelError on too few rows.
    """
    if len(rows) < config.learn_readings:
        raise ModelError(
            f"{len(rows)} readings to learn from; a device type needs {config.learn_readings} or more:"
            " wait for more readings, or lower --learn no further"
        )
    names, firsts, numbers = np.unique(rows.device, return_index=True, return_inverse=True)
    site = np.full(len(names), -1) if rows.site is None else rows.site[firsts]
    room = config.max_rows * 8 // max(rows.values.shape[1], 8)
    kept = chosen_devices(site, max(1, len(names) * room // max(len(rows), 1)))
    chosen = np.flatnonzero(kept[numbers])
    order = chosen[np.lexsort((rows.ts[chosen], numbers[chosen]))]
    device, ts = (np.cumsum(kept) - 1)[numbers[order]], rows.ts[order]
    groups = np.unique(np.maximum(site, -1), return_inverse=True)[1] - int((site < 0).any())
    first = np.r_[True, (np.diff(device) != 0) | (np.diff(ts) != 0)]
    values = rows.values[order][first]
    group = groups[numbers[order]][first]
    return Sorted(device[first], ts[first], np.where(np.isfinite(values), values, np.nan), group)


TOGETHER = 6
"""Devices of one site that are learnt from: enough to show what peers share, and room for other sites."""


def chosen_devices(site: I64, most: int) -> np.ndarray:
    """Which devices (n,) to learn from, about `most`: some of a site together, from sites at even distances.

    Devices of no site, numbered below 0, stand alone.
    """
    n_devices = len(site)
    if most >= n_devices:
        return np.ones(n_devices, bool)
    alone = np.flatnonzero(site < 0)
    groups = [alone[k : k + 1] for k in range(len(alone))]
    groups += [np.flatnonzero(site == place)[:TOGETHER] for place in np.unique(site[site >= 0])]
    share = min(1.0, most / sum(len(group) for group in groups))
    kept = np.zeros(n_devices, bool)
    for k, group in enumerate(groups):
        if int((k + 1) * share) > int(k * share):
            kept[group] = True
    return kept


def calibrate(rows: Sorted, interval_ms: int, precisions: F64, config: DetectorConfig, replay: Replay) -> Calibration:
    """Judge rows by what was learnt from others: half of the devices by the other half; with fewer than four devices,
    the last two fifths of each by the first three. Where that leaves too few rows to see their tail, by their noise."""
    learn = int(np.clip(rows.usual_rows // 2, 10, config.learn_readings))
    parts: list[tuple[F32, I64]] = []
    stillness = np.zeros((rows.values.shape[1], 2))
    for fitted, judged in _folds(rows):
        expectation = fit_expectation(fitted.device, fitted.ts, fitted.values, precisions, config)
        recorded, still = replay(expectation, learn, judged)
        both = np.stack([np.maximum(still, 0.0), np.maximum(-still, 0.0)], axis=2)
        stillness = np.maximum(stillness, _usual_stillness(both, judged.device))
        position = np.arange(len(judged.device)) - np.searchsorted(judged.device, judged.device)
        start = learn if rows.n_devices >= 4 else int(0.6 * rows.usual_rows)
        late = position >= min(start, max(rows.usual_rows - 10, 0))
        parts.append((recorded[late], judged.device[late] + len(parts) * rows.n_devices))
    recorded = np.concatenate([part[0] for part in parts])
    device = np.concatenate([part[1] for part in parts])
    if len(recorded) < 30:
        raise ModelError(
            f"{len(rows.ts)} readings of {rows.n_devices} devices leave {len(recorded)} to calibrate on; expected 30"
            " or more: a device needs at least 20 readings"
        )
    span_days = usual_days(rows.device, rows.ts)
    stuck = np.maximum(config.stuck_floor, config.stuck_factor * stillness)
    stuck = np.where(stillness * interval_ms * 3 > span_days * DAY_MS, NEVER, stuck)
    if len(recorded) * config.pointwise_tail < 1.0 and rows.usual_rows >= shows_wander(config.half_lives[0]):
        return _by_noise(rows, interval_ms, precisions, stuck, config)
    wander = np.ones(rows.values.shape[1])
    if span_days < config.season_days:
        wander = np.minimum(wander_factors(rows.values, rows.device, config), NEVER)
    healthy = np.ones(len(device), bool)
    for _ in range(3):
        channels, bends = _channel_scales(recorded[healthy], device[healthy], wander, config)
        white, joint_scale = _whitening(recorded[healthy, :, N_CHANNELS], wander, config)
        if channels[:, SMOOTH_HOUR].min() >= NEVER:
            joint_scale = NEVER  # rows too short to judge one sensor over an hour can't judge them together
        sizes = sensor_sizes(recorded, channels, bends, white, joint_scale)
        healthy = _without_odd_devices(norm(sizes), device)
    tails = usual_tails(sizes[healthy], device[healthy], config)
    habits = habits_of(sizes, device, tails, config)
    # A device's habits are known from its first half; what is rare is seen on the other.
    later = np.arange(len(device)) - np.searchsorted(device, device) >= np.bincount(device)[device] // 2
    if rows.usual_rows < 2 * config.own_rows:
        later[:] = True
    earlier = habits_of(sizes[~later], device[~later], tails, config) if not later.all() else np.ones_like(habits)
    grown = np.ones_like(habits)
    grown[: len(earlier)] = earlier
    combined = norm(sizes / grown[device])
    healthy = _without_odd_devices(combined, device) & later
    combined, device = combined[healthy], device[healthy]
    usual = float(np.quantile(combined, USUAL))
    device_days = len(combined) * interval_ms / DAY_MS
    # Less than a device-day can't say how rare is what comes once in a month; without an end, nothing would alarm.
    reach = SHORT_REACH if device_days < 1.0 else LONG_REACH
    levels, rates = event_rates(combined, device, device_days, usual, config.leave_ratio, reach)
    learn = config.learn_readings
    return Calibration(
        channels, bends, tails, white, joint_scale, stuck, score_table(combined), levels, rates, usual, learn, False
    )


def _by_noise(rows: Sorted, interval_ms: int, precisions: F64, stuck: F64, config: DetectorConfig) -> Calibration:
    """Calibration of a type of which so few rows are known that their tail can't be counted.

    Only the fastest smoothed residual is judged: it is past 1 where white noise, widened by how the sensor wanders,
    would leave `pointwise_tail` of rows. Devices learn for as long as the rows lasted.
    """
    n_sensors = rows.values.shape[1]
    expectation = fit_expectation(rows.device, rows.ts, rows.values, precisions, config)
    noise = row_noise(rows.values, rows.device) / expectation.scale[:, 1] / expectation.own
    noise = np.where(noise > 0, noise, 1.0)
    past = rare(config.pointwise_tail, n_sensors) * smoothed_deviation(config.half_lives[0])
    channels = np.full((n_sensors, N_CHANNELS), NEVER)
    channels[:, SMOOTH_FAST] = np.minimum(past * noise * wander_factors(rows.values, rows.device, config), NEVER)
    levels, rates = normal_rates(config.pointwise_tail, n_sensors, DAY_MS / interval_ms)
    usual = float(np.interp(-np.log10(1 - USUAL), normal_score(levels, config.pointwise_tail, n_sensors), levels))
    return Calibration(
        channels,
        np.ones_like(channels),
        np.ones(n_sensors),
        np.eye(n_sensors),
        NEVER,
        stuck,
        normal_score(knot_values(), config.pointwise_tail, n_sensors).astype(np.float32),
        levels,
        rates,
        usual,
        max(rows.usual_rows, config.learn_readings),
        True,
    )


def _folds(rows: Sorted) -> list[tuple[Sorted, Sorted]]:
    if rows.n_devices >= 4:
        # Peers stay together, where there are groups enough.
        by = rows.group if len(np.unique(rows.group)) >= 4 and rows.group.min() >= 0 else rows.device
        even = by % 2 == 0
        return [(rows.take(even), rows.take(~even)), (rows.take(~even), rows.take(even))]
    position = np.arange(len(rows.device)) - np.searchsorted(rows.device, rows.device)
    size = np.bincount(rows.device)[rows.device]
    return [(rows.take(position < 0.6 * size), rows)]


def _usual_stillness(still: F32, device: I64) -> F64:
    """The longest stillness (S, 2), at home and away, of all devices but the stillest tenth, which may be stuck."""
    longest = np.zeros((int(device[-1]) + 1, *still.shape[1:]))
    np.maximum.at(longest, device, np.nan_to_num(still))
    result: F64 = np.quantile(longest, 0.9, axis=0, method="higher" if len(longest) < 10 else "nearest")
    return result


def _channel_scales(recorded: F32, device: I64, wander: F64, config: DetectorConfig) -> tuple[F64, F64]:
    """What `channel_tail` of a usual device's rows are past, (S, channels), not below what white noise would give; and
    the powers (S, channels), at most 1, that bring the highest that usual devices got to the common `RARE`.

    Of the devices' own quantiles the one that three quarters of them keep: odd ones must not make a channel deaf. (Nine
    tenths let one faulty device of eight do so; half made the levels of types whose devices differ too high.)
    """
    lives = {SMOOTH_FAST: config.half_lives[0], SMOOTH_HOUR: config.half_lives[1], SMOOTH_DAY: config.half_lives[2]}
    floors = {INNOVATION: 2.8, NOISY: 0.3, JUMPY: 0.15} | {
        channel: 2.8 * np.sqrt((1 - 0.5 ** (1 / life)) / (1 + 0.5 ** (1 / life))) for channel, life in lives.items()
    }
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)]
    rows_each = np.median(ends - starts)
    scales = np.full((recorded.shape[1], N_CHANNELS), NEVER)
    bends = np.ones_like(scales)
    for channel in range(N_CHANNELS):
        if channel in lives and channel != SMOOTH_FAST and 4 * lives[channel] > rows_each:
            continue
        each = [
            high_quantile(recorded[a:b, :, channel], 1 - config.channel_tail) for a, b in zip(starts, ends, strict=True)
        ]
        usual = high_quantile(np.array(each), 0.75)
        factor = wander if channel in lives else np.ones_like(wander)
        scales[:, channel] = np.where(np.isfinite(usual), np.maximum(usual, floors[channel]) * factor, NEVER)
        if len(starts) >= 8 and rows_each >= MANY_ROWS:
            highest = high_quantile(
                np.array(
                    [
                        np.nanmax(recorded[a:b, :, channel], axis=0, initial=0.0)
                        for a, b in zip(starts, ends, strict=True)
                    ]
                ),
                0.75,
            )
            times = np.maximum(np.nan_to_num(highest) / scales[:, channel], RARE)
            bends[:, channel] = np.log(RARE) / np.log(times)
    return scales, bends


def high_quantile(values: np.ndarray, share: float) -> F64:
    """The quantile of each column (n, S), NaN left out; NaN for a column without 10 values (or n, where n is less)."""
    ordered = np.sort(values, axis=0)
    there = np.isfinite(ordered).sum(axis=0)
    place = np.minimum((share * there).astype(np.intp), np.maximum(there - 1, 0))
    picked = np.take_along_axis(ordered, place[None, :], axis=0)[0].astype(float)
    result: F64 = np.where(there >= min(10, len(values)), picked, np.nan)
    return result


def _whitening(joint: F32, wander: F64, config: DetectorConfig) -> tuple[F64, float]:
    """Inverse Cholesky factor (S, S) of the shrunk covariance of smoothed residuals, and the distance that is rare."""
    clean = np.nan_to_num(joint.astype(float)) / wander
    limit = np.quantile(np.abs(clean[:: max(1, len(clean) // 60_000)]), 0.99, axis=0)
    covariance = np.cov(np.clip(clean, -limit, limit), rowvar=False).reshape(joint.shape[1], joint.shape[1])
    diagonal = np.maximum(np.diag(covariance), 1e-3)
    shrunk = (1 - config.shrinkage) * covariance + np.diag(diagonal - (1 - config.shrinkage) * np.diag(covariance))
    white = np.tril(np.linalg.inv(np.linalg.cholesky(shrunk)))
    distance = np.sqrt(((clean @ white.T) ** 2).sum(axis=1))
    return white / wander, max(float(np.quantile(distance, 1 - config.channel_tail)), 1e-3)


def sensor_sizes(recorded: F32, channels: F64, bends: F64, white: F64, joint_scale: float) -> F64:
    """How odd each sensor (n, S) of recorded rows is, as the kernel makes it: its own channels, and its share of what
    is odd in all together."""
    units = np.nan_to_num(recorded[:, :, :N_CHANNELS] / channels.astype(np.float32))
    past = units > 1.0
    units[past] **= np.broadcast_to(bends.astype(np.float32), units.shape)[past]
    unit = np.minimum(units.max(axis=2).astype(float), 1e4)
    joint = np.nan_to_num(recorded[:, :, N_CHANNELS]).astype(float)
    whitened = joint @ white.T
    share = np.maximum((whitened @ white) * joint, 0.0)
    together = np.minimum(np.sqrt((whitened**2).sum(axis=1)) / joint_scale, 1e4)
    share *= (together**8 / (share.sum(axis=1) + 1e-30))[:, None]
    result: F64 = (unit**8 + share) ** 0.125
    return result


def norm(sizes: F64) -> F64:
    """The combined statistic (n,) of sensors' sizes (n, S)."""
    result: F64 = (sizes**8).sum(axis=1) ** 0.125
    return result


def usual_tails(sizes: F64, device: I64, config: DetectorConfig) -> F64:
    """The size (S,) that `own_tail` of a usual device's rows are past: the devices' median; inf where none tells."""
    tails = _tails(sizes, device, config)
    told = np.isfinite(tails).all(axis=1)
    if not told.any():
        return np.full(sizes.shape[1], np.inf)
    result: F64 = np.maximum(np.median(tails[told], axis=0), 1e-3)
    return result


def habits_of(sizes: F64, device: I64, tails: F64, config: DetectorConfig) -> F64:
    """How much odder (n_devices, S) than the usual device's each sensor is by nature; 1 to `own_limit`."""
    own = np.nan_to_num(_tails(sizes, device, config), nan=0.0)
    result: F64 = np.clip(own / tails, 1.0, config.own_limit)
    return result


def _tails(sizes: F64, device: I64, config: DetectorConfig) -> F64:
    """The size (n_devices, S) that `own_tail` of each device's rows are past; NaN for one with too few."""
    order = np.argsort(device, kind="stable")
    names, starts = np.unique(device[order], return_index=True)
    found = np.full((int(device.max(initial=-1)) + 1, sizes.shape[1]), np.nan)
    for name, first, count in zip(names, starts, np.bincount(device)[names], strict=True):
        rows = order[first : first + count]
        if len(rows) >= config.own_rows:
            found[name] = high_quantile(sizes[rows], 1 - config.own_tail)
    return found


def _without_odd_devices(combined: F64, device: I64) -> np.ndarray:
    """Mask of rows of devices that look like the rest: training data may hold faults, and nobody has said which."""
    names, numbers = np.unique(device, return_inverse=True)
    if len(names) < 8:
        return np.ones(len(device), bool)
    high = np.array([np.quantile(combined[numbers == d], 0.99) for d in range(len(names))])
    size = np.log(np.maximum(high, 1e-3))
    middle = np.median(size)
    spread = max(1.4826 * float(np.median(np.abs(size - middle))), 0.25)
    return np.asarray((size <= middle + 3.0 * spread)[numbers])
