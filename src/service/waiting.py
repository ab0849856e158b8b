"""Parts that wait for the rest of their reading, for types whose devices send sensor by sensor."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..telemetry.readings import Readings, concat

Int64s = npt.NDArray[np.int64]


class WaitingParts:
    """Parts of one device type that have been logged and not been scored.

    A reading waits until the interval in which its FIRST part arrived (log time) is closed, so that clocks
    ahead, buffered uploads and fast senders need no rule of their own.
    """

    def __init__(self, type_id: int, n_sensors: int) -> None:
        self._parts = Readings(type_id, np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, n_sensors)))
        self._arrived: Int64s = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return len(self._parts)

    @property
    def parts(self) -> Readings:
        """What waits, in the order it came."""
        return self._parts

    def widen(self, n_sensors: int) -> None:
        """Make room for the sensors that a later version of the type added."""
        self._parts = self._parts.widen(n_sensors)

    def add(self, parts: Readings, now_ms: int) -> None:
        """Take parts that were logged at now_ms."""
        self._parts = concat([self._parts, parts])
        self._arrived = np.concatenate([self._arrived, np.full(len(parts), now_ms, np.int64)])

    def close(self, now_ms: int, interval_ms: int, grace_ms: int) -> Readings:
        """Take out the readings whose interval was closed by now_ms, merged, in the order of device and time.

        An interval is closed `grace_ms` after its end. Where two parts name one sensor the first one counts.
        """
        order = np.lexsort((np.arange(len(self._parts)), self._parts.ts, self._parts.keys))
        keys, ts, arrived = self._parts.keys[order], self._parts.ts[order], self._arrived[order]
        first = np.ones(len(order), bool)
        first[1:] = (keys[1:] != keys[:-1]) | (ts[1:] != ts[:-1])
        starts = np.flatnonzero(first)
        if not len(starts):
            return self._parts
        earliest = np.minimum.reduceat(arrived, starts)
        closed = (earliest // interval_ms + 1) * interval_ms + grace_ms <= now_ms
        group = np.cumsum(first) - 1
        ready = closed[group]
        merged = _merge(self._parts.values[order[ready]], (np.cumsum(closed) - 1)[group[ready]], int(closed.sum()))
        stay = np.sort(order[~ready])
        taken = Readings(self._parts.type_id, keys[starts][closed], ts[starts][closed], merged)
        self._parts, self._arrived = self._parts.take(stay), self._arrived[stay]
        return taken

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps."""
        parts = self._parts
        return {"keys": parts.keys, "ts": parts.ts, "values": parts.values, "arrived": self._arrived}

    def load(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take over what a checkpoint kept."""
        self._parts = Readings(
            self._parts.type_id,
            arrays["keys"].astype(np.int64),
            arrays["ts"].astype(np.int64),
            arrays["values"].astype(np.float64),
        )
        self._arrived = arrays["arrived"].astype(np.int64)


def _merge(values: npt.NDArray[np.float64], group: Int64s, n: int) -> npt.NDArray[np.float64]:
    """Join rows (m, n_sensors) of the same group, ordered by group, into (n, n_sensors); the first number counts."""
    merged = np.full((n, values.shape[1]), np.nan)
    for sensor in range(values.shape[1]):
        given = np.flatnonzero(~np.isnan(values[:, sensor]))
        groups, first = np.unique(group[given], return_index=True)
        merged[groups, sensor] = values[given[first], sensor]
    return merged
