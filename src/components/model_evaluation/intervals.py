"""Intervals: how sure a figure is. Devices are drawn anew, rows aren't: rows of one device say the same thing."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

Floats = npt.NDArray[np.float64]
DRAWS = 2_000
SEED = 20_261
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def told(self) -> str:
        """In words for a report."""
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"

    def either(self, more: str, less: str) -> str:
        """A difference in words: how many `more`, or where it is below 0, how many `less`."""
        if self.value >= 0:
            return f"{self.told} {more}"
        return f"{Interval(-self.value, -self.high, -self.low).told} {less}"


def ratio(part: Floats, whole: Floats) -> Interval:
    """sum(part) / sum(whole) over devices (n_devices,), by the percentile bootstrap over devices (Efron, 1979)."""
    drawn = _draws(len(part))
    return _interval(_ratio(part, whole), _ratio(part[drawn], whole[drawn]))


def difference(part: Floats, other: Floats, whole: Floats) -> Interval:
    """(sum(part) - sum(other)) / sum(whole): two models on the same devices, drawn together."""
    return ratio(part - other, whole)


def rate(events: int, exposure: float) -> Interval:
    """Events per unit of `exposure` with their exact Poisson interval (Garwood, 1936)."""
    tail = (1 - LEVEL) / 2
    low = float(chi2.ppf(tail, 2 * events)) / 2 if events else 0.0
    high = float(chi2.ppf(1 - tail, 2 * (events + 1))) / 2
    unit = max(exposure, 1e-9)
    return Interval(events / unit, low / unit, high / unit)


def _draws(n: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(SEED).integers(0, max(n, 1), (DRAWS, n))


def _ratio(part: Floats, whole: Floats) -> Floats:
    result: Floats = part.sum(axis=-1) / np.maximum(whole.sum(axis=-1), 1e-9)
    return result


def _interval(value: Floats, drawn: Floats) -> Interval:
    low, high = np.quantile(drawn, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return Interval(float(value), float(low), float(high))
