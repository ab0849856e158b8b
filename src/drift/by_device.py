"""Drift device by device: how many devices have moved off their own level, net of what their surroundings share?

A small shift in a tenth of a fleet moves the pooled statistic less than the weather of a stable week does. Here each
device is its own reference, in units of its own unrest, and the shared change is taken off. Weather that devices answer
each in its own way moves them up and down alike; what was done to some devices moves them one way. So the share that
moved one way beyond that which moved the other is held against that of the weeks before. Best given `surprises`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom

from ..detection.blocks import F64, I64
from .adjusting import adjusted

ALPHA = 0.05
MOVED = 2.5
"""A device has moved past so many of the usual scatter of such changes."""

WIDEST = 3.0
"""A period's scatter counts as at most so many of the usual: past that, devices have moved."""

LEAST_SHARE = 0.03
MORE_THAN_BEFORE = 1.5
MANY = 0.25
"""Where so many devices moved, one way or the other, it is drift: half a fleet that moved looks like the other half."""

LEAST_EXPECTED = 0.01
ALIKE = 0.002
"""Devices of a fleet are so much alike in whether they move (intraclass correlation): weeks differ more than coins."""

MIN_DEVICES = 30
MIN_GROUP = 5


@dataclass(frozen=True, slots=True)
class DeviceDrift:
    """Of one sensor: how many of `devices` `moved`, how many of those `one_way` beyond those that moved the other, the
    share `expected` of that, the largest of a period before, p-values, verdict, and `change` (n_devices,) in usual
    scatters, NaN where it can't be told."""

    sensor: str
    devices: int
    moved: int
    one_way: int
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
    tested = [_more(_one_way(change), _count(change), max(expected, LEAST_EXPECTED)) for change, expected in found]
    return [
        _told(sensor, change, expected, p_value, float(p), p < alpha)
        for sensor, (change, expected), p_value, p in zip(
            sensors, found, tested, adjusted(np.array(tested)), strict=True
        )
    ]


def _told(
    sensor: str, change: F64, expected: float, p_value: float, adjusted_p: float, is_unlikely: bool
) -> DeviceDrift:
    devices, moved, one_way = _count(change), int((np.abs(change) > MOVED).sum()), _one_way(change)
    more = is_unlikely and one_way > max(LEAST_SHARE, MORE_THAN_BEFORE * expected) * devices
    drifted = devices > 0 and (more or moved > MANY * devices)
    return DeviceDrift(sensor, devices, moved, one_way, expected, p_value, adjusted_p, bool(drifted), change)


def _count(change: F64) -> int:
    return int(np.isfinite(change).sum())


def _one_way(change: F64) -> int:
    """How many devices more moved one way than the other."""
    return abs(int((change > MOVED).sum()) - int((change < -MOVED).sum()))


def _sensor(before: F64, current: F64, groups: I64) -> tuple[F64, float]:
    """Changes in scatters (n_devices,), and the largest share of devices that moved one way in a period before."""
    periods, _, devices = before.shape
    nothing = np.full(devices, np.nan), 0.0
    if periods < 2:
        return nothing
    level = before.mean(axis=(0, 1))  # a median over levels hangs on the few devices in the middle
    own = np.stack([[net(part - level, groups) for part in period] for period in (*before, current)])
    weeks = own.mean(axis=1)
    unrest = np.abs(np.diff(own[:-1].reshape(-1, devices), axis=0)).mean(axis=0)
    unrest = np.hypot(unrest, 0.25 * _middle(unrest))
    unrest[unrest == 0.0] = np.nan  # nothing ever moved: nothing to tell a change by
    past = weeks[:-1]
    # A mean of one period less that of k others scatters by 1 + 1/k; leaving one out leaves k - 1.
    wider = np.sqrt((1 + 1 / periods) / (1 + 1 / (periods - 1)))
    usual = np.stack([past[left] - np.delete(past, left, axis=0).mean(axis=0) for left in range(periods)])
    changes = np.concatenate([usual * wider, [weeks[-1] - past.mean(axis=0)]]) / unrest
    there = np.isfinite(changes).all(axis=0)
    if there.sum() < MIN_DEVICES:
        return nothing
    changes = changes[:, there]
    scatter = 1.4826 * np.median(np.abs(changes), axis=1)
    typical = float(np.median(scatter[:-1]))
    if typical <= 0.0:
        return nothing
    # Weather that each device answers in its own way widens the changes of all: it isn't devices that moved.
    changes /= np.clip(scatter, typical, WIDEST * typical)[:, None]
    change = nothing[0]
    change[there] = changes[-1]
    return change, max(_one_way(each) for each in changes[:-1]) / int(there.sum())


def _more(moved: int, devices: int, share: float) -> float:
    """The chance of so many or more where each moves with this chance, a little alike (beta-binomial)."""
    if not devices:
        return 1.0
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
