"""What the detector remembers of each device: a struct of arrays, indexed by slot."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ..exceptions import ModelError
from .blocks import F64
from .kernel import LAST, LEVEL, N_FIELDS


@dataclass(slots=True)
class DetectorState:
    """State of n devices of one type with S sensors; `update` changes it in place.

    `sensor` float32 (n, S, fields named in kernel.py); `seen` uint16 (n, S), readings of each; `last` int64 (n,),
    ms of the newest row; `count` int32 (n,), rows; `alarm` uint64 (n,), a bit for each sensor that is in it; `relearn`
    uint8 (n, S), readings for which a level may move freely, once the sensor's alarm has ended (or, from 128 on, that
    many more than 128 by an operator's word).
    """

    sensor: npt.NDArray[np.float32]
    seen: npt.NDArray[np.uint16]
    last: npt.NDArray[np.int64]
    count: npt.NDArray[np.int32]
    alarm: npt.NDArray[np.uint64]
    relearn: npt.NDArray[np.uint8]

    @classmethod
    def new(cls, n_devices: int, n_sensors: int) -> "DetectorState":
        """State of devices that have sent nothing yet."""
        return cls(
            sensor=np.zeros((n_devices, n_sensors, N_FIELDS), np.float32),
            seen=np.zeros((n_devices, n_sensors), np.uint16),
            last=np.zeros(n_devices, np.int64),
            count=np.zeros(n_devices, np.int32),
            alarm=np.zeros(n_devices, np.uint64),
            relearn=np.zeros((n_devices, n_sensors), np.uint8),
        )

    def __len__(self) -> int:
        return len(self.count)

    @property
    def n_sensors(self) -> int:
        """Sensors a device has."""
        return int(self.seen.shape[1])

    @property
    def bytes_per_device(self) -> int:
        """Bytes that one more device takes."""
        arrays = (getattr(self, field.name) for field in fields(self))
        return sum(int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize for array in arrays)

    def grow(self, n_devices: int) -> None:
        """Make room for `n_devices` in all, in place; those that are there keep their slots. Never shrinks."""
        more = n_devices - len(self)
        if more <= 0:
            return
        room = max(more, len(self) // 4)
        fresh = DetectorState.new(room, self.n_sensors)
        for field in fields(self):
            setattr(self, field.name, np.concatenate([getattr(self, field.name), getattr(fresh, field.name)]))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for a checkpoint; views, not copies."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "DetectorState":
        """The state that `to_arrays` gave. Raises ModelError where arrays are missing or don't fit each other."""
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise ModelError(f"detector state lacks {', '.join(missing)}; expected {', '.join(names)}")
        n, n_sensors = arrays["seen"].shape
        fresh = cls.new(0, n_sensors)
        for name in names:
            wanted, got = getattr(fresh, name), arrays[name]
            if got.shape != (n, *wanted.shape[1:]) or got.dtype != wanted.dtype:
                raise ModelError(
                    f"detector state {name!r} is {got.dtype} {got.shape}; expected {wanted.dtype}"
                    f" {(n, *wanted.shape[1:])}: the checkpoint was written by another version"
                )
        return cls(**{name: np.array(arrays[name], order="C") for name in names})

    def move_sensor(self, here: int, old: "DetectorState", there: int, scale: F64, old_scale: F64) -> None:
        """Take over column `there` of `old` as column `here`; both scales are (centre, spread) in the sensor's unit."""
        self.sensor[:, here] = old.sensor[:, there]
        for field in (LEVEL, LAST):
            inside = old.sensor[:, there, field].astype(np.float64) * old_scale[1] + old_scale[0]
            self.sensor[:, here, field] = (inside - scale[0]) / scale[1]
        self.seen[:, here] = old.seen[:, there]
        self.relearn[:, here] = old.relearn[:, there]
        self.alarm |= ((old.alarm >> np.uint64(there)) & np.uint64(1)) << np.uint64(here)
