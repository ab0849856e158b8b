"""`Readings`: rows of one device type in columns, the form they keep from the socket to the lake."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Readings:
    """Rows of ONE device type.

    `keys` int64 (n,), the device keys; `ts` int64 (n,), milliseconds UTC, cut to the type's resolution;
    `values` float64 (n, n_sensors) in C order, NaN where a sensor sent nothing.
    """

    type_id: int
    keys: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or not len(self.keys) == len(self.ts) == len(self.values):
            raise ValueError(
                f"keys {self.keys.shape}, ts {self.ts.shape}, values {self.values.shape}: expected (n,), (n,), (n, s)"
            )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def n_sensors(self) -> int:
        """How many columns `values` has."""
        return int(self.values.shape[1])

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Readings":
        """Return the rows chosen by a mask or by positions."""
        return Readings(self.type_id, self.keys[index], self.ts[index], np.ascontiguousarray(self.values[index]))

    def widen(self, n_sensors: int) -> "Readings":
        """Return the rows with columns of NaN appended up to `n_sensors`: a later version of the type added sensors."""
        missing = n_sensors - self.n_sensors
        if missing <= 0:
            return self
        pad = np.full((len(self), missing), np.nan)
        return Readings(self.type_id, self.keys, self.ts, np.concatenate([self.values, pad], axis=1))

    def sorted_by_device_time(self) -> "Readings":
        """Return the rows ordered by device, then time; rows of equal key keep their order."""
        return self.take(np.lexsort((self.ts, self.keys)))


def concat(parts: Sequence[Readings]) -> Readings:
    """Join rows of the same type; narrower parts are widened. Raises ValueError on no part or mixed types."""
    types = {part.type_id for part in parts}
    if len(types) != 1:
        raise ValueError(f"expected readings of one type, got types {sorted(types)}")
    if len(parts) == 1:
        return parts[0]
    width = max(part.n_sensors for part in parts)
    wide = [part.widen(width) for part in parts]
    return Readings(
        types.pop(),
        np.concatenate([part.keys for part in wide]),
        np.concatenate([part.ts for part in wide]),
        np.concatenate([part.values for part in wide]),
    )


def rank_within(groups: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many entries of the same group stand before each entry, int64 (n,)."""
    rank = np.zeros(len(groups), np.int64)
    if len(groups):
        order = np.argsort(groups, kind="stable")
        ordered = groups[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        rank[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(np.r_[starts, len(groups)]))
    return rank
