"""Every device with its status now: what the database knows of it joined with what the loop published.

One frame for all pages, made anew when the loop has published; each reader gets the rows of their owner only.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Engine

from ..alerts.status import Status
from ..fleet.known_devices import NONE
from ..fleet.registry import Registry
from ..telemetry.published import PublishedReader

SNAPSHOT = (
    "device_key",
    "status",
    "status_since_ms",
    "last_ts",
    "last_arrival",
    "score",
    "threshold",
    "n_readings",
)
STATUS_NAMES = tuple(status.name.lower() for status in Status)
RATE_WINDOW_MS = 60_000
"""Readings a minute are counted over this long."""

_DEVICES = {
    "device_key": pl.Int64,
    "device_id": pl.String,
    "type_id": pl.Int64,
    "owner_id": pl.Int64,
    "site_id": pl.Int64,
}
_STATE = {
    "device_key": pl.Int64,
    "status": pl.UInt8,
    "status_since_ms": pl.Int64,
    "last_ts": pl.Int64,
    "last_arrival": pl.Int64,
    "score": pl.Float32,
    "threshold": pl.Float32,
    "n_readings": pl.Int64,
}


@dataclass(frozen=True)
class Roster:
    """The fleet at one moment; `frame` has a row per device, sorted by device_key."""

    published_ms: int
    frame: pl.DataFrame
    per_minute: dict[int, float] = field(default_factory=dict)

    @cached_property
    def _keys(self) -> npt.NDArray[np.int64]:
        return self.frame["device_key"].to_numpy()

    def of(self, owner_id: int | None) -> pl.DataFrame:
        """The devices of one owner, or of all where `owner_id` is None."""
        return self.frame if owner_id is None else self.frame.filter(pl.col("owner_id") == owner_id)

    def counts(self, owner_id: int | None) -> dict[str, int]:
        """How many devices have each status, every status named."""
        found = np.bincount(self.of(owner_id)["status"].to_numpy(), minlength=len(STATUS_NAMES))
        return dict(zip(STATUS_NAMES, found.tolist(), strict=True))

    def readings_per_min(self, owner_id: int | None) -> int | None:
        """Readings that arrived in the last minute, None before a minute has passed."""
        if not self.per_minute:
            return None
        if owner_id is not None:
            return round(self.per_minute.get(owner_id, 0.0))
        return round(sum(self.per_minute.values()))

    def device(self, device_key: int) -> dict[str, object]:
        """One device's row; a device nothing is known of yet is learning."""
        at = int(np.searchsorted(self._keys, device_key))
        if at < self.frame.height and self._keys[at] == device_key:
            return self.frame.row(at, named=True)
        return {"device_key": device_key, "status": int(Status.LEARNING), **dict.fromkeys(list(_STATE)[2:])}


class Rosters:
    """Keeps the newest `Roster`; any thread may ask."""

    def __init__(self, engine: Engine, published: Sequence[PublishedReader]) -> None:
        self._engine = engine
        self._published = published
        self._lock = threading.Lock()
        self._devices = pl.DataFrame(schema=_DEVICES)
        self._current: Roster | None = None
        self._totals: deque[tuple[int, dict[int, int]]] = deque()

    def now(self) -> Roster:
        """The newest roster; read anew where the loop has published since."""
        with self._lock:
            published_ms = self._published_ms()
            if self._current is None or self._current.frame.is_empty() or published_ms != self._current.published_ms:
                self._current = self._read(published_ms)
            return self._current

    def reload(self) -> Roster:
        """Read devices and snapshot anew: devices were registered, or a loop that publishes nothing made them."""
        with self._lock:
            self._devices = self._read_devices()
            self._current = self._read(self._published_ms())
            return self._current

    def _published_ms(self) -> int:
        return max((clock.published_ms for reader in self._published if (clock := reader.clock())), default=0)

    def _read(self, published_ms: int) -> Roster:
        if self._devices.is_empty():
            self._devices = self._read_devices()
        state = self._read_state()
        if not state.is_empty() and not state["device_key"].is_in(self._devices["device_key"].implode()).all():
            self._devices = self._read_devices()
            state = self._read_state()
        frame = self._devices.join(state, on="device_key", how="left", maintain_order="left").with_columns(
            pl.col("status").fill_null(int(Status.LEARNING))
        )
        return Roster(published_ms, frame, self._rate(published_ms, frame))

    def _read_devices(self) -> pl.DataFrame:
        parts = [pl.DataFrame(schema=_DEVICES)]
        for owners, device_ids, (keys, types, sites) in Registry(self._engine).all_columns():
            columns = {"device_key": keys, "device_id": device_ids, "type_id": types, "owner_id": owners}
            batch = pl.DataFrame({**columns, "site_id": sites}).with_columns(pl.col("site_id").replace(NONE, None))
            parts.append(batch.select(pl.col(name).cast(kind) for name, kind in _DEVICES.items()))
        return pl.concat(parts).sort("device_key")

    def _read_state(self) -> pl.DataFrame:
        parts = [
            frame.select(pl.col(name).cast(kind) for name, kind in _STATE.items())
            for type_id in self._devices["type_id"].unique()
            for reader in self._published
            if (frame := reader.devices(int(type_id), SNAPSHOT)).width
        ]
        return pl.concat(parts) if parts else pl.DataFrame(schema=_STATE)

    def _rate(self, published_ms: int, frame: pl.DataFrame) -> dict[int, float]:
        """Readings a minute per owner, from how their totals grew over the last minute or a little more."""
        totals = dict(frame.group_by("owner_id").agg(pl.col("n_readings").sum()).iter_rows())
        self._totals.append((published_ms, totals))
        while len(self._totals) > 2 and published_ms - self._totals[1][0] >= RATE_WINDOW_MS:
            self._totals.popleft()
        first_ms, first = self._totals[0]
        if published_ms - first_ms < RATE_WINDOW_MS * 0.8:
            return {}
        span = (published_ms - first_ms) / 60_000
        return {owner: max(0.0, (total - first.get(owner, total)) / span) for owner, total in totals.items()}
