"""Operating modes of a type: what switches, where between its values, and which combinations of it are usual.

A pump is on or off, a display cools, rests or defrosts, an inverter sleeps at night. What is normal differs between
modes, and going from one to another is no fault. Sensors that leave a gap between their values vote on the mode, so one
that is broken doesn't put its device into another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .blocks import F64, I64

MAX_MODES = 6
LEAST_PART = 0.01
"""A mode has at least so large a part of the rows, and each side of a gap of a device's."""

LEAST_WIDTH = 4.0
"""A gap is so many times as wide as the values on either side are spread."""

LEAST_CHANGES = 4
"""A device that switches does so more than once: a fault that comes and goes is no mode."""

LEAST_STAY = 10
"""... and stays for so many readings on the whole: what flickers between two steps of a coarse sensor is no mode."""

LEAST_DEVICES = 0.1
SAMPLE = 4000
BROADEST = 16
"""Patterns are sought among so many sensors that switch."""


@dataclass(frozen=True, slots=True)
class Modes:
    """What tells the modes of a type apart: `gaps` float64 (S,), the value between both sides, NaN for sensors that
    don't switch; `patterns` float64 (M, S), 1 above the gap, 0 below, 0.5 for sensors that don't vote. The first is
    the one in which devices do most; a type without modes has one."""

    gaps: F64
    patterns: F64

    @property
    def homes(self) -> npt.NDArray[np.bool_]:
        """Where (M, S) a device's own level of a sensor holds: the first mode; for what switches, wherever it is on."""
        homes = np.zeros(self.patterns.shape, bool)
        homes[0] = True
        switches = np.isfinite(self.gaps)
        homes[:, switches] = self.patterns[:, switches] > 0.5
        return homes

    def of(self, x: F64) -> npt.NDArray[np.intp]:
        """The mode of each row (n, S): the pattern that most of the sensors agree with, the first of equals."""
        best = np.zeros(len(x), np.intp)
        most = np.full(len(x), -1)
        for mode, pattern in enumerate(self.patterns):
            votes = np.zeros(len(x), np.int64)
            for s in np.flatnonzero(np.isfinite(self.gaps)):
                there = np.isfinite(x[:, s])
                votes += there & ((x[:, s] > self.gaps[s]) == (pattern[s] > 0.5))
            best[votes > most] = mode
            most = np.maximum(most, votes)
        return best


def find_modes(x: F64, device: I64) -> Modes:
    """Look for gaps and patterns in rows (n, S) sorted by device and time."""
    n_sensors = x.shape[1]
    starts = np.flatnonzero(np.r_[True, np.diff(device) != 0])
    ends = np.r_[starts[1:], len(device)]
    gaps = np.full(n_sensors, np.nan)
    for s in range(n_sensors):
        edges = [edge for a, b in zip(starts, ends, strict=True) if (edge := _gap_of(x[a:b, s])) is not None]
        if len(edges) < max(1.0, LEAST_DEVICES * len(starts)):
            continue
        low, high = np.array(edges).T
        below, above = np.quantile(low, 0.9), np.quantile(high, 0.1)
        if below < above:
            gaps[s] = (below + above) / 2
    one = Modes(gaps, np.full((1, n_sensors), 0.5))
    voters = np.flatnonzero(np.isfinite(gaps))
    if not len(voters) or len(voters) > BROADEST:
        return Modes(np.full(n_sensors, np.nan), one.patterns)
    bits = (x[:, voters] > gaps[voters]).astype(np.int64)[np.isfinite(x[:, voters]).all(axis=1)]
    found, counts = np.unique(bits @ (1 << np.arange(len(voters))), return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [int(found[k]) for k in order if counts[k] >= LEAST_PART * len(bits)][:MAX_MODES]
    if len(kept) < 2:
        return Modes(np.full(n_sensors, np.nan), one.patterns)
    patterns = np.full((len(kept), n_sensors), 0.5)
    for mode, code in enumerate(kept):
        patterns[mode, voters] = (code >> np.arange(len(voters))) & 1
    modes = Modes(gaps, patterns)
    busiest = _busiest(x, device, modes)
    return Modes(gaps, patterns[np.r_[busiest, np.delete(np.arange(len(kept)), busiest)]])


def _gap_of(values: F64) -> tuple[float, float] | None:
    """The ends of the widest gap between the values (n,) of one device, None where there is none worth the name."""
    values = values[np.isfinite(values)]
    ordered = np.sort(values[:: max(1, len(values) // SAMPLE)])
    least = max(int(LEAST_PART * len(ordered)), 5)
    if len(ordered) < 2 * least + 2:
        return None
    widths = np.diff(ordered)[least - 1 : len(ordered) - least]
    place = int(np.argmax(widths)) + least
    low, high = ordered[:place], ordered[place:]
    inner = max(_deviation(low), _deviation(high))
    width = float(high[0] - low[-1])
    steps = np.diff(np.unique(ordered))
    other = steps[steps < width].max(initial=0.0) if np.count_nonzero(steps >= width) == 1 else width
    if width <= LEAST_WIDTH * max(inner, other):
        return None
    if not LEAST_CHANGES <= np.count_nonzero(np.diff(values > (low[-1] + high[0]) / 2)) <= len(values) / LEAST_STAY:
        return None
    return float(low[-1]), float(high[0])


def _deviation(values: F64) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values))))


def _busiest(x: F64, device: I64, modes: Modes) -> int:
    """The mode, of those with a fifth of the rows, in which sensors move most about their devices' own means."""
    mode = modes.of(x)
    moves = []
    for m in range(len(modes.patterns)):
        own = mode == m
        if own.mean() < 0.2:
            moves.append(-1.0)
            continue
        names, numbers = np.unique(device[own], return_inverse=True)
        values = np.nan_to_num(x[own])
        means = np.stack([np.bincount(numbers, column) for column in values.T], 1) / np.bincount(numbers)[:, None]
        moves.append(float(np.minimum(np.abs(values - means[numbers]), 10.0).mean()))
    return int(np.argmax(moves))
