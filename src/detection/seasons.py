"""The season of a type: harmonics of day and week that all its devices share, as a table the kernel reads."""

import numpy as np

from .blocks import F32, F64, I64
from .config import DAY_MS, DetectorConfig

BINS_PER_DAY = 144
WEEK_MS = 7 * DAY_MS
RIDGE = 3.0
CUT = 8.0
SPREAD_LOW, SPREAD_HIGH = 0.3, 4.0


def demean(values: F64, device: I64) -> F64:
    """Take each device's mean off: values (n, k) with NaN where missing, rows sorted by device."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    there = np.isfinite(values)
    sums = np.add.reduceat(np.where(there, values, 0.0), starts, axis=0)
    means: F64 = sums / np.maximum(np.add.reduceat(there, starts, axis=0, dtype=np.int64), 1)
    return values - np.repeat(means, np.diff(np.r_[starts, len(device)]), axis=0)


def basis(ts: I64, span_days: float, config: DetectorConfig) -> F64:
    """Harmonics at the times `ts`, (n, k); none where the rows span too few days to know a season."""
    waves = []
    if span_days >= config.season_days:
        waves += [2 * np.pi * h * (ts % DAY_MS) / DAY_MS for h in range(1, config.season_harmonics + 1)]
    if span_days >= config.week_days:
        waves += [2 * np.pi * h * (ts % WEEK_MS) / WEEK_MS for h in range(1, config.week_harmonics + 1)]
    columns = [f(wave) for wave in waves for f in (np.cos, np.sin)]
    return np.stack(columns, axis=1) if columns else np.zeros((len(ts), 0))


def period_ms(span_days: float, config: DetectorConfig) -> int:
    """How long the table of a season is: a week where one was learnt, else a day."""
    return WEEK_MS if span_days >= config.week_days else DAY_MS


def fit_season(x: F64, device: I64, ts: I64, span_days: float, config: DetectorConfig) -> F64:
    """Coefficients (k, S) of the harmonics: ridge on the deviations from each device's mean, outliers cut."""
    waves = basis(ts, span_days, config)
    coefficients: F64 = np.zeros((waves.shape[1], x.shape[1]))
    if not waves.shape[1]:
        return coefficients
    design = demean(waves, device)
    target = np.nan_to_num(demean(x, device))
    gram = design.T @ design + RIDGE * np.eye(waves.shape[1])
    wanted = np.clip(target, -CUT, CUT)
    for _ in range(2):
        coefficients = np.asarray(np.linalg.solve(gram, design.T @ wanted), np.float64)
        expected = design @ coefficients
        left = target - expected
        low, high = np.quantile(left[:: max(1, len(left) // 60_000)], [0.005, 0.995], axis=0)
        wanted = expected + np.clip(left, low, high)
    return coefficients


def busy_profile(residual: F64, ts: I64, span_days: float, config: DetectorConfig) -> F64:
    """How much wider than usual residuals are at each time of day, (BINS_PER_DAY, S); ones where no season is known.

    Robust spread in each bin over the spread of all, smoothed over two hours.
    """
    profile = np.ones((BINS_PER_DAY, residual.shape[1]))
    if span_days < config.season_days:
        return profile
    bins = ((ts % DAY_MS) * BINS_PER_DAY // DAY_MS).astype(np.intp)
    reach = BINS_PER_DAY // 24
    kernel = np.ones(2 * reach + 1) / (2 * reach + 1)
    for s in range(residual.shape[1]):
        size = np.abs(residual[:, s])
        there = np.isfinite(size)
        if there.sum() < 20 * BINS_PER_DAY:
            continue
        size = np.minimum(size, np.quantile(size[there], 0.99))
        weight = np.bincount(bins[there], minlength=BINS_PER_DAY)
        squares = np.bincount(bins[there], weights=size[there] ** 2, minlength=BINS_PER_DAY)
        squares, weight = (np.convolve(np.r_[a[-reach:], a, a[:reach]], kernel, "valid") for a in (squares, weight))
        rms = np.sqrt(squares / np.maximum(weight, 1e-9))
        rms[weight <= 0] = 0.0
        middle = np.median(rms[weight > 0])
        if middle > 0:
            profile[:, s] = np.clip(np.where(weight > 0, rms / middle, 1.0), SPREAD_LOW, SPREAD_HIGH)
    return profile


def season_table(coefficients: F64, busy: F64, span_days: float, config: DetectorConfig) -> F32:
    """The table (bins, 2, S) over one period: expected level and relative spread, straight between bins."""
    period = period_ms(span_days, config)
    n_bins = BINS_PER_DAY * (period // DAY_MS)
    ts = (np.arange(n_bins, dtype=np.int64) * period) // n_bins
    level = basis(ts, span_days, config) @ coefficients
    return np.ascontiguousarray(np.stack([level, np.tile(busy, (n_bins // BINS_PER_DAY, 1))], axis=1), np.float32)
