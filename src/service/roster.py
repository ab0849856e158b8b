"""The devices of one shard, by slot: what scoring and alerting need to know of each, in arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..telemetry.records import DeviceEntry

Int64s = npt.NDArray[np.int64]
NO_SITE = -1


class Roster:
    """Devices in the order they became known to the shard; a device's slot never changes.

    `keys`, `type_ids`, `owner_ids`, `site_ids` (-1: none), `type_slots` (its place among the devices of its
    type) are int64 (n_devices,).
    """

    def __init__(self) -> None:
        self._rows = np.zeros((5, 0), np.int64)
        self._n = 0
        self._slot_of_key = np.zeros(0, np.int64)
        self._of_type: dict[int, int] = {}

    def __len__(self) -> int:
        return self._n

    @property
    def keys(self) -> Int64s:
        """Device keys by slot."""
        return self._rows[0, : self._n]

    @property
    def type_ids(self) -> Int64s:
        """Type ids by slot."""
        return self._rows[1, : self._n]

    @property
    def owner_ids(self) -> Int64s:
        """Owner ids by slot."""
        return self._rows[2, : self._n]

    @property
    def site_ids(self) -> Int64s:
        """Site ids by slot, -1 where a device has none."""
        return self._rows[3, : self._n]

    @property
    def type_slots(self) -> Int64s:
        """Each device's slot in the state of its type."""
        return self._rows[4, : self._n]

    def of_type(self, type_id: int) -> int:
        """How many devices of a type there are."""
        return self._of_type.get(type_id, 0)

    def slots_of_type(self, type_id: int) -> Int64s:
        """Shard-wide slots of a type's devices, ordered by their slot in the type."""
        slots = np.flatnonzero(self.type_ids == type_id)
        return slots[np.argsort(self.type_slots[slots], kind="stable")]

    def slots(self, keys: Int64s) -> Int64s:
        """Shard-wide slots of device keys (n,); -1 where a key isn't known."""
        known = (keys >= 0) & (keys < len(self._slot_of_key))
        found = np.full(len(keys), -1, np.int64)
        found[known] = self._slot_of_key[keys[known]]
        return found

    def put(self, devices: Sequence[DeviceEntry]) -> Int64s:
        """Add devices, or take over what changed of known ones (their owner and site; never their type).

        Returns the slots of those that are new or changed.
        """
        if not devices:
            return np.zeros(0, np.int64)
        table = np.array(
            [(d.key, d.type_id, d.owner_id, NO_SITE if d.site_id is None else d.site_id) for d in devices], np.int64
        )
        self._reserve_keys(int(table[:, 0].max()))
        slots = self._slot_of_key[table[:, 0]]
        known, places = table[slots >= 0], slots[slots >= 0]
        changed = (self._rows[2:4, places].T != known[:, 2:4]).any(axis=1)
        self._rows[2:4, places] = known[:, 2:4].T
        fresh = table[slots < 0]
        _, first = np.unique(fresh[:, 0], return_index=True)
        self._append(fresh[np.sort(first)])
        return np.union1d(places[changed], np.arange(self._n - len(first), self._n))

    def _append(self, fresh: Int64s) -> None:
        if not len(fresh):
            return
        start, end = self._n, self._n + len(fresh)
        if end > self._rows.shape[1]:
            grown = np.zeros((5, max(end, 2 * start, 64)), np.int64)
            grown[:, :start] = self._rows[:, :start]
            self._rows = grown
        self._rows[:4, start:end] = fresh.T
        for type_id in np.unique(fresh[:, 1]):
            mine = start + np.flatnonzero(fresh[:, 1] == type_id)
            before = self.of_type(int(type_id))
            self._rows[4, mine] = before + np.arange(len(mine))
            self._of_type[int(type_id)] = before + len(mine)
        self._slot_of_key[fresh[:, 0]] = np.arange(start, end)
        self._n = end

    def _reserve_keys(self, key: int) -> None:
        if key >= len(self._slot_of_key):
            grown = np.full(max(key + 1, 2 * len(self._slot_of_key)), -1, np.int64)
            grown[: len(self._slot_of_key)] = self._slot_of_key
            self._slot_of_key = grown

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint keeps; a view."""
        return {"rows": self._rows[:4, : self._n]}

    def load(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Take over, in place of nothing, what a checkpoint kept."""
        rows = arrays["rows"].astype(np.int64)
        if rows.shape[1]:
            self._reserve_keys(int(rows[0].max()))
            self._append(np.ascontiguousarray(rows.T))
