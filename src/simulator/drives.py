"""Faults of the physics: how far each has come at every reading, for the device models to work with."""

from typing import Final

import numpy as np

from ..compiled import compiled
from .faults import CYCLIC, LEAK
from .randomness import Floats

SLOT, KIND, FIRST, LAST, SEVERITY, RAMP, PERIOD = range(7)
N_FIELDS: Final = 7
"""Fields of a drive, one row of float64 a fault: number of its device in the block, kind, first reading, first
reading after it, severity, readings until a leak or a swing is fully there, and readings of one swing."""


@compiled
def fill_drives(buffers: Floats, drives: Floats, low: int, first: int, slot: int) -> int:
    """Write leak, wear and swing (3, n) of the device `slot` and return the first drive after its own.

    `drives` are sorted by slot; `low` is the first that may belong to this device.
    """
    n = buffers.shape[1]
    buffers[:, :] = 0.0
    row = low
    while row < drives.shape[0] and int(drives[row, SLOT]) == slot:
        kind = int(drives[row, KIND])
        begin, end = int(drives[row, FIRST]), int(drives[row, LAST])
        severity, ramp = drives[row, SEVERITY], drives[row, RAMP]
        for i in range(max(0, begin - first), min(n, end - first)):
            age = float(first + i - begin)
            if kind == LEAK:
                level = 1.0 - np.exp(-3.0 * age / ramp)
            elif kind == CYCLIC:
                level = min(1.0, age / ramp) * np.sin(2.0 * np.pi * age / drives[row, PERIOD])
            else:
                level = np.expm1(2.0 * age / float(end - begin)) / np.expm1(2.0)
            buffers[kind, i] += severity * level
        row += 1
    return row
