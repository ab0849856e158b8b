"""Counts the alerts that a level would have raised: on calibration rows, by the alert engine's own rules."""

from collections.abc import Callable
from functools import cache

import numpy as np

from ..compiled import compiled as machine_code
from .blocks import F64, I64

HOLD, HOLD_OF = 3, 5  # an alert opens when so many of so many rows are past the level
CLEAR = 10  # ... and closes after so many rows in a row below the lower one


def count_events(combined: F64, device: I64, enter: F64, leave: F64, counts: I64) -> None:
    """Count events (k,) at each pair of levels (k,), of rows (n,) sorted by device and time."""
    for level in range(len(enter)):
        found = 0
        is_open = False
        history = 0
        below = 0
        for row in range(len(combined)):
            if row == 0 or device[row] != device[row - 1]:
                is_open = False
                history = 0
            if is_open:
                below = below + 1 if combined[row] < leave[level] else 0
                if below >= CLEAR:
                    is_open = False
                    history = 0
                continue
            history = (history << 1) & ((1 << HOLD_OF) - 1)
            if combined[row] >= enter[level]:
                history |= 1
            past = 0
            for bit in range(HOLD_OF):
                past += (history >> bit) & 1
            if past >= HOLD:
                found += 1
                is_open = True
                below = 0
        counts[level] = found


@cache
def compiled() -> Callable[[F64, I64, F64, F64, I64], None]:
    """The machine code of `count_events`, from Numba's cache after the first use on a machine."""
    from numba import float64, int64, void

    signature = void(float64[::1], int64[::1], float64[::1], float64[::1], int64[::1])
    return machine_code(count_events, signature)


def events_at(combined: F64, device: I64, enter: F64, leave: F64) -> I64:
    """Events (k,) at each pair of levels (k,)."""
    counts = np.zeros(len(enter), np.int64)
    rows = np.ascontiguousarray(combined, np.float64)
    compiled()(rows, np.ascontiguousarray(device, np.int64), enter, leave, counts)
    return counts
