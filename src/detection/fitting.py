"""How a detector learns: what is normal, then, on rows that were not fitted on, how often normal looks odd."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..exceptions import ModelError
from .blocks import F32, F64, I64, TrainingRows
from .calibration import event_rates, knot_values, score_table
from .config import DAY_MS, DetectorConfig
from .expectation import Expectation, fit_expectation, usual_days
from .kernel import INNOVATION, N_CHANNELS, NOISY, SMOOTH_DAY, SMOOTH_FAST, SMOOTH_HOUR
from .noise import normal_rates, normal_score, rare, row_noise, shows_wander, smoothed_deviation, wander_factors

USUAL = 0.97
"""The part of healthy rows below the usual level."""

SHORT_REACH, LONG_REACH = 2.0, 30.0
"""Levels go so many times beyond the highest that was counted, where that was on less than a device-day, and else."""

NEVER = 1e9
"""Scale of a channel that the training rows can't judge: it never counts."""

Replay = Callable[[Expectation, int, I64, I64, F64], tuple[F32, F32]]
"""(expectation, learning rows, device, ts, values) -> channels (n, S, channels + 1), stillness (n, S)."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """Training rows by device (numbered from 0) and time, each time once; `values` (n, S), NaN where missing."""

    device: I64
    ts: I64
    values: F64

    def take(self, index: np.ndarray) -> "Sorted":
        """The rows chosen, devices numbered anew."""
        return Sorted(np.unique(self.device[index], return_inverse=True)[1], self.ts[index], self.values[index])

    @property
    def n_devices(self) -> int:
        """How many devices the rows are of."""
        return int(self.device[-1]) + 1

    @property
    def usual_rows(self) -> int:
        """Rows that half of the devices have."""
        return int(np.median(np.bincount(self.device)))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How odd is rare. `channels` (S, channels), scale of each; `white` (S, S) and `joint_scale` for sensors
    together; `stuck` (S,) intervals; `knots`, the score table; `levels` and `rates`, false events per device-day at
    each level; `usual`, the level that healthy rows seldom pass; `learn`, the readings for which a device learns;
    `few`, whether rows were too few to count, and to tell devices apart.
    """

    channels: F64
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
    numbers = np.unique(rows.device, return_inverse=True)[1].astype(np.int64)
    n_devices = int(numbers.max()) + 1
    room = config.max_rows * 8 // max(rows.values.shape[1], 8)
    keep_every = min(max(1, -(-len(rows) // room)), n_devices)
    chosen = np.flatnonzero(numbers % keep_every == 0)
    order = chosen[np.lexsort((rows.ts[chosen], numbers[chosen]))]
    device, ts = numbers[order] // keep_every, rows.ts[order]
    first = np.r_[True, (np.diff(device) != 0) | (np.diff(ts) != 0)]
    values = rows.values[order][first]
    return Sorted(device[first], ts[first], np.where(np.isfinite(values), values, np.nan))


def calibrate(rows: Sorted, interval_ms: int, precisions: F64, config: DetectorConfig, replay: Replay) -> Calibration:
    """Judge rows by what was learnt from others: half of the devices by the other half; with fewer than four devices,
    the last two fifths of each by the first three. Where that leaves too few rows to see their tail, by their noise."""
    learn = int(np.clip(rows.usual_rows // 2, 10, config.learn_readings))
    parts: list[tuple[F32, I64]] = []
    stillness = np.zeros(rows.values.shape[1])
    for fitted, judged in _folds(rows):
        expectation = fit_expectation(fitted.device, fitted.ts, fitted.values, precisions, config)
        recorded, still = replay(expectation, learn, judged.device, judged.ts, judged.values)
        stillness = np.maximum(stillness, _usual_stillness(still, judged.device))
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
        channels = _channel_scales(recorded[healthy], device[healthy], wander, config)
        white, joint_scale = _whitening(recorded[healthy, :, N_CHANNELS], wander, config)
        if channels[:, SMOOTH_HOUR].min() >= NEVER:
            joint_scale = NEVER  # rows too short to judge one sensor over an hour can't judge them together
        combined = _combine(recorded, channels, white, joint_scale)
        healthy = _without_odd_devices(combined, device)
    combined, device = combined[healthy], device[healthy]
    usual = float(np.quantile(combined, USUAL))
    device_days = len(combined) * interval_ms / DAY_MS
    # Less than a device-day can't say how rare is what comes once in a month; without an end, nothing would alarm.
    reach = SHORT_REACH if device_days < 1.0 else LONG_REACH
    levels, rates = event_rates(combined, device, device_days, usual, config.leave_ratio, reach)
    learn = config.learn_readings
    return Calibration(channels, white, joint_scale, stuck, score_table(combined), levels, rates, usual, learn, False)


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
        even = rows.device % 2 == 0
        return [(rows.take(even), rows.take(~even)), (rows.take(~even), rows.take(even))]
    position = np.arange(len(rows.device)) - np.searchsorted(rows.device, rows.device)
    size = np.bincount(rows.device)[rows.device]
    return [(rows.take(position < 0.6 * size), rows)]


def _usual_stillness(still: F32, device: I64) -> F64:
    """The longest stillness (S,) of all devices but the stillest tenth, which may be stuck."""
    longest = np.zeros((int(device[-1]) + 1, still.shape[1]))
    np.maximum.at(longest, device, np.nan_to_num(still))
    result: F64 = np.quantile(longest, 0.9, axis=0, method="higher" if len(longest) < 10 else "nearest")
    return result


def _channel_scales(recorded: F32, device: I64, wander: F64, config: DetectorConfig) -> F64:
    """What `channel_tail` of a usual device's rows are past, (S, channels), not below what white noise would give.

    Of the devices' own quantiles the one that three quarters of them keep: odd ones must not make a channel deaf. (Nine
    tenths let one faulty device of eight do so; half made the levels of types whose devices differ too high.)
    """
    lives = {SMOOTH_FAST: config.half_lives[0], SMOOTH_HOUR: config.half_lives[1], SMOOTH_DAY: config.half_lives[2]}
    floors = {INNOVATION: 2.8, NOISY: 0.3} | {
        channel: 2.8 * np.sqrt((1 - 0.5 ** (1 / life)) / (1 + 0.5 ** (1 / life))) for channel, life in lives.items()
    }
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)]
    rows_each = np.median(ends - starts)
    scales = np.full((recorded.shape[1], N_CHANNELS), NEVER)
    for channel in range(N_CHANNELS):
        if channel in lives and channel != SMOOTH_FAST and 4 * lives[channel] > rows_each:
            continue
        each = [
            high_quantile(recorded[a:b, :, channel], 1 - config.channel_tail) for a, b in zip(starts, ends, strict=True)
        ]
        usual = high_quantile(np.array(each), 0.75)
        factor = wander if channel in lives else np.ones_like(wander)
        scales[:, channel] = np.where(np.isfinite(usual), np.maximum(usual, floors[channel]) * factor, NEVER)
    return scales


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


def _combine(recorded: F32, channels: F64, white: F64, joint_scale: float) -> F64:
    """The combined statistic of recorded rows, as the kernel makes it."""
    unit = np.nan_to_num(recorded[:, :, :N_CHANNELS] / channels).max(axis=2).astype(float)
    distance = np.sqrt(((np.nan_to_num(recorded[:, :, N_CHANNELS]).astype(float) @ white.T) ** 2).sum(axis=1))
    result: F64 = ((np.minimum(unit, 1e4) ** 8).sum(axis=1) + np.minimum(distance / joint_scale, 1e4) ** 8) ** 0.125
    return result


def _without_odd_devices(combined: F64, device: I64) -> np.ndarray:
    """Mask of rows of devices that look like the rest: training data may hold faults, and nobody has said which."""
    names, numbers = np.unique(device, return_inverse=True)
    if len(names) < 8:
        return np.ones(len(device), bool)
    high = np.array([np.quantile(combined[numbers == d], 0.99) for d in range(len(names))])
    size = np.log(np.maximum(high, 1e-3))
    middle = np.median(size)
    spread = max(1.4826 * float(np.median(np.abs(size - middle))), 0.1)
    return np.asarray((size <= middle + 3.0 * spread)[numbers])
