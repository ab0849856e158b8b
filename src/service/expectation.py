"""Which rows keep their expected range in the lake: enough for a chart, a tenth of the cost."""

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from ..compiled import compiled

Float32s = npt.NDArray[np.float32]

EVERY = 10
"""Each device keeps at least every tenth row's expectation."""
MOVED = np.float32(0.25)
"""A row keeps its expectation where the centre of a sensor moved by this share of its width since the last one kept."""


def choose(
    slots: npt.NDArray[np.int64],
    n_readings: npt.NDArray[np.int64],
    score: Float32s,
    leave: Float32s,
    centre: Float32s,
    width: Float32s,
    last: Float32s,
) -> npt.NDArray[np.bool_]:
    """Return which rows (n,) keep their expectation, and remember their centres in `last`.

    Rows of one device in time order: `slots` (n,), `n_readings` (n,) the device's count of readings, begun anywhere,
    `score` and the lower threshold `leave` (n,), `centre` and `width` (n, n_sensors); `last` (n_devices, n_sensors),
    NaN at first.
    """
    chosen = np.zeros(len(slots), np.bool_)
    _loop()(slots, n_readings, score, leave, centre, width, last, chosen)
    return chosen


@cache
def _loop() -> Callable[..., None]:
    return compiled(_choose, "void(i8[::1], i8[::1], f4[::1], f4[::1], f4[:, ::1], f4[:, ::1], f4[:, ::1], b1[::1])")


def _choose(
    slots: npt.NDArray[np.int64],
    n_readings: npt.NDArray[np.int64],
    score: Float32s,
    leave: Float32s,
    centre: Float32s,
    width: Float32s,
    last: Float32s,
    chosen: npt.NDArray[np.bool_],
) -> None:
    n_sensors = centre.shape[1]
    for i in range(len(slots)):
        slot = slots[i]
        keep = n_readings[i] % EVERY == 0 or score[i] >= leave[i]
        for s in range(n_sensors):
            if keep:
                break
            moved = abs(centre[i, s] - last[slot, s])
            keep = np.isnan(last[slot, s]) != np.isnan(centre[i, s]) or moved > MOVED * width[i, s]
        chosen[i] = keep
        if keep:
            for s in range(n_sensors):
                last[slot, s] = centre[i, s]
