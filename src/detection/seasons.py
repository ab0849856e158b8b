"""The season of a type: harmonics of day and week that all its devices share, as a table the kernel reads."""

import numpy as np

from .blocks import F32, F64, I64
from .config import DAY_MS, DetectorConfig

BINS_PER_DAY = 144
WEEK_MS = 7 * DAY_MS
RIDGE = 3.0
CUT = 8.0
SPREAD_LOW, SPREAD_HIGH = 0.3, 4.0


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


OTHER_MODES = 0.05
"""What rows of other modes weigh in a season: enough where the usual mode has none, as by night."""


def fit_season(
    x: F64, device: I64, ts: I64, span_days: float, at_home: np.ndarray, switches: np.ndarray, config: DetectorConfig
) -> F64:
    """Coefficients (k, S) of the harmonics: ridge on the deviations from each device's mean, outliers cut.

    `at_home` (n, S) are the rows in which a sensor's level holds: others hardly count, and not at all for sensors that
    switch (S,).
    """
    waves = basis(ts, span_days, config)
    coefficients: F64 = np.zeros((waves.shape[1], x.shape[1]))
    if not waves.shape[1]:
        return coefficients
    groups = [[int(s)] for s in np.flatnonzero(switches)] + [[int(s) for s in np.flatnonzero(~switches)]]
    for group in groups:
        if not group:
            continue
        home = at_home[:, group[0]]
        weight = np.where(home, 1.0, 0.0 if switches[group[0]] else OTHER_MODES)
        design = _demean(waves, device, weight)
        target = np.nan_to_num(_demean(x[:, group], device, weight))
        gram = (design * weight[:, None]).T @ design + RIDGE * np.eye(waves.shape[1])
        wanted = np.clip(target, -CUT, CUT)
        for _ in range(2):
            found = np.asarray(np.linalg.solve(gram, design.T @ (wanted * weight[:, None])), np.float64)
            expected = design @ found
            left = (target - expected)[home]
            low, high = np.quantile(left[:: max(1, len(left) // 60_000)], [0.005, 0.995], axis=0)
            wanted = expected + np.clip(target - expected, low, high)
        coefficients[:, group] = found
    return coefficients


def _demean(values: F64, device: I64, weight: F64) -> F64:
    """Take each device's weighted mean off: values (n, k) with NaN where missing, rows sorted by device."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    there = np.isfinite(values) * weight[:, None]
    sums = np.add.reduceat(np.nan_to_num(values) * there, starts, axis=0)
    means: F64 = sums / np.maximum(np.add.reduceat(there, starts, axis=0), 1e-9)
    return values - np.repeat(means, np.diff(np.r_[starts, len(device)]), axis=0)


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
            # As wide as the hour before or after: clocks change, days grow longer.
            wide = np.max([np.roll(rms, by) for by in range(-reach, reach + 1)], axis=0)
            profile[:, s] = np.clip(np.where(wide > 0, wide / middle, 1.0), SPREAD_LOW, SPREAD_HIGH)
    return profile


KNOWN = 0.2
"""A time of day is known from so large a part of the rows that it would have if all had the same."""


def known_times(at_home: np.ndarray, ts: I64, switches: np.ndarray) -> np.ndarray:
    """The times of day (BINS_PER_DAY, S) at which a sensor that switches has been seen switched on; all, for others."""
    bins = ((ts % DAY_MS) * BINS_PER_DAY // DAY_MS).astype(np.intp)
    known = np.ones((BINS_PER_DAY, at_home.shape[1]), bool)
    for s in np.flatnonzero(switches):
        counts = np.bincount(bins[at_home[:, s]], minlength=BINS_PER_DAY)
        known[:, s] = counts >= max(KNOWN * len(ts) / BINS_PER_DAY, 1.0)
        known[:, s] |= not known[:, s].any()
    return known


def _nearest(known: np.ndarray) -> np.ndarray:
    """Each bin's nearest (BINS_PER_DAY,) that is known, round the clock."""
    there = np.flatnonzero(known)
    off = np.abs(np.arange(len(known))[:, None] - there)
    result: np.ndarray = there[np.minimum(off, len(known) - off).argmin(axis=1)]
    return result


def season_table(coefficients: F64, busy: F64, known: np.ndarray, span_days: float, config: DetectorConfig) -> F32:
    """The table (bins, 2, S) over one period: expected level and relative spread, straight between bins.

    Where the time of day isn't `known` (BINS_PER_DAY, S), what holds at the nearest that is: harmonics go anywhere
    between their data, and as days grow longer an inverter wakes at an hour at which it never did.
    """
    period = period_ms(span_days, config)
    n_bins = BINS_PER_DAY * (period // DAY_MS)
    ts = (np.arange(n_bins, dtype=np.int64) * period) // n_bins
    level = basis(ts, span_days, config) @ coefficients
    days = np.arange(n_bins) // BINS_PER_DAY * BINS_PER_DAY
    for s in range(level.shape[1]):
        nearest = _nearest(known[:, s])
        level[:, s] = level[days + np.tile(nearest, n_bins // BINS_PER_DAY), s]
        busy[:, s] = busy[nearest, s]
    return np.ascontiguousarray(np.stack([level, np.tile(busy, (n_bins // BINS_PER_DAY, 1))], axis=1), np.float32)
