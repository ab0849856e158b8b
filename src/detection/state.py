"""What the detector remembers of each device: a struct of arrays, indexed by slot."""

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from ..exceptions import ModelError, OldFormatError
from .blocks import F64
from .kernel import AWAY, LAST, LEVEL, N_FIELDS, N_ROUNDS
from .kernel import PEERS as GAIN

PEERS = ("shared_at", "told_at", "told_sum", "told_size", "told_odd", "told_count", "shared")


@dataclass(slots=True)
class DetectorState:
    """State of n devices of one type with S sensors; `update` changes it in place.

    `sensor` float32 (n, S, fields named in kernel.py); `seen` uint16 (n, S), readings of each; `last` int64 (n,),
    ms of the newest row; `count` int32 (n,), rows; `alarm` uint64 (n,), a bit for each sensor that is in it; `relearn`
    uint8 (n, S), readings for which a level may move freely, once the sensor's alarm has ended (or, from 128 on, that
    many more than 128 by an operator's word); `mode` and `since` uint8 (n,), what a device does, and for how many
    readings; `run` uint16 (n, S), intervals without a change; `habit` uint8 (n, S), how odd sensors are by nature.

    Devices of one site are peers: `group` int32 (n,) numbers it, -1 where a device has none. Of G groups: `told_at`
    int64 (G, rounds), `told_sum`, `told_size`, `told_odd` and `told_count` int32 (G, rounds, S), what devices were off
    in the last intervals, and how odd; `shared` float32 (G, 4, S), what they have in common, its squares, how volatile
    and how odd they are on the whole, as of interval `shared_at` int64 (G,).
    """

    sensor: npt.NDArray[np.float32]
    seen: npt.NDArray[np.uint16]
    last: npt.NDArray[np.int64]
    count: npt.NDArray[np.int32]
    alarm: npt.NDArray[np.uint64]
    relearn: npt.NDArray[np.uint8]
    mode: npt.NDArray[np.uint8]
    since: npt.NDArray[np.uint8]
    group: npt.NDArray[np.int32]
    shared_at: npt.NDArray[np.int64]
    told_at: npt.NDArray[np.int64]
    told_sum: npt.NDArray[np.int32]
    told_size: npt.NDArray[np.int32]
    told_odd: npt.NDArray[np.int32]
    told_count: npt.NDArray[np.int32]
    shared: npt.NDArray[np.float32]
    run: npt.NDArray[np.uint16]
    habit: npt.NDArray[np.uint8]

    @classmethod
    def new(cls, n_devices: int, n_sensors: int) -> "DetectorState":
        """State of devices that have sent nothing yet, and have no peers."""
        return cls(
            sensor=np.zeros((n_devices, n_sensors, N_FIELDS), np.float32),
            seen=np.zeros((n_devices, n_sensors), np.uint16),
            last=np.zeros(n_devices, np.int64),
            count=np.zeros(n_devices, np.int32),
            alarm=np.zeros(n_devices, np.uint64),
            relearn=np.zeros((n_devices, n_sensors), np.uint8),
            mode=np.zeros(n_devices, np.uint8),
            since=np.zeros(n_devices, np.uint8),
            group=np.full(n_devices, -1, np.int32),
            **_no_groups(0, n_sensors),
            run=np.zeros((n_devices, n_sensors), np.uint16),
            habit=np.zeros((n_devices, n_sensors), np.uint8),
        )

    def __len__(self) -> int:
        return len(self.count)

    @property
    def n_sensors(self) -> int:
        """Sensors a device has."""
        return int(self.seen.shape[1])

    @property
    def bytes_per_device(self) -> int:
        """Bytes that one more device takes; a group of peers takes as much again."""
        arrays = (getattr(self, name) for name in _of_devices())
        return sum(int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize for array in arrays)

    def place(self, groups: npt.NDArray[np.integer]) -> None:
        """Say which group (n,) each device belongs to, -1 for none. Groups that are new share nothing yet."""
        self.group[: len(groups)] = groups
        more = int(self.group.max(initial=-1)) + 1 - len(self.told_at)
        if more > 0:
            for name, fresh in _no_groups(more, self.n_sensors).items():
                setattr(self, name, np.concatenate([getattr(self, name), fresh]))

    def grow(self, n_devices: int) -> None:
        """Make room for `n_devices` in all, in place; those that are there keep their slots. Never shrinks."""
        more = n_devices - len(self)
        if more <= 0:
            return
        room = max(more, len(self) // 4)
        fresh = DetectorState.new(room, self.n_sensors)
        for name in _of_devices():
            setattr(self, name, np.concatenate([getattr(self, name), getattr(fresh, name)]))

    def take(self, slots: npt.NDArray[np.integer]) -> "DetectorState":
        """State of the devices chosen (m,), perhaps some several times; groups stay."""
        arrays = self.to_arrays()
        return DetectorState(**{name: arrays[name] if name in PEERS else arrays[name][slots] for name in arrays}).copy()

    def copy(self) -> "DetectorState":
        """The same, on its own."""
        return DetectorState(**{name: np.array(array, order="C") for name, array in self.to_arrays().items()})

    def put(self, slots: npt.NDArray[np.integer], other: "DetectorState") -> None:
        """Take over what another state knows of devices (m,), at these slots; groups stay.

        A device's gain on what its peers shared there says nothing of what they share here, and begins anew.
        """
        for name in _of_devices():
            if name != "group":
                getattr(self, name)[slots] = getattr(other, name)
        self.sensor[slots, :, GAIN] = 0.0

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The arrays by name, for a checkpoint; views, not copies."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "DetectorState":
        """The state that `to_arrays` gave.

        Raises OldFormatError where another version gave other arrays, ModelError where they don't fit each other.
        """
        names = [field.name for field in fields(cls)]
        missing = [name for name in names if name not in arrays]
        if missing:
            raise OldFormatError(f"detector state lacks {', '.join(missing)}; expected {', '.join(names)}")
        n, n_sensors = arrays["seen"].shape
        fresh = cls.new(0, n_sensors)
        for name in names:
            wanted, got = getattr(fresh, name), arrays[name]
            rows = len(arrays["told_at"]) if name in PEERS else n
            if got.shape != (rows, *wanted.shape[1:]) or got.dtype != wanted.dtype:
                raise OldFormatError(
                    f"detector state {name!r} is {got.dtype} {got.shape}; expected {wanted.dtype}"
                    f" {(rows, *wanted.shape[1:])}: the checkpoint was written by another version"
                )
        if int(arrays["group"].max(initial=-1)) >= len(arrays["told_at"]):
            raise ModelError("detector state names groups that it doesn't have: the checkpoint is damaged")
        return cls(**{name: arrays[name] for name in names}).copy()

    def move_sensor(self, here: int, old: "DetectorState", there: int, scale: F64, old_scale: F64) -> None:
        """Take over column `there` of `old` as column `here`; both scales are (centre, spread) in the sensor's unit.

        Gains on what peers share begin anew, as that does.
        """
        self.sensor[:, here] = old.sensor[:, there]
        self.sensor[:, here, GAIN] = 0.0
        self.sensor[:, here, AWAY] *= old_scale[1] / scale[1]
        for field in (LEVEL, LAST):
            inside = old.sensor[:, there, field].astype(np.float64) * old_scale[1] + old_scale[0]
            self.sensor[:, here, field] = (inside - scale[0]) / scale[1]
        self.seen[:, here] = old.seen[:, there]
        for name in ("relearn", "run", "habit"):
            getattr(self, name)[:, here] = getattr(old, name)[:, there]
        self.alarm |= ((old.alarm >> np.uint64(there)) & np.uint64(1)) << np.uint64(here)


def _of_devices() -> list[str]:
    return [field.name for field in fields(DetectorState) if field.name not in PEERS]


def _no_groups(n_groups: int, n_sensors: int) -> dict[str, np.ndarray]:
    return {
        "shared_at": np.zeros(n_groups, np.int64),
        "told_at": np.zeros((n_groups, N_ROUNDS), np.int64),
        "told_sum": np.zeros((n_groups, N_ROUNDS, n_sensors), np.int32),
        "told_size": np.zeros((n_groups, N_ROUNDS, n_sensors), np.int32),
        "told_odd": np.zeros((n_groups, N_ROUNDS, n_sensors), np.int32),
        "told_count": np.zeros((n_groups, N_ROUNDS, n_sensors), np.int32),
        "shared": np.zeros((n_groups, 4, n_sensors), np.float32),
    }
