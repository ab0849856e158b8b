"""What is normal for a type: scale, season, and what the sensors of a device say of each other."""

from dataclasses import dataclass, replace

import numpy as np

from . import kernel as at
from .blocks import F32, F64, I64
from .config import DAY_MS, DetectorConfig
from .modes import Modes, find_modes
from .seasons import basis, busy_profile, fit_season, known_times, season_table

TINY = 1e-9
SWING_CLIP = 4.0
LEAST_SPREAD = 0.02
LEAST_TELLING = 1e-3


@dataclass(frozen=True, slots=True)
class Expectation:
    """Learnt from the rows of a type with S sensors; arrays as the kernel wants them.

    `scale` float64 (S, 2): centre and spread in the sensor's unit; `swing`, `prior`, `still` float64 (S,);
    `modes` tells them apart, `moods` float64 (M, S, columns of the kernel), what is expected in each; `cross` float32
    (M, S, 2 S), weights of the others now and smoothed, all in devices' swings; `season` float32 (bins, 2, S);
    `span_days`, how long the rows reach.
    """

    scale: F64
    swing: F64
    prior: F64
    still: F64
    modes: Modes
    moods: F64
    cross: F32
    season: F32
    span_days: float

    @property
    def own(self) -> F64:
        """Spread (S,) of the residual from level and season in the usual mode."""
        return self.moods[0, :, at.OWN]

    @property
    def usual_width(self) -> F64:
        """Spread (S,) of the residual in the usual mode, from the others where they help."""
        own, cross = self.moods[0, :, at.OWN], self.moods[0, :, at.CROSS]
        return np.where(cross > 0, cross, own)

    def without_others(self) -> "Expectation":
        """The same, where each sensor is expected from its own past alone."""
        moods = self.moods.copy()
        moods[:, :, at.CROSS] = 0.0
        return replace(self, moods=moods, cross=np.zeros_like(self.cross))


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
        # What stands still says nothing.
        rest = np.flatnonzero((np.arange(2 * n_sensors) % n_sensors != s) & (spread > LEAST_TELLING))
        if not len(rest):
            continue
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
    modes = find_modes((values - scale[:, 0]) / scale[:, 1], device)
    mode = modes.of((values - scale[:, 0]) / scale[:, 1])
    at_home = modes.homes[mode]
    if len(modes.patterns) > 1:
        gaps = modes.gaps * scale[:, 1] + scale[:, 0]
        scale, between = fit_scale(np.where(at_home, values, np.nan), device, precisions)
        modes = Modes((gaps - scale[:, 0]) / scale[:, 1], modes.patterns)
    x = np.clip((values - scale[:, 0]) / scale[:, 1], -config.value_clip, config.value_clip)
    steady = _steady(mode, device, config)
    at_home &= steady[:, None]
    switches = np.isfinite(modes.gaps)
    span_days = usual_days(device, ts)
    coefficients = fit_season(x, device, ts, span_days, at_home, switches, config)
    residual = x - basis(ts, span_days, config) @ coefficients
    residual -= _means(np.where(at_home, residual, np.nan), device)
    at_work = at_times(busy_profile(np.where(at_home, residual, np.nan), ts, span_days, config), ts)
    own = np.maximum(usual_spread(np.where(at_home, residual, np.nan) / at_work, device), 1e-3)
    far = np.clip(np.nan_to_num(residual), -config.cross_clip, config.cross_clip)
    quick = far - smoothed(far, device, config.slow_half_life)
    squares = np.where(at_home & np.isfinite(residual), np.minimum(quick**2, (SWING_CLIP * own * at_work) ** 2), np.nan)
    swings = np.sqrt(np.maximum(_means(squares, device), TINY))
    swing = np.maximum(np.median(swings, axis=0), 1e-3)
    relative = np.clip(swings / swing, np.sqrt(at.SWING_LOW), np.sqrt(at.SWING_HIGH))
    far = np.clip(np.nan_to_num(residual) / relative, -config.cross_clip, config.cross_clip)
    slow = smoothed(far, device, config.slow_half_life)
    half = device % 2 == 0 if device[-1] > 0 else np.arange(len(device)) < len(device) // 2
    n_modes, n_sensors = len(modes.patterns), x.shape[1]
    moods = np.zeros((n_modes, n_sensors, at.N_MODE_COLUMNS))
    cross = np.zeros((n_modes, n_sensors, 2 * n_sensors))
    least = np.maximum(np.nan_to_num(precisions) / scale[:, 1], LEAST_SPREAD)
    left_home = np.full_like(residual, np.nan)
    for m in range(n_modes):
        here = steady & (mode == m)
        home = modes.homes[m]
        rest = residual[here]
        if m == 1:  # of which devices have a level of their own
            off = _means(np.where(here[:, None], residual, np.nan), device)[here]
            rest = rest - np.where(home, 0.0, off - np.median(off, axis=0))
        for s in range(n_sensors):
            shift, width = _centre_spread(rest[:, s])
            if m == 0 and home[s]:
                moods[m, s, : at.HOME + 1] = 0.0, 0.0, own[s], 0.0, 1.0
                continue
            instead, narrow = _centre_spread(x[here, s])
            if not home[s] and (switches[s] or narrow < 0.5 * width):
                moods[m, s, : at.HOME + 1] = instead, 1.0, max(narrow, least[s]), 0.0, 0.0
                rest[:, s] = x[here, s] - instead
            else:
                moods[m, s, : at.HOME + 1] = shift, 0.0, own[s] if home[s] else max(width, least[s]), 0.0, home[s]
                rest[:, s] -= shift
        full = np.clip(np.nan_to_num(rest) / relative[here], -config.cross_clip, config.cross_clip)
        told, weights = _told(full, slow[here], half[here], config)
        told *= relative[here]
        left = rest - told
        busy_left = busy_profile(left, ts[here], span_days, config)
        for s in range(n_sensors):
            if home[s]:
                width = float(usual_spread((left / at_times(busy_left, ts[here]))[:, [s]], device[here])[0])
            else:
                width = _centre_spread(left[:, s])[1]
            width = max(width, least[s] if m else 1e-3)
            if width < config.cross_gain * moods[m, s, at.OWN]:
                moods[m, s, at.CROSS] = width
                cross[m, s] = weights[s]
            if home[s]:
                left_home[here, s] = left[:, s] if moods[m, s, at.CROSS] > 0 else rest[:, s]
    busy = busy_profile(left_home, ts, span_days, config)
    steps = np.abs(np.diff(x, axis=0))[(np.diff(device) == 0) & steady[1:] & steady[:-1]]
    still = np.array([_stillness(steps[:, s], precisions[s] / scale[s, 1]) for s in range(n_sensors)])
    return Expectation(
        scale=np.ascontiguousarray(scale),
        swing=swing,
        prior=np.minimum((own / np.maximum(between, 1e-3)) ** 2, 30.0),
        still=still,
        modes=modes,
        moods=moods,
        cross=np.ascontiguousarray(cross, np.float32),
        season=season_table(coefficients, busy, known_times(at_home, ts, switches), span_days, config),
        span_days=span_days,
    )


def _told(full: F64, slow: F64, half: np.ndarray, config: DetectorConfig) -> tuple[F64, F64]:
    """What the others say (n, S) of each sensor, from rows not fitted on, and the weights (S, 2 S) of all rows."""
    told = np.zeros_like(full)
    if len(full) < 20 * full.shape[1]:
        return told, np.zeros((full.shape[1], 2 * full.shape[1]))
    for fold in (half, ~half):
        weights = ridge_cross(full[fold], slow[fold], config)
        told[~fold] = np.concatenate([full[~fold], slow[~fold]], axis=1) @ weights.T
    return told, ridge_cross(full, slow, config)


def _steady(mode: np.ndarray, device: I64, config: DetectorConfig) -> np.ndarray:
    """Rows (n,) that are not of the first readings after a change of mode."""
    changed = np.r_[False, (np.diff(mode) != 0) & (np.diff(device) == 0)]
    return ~np.convolve(changed, np.ones(config.change_readings), "full")[: len(mode)].astype(bool)


def _means(values: F64, device: I64) -> F64:
    """Each device's mean of values (n, k), NaN left out, on each of its rows; rows sorted by device."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    there = np.isfinite(values)
    sums = np.add.reduceat(np.where(there, values, 0.0), starts, axis=0)
    means: F64 = sums / np.maximum(np.add.reduceat(there, starts, axis=0, dtype=np.int64), 1)
    return np.repeat(means, np.diff(np.r_[starts, len(device)]), axis=0)


def _centre_spread(column: F64) -> tuple[float, float]:
    """Median and robust spread of a column (n,); 0 and 0 of none."""
    column = column[np.isfinite(column)]
    if not len(column):
        return 0.0, 0.0
    centre = float(np.median(column))
    return centre, float(spread_of(column[:, None] - centre)[0])


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
