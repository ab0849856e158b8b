"""What a short stretch of rows says of a sensor: its noise from row to row, and how far it wanders from its level.

Over days the season and the rows themselves show how far a sensor goes. A few hundred rows don't: a sensor that moved
a little in them may move far in the next thousand. How much more its means over some rows differ than those of white
noise would (the long-run deviation of time-series statistics; Newey and West, 1987) says what is to be expected.
"""

from math import erfc, sqrt
from statistics import NormalDist

import numpy as np

from .blocks import F64, I64
from .calibration import SCORE_LIMIT, knot_values
from .config import DetectorConfig

STRETCHES = (1, 2, 4)
"""Wander is looked for over so many half-lives of the smoothed residual that it widens."""

TRIM = 0.9
TRIM_LOSS = 0.831
"""Mean of the squares of a normal variable that is cut at this quantile of its size: 1 without the cut."""


def each_device(device: I64) -> list[slice]:
    """Where the rows of each device are, rows sorted by device."""
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    return [slice(int(a), int(b)) for a, b in zip(starts, np.r_[starts[1:], len(device)], strict=True)]


def row_noise(values: F64, device: I64) -> F64:
    """Deviation of a sensor's noise (S,), from the differences of rows (n, S): no level and no drift is in it.

    (von Neumann, 1941.) The median of the devices; rows sorted by device and time.
    """
    each = [np.sqrt(_mean(np.diff(values[rows], axis=0) ** 2) / 2) for rows in each_device(device)]
    result: F64 = np.median(each, axis=0)
    return result


def wander(values: F64, device: I64, half_life: float) -> F64:
    """How much more (S,) the means of some rows differ than white noise as strong as the sensor's would let them.

    1 for white noise, less where noise undoes itself (a sensor that jumps between two steps), more for a sensor that
    wanders. Geometric mean over stretches of one, two and four half-lives; of each, differences of neighbouring means,
    the largest tenth cut to the rest, so that one change of level doesn't count as a habit. The median of the devices
    that are long enough; ones where none is.
    """
    lengths = [round(half_life * times) for times in STRETCHES]
    found = []
    for rows in each_device(device):
        own = values[rows]
        noise = np.maximum(np.sqrt(_mean(np.diff(own, axis=0) ** 2) / 2), 1e-12)
        ratios = [_mean_spread(own, length) * np.sqrt(length) / noise for length in lengths if len(own) >= 4 * length]
        if ratios:
            found.append(np.exp(np.mean(np.log(np.maximum(ratios, 1e-3)), axis=0)))
    result: F64 = np.median(found, axis=0) if found else np.ones(values.shape[1])
    return result


def shows_wander(half_life: float) -> int:
    """Rows of a device from which on its wander can be seen over all stretches."""
    return 4 * round(half_life * max(STRETCHES))


def wander_factors(values: F64, device: I64, config: DetectorConfig) -> F64:
    """How much wider (S,) to take a smoothed residual than noise alone would make it, where rows are few.

    Infinite for a sensor that wanders past `wander_limit`: where its level will be, nobody can say.
    """
    found = wander(values, device, config.half_lives[0])
    factors = np.maximum(1.0, config.wander_scale * found) ** config.wander_power
    result: F64 = np.where(found > config.wander_limit, np.inf, factors)
    return result


def smoothed_deviation(half_life: float) -> float:
    """Deviation of white noise of deviation 1 after exponential smoothing."""
    keep = 0.5 ** (1.0 / half_life)
    return float(np.sqrt((1.0 - keep) / (1.0 + keep)))


def rare(tail: float, n_sensors: int) -> float:
    """How many deviations the oddest of so many independent normal sensors is past in this part of rows (Šidák)."""
    alone = -np.expm1(np.log1p(-tail) / n_sensors)
    return NormalDist().inv_cdf(1.0 - alone / 2)


def normal_score(at: F64, tail: float, n_sensors: int) -> F64:
    """-log10 of the part of rows past the levels `at`, where 1 is the level that `tail` of them are past."""
    deviations = at * rare(tail, n_sensors)
    alone = np.minimum([erfc(each / sqrt(2.0)) for each in deviations], 1.0 - 1e-12)
    score = -np.log10(np.maximum(-np.expm1(n_sensors * np.log1p(-alone)), 10.0**-SCORE_LIMIT))
    result: F64 = np.clip(score, 0.0, SCORE_LIMIT)
    return result


def normal_rates(tail: float, n_sensors: int, rows_per_day: float) -> tuple[F64, F64]:
    """Levels (k,) and false events per device-day at each, (k,), falling: each row past a level may be one."""
    levels = knot_values()
    levels = levels[(levels >= 0.25) & (levels <= 4.0)]
    rates = 10.0 ** -normal_score(levels, tail, n_sensors) * rows_per_day
    falls = np.r_[True, np.diff(rates) < 0]
    return levels[falls], rates[falls]


def _mean_spread(values: F64, length: int) -> F64:
    """Deviation (S,) of means over `length` rows, from how neighbouring ones differ."""
    there = np.isfinite(values)
    filled = np.where(there, values, _mean(values))
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1])), filled]), axis=0)
    means = (sums[length:] - sums[:-length]) / length
    apart = np.abs(means[length:] - means[:-length])
    cut = np.minimum(apart, np.quantile(apart, TRIM, axis=0))
    result: F64 = np.sqrt((cut**2).mean(axis=0) / TRIM_LOSS / 2)
    return result


def _mean(values: F64) -> F64:
    """Mean over the first axis, NaN left out; 0 where there is nothing else."""
    there = np.isfinite(values)
    result: F64 = np.where(there, values, 0.0).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return result
