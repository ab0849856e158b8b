"""What intake needs to know of the fleet, in bulk: types, and devices by owner and id."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ..exceptions import IngestError
from ..telemetry.records import DeviceEntry
from ..telemetry.schema import DeviceType
from . import device_types, models, owners
from .database import among, reading, writing
from .known_devices import NONE, KnownDevices

BATCH = 20_000
"""Devices made in one transaction, or read at once: a million would keep every other writer waiting."""
MAX_DEVICE_ID = 200

Registration = tuple[str, int, str | None]
"""What a device says when it comes for the first time: (device_id, type_id, name of its site or None)."""

DeviceColumns = tuple[npt.NDArray[np.int64], pl.Series, npt.NDArray[np.int64]]
"""Devices: their owners (n,), ids (n,), and keys, types and sites (3, n), -1 for no site."""


class Registry:
    """Types and devices of the database, remembered; one thread at a time may use it.

    Devices are only ever added, and by this object, so what it remembers stays right; types that another
    process added are seen after `reload_types()`.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._types: dict[int, device_types.TypeEntry] | None = None
        self._devices: dict[int, KnownDevices] = {}

    def types(self) -> dict[int, DeviceType]:
        """Every type in its newest version, by type_id."""
        return {type_id: entry.device_type for type_id, entry in self._entries().items()}

    def type_by_name(self, owner_id: int, name: str) -> int | None:
        """The type an owner means by a name: their own, else the shared one; None where there is neither."""
        named = [entry for entry in self._entries().values() if entry.device_type.name == name]
        own = [entry.type_id for entry in named if entry.owner_id == owner_id]
        shared = [entry.type_id for entry in named if entry.owner_id is None]
        return next(iter(own or shared), None)

    def reload_types(self) -> None:
        """Forget the types: the next question reads them anew."""
        self._types = None

    def add_type(self, owner_id: int | None, device_type: DeviceType, now_ms: int) -> tuple[int, int]:
        """Add a type or a version of it (`device_types.add`); return (type_id, version)."""
        with writing(self._engine) as session:
            added = device_types.add(session, owner_id, device_type, now_ms)
        self.reload_types()
        return added

    def lookup(self, owner_id: int) -> KnownDevices:
        """An owner's devices by device_id; what is registered later appears among them."""
        known = self._devices.get(owner_id)
        if known is None:
            known = KnownDevices(owner_id)
            with reading(self._engine) as session:
                for _, device_ids, columns in _columns(session, owner_id):
                    known.put_columns(device_ids, columns)
            self._devices[owner_id] = known
        return known

    def load(self) -> list[KnownDevices]:
        """The devices of every owner, read at once: what a shard that starts would else ask for owner by owner."""
        loaded: dict[int, KnownDevices] = {}
        with reading(self._engine) as session:
            for owner_ids, device_ids, columns in _columns(session, None):
                for owner_id in np.unique(owner_ids).tolist():
                    mine = np.flatnonzero(owner_ids == owner_id)
                    known = loaded.setdefault(owner_id, KnownDevices(owner_id))
                    known.put_columns(device_ids[mine], columns[:, mine])
        self._devices = loaded
        return list(loaded.values())

    def register(self, owner_id: int, items: Sequence[Registration], now_ms: int) -> list[DeviceEntry]:
        """Make devices, and their sites; return one entry for each item, in order.

        A device that is there already keeps its type and site. All are on the disk when this returns; where it fails,
        some may be, which the same call finds there. Raises
        IngestError where an id isn't `is_device_id`, ConfigError where a site's name has no letter or digit.
        """
        for device_id, _, _ in items:
            if not is_device_id(device_id):
                raise IngestError(
                    f"device_id {device_id!r}: expected 1 to {MAX_DEVICE_ID} characters without control characters"
                )
        known = self.lookup(owner_id)
        wanted = [device_id for device_id, _, _ in items]
        unknown = known.find(pl.Series(wanted, dtype=pl.String)).keys == NONE
        new: dict[str, Registration] = {}
        for at in np.flatnonzero(unknown).tolist():
            new.setdefault(wanted[at], items[at])
        coming = list(new.values())
        for start in range(0, len(coming), BATCH):
            with writing(self._engine) as session:
                made = _insert(session, owner_id, coming[start : start + BATCH], now_ms)
            known.put(made)
        return known.entries(wanted)

    def all_columns(self) -> Iterator[DeviceColumns]:
        """All devices in the order of their keys, in columns, some thousand at a time."""
        with reading(self._engine) as session:
            yield from _columns(session, None)

    def _entries(self) -> dict[int, device_types.TypeEntry]:
        if self._types is None:
            with reading(self._engine) as session:
                self._types = {entry.type_id: entry for entry in device_types.newest(session)}
        return self._types


def is_device_id(text: str) -> bool:
    """Whether a device may be called so: 1 to 200 characters, none of them a control character."""
    return 0 < len(text) <= MAX_DEVICE_ID and text.isprintable() and text == text.strip()


def _insert(session: Session, owner_id: int, items: list[Registration], now_ms: int) -> list[DeviceEntry]:
    """Insert devices that aren't there, and read all of them back: another process may have been faster."""
    sites = owners.site_ids(session, owner_id, {site for _, _, site in items if site is not None})
    rows = [
        {
            "owner_id": owner_id,
            "device_id": device_id,
            "name": device_id,
            "type_id": type_id,
            "site_id": None if site is None else sites[site],
            "registered_ms": now_ms,
        }
        for device_id, type_id, site in items
    ]
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    session.execute(dialect.insert(models.Device).on_conflict_do_nothing(), rows)
    return _entries_of(session, owner_id, [str(row["device_id"]) for row in rows])


def _entries_of(session: Session, owner_id: int, device_ids: list[str]) -> list[DeviceEntry]:
    rows = session.execute(
        select(*_ENTRY).where(models.Device.owner_id == owner_id, among(session, models.Device.device_id, device_ids))
    )
    return [DeviceEntry(*row) for row in rows]


def _columns(session: Session, owner_id: int | None) -> Iterator[DeviceColumns]:
    table = models.Device.__table__.c
    query = select(table.owner_id, table.device_id, table.id, table.type_id, func.coalesce(table.site_id, NONE))
    query = query.order_by(table.id) if owner_id is None else query.where(table.owner_id == owner_id)
    for rows in session.connection().execute(query.execution_options(yield_per=BATCH)).partitions():
        owner_ids, device_ids, *columns = zip(*rows, strict=True)
        yield np.array(owner_ids, np.int64), pl.Series(device_ids, dtype=pl.String), np.array(columns, np.int64)


_ENTRY = (
    models.Device.id,
    models.Device.device_id,
    models.Device.type_id,
    models.Device.owner_id,
    models.Device.site_id,
)
