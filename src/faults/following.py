"""What a sensor should say, by the hour of the day and by the device's other sensors, as learnt from its past."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from .labels import I64, Bools
from .smoothing import F64

DAY_MS = 86_400_000
MEMORY_MINUTES = (10.0, 60.0)
"""Half-lives of the other sensors' past: what is warm was at work before."""

BOUND = 6.0
PENALTY = 3.0
LEARN_SHARE = 0.65
"""The part of the past that is learnt from; on the rest it is seen what is usual for the differences."""

N_HOURS = 5


@dataclass(frozen=True, slots=True)
class Following:
    """`centre` and `spread` (S,) of a device's sensors, and what relates them: ridge regression's sums over its past.

    `gram` (C, C) and `target` (C, S) are of columns that look at the hour, at sensors, their past and products of two.
    """

    centre: F64
    spread: F64
    minute: float
    gram: F64
    target: F64

    @classmethod
    def fit(cls, values: F64, ts: I64, interval_ms: int) -> "Following":
        """Learn from a device's past: values (n, S), NaN where missing, at ts (n,) ms."""
        there = np.isfinite(values)
        counted = np.maximum(there.sum(axis=0), 1)
        centre = np.where(there, values, 0.0).sum(axis=0) / counted
        spread = np.sqrt((np.where(there, values - centre, 0.0) ** 2).sum(axis=0) / counted)
        spread[spread < 1e-9 * np.maximum(np.abs(centre), 1.0)] = 1.0
        empty = np.empty((0, 0))
        fresh = cls(centre, spread, 60_000 / interval_ms, empty, empty)
        learn = slice(0, max(1, round(LEARN_SHARE * len(values))))
        # A row that lacks a value teaches nothing about any: gaps are few in what is normal.
        whole = there[learn].all(axis=1)
        kept = fresh.columns(values[learn], ts[learn])[whole]
        return cls(centre, spread, fresh.minute, kept.T @ kept, kept.T @ fresh.scaled(values[learn])[whole])

    @property
    def n_sensors(self) -> int:
        """How many sensors the device has."""
        return len(self.centre)

    def scaled(self, values: F64) -> F64:
        """Values (n, S) in spreads of the past."""
        result: F64 = (values - self.centre) / self.spread
        return result

    def columns(self, values: F64, ts: I64) -> F64:
        """What is looked at, (n, C): hour of the day, each sensor, its past, and products of two."""
        known = _filled(np.clip(self.scaled(values), -BOUND, BOUND))
        angle = 2.0 * np.pi * (ts % DAY_MS) / DAY_MS
        hours = [np.ones(len(ts)), np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle)]
        past = [_smoothed(known, half_life * self.minute) for half_life in MEMORY_MINUTES]
        first, second = np.triu_indices(self.n_sensors)
        return np.column_stack([*hours, known, *past, known[:, first] * known[:, second]])

    def differences(self, values: F64, columns: F64) -> F64:
        """Values less what is expected of them, in spreads, (n, S, S).

        `[:, left_out, sensor]`: no sensor is told by itself, nor by `left_out`; one that lies would make others odd.
        """
        looks = self._looks()
        n = self.n_sensors
        weights = np.zeros((len(looks), n, n))
        for left_out in range(n):
            for sensor in range(n):
                kept = ~(looks[:, sensor] | looks[:, left_out])
                weights[kept, left_out, sensor] = self._weights(kept, sensor)
        expected = (columns @ weights.reshape(len(looks), -1)).reshape(-1, n, n)
        result: F64 = self.scaled(values)[:, None, :] - expected
        return result

    def from_hours(self, values: F64, columns: F64) -> F64:
        """Values (n, S) less what their hour of the day says, in spreads."""
        hours = np.zeros(columns.shape[1], np.bool_)
        hours[:N_HOURS] = True
        weights = np.column_stack([self._weights(hours, sensor) for sensor in range(self.n_sensors)])
        result: F64 = self.scaled(values) - columns[:, hours] @ weights
        return result

    def _looks(self) -> Bools:
        """Which sensors each column looks at, (C, S)."""
        n = self.n_sensors
        one = np.eye(n, dtype=np.bool_)
        first, second = np.triu_indices(n)
        hours = np.zeros((N_HOURS, n), np.bool_)
        return np.concatenate([hours, one, *([one] * len(MEMORY_MINUTES)), one[first] | one[second]])

    def _weights(self, kept: Bools, sensor: int) -> F64:
        gram = self.gram[np.ix_(kept, kept)]
        penalty = PENALTY * np.eye(len(gram))
        penalty[0, 0] = 1e-6
        result: F64 = np.linalg.solve(gram + penalty, self.target[kept, sensor])
        return result


def _filled(values: F64) -> F64:
    """The last value that was there in place of a missing one, the usual one (0) before the first."""
    place = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    last = np.maximum.accumulate(place, axis=0)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    result: F64 = np.where(last < 0, 0.0, found)
    return result


def _smoothed(values: F64, half_life: float) -> F64:
    gain = 1.0 - 0.5 ** (1.0 / half_life)
    smooth, _ = lfilter([gain], [1.0, gain - 1.0], values, axis=0, zi=(1.0 - gain) * values[:1])
    return np.asarray(smooth, np.float64)
