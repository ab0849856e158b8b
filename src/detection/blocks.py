"""What goes into the detector and what comes out of it: plain arrays with names."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U64 = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows of one device type to learn from, in any order.

    `device` int (n,), any numbers that tell devices apart; `ts` int64 (n,) ms UTC; `values` float64 (n, S), NaN where
    missing; `precisions` (S,), the smallest step a sensor reports in its unit, NaN where unknown; `site` int (n,) says
    whose peers the devices are, negative for nobody's (None: all).
    """

    device: I64
    ts: I64
    values: F64
    interval_ms: int
    sensor_names: Sequence[str]
    precisions: F64
    site: I64 | None = None

    def __post_init__(self) -> None:
        n_sensors = len(self.sensor_names)
        if self.values.ndim != 2 or self.values.shape[1] != n_sensors or len(self.precisions) != n_sensors:
            raise ValueError(
                f"values {self.values.shape}, precisions {np.shape(self.precisions)}: expected {n_sensors} sensors"
            )
        if not len(self.device) == len(self.ts) == len(self.values):
            raise ValueError(f"device {len(self.device)}, ts {len(self.ts)}, values {len(self.values)}: rows differ")

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Block:
    """Rows to score: `slots` int32 (n,), `ts` int64 (n,) ms UTC, `values` float64 (n, S), NaN where missing.

    Rows of one device are in order of time; devices may be mixed at will.
    """

    slots: npt.NDArray[np.int32]
    ts: I64
    values: F64

    def __len__(self) -> int:
        return len(self.ts)


@dataclass(frozen=True, slots=True)
class Scores:
    """What the detector says of each row.

    `score` float32 (n,): -log10 of the tail probability, NaN for a row that isn't newer than its device's last;
    `alarm` bool (n,): the detector's own alarm, with hysteresis; `centre` and `width` float32 (n, S) in the sensor's
    unit: expected value, and how far from it is still normal (three spreads); `contribution` float32 (n, S): shares
    that add to 1; `way` uint8 (n, S): in which `ways.Way` each sensor is oddest; `off` float32 (n, S): how far off
    it has been in its unit, smoothed as that way smooths, NaN where a way doesn't; `stuck` uint64 (n,): a bit for each
    sensor that has been still for too long; `learning` bool (n,).
    """

    score: F32
    alarm: npt.NDArray[np.bool_]
    centre: F32
    width: F32
    contribution: F32
    way: npt.NDArray[np.uint8]
    off: F32
    stuck: npt.NDArray[np.uint64]
    learning: npt.NDArray[np.bool_]

    def take(self, index: npt.NDArray[np.intp]) -> "Scores":
        """The rows chosen, in that order."""
        return Scores(**{field.name: getattr(self, field.name)[index] for field in fields(self)})
