"""What a sensor should say, from its own hour of the day and from the device's other sensors, learnt from its past."""

from dataclasses import dataclass, field

import numpy as np

from .labels import Bools, I64
from .smoothing import F64

DAY_MS = 86_400_000
MEMORY_MINUTES = (10.0, 60.0)
"""Half-lives of the other sensors' past: what is warm was at work before."""
BOUND = 6.0
PENALTY = 3.0
LEARN_SHARE = 0.65
"""The part of the past that is learnt from; what is normal for residuals is seen on the rest."""


@dataclass(slots=True)
class Following:
    """Expectations of one device's sensors, learnt from `values` (n, S), NaN where missing, at `ts` (n,) ms.

    `expected` may leave sensors out of what is looked at: one that lies would make the others look odd.
    """

    values: F64
    ts: I64
    interval_ms: int
    centre: F64 = field(init=False)
    spread: F64 = field(init=False)
    _gram: F64 = field(init=False)
    _target: F64 = field(init=False)

    def __post_init__(self) -> None:
        there = np.isfinite(self.values)
        counted = np.maximum(there.sum(axis=0), 1)
        self.centre = np.where(there, self.values, 0.0).sum(axis=0) / counted
        off = np.where(there, self.values - self.centre, 0.0)
        self.spread = np.sqrt((off**2).sum(axis=0) / counted)
        self.spread[self.spread < 1e-9 * np.maximum(np.abs(self.centre), 1.0)] = 1.0
        columns, scaled = self.columns(self.values, self.ts), self.scaled(self.values)
        learn = slice(0, max(1, round(LEARN_SHARE * len(columns))))
        # A row that lacks a value teaches nothing about any: gaps are few in what is normal.
        whole = np.isfinite(self.values[learn]).all(axis=1)
        kept = columns[learn][whole]
        self._gram = kept.T @ kept
        self._target = kept.T @ scaled[learn][whole]

    @property
    def n_sensors(self) -> int:
        """How many sensors the device has."""
        return self.values.shape[1]

    def scaled(self, values: F64) -> F64:
        """Values (n, S) in spreads of the past."""
        result: F64 = (values - self.centre) / self.spread
        return result

    def columns(self, values: F64, ts: I64) -> F64:
        """What is looked at, (n, C): hour of the day, each sensor, its past, and products of two."""
        known = _filled(np.clip(self.scaled(values), -BOUND, BOUND))
        angle = 2.0 * np.pi * (ts % DAY_MS) / DAY_MS
        hours = [np.ones(len(ts)), np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
        minute = 60_000 / self.interval_ms
        past = [_smoothed(known, half_life * minute) for half_life in MEMORY_MINUTES]
        first, second = np.triu_indices(self.n_sensors)
        return np.column_stack([*hours, known, *past, known[:, first] * known[:, second]])

    def sensors_of(self) -> Bools:
        """Which sensors each column looks at, bool (C, S)."""
        n = self.n_sensors
        one = np.eye(n, dtype=np.bool_)
        first, second = np.triu_indices(n)
        return np.concatenate([np.zeros((5, n), np.bool_), one, *([one] * len(MEMORY_MINUTES)), one[first] | one[second]])

    def residuals(self, values: F64, columns: F64, left_out: int | None) -> F64:
        """Values (n, S) less what is expected of them, in spreads; no sensor is told by itself, or by one left out."""
        looks = self.sensors_of()
        scaled = self.scaled(values)
        out = np.empty_like(scaled)
        for sensor in range(self.n_sensors):
            hidden = looks[:, sensor] if left_out is None else looks[:, sensor] | looks[:, left_out]
            out[:, sensor] = scaled[:, sensor] - columns[:, ~hidden] @ self._weights(~hidden, sensor)
        return out

    def from_hours(self, values: F64, columns: F64) -> F64:
        """Values (n, S) less what their hour of the day says, in spreads."""
        hours = np.zeros(columns.shape[1], np.bool_)
        hours[:5] = True
        weights = np.column_stack([self._weights(hours, sensor) for sensor in range(self.n_sensors)])
        result: F64 = self.scaled(values) - columns[:, hours] @ weights
        return result

    def _weights(self, kept: Bools, sensor: int) -> F64:
        gram = self._gram[np.ix_(kept, kept)]
        penalty = PENALTY * np.eye(len(gram))
        penalty[0, 0] = 0.0
        return np.linalg.solve(gram + penalty + 1e-6 * np.eye(len(gram)), self._target[kept, sensor])


def _filled(values: F64) -> F64:
    """The last value that was there in place of a missing one, the usual one (0) before the first."""
    place = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    last = np.maximum.accumulate(place, axis=0)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    result: F64 = np.where(last < 0, 0.0, found)
    return result


def _smoothed(values: F64, half_life: float) -> F64:
    from scipy.signal import lfilter

    gain = 1.0 - 0.5 ** (1.0 / half_life)
    begin = (1.0 - gain) * values[:1]
    smooth, _ = lfilter([gain], [1.0, gain - 1.0], values, axis=0, zi=begin)
    return np.asarray(smooth, np.float64)
