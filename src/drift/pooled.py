"""Pooled drift: have the readings of a slice of a fleet another distribution than before?

At the size of a fleet the Kolmogorov-Smirnov test finds any two weeks different, as their weather was. So its
p-value must be small AND its statistic larger than those of the weeks before among themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import ks_2samp

from ..detection.blocks import F64
from .adjusting import adjusted

ALPHA = 0.05
LEAST_EFFECT = 0.1
MORE_THAN_BEFORE = 1.5
MAX_VALUES = 20_000
"""Values of a sample, taken at even distances: the test costs their sorting, and no verdict hangs on more."""

PLAIN_VALUES = 20_000
"""Values of a period for the plain test, which at this many calls any two weeks different already."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Values of one sensor of one slice: `current`, and `before`, at least two earlier periods of the same length."""

    name: str
    sensor: str
    before: Sequence[F64]
    current: F64


@dataclass(frozen=True, slots=True)
class PooledDrift:
    """What was found: the KS `statistic` and its plain and adjusted p-value, `usual`, the largest statistic of an
    earlier period against the others, and whether that is drift."""

    name: str
    sensor: str
    statistic: float
    p_value: float
    adjusted_p: float
    usual: float
    drifted: bool


def pooled_drift(slices: Sequence[Slice], alpha: float = ALPHA) -> list[PooledDrift]:
    """Compare the current period of each slice with the earlier ones. A slice of fewer than two values is stable."""
    tests = [_test(one) for one in slices]
    corrected = adjusted(np.array([p for _, p, _ in tests]))
    return [
        PooledDrift(
            one.name,
            one.sensor,
            statistic,
            p_value,
            float(p),
            usual,
            bool(p < alpha and statistic > max(LEAST_EFFECT, MORE_THAN_BEFORE * usual)),
        )
        for one, (statistic, p_value, usual), p in zip(slices, tests, corrected, strict=True)
    ]


def plain_ks(before: Sequence[F64], current: F64) -> float:
    """The p-value of `ks_2samp` alone, over many values: what is shown beside, to show why it isn't enough."""
    earlier = np.concatenate([_thinned(_there(each), PLAIN_VALUES) for each in before])
    return _ks(earlier, _thinned(_there(current), PLAIN_VALUES))[1]


def _test(one: Slice) -> tuple[float, float, float]:
    before = [_thinned(_there(each)) for each in one.before]
    statistic, p_value = _ks(_thinned(np.concatenate(before)), _thinned(_there(one.current)))
    return statistic, p_value, _usual(before)


def _usual(before: Sequence[F64]) -> float:
    """The largest KS statistic of a period against the others: `ks_2samp`'s own, but all are sorted only once."""
    points = np.sort(np.concatenate(before))
    below = np.stack([np.searchsorted(np.sort(each), points, side="right") for each in before])
    sizes = np.array([len(each) for each in before])[:, None]
    rest = sizes.sum() - sizes
    apart = [n for n in range(len(before)) if sizes[n] and rest[n]]
    shares = below[apart] / sizes[apart] - (below.sum(axis=0) - below[apart]) / rest[apart]
    return float(np.abs(shares).max()) if shares.size else 0.0


def _ks(a: F64, b: F64) -> tuple[float, float]:
    if min(len(a), len(b)) < 2:
        return 0.0, 1.0
    found = ks_2samp(a, b, method="asymp")
    return float(found.statistic), float(found.pvalue)


def _there(values: F64) -> F64:
    return values[np.isfinite(values)]


def _thinned(values: F64, most: int = MAX_VALUES) -> F64:
    return values[:: max(1, -(-len(values) // most))]
