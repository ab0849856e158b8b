"""From what is to what a sensor says: noise, offset, gain, faults of sensors, precision, gaps, and the clock."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .faults import BIAS, CALIBRATION, DRIFT, INTERMITTENT, NOISE, SPIKE, STUCK
from .randomness import Floats, add_wander, normal, subkey, uniform

NOISE_SD, RELATIVE, OFFSET, GAIN, LOW, HIGH, STEPS, TYPICAL = range(8)
N_SPECS: Final = 8
"""What is known of a sensor: noise in its unit and as a share of the value, deviation of offset and gain among
devices, valid range, steps per unit (or minus the unit per step, where a step is larger), and a usual value."""

SLOT, SENSOR, KIND, FIRST, LAST, SIZE, HELD = range(7)
N_FIELDS: Final = 7
"""Fields of a fault of a sensor: number of the device in the block, sensor, kind, first reading, first reading
after it, size in the sensor's unit with its sign, and the value that a stuck sensor holds."""

GAP_CELL = 512


@compiled
def _rounded(value: float, steps: float) -> float:
    if steps > 0.0:
        return float(np.rint(value * steps)) / steps
    if steps < 0.0:
        return -float(np.rint(value / -steps)) * steps
    return value


@compiled
def _with_fault(column: Floats, fault: Floats, key: np.uint64, first: int, typical: float) -> None:
    """Apply one fault to the readings (n,) of one sensor of one device."""
    begin, end = int(fault[FIRST]), int(fault[LAST])
    kind, size = int(fault[KIND]), fault[SIZE]
    cell = 24
    for i in range(max(0, begin - first), min(column.shape[0], end - first)):
        tick = first + i
        if kind == DRIFT:
            column[i] += size * float(tick - begin + 1) / float(end - begin)
        elif kind == BIAS:
            column[i] += size
        elif kind == CALIBRATION:
            column[i] *= 1.0 + size / typical
        elif kind == NOISE:
            column[i] += size * normal(subkey(key, 1), tick)
        elif kind == SPIKE:
            if uniform(subkey(key, 2), tick) < 0.02:
                sign = 1.0 if uniform(subkey(key, 3), tick) < 0.7 else -1.0
                column[i] += sign * size * (0.6 + 0.8 * uniform(subkey(key, 4), tick))
        elif kind == STUCK:
            column[i] = fault[HELD]
        elif kind == INTERMITTENT:
            place = tick // cell
            burst = uniform(subkey(key, 5), place)
            start = int(10.0 * uniform(subkey(key, 6), place))
            inside = tick - place * cell - start
            if burst < 0.4 and 0 <= inside < 2 + int(30.0 * burst):
                if uniform(subkey(key, 7), tick) < 0.35:
                    column[i] = np.nan
                else:
                    column[i] -= size * (0.4 + 0.9 * uniform(subkey(key, 8), tick))


@compiled
def sense(
    out: Floats,
    first: int,
    interval_s: float,
    keys: NDArray[np.uint64],
    specs: Floats,
    faults: Floats,
    absent: NDArray[np.int64],
) -> None:
    """Turn quantities into readings, in place: `out` (n, n_devices, n_sensors), NaN where nothing is said.

    `specs` (n_sensors, N_SPECS); `faults` (n_faults, N_FIELDS) sorted by slot; `absent` (n_spells, 3): number of
    the device, first reading, first reading after, of spells in which a device sends nothing.
    """
    n, n_devices, n_sensors = out.shape
    column, wander = np.empty(n), np.empty(n)
    short = max(1, int(420.0 / interval_s))
    long = max(1, int(3000.0 / interval_s))
    row = 0
    for d in range(n_devices):
        key = keys[d]
        person = subkey(key, 101)
        noisy = np.exp(0.2 * normal(person, 0))
        link = 0.0004 * np.exp(0.9 * normal(person, 1))
        upto = row
        while upto < faults.shape[0] and int(faults[upto, SLOT]) == d:
            upto += 1
        for s in range(n_sensors):
            spec = specs[s]
            channel = subkey(key, 110 + s)
            offset = spec[OFFSET] * normal(person, 10 + s)
            gain = 1.0 + spec[GAIN] * normal(person, 200 + s)
            still, relative = noisy * spec[NOISE_SD], noisy * spec[RELATIVE]
            wander[:] = 0.0
            add_wander(wander, subkey(channel, 1), first, short, 0.42)
            add_wander(wander, subkey(channel, 2), first, long, 0.36)
            white = subkey(channel, 3)
            for i in range(n):
                value = out[i, d, s]
                noise = 0.83 * normal(white, first + i) + wander[i]
                column[i] = value * gain + offset + (still + relative * abs(value)) * noise
            for f in range(row, upto):
                if int(faults[f, SENSOR]) == s:
                    _with_fault(column, faults[f], subkey(channel, 4), first, spec[TYPICAL])
            low, high, steps = spec[LOW], spec[HIGH], spec[STEPS]
            for i in range(n):
                value = column[i]
                if value < low:
                    value = low
                elif value > high:
                    value = high
                out[i, d, s] = _rounded(value, steps)
        row = upto
        lost = subkey(key, 102)
        place = -1
        gap_from, gap_to = 0, 0
        for i in range(n):
            tick = first + i
            if tick // GAP_CELL != place:
                place = tick // GAP_CELL
                gap_from = gap_to = 0
                if uniform(subkey(key, 103), place) < 120.0 * link:
                    gap_from = place * GAP_CELL + int(500.0 * uniform(subkey(key, 104), place))
                    gap_to = gap_from + 2 + int(2.0 * uniform(subkey(key, 105), place))
            chance = uniform(lost, tick)
            if chance < link or gap_from <= tick < gap_to:
                out[i, d, :] = np.nan
            elif chance > 1.0 - 4.0 * link:
                out[i, d, int(uniform(subkey(key, 106), tick) * n_sensors)] = np.nan
    for spell in range(absent.shape[0]):
        d = absent[spell, 0]
        for i in range(max(0, absent[spell, 1] - first), min(n, absent[spell, 2] - first)):
            out[i, d, :] = np.nan


@compiled
def clock(out: NDArray[np.int64], first: int, interval_ms: int, keys: NDArray[np.uint64]) -> None:
    """Write to `out` (n, n_devices) what each device's clock says, in us since 1970 UTC.

    A device's clock is a constant off: most by a second or two, one in thirty by up to 40 s, none by more than a
    third of the interval. A reading is up to 0.9 s late on top, or a twentieth of a short interval.
    """
    slack = min(900.0, 0.05 * interval_ms)
    most = min(40000.0, interval_ms / 3.0)
    for d in range(out.shape[1]):
        person = subkey(keys[d], 107)
        skew = 1200.0 * normal(person, 0)
        if uniform(person, 1) < 0.033:
            skew = 40000.0 * (2.0 * uniform(person, 2) - 1.0)
        skew = min(most, max(-most, skew))
        late = subkey(keys[d], 108)
        for i in range(out.shape[0]):
            ms = (first + i) * interval_ms + int(skew + slack * uniform(late, first + i))
            out[i, d] = ms * 1000
