"""`KnownDevices`: an owner's devices in columns, found by their ids many at a time.

A dictionary of a million entries would take a quarter of a gigabyte, and looking each row's device up in it would be
the dearest part of taking readings in.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
import polars as pl

from ..compiled import compiled
from ..telemetry.records import DeviceEntry

Int64s = npt.NDArray[np.int64]

NONE = -1
_LEAST_ROOM = 64

FEW = 256
"""Up to so many ids are looked up one by one among those that were lately asked for: hashing a column takes longer."""

_MOST_LATELY = 65_536


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of some devices: `keys`, `type_ids` and `site_ids` int64 (n,), -1 where there is none."""

    keys: Int64s
    type_ids: Int64s
    site_ids: Int64s


class KnownDevices:
    """The devices of owner `owner_id`; they are added, and change their site, and never go.

    Found through a table of hashes of `hash_bits` bits; the ids themselves are compared, so clashes do no harm.
    """

    def __init__(self, owner_id: int, hash_bits: int = 64) -> None:
        self.owner_id = owner_id
        self._mask = np.uint64((1 << hash_bits) - 1)
        self._ids = pl.Series(dtype=pl.String)
        self._columns = np.zeros((3, 0), np.int64)
        self._hashes = np.zeros(0, np.uint64)
        self._table = np.full(2 * _LEAST_ROOM, NONE, np.int32)
        self._clashing: dict[str, int] = {}
        self._lately: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids.to_list())

    def __contains__(self, device_id: str) -> bool:
        return bool(self._rows(pl.Series([device_id]))[0] >= 0)

    def __getitem__(self, device_id: str) -> DeviceEntry:
        [entry] = self.entries([device_id])
        return entry

    @property
    def keys(self) -> Int64s:
        """Their device keys (n_devices,), in the order they were added."""
        return self._columns[0, : len(self)]

    def find(self, device_ids: pl.Series) -> Found:
        """Look up devices by their ids (n,), none of them null."""
        rows = self._rows(device_ids)
        if not len(self):
            nothing = np.full(len(rows), NONE, np.int64)
            return Found(nothing, nothing.copy(), nothing.copy())
        found = self._columns[:, rows]
        found[:, rows < 0] = NONE
        return Found(*found)

    def at(self, places: npt.NDArray[np.intp]) -> list[DeviceEntry]:
        """The devices at these places (n,) in the order they were added."""
        return self.entries(self._ids[places].to_list())

    def entries(self, device_ids: Sequence[str] | None = None) -> list[DeviceEntry]:
        """The devices of these ids, or all, in the order they were added. Raises KeyError on an id that is unknown."""
        names = self._ids if device_ids is None else pl.Series(device_ids, dtype=pl.String)
        found = self.find(names)
        if (found.keys < 0).any():
            raise KeyError(names[int(np.argmin(found.keys))])
        columns = (found.keys.tolist(), names.to_list(), found.type_ids.tolist(), found.site_ids.tolist())
        return [
            DeviceEntry(key, device_id, type_id, self.owner_id, None if site_id == NONE else site_id)
            for key, device_id, type_id, site_id in zip(*columns, strict=True)
        ]

    def put(self, entries: Sequence[DeviceEntry]) -> None:
        """Add devices, each at most once among them, or take over what changed of known ones."""
        table = [(entry.key, entry.type_id, NONE if entry.site_id is None else entry.site_id) for entry in entries]
        self.put_columns(
            pl.Series([entry.device_id for entry in entries], dtype=pl.String),
            np.array(table, np.int64).reshape(-1, 3).T,
        )

    def put_columns(self, device_ids: pl.Series, columns: Int64s) -> None:
        """Like `put`, of ids (n,) and their keys, types and sites (3, n)."""
        rows = self._rows(device_ids)
        self._columns[:, rows[rows >= 0]] = columns[:, rows >= 0]
        fresh = np.flatnonzero(rows < 0)
        if len(fresh):
            self._append(device_ids[fresh], columns[:, fresh])

    def _append(self, device_ids: pl.Series, columns: Int64s) -> None:
        start, end = len(self), len(self) + len(device_ids)
        self._ids = self._ids.extend(device_ids)
        if end > len(self._hashes):
            self._grow(start, max(end, 2 * start, _LEAST_ROOM))
        self._columns[:, start:end] = columns
        self._hashes[start:end] = self._hashed(device_ids)
        if 2 * end > len(self._table):
            self._table = np.full(1 << int(4 * end - 1).bit_length(), NONE, np.int32)
            start = 0
        clashes = np.zeros(end - start, np.bool_)
        _insert()(self._table, self._hashes, start, end, clashes)
        for row in (start + np.flatnonzero(clashes)).tolist():
            self._clashing[self._ids[row]] = row

    def _grow(self, n: int, room: int) -> None:
        columns, hashes = np.zeros((3, room), np.int64), np.zeros(room, np.uint64)
        columns[:, :n], hashes[:n] = self._columns[:, :n], self._hashes[:n]
        self._columns, self._hashes = columns, hashes
        # Each `extend` leaves a buffer of text of its own; from here on it is one again.
        self._ids = pl.Series(self._ids.to_list(), dtype=pl.String)

    def _rows(self, device_ids: pl.Series) -> Int64s:
        """Where devices stand, -1 for those unknown."""
        if len(device_ids) > FEW:
            return self._rows_of_many(device_ids)
        names = device_ids.to_list()
        places = [self._lately.get(name, NONE) for name in names]
        if NONE not in places:
            return np.array(places, np.int64)
        rows = self._rows_of_many(device_ids)
        if len(self._lately) > _MOST_LATELY:
            self._lately.clear()
        # A device stays where it stands. Those unknown aren't remembered: senders could make up names without end.
        self._lately.update((name, row) for name, row in zip(names, rows.tolist(), strict=True) if row >= 0)
        return rows

    def _rows_of_many(self, device_ids: pl.Series) -> Int64s:
        rows = np.full(len(device_ids), NONE, np.int64)
        if not len(self) or not len(rows):
            return rows
        _look_up()(self._table, self._hashes, self._hashed(device_ids), rows)
        alike = (self._ids[rows] == device_ids).to_numpy()
        if not alike.all():
            for at in np.flatnonzero(~alike).tolist():
                rows[at] = self._clashing.get(device_ids[at], NONE)
        return rows

    def _hashed(self, device_ids: pl.Series) -> npt.NDArray[np.uint64]:
        hashes: npt.NDArray[np.uint64] = device_ids.hash().to_numpy() & self._mask
        return hashes


@cache
def _look_up() -> Callable[..., None]:
    return compiled(_find_rows, "void(i4[::1], u8[::1], u8[::1], i8[::1])")


@cache
def _insert() -> Callable[..., None]:
    return compiled(_insert_rows, "void(i4[::1], u8[::1], i8, i8, b1[::1])")


def _find_rows(
    table: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint64],
    wanted: npt.NDArray[np.uint64],
    rows: Int64s,
) -> None:
    """Linear probing: the first row of each hash that is wanted, -1 where there is none."""
    last = np.uint64(len(table) - 1)
    for i in range(len(wanted)):
        at = wanted[i] & last
        while table[at] >= 0 and hashes[table[at]] != wanted[i]:
            at = (at + np.uint64(1)) & last
        rows[i] = table[at]


def _insert_rows(
    table: npt.NDArray[np.int32],
    hashes: npt.NDArray[np.uint64],
    start: int,
    end: int,
    clashes: npt.NDArray[np.bool_],
) -> None:
    """Put rows from `start` to `end` into the table; those whose hash is in it already are left out and marked."""
    last = np.uint64(len(table) - 1)
    for row in range(start, end):
        at = hashes[row] & last
        while table[at] >= 0 and hashes[table[at]] != hashes[row]:
            at = (at + np.uint64(1)) & last
        clashes[row - start] = table[at] >= 0
        if table[at] < 0:
            table[at] = row
