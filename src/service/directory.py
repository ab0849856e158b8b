"""`Directory`: devices and types as senders name them, and the device keys and type ids behind."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

import polars as pl

from ..exceptions import ConfigError, StorageError
from ..fleet.known_devices import Found, KnownDevices
from ..fleet.owners import slug_of
from ..fleet.registry import is_device_id
from ..telemetry.records import DeviceEntry
from ..telemetry.schema import DeviceType


class Registry(Protocol):
    """What intake needs of the fleet's database (`fleet.registry.Registry`)."""

    def types(self) -> Mapping[int, DeviceType]:
        """Every type in its newest version, by type_id."""

    def type_by_name(self, owner_id: int, name: str) -> int | None:
        """The type that an owner means by a name."""

    def reload_types(self) -> None:
        """Read the types anew."""

    def lookup(self, owner_id: int) -> KnownDevices:
        """An owner's devices by device_id."""

    def register(
        self, owner_id: int, items: Sequence[tuple[str, int, str | None]], now_ms: int
    ) -> Sequence[DeviceEntry]:
        """Make devices of (device_id, type_id, name of the site); one entry for each, in order."""


class Directory:
    """What intake knows of the fleet, remembered; used by one thread."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._types: Mapping[int, DeviceType] | None = None
        self._named: dict[tuple[int, str], int | None] = {}
        self._told: list[DeviceEntry] = []

    @property
    def types(self) -> Mapping[int, DeviceType]:
        """Every type in its newest version, by type_id. Raises StorageError where the database doesn't answer."""
        if self._types is None:
            self._types = self.registry.types()
        return self._types

    def find(self, owner_id: int, device_ids: pl.Series) -> Found:
        """The devices that an owner means by ids (n,). Raises StorageError where the database doesn't answer."""
        for entry in self._told:
            self.registry.lookup(entry.owner_id).put([entry])
        self._told.clear()
        return self.registry.lookup(owner_id).find(device_ids)

    def type_id(self, owner_id: int, name: str) -> int | None:
        """The type that an owner means by a name; None where there is none."""
        if (owner_id, name) not in self._named:
            found = self.registry.type_by_name(owner_id, name)
            if found is None:
                return None  # not remembered: senders could make up names without end
            self._named[owner_id, name] = found if found in self.types else None
        return self._named[owner_id, name]

    def reload_types(self) -> None:
        """A version of a type was logged: know it, now or, where the database is away, from the next question on."""
        self.registry.reload_types()
        self._types = None
        self._named.clear()
        with suppress(StorageError):
            self._types = self.registry.types()

    def learn(self, devices: Iterable[DeviceEntry]) -> None:
        """Devices that others made or changed were logged: know them, from the next question on."""
        self._told += devices

    def register(
        self, owner_id: int, items: Sequence[tuple[str, int, str | None]], now_ms: int
    ) -> Sequence[DeviceEntry]:
        """Make devices. Raises StorageError where the database doesn't answer."""
        return self.registry.register(owner_id, items, now_ms)


def cannot_register(device_id: str, site: str | None) -> str | None:
    """Why a new device may not be called so, or be at a site of that name; None where it may."""
    if not is_device_id(device_id):
        return f"device_id {device_id!r} can't be that of a new device: it has control characters or outer blanks"
    if site is None:
        return None
    try:
        slug_of(site)
    except ConfigError as error:
        return str(error)
    return None
