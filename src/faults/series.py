"""What one series of numbers looks like: its runs, its periods, how it goes with another, what blocks of it are."""

import warnings

import numpy as np
from scipy.ndimage import median_filter

from .smoothing import F64

PERIOD_ROWS = (4, 90)
MOST_ROWS = 2880
"""Rows at the end of a series that a period is looked for in."""


def blocks(values: F64, per_block: int) -> tuple[F64, F64]:
    """Means (b, K) of blocks of rows (n, K), and logarithms (b, K) of how much they jump from row to row."""
    n = max(1, len(values) // per_block)
    shaped = values[: n * per_block].reshape(n, -1, values.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a block of missing values has no mean
        means = np.nanmean(shaped, axis=1)
        jumps = np.sqrt(np.nanmean(np.diff(shaped, axis=1) ** 2, axis=1))
    return means, np.log(jumps + 1e-4)


def robust_spread(values: F64) -> F64:
    """Spread (K,) of rows (n, K), NaN left out, that a few far ones hardly move: at least half the ordinary one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        middle = 1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values, axis=0)), axis=0)
        result: F64 = np.maximum(middle, 0.5 * np.nanstd(values, axis=0))
    return result


def signed_log(values: F64) -> F64:
    """Large numbers made smaller, with their sign."""
    result: F64 = np.sign(values) * np.log1p(np.abs(values))
    return result


def explained(y: F64, *by: F64) -> float:
    """The share of the energy of y (n,) that the best mixture of series takes away."""
    x = np.column_stack(by)
    found, *_ = np.linalg.lstsq(x, y, rcond=None)
    return 1.0 - float(np.sum((y - x @ found) ** 2) / (y @ y + 1e-9))


def correlation(a: F64, b: F64) -> float:
    """How two series (n,) go together; 0 where one stands still."""
    if len(a) < 3 or np.std(a) < 1e-9 or np.std(b) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def medians(values: F64, parts: int) -> F64:
    """Medians of so many equal parts of a series, or of fewer where it is shorter."""
    result: F64 = np.array([np.median(part) for part in np.array_split(values, max(1, min(parts, len(values))))])
    return result


def around_median(values: F64, size: int) -> F64:
    """A series less its running median over `size` rows."""
    result: F64 = values - median_filter(values, size=size, mode="nearest")
    return result


def runs(values: F64) -> tuple[float, float]:
    """The longest run of one value, in rows, and how often a value is the one before."""
    if len(values) < 2:
        return float(len(values)), 0.0
    same = np.diff(values) == 0.0
    borders = np.concatenate([[-1], np.flatnonzero(~same), [len(values) - 1]])
    return float(np.diff(borders).max()), float(same.mean())


def correlation_with_itself(values: F64, lag: int) -> float:
    """How a series (n,) goes with itself `lag` rows before."""
    if len(values) <= lag + 2:
        return 0.0
    off = values - values.mean()
    return float((off[lag:] @ off[:-lag]) / (off @ off + 1e-9))


def period(values: F64) -> tuple[float, int]:
    """How strongly a series comes again after a while, and after how many rows.

    The highest peak of its correlation with itself after that first fell below 0; slow moves are taken out before.
    """
    values = values[np.isfinite(values)][-MOST_ROWS:]
    n = len(values)
    if n < 60:
        return 0.0, 0
    values = values - _moving_mean(values, 121)
    spread = np.std(values)
    values = np.clip(values, -4 * spread, 4 * spread)
    power = np.abs(np.fft.rfft(values, 1 << int(2 * n - 1).bit_length())) ** 2
    auto = np.fft.irfft(power)[: PERIOD_ROWS[1] + 2]
    auto = auto / (auto[0] + 1e-9)
    below = np.flatnonzero(auto < 0.0)
    start = max(PERIOD_ROWS[0], int(below[0]) if len(below) else PERIOD_ROWS[0])
    last = min(len(auto) - 1, n // 2)
    if start >= last:
        return 0.0, 0
    at = start + int(np.argmax(auto[start:last]))
    return float(auto[at]), at


def _moving_mean(values: F64, size: int) -> F64:
    total = np.cumsum(np.concatenate([[0.0], values]))
    low = np.maximum(np.arange(len(values)) - size // 2, 0)
    high = np.minimum(np.arange(len(values)) + size // 2 + 1, len(values))
    result: F64 = (total[high] - total[low]) / (high - low)
    return result
