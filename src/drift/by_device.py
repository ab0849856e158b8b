"""Drift device by device: how many devices have moved off their own level, net of what their surroundings share?

A small shift in a tenth of a fleet moves the pooled statistic less than the weather of a stable week does. Here each
device is its own reference, in units of its own unrest, the shared change is taken off, and the share of devices that
moved is tested against the share that moved before.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom

from ..detection.blocks import F64, I64
from .adjusting import adjusted

ALPHA = 0.05
MOVED = 3.0
"""A device has moved past so many of the usual scatter of such changes."""

LEAST_SHARE = 0.01
ALIKE = 0.002
"""Devices of a fleet are so much alike in whether they move (intraclass correlation): weeks differ more than coins."""

MIN_DEVICES = 30
MIN_GROUP = 5


@dataclass(frozen=True, slots=True)
class DeviceDrift:
    """Of one sensor: how many of `devices` `moved`, the share `expected` by the periods before, p-values, verdict, and
    `change` (n_devices,) in usual scatters, NaN where it can't be told."""

    sensor: str
    devices: int
    moved: int
    expected: float
    p_value: float
    adjusted_p: float
    drifted: bool
    change: F64


def device_drift(
    before: F64, current: F64, groups: I64, sensors: Sequence[str], alpha: float = ALPHA
) -> list[DeviceDrift]:
    """Compare devices with themselves in earlier periods.

    `before` (n_periods, n_parts, n_devices, S) and `current` (n_parts, n_devices, S) are means of the parts (days) of
    periods (weeks), NaN where a device said nothing; `groups` (n_devices,): devices of one number share their
    surroundings. Fewer than two periods, or 30 devices, tell nothing.
    """
    found = [_sensor(before[..., s], current[..., s], groups) for s in range(len(sensors))]
    corrected = adjusted(np.array([p for *_, p in found]))
    return [
        DeviceDrift(
            sensor,
            int(np.isfinite(change).sum()),
            int((np.abs(change) > MOVED).sum()),
            expected,
            p_value,
            float(p),
            bool(p < alpha),
            change,
        )
        for sensor, (change, expected, p_value), p in zip(sensors, found, corrected, strict=True)
    ]


def _sensor(before: F64, current: F64, groups: I64) -> tuple[F64, float, float]:
    """Changes in scatters (n_devices,), the share of devices expected to have moved, and the p-value of more."""
    periods, parts, devices = before.shape
    nothing = np.full(devices, np.nan)
    if periods < 2:
        return nothing, 0.0, 1.0
    every = np.concatenate([before.reshape(-1, devices), current])
    own = np.stack([net(part, groups) for part in every]).reshape(periods + 1, parts, devices)
    weeks = own.mean(axis=1)
    unrest = np.median(np.abs(np.diff(own[:-1].reshape(-1, devices), axis=0)), axis=0)
    unrest = np.hypot(unrest, 0.25 * _middle(unrest))
    unrest[unrest == 0.0] = np.nan  # nothing ever moved: nothing to tell a change by
    past = weeks[:-1]
    change = (weeks[-1] - past.mean(axis=0)) / unrest
    # A mean of one period less that of k others scatters by 1 + 1/k; leaving one out leaves k - 1.
    wider = np.sqrt((1 + 1 / periods) / (1 + 1 / (periods - 1)))
    usual = np.stack([past[left] - np.delete(past, left, axis=0).mean(axis=0) for left in range(periods)])
    usual *= wider / unrest
    there = np.isfinite(change) & np.isfinite(usual).all(axis=0)
    if there.sum() < MIN_DEVICES:
        return nothing, 0.0, 1.0
    scatter = 1.4826 * float(np.median(np.abs(usual[:, there])))
    if scatter <= 0.0:
        return nothing, 0.0, 1.0
    change = np.where(there, change / scatter, np.nan)
    expected = float((np.abs(usual[:, there]) > MOVED * scatter).mean())
    moved = int((np.abs(change[there]) > MOVED).sum())
    return change, expected, _more(moved, int(there.sum()), max(expected, LEAST_SHARE))


def _more(moved: int, devices: int, share: float) -> float:
    """The chance of so many or more where each moves with this chance, a little alike (beta-binomial)."""
    strength = (1.0 - ALIKE) / ALIKE
    return float(betabinom.sf(moved - 1, devices, share * strength, (1.0 - share) * strength))


def net(values: F64, groups: I64) -> F64:
    """Values (n_devices,) less the median of the device's group, or of all where the group has fewer than five."""
    there = np.isfinite(values)
    out = np.asarray(values - _middle(values), np.float64)
    for group in np.unique(groups):
        members = groups == group
        if there[members].sum() >= MIN_GROUP:
            out[members] = values[members] - _middle(values[members])
    return out


def _middle(values: F64) -> float:
    found = values[np.isfinite(values)]
    return float(np.median(found)) if len(found) else float("nan")
