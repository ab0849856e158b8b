"""What is normal for a type: scale, season, and what the sensors of a device say of each other."""

from dataclasses import dataclass, replace

import numpy as np

from .blocks import F32, F64, I64
from .config import DAY_MS, DetectorConfig
from .seasons import basis, busy_profile, demean, fit_season, season_table

TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Expectation:
    """Learnt from the rows of a type with S sensors; arrays as the kernel wants them.

    `scale` float64 (S, 2): centre and spread in the sensor's unit; `own`, `cross_spread`, `prior`, `still`, `told`
    float64 (S,); `cross` float32 (S, 2 S), weights of the others now and smoothed; `season` float32
    (bins, 2, S); `span_days`, how long the rows reach.
    """

    scale: F64
    own: F64
    cross_spread: F64
    prior: F64
    still: F64
    cross: F32
    told: F64
    season: F32
    span_days: float

    def without_others(self) -> "Expectation":
        """The same, where each sensor is expected from its own past alone."""
        return replace(self, cross_spread=np.zeros_like(self.cross_spread), cross=np.zeros_like(self.cross))


def spread_of(values: F64) -> F64:
    """Robust spread of each column (n, S): 1.4826 MAD, or where most values are the same, the trimmed deviation."""
    values = values[:: max(1, len(values) // 60_000)]
    result = np.zeros(values.shape[1])
    for s in range(values.shape[1]):
        column = values[np.isfinite(values[:, s]), s]
        if not len(column):
            continue
        off = np.abs(column - np.median(column))
        cut = np.minimum(off, np.quantile(off, 0.99))
        result[s] = max(1.4826 * float(np.median(off)), 0.7 * float(np.sqrt(np.mean(cut**2))))
    return result


def usual_spread(values: F64, device: I64) -> F64:
    """Spread (S,) within half of the devices, rows sorted by device; of all rows together where that is 0."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)]
    each = np.array([spread_of(values[a : b : max(1, (b - a) // 1500)]) for a, b in zip(starts, ends, strict=True)])
    middle = np.median(each, axis=0)
    return np.where(middle > TINY, middle, spread_of(values))


def fit_scale(values: F64, device: I64, precisions: F64) -> tuple[F64, F64]:
    """Centre and spread of each sensor, (S, 2), and the spread of the devices' own centres, (S,), in those spreads.

    A sensor that never moves gets its precision as spread, or a millionth of its size: any change will be large.
    """
    n_sensors = values.shape[1]
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)]
    middles = np.full((len(starts), n_sensors), np.nan)
    for d, (a, b) in enumerate(zip(starts, ends, strict=True)):
        block = values[a : b : max(1, (b - a) // 1000)]
        some = np.isfinite(block).any(axis=0)
        middles[d, some] = np.nanmedian(block[:, some], axis=0)
    centre = np.array([np.median(m[np.isfinite(m)]) if np.isfinite(m).any() else 0.0 for m in middles.T])
    spread = usual_spread(values, device)
    least = np.maximum(np.nan_to_num(precisions), 1e-6 * np.maximum(np.abs(centre), 1.0))
    spread = np.maximum(spread, least)
    between = spread_of(middles - centre) / spread
    return np.stack([centre, spread], axis=1), between


def ridge_cross(residual: F64, slow: F64, config: DetectorConfig) -> F64:
    """Weights (S, 2 S) with which each sensor is told by the others, now and smoothed; 0 for the sensor itself.

    Ridge regression; residuals are cut at 10 spreads. `residual` (n, S) without gaps, `slow` (n, S) the same smoothed.
    """
    n_sensors = residual.shape[1]
    weights = np.zeros((n_sensors, 2 * n_sensors))
    if n_sensors < 2 or len(residual) < 10 * n_sensors:
        return weights
    both = np.concatenate([residual, slow], axis=1)
    spread = np.maximum(spread_of(both), TINY)
    clean = np.clip(both / spread, -10.0, 10.0)
    covariance = clean.T @ clean / len(clean)
    for s in range(n_sensors):
        rest = np.flatnonzero(np.arange(2 * n_sensors) % n_sensors != s)
        gram = covariance[np.ix_(rest, rest)]
        gram = gram + (config.ridge * np.trace(gram) / len(rest) + TINY) * np.eye(len(rest))
        weights[s, rest] = np.linalg.solve(gram, covariance[rest, s]) * spread[s] / spread[rest]
    return weights


def fit_expectation(device: I64, ts: I64, values: F64, precisions: F64, config: DetectorConfig) -> Expectation:
    """Learn what is normal. Rows sorted by device and time; `device` (n,) numbered from 0 without gaps.

    The other sensors are listened to only where they help on rows they weren't fitted on (every second device; with
    one device, the second half of its rows).
    """
    scale, between = fit_scale(values, device, precisions)
    x = np.clip((values - scale[:, 0]) / scale[:, 1], -config.value_clip, config.value_clip)
    span_days = usual_days(device, ts)
    coefficients = fit_season(x, device, ts, span_days, config)
    residual = demean(x - basis(ts, span_days, config) @ coefficients, device)
    busy = busy_profile(residual, ts, span_days, config)
    own = np.maximum(usual_spread(residual / at_times(busy, ts), device), 1e-3)
    full = np.nan_to_num(residual)
    slow = smoothed(full, device, config.slow_half_life)
    half = device % 2 == 0 if device[-1] > 0 else np.arange(len(device)) < len(device) // 2
    told = np.empty_like(residual)
    for fold in (half, ~half):
        weights = ridge_cross(full[fold], slow[fold], config)
        told[~fold] = np.concatenate([full[~fold], slow[~fold]], axis=1) @ weights.T
    left = np.maximum(usual_spread((residual - told) / at_times(busy, ts), device), 1e-3)
    helps = left < config.cross_gain * own
    steps = np.abs(np.diff(x, axis=0))[np.diff(device) == 0]
    still = np.array([_stillness(steps[:, s], precisions[s] / scale[s, 1]) for s in range(x.shape[1])])
    return Expectation(
        scale=np.ascontiguousarray(scale),
        own=own,
        cross_spread=np.where(helps, left, 0.0),
        prior=np.minimum((own / np.maximum(between, 1e-3)) ** 2, 30.0),
        still=still,
        cross=np.ascontiguousarray(np.where(helps[:, None], ridge_cross(full, slow, config), 0.0), np.float32),
        told=(told**2).mean(axis=0),
        season=season_table(coefficients, busy, span_days, config),
        span_days=span_days,
    )


def usual_days(device: I64, ts: I64) -> float:
    """Days from the first to the last row of a device, for half of the devices; rows sorted by device and time."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)] - 1
    return float(np.median(ts[ends] - ts[starts])) / DAY_MS


def smoothed(values: F64, device: I64, half_life: float) -> F64:
    """Exponentially weighted means (n, S) of rows sorted by device and time, before each row, from 0."""
    from scipy.signal import lfilter  # a second to import, and only training needs it

    keep = 0.5 ** (1.0 / half_life)
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    result = np.empty_like(values)
    for a, b in zip(starts, np.r_[starts[1:], len(device)], strict=True):
        result[a:b] = lfilter([0.0, 1.0 - keep], [1.0, -keep], values[a:b], axis=0)
    return result


def at_times(busy: F64, ts: I64) -> F64:
    """The profile of spreads at the times `ts`, (n, S)."""
    picked: F64 = busy[((ts % DAY_MS) * len(busy) // DAY_MS).astype(np.intp)]
    return picked


def _stillness(steps: F64, precision: float) -> float:
    """A change below this counts as none: half the sensor's step, or a fiftieth of its usual change."""
    steps = steps[np.isfinite(steps)]
    usual = 0.02 * float(np.median(steps)) if len(steps) else 0.0
    return max(usual, 0.5 * precision if np.isfinite(precision) else 0.0)
