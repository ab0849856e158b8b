"""The first readings of a type that has no model yet: what it learns from by itself."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..telemetry.readings import Readings, concat

Int64s = npt.NDArray[np.int64]


class LearningBuffer:
    """Readings kept, in the order they came, until there are enough of them to fit a detector.

    Beside each the slot of its device within the type, by which the new model's state is warmed.
    """

    def __init__(self, type_id: int, n_sensors: int, target: int) -> None:
        self.target = target
        self._empty = Readings(type_id, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, n_sensors)))
        self._held: list[Readings] = []
        self._slots: list[Int64s] = [np.zeros(0, np.int64)]
        self._n = 0

    def __len__(self) -> int:
        return self._n

    @property
    def full(self) -> bool:
        """Whether there is enough to learn from."""
        return self._n >= self.target

    @property
    def readings(self) -> Readings:
        """All that is held, shape (n, n_sensors)."""
        return concat([self._empty, *self._held])

    @property
    def slots(self) -> Int64s:
        """The slot of each held reading's device, (n,)."""
        return np.concatenate(self._slots)

    def take(self, readings: Readings, slots: Int64s) -> int:
        """Hold as many of the first readings as are still wanted; return how many that was."""
        wanted = min(max(0, self.target - self._n), len(readings))
        self.add(readings.take(np.arange(wanted)), slots[:wanted])
        return wanted

    def add(self, readings: Readings, slots: Int64s) -> None:
        """Hold all of the readings, whether they were wanted or not."""
        self._held.append(readings)
        self._slots.append(slots)
        self._n += len(readings)

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps."""
        held = self.readings
        arrays = {"keys": held.keys, "ts": held.ts, "values": held.values}
        return {**arrays, "slots": self.slots, "target": np.array([self.target])}

    def load(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take over what a checkpoint kept."""
        values = arrays["values"].astype(np.float64)
        keys, ts = arrays["keys"].astype(np.int64), arrays["ts"].astype(np.int64)
        self._held = [Readings(self._empty.type_id, keys, ts, values)]
        self._slots = [arrays["slots"].astype(np.int64)]
        self._n = len(keys)
        self.target = int(arrays["target"].astype(np.int64)[0])
