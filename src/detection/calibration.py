"""From how odd a row is to how rare that is: scales of channels, tail probability, events a day.

Without labels. Looks at rows that were not fitted on; the tail past the data is a generalised Pareto distribution
fitted by probability-weighted moments (Hosking and Wallis, 1987), its shape held between exponential and heavy.
"""

from dataclasses import dataclass

import numpy as np

from .blocks import F32, F64, I64
from .events import events_at
from .kernel import KNOT_FIRST, KNOT_STEP, N_KNOTS

MAX_SHAPE = 0.4
SCORE_LIMIT = 30.0

OFTEN = 0.1
"""Events per device-day from which on they are taken for healthy ones."""

OFTEN_TIMES = 10.0
"""The slope of the rate is taken from levels at which events are up to so many times as frequent as where counting
ends."""


@dataclass(frozen=True, slots=True)
class Tail:
    """P(excess > y) = fraction * (1 + shape * y / scale) ** (-1 / shape), for y above `start`."""

    start: float
    fraction: float
    scale: float
    shape: float

    def log10(self, at: F64) -> F64:
        """log10 of the probability to be past `at`, for values from `start` on."""
        y = np.maximum(at - self.start, 0.0) / self.scale
        decay = y if self.shape < 1e-6 else np.log1p(self.shape * y) / self.shape
        result: F64 = np.log10(self.fraction) - decay / np.log(10.0)
        return result

    def level(self, tail: float) -> float:
        """The value that this part of all is past; `start` where the part is larger than the tail's."""
        rarer = np.log(max(self.fraction / tail, 1.0))
        grows = rarer if self.shape < 1e-6 else np.expm1(self.shape * rarer) / self.shape
        return float(self.start + self.scale * grows)


def fit_tail(values: F64, fraction: float) -> Tail:
    """The tail of `values` past the quantile that leaves `fraction` of them, and at least 10 values."""
    ordered = np.sort(values)
    count = min(max(round(fraction * len(ordered)), 10), len(ordered) - 1)
    start = float(ordered[-count - 1])
    excess = ordered[-count:] - start
    mean = max(float(excess.mean()), 1e-6)
    # a1 = E[X (1 - F)], the second probability-weighted moment.
    a1 = float(np.mean(excess * (1.0 - (np.arange(1, count + 1) - 0.35) / count)))
    shape, scale = 0.0, mean
    if mean > 2 * a1 > 0:
        shape = float(np.clip(2.0 - mean / (mean - 2.0 * a1), 0.0, MAX_SHAPE))
        scale = mean * (1.0 - shape)
    return Tail(start, count / len(ordered), max(scale, 1e-6), shape)


def knot_values() -> F64:
    """The combined statistic at each knot of the score table, (N_KNOTS,)."""
    result: F64 = np.exp2(KNOT_FIRST + KNOT_STEP * np.arange(N_KNOTS))
    return result


def score_table(combined: F64) -> F32:
    """-log10 of the tail probability at each knot, from the combined statistic of calibration rows (n,)."""
    at = knot_values()
    tail = fit_tail(combined, 0.02)
    ordered = np.sort(combined)
    share = (len(ordered) - np.searchsorted(ordered, at, side="left") + 0.5) / (len(ordered) + 1.0)
    score = np.where(at <= tail.start, -np.log10(share), -tail.log10(at))
    return np.minimum(np.maximum.accumulate(np.maximum(score, 0.0)), SCORE_LIMIT).astype(np.float32)


def leave_level(enter: F64, usual: float, ratio: float) -> F64:
    """The level (k,) at which an alarm that began at `enter` ends: not so low that healthy rows are seldom below."""
    result: F64 = np.maximum(ratio * enter, np.minimum(usual, 0.8 * enter))
    return result


def event_rates(
    combined: F64, device: I64, device_days: float, usual: float, ratio: float, reach: float
) -> tuple[F64, F64]:
    """Levels (k,) of the combined statistic and false events per device-day at each, (k,), falling.

    Counted where events are frequent: faults in the rows, of which nobody has told, are few beside them. From there the
    rate goes on as a straight line in log-log up to `reach` times the highest level that was counted.
    """
    levels = np.geomspace(max(float(np.quantile(combined, 0.9)), 0.1), max(float(combined.max()), 0.2), 60)
    counts = events_at(combined, device, levels, leave_level(levels, usual, ratio)).astype(float)
    # Few events at low levels are long ones; a rate must fall as the level rises.
    counts = np.maximum.accumulate(counts[::-1])[::-1]
    solid = (counts >= 5) & (counts >= OFTEN * device_days)
    if solid.sum() < 4:
        solid = np.zeros(len(levels), bool)
        solid[:4] = True
    x, y = np.log(levels[solid]), np.log(counts[solid] + 0.5)
    last = y <= y[-1] + np.log(OFTEN_TIMES)
    slope = -float(np.polyfit(x[last], y[last], 1)[0]) if last.sum() >= 3 else 4.0
    slope = min(max(slope, 2.0), 8.0)
    beyond = np.geomspace(levels[solid][-1] * 1.05, levels[solid][-1] * reach, 60)
    rate_beyond = (counts[solid][-1] + 0.5) * (beyond / levels[solid][-1]) ** -slope
    all_levels = np.r_[levels[solid], beyond]
    rates = np.r_[counts[solid] + 0.5, rate_beyond] / max(device_days, 1e-9)
    return all_levels, np.minimum.accumulate(rates)
