"""A simulated fleet: an immutable plan, and every reading of it as a function of the plan and the time."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..exceptions import ConfigError
from ..telemetry.schema import DeviceType
from . import sensing, weather
from .faults import FAULT_KINDS, STUCK, Fault
from .models import MODELS, DeviceModel, model_of
from .planning import Group, plan_faults, plan_groups
from .randomness import Floats
from .resolving import Resolved, resolve
from .sites import Site, plan_sites

TILE = 1440
"""Readings a device is computed in one go: the scratch space of the loops stays in the processor's cache."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOLD = 30


@dataclass(frozen=True, eq=False)
class Fleet:
    """The plan of a simulated fleet, and its readings.

    A reading depends on (seed, device, time) and the device's faults alone: made in one go, in pieces, or
    minute by minute, it has the same bytes. A device keeps its self when the fleet gets more devices.
    """

    seed: int
    start: datetime
    sites: tuple[Site, ...]
    groups: tuple[Group, ...]
    faults: tuple[Fault, ...] = ()

    @classmethod
    def plan(
        cls,
        *,
        seed: int,
        devices: int,
        start: datetime,
        sites: int = 10,
        types: Sequence[str | DeviceType] | None = None,
        days: float = 14.0,
        faults: float = 0.0,
    ) -> "Fleet":
        """Plan a fleet of `devices` devices of `types` (default: every type there is) on `sites` sites.

        `faults` is the share of devices that get one fault each within `days` days from `start`; the kinds take
        turns, and about one site outage comes with every twelve faults. Raises ConfigError for numbers that make
        no fleet.
        """
        if start.tzinfo is None:
            raise ConfigError(f"start {start} has no time zone; add tzinfo=UTC")
        if not (devices >= 1 and sites >= 1):
            raise ConfigError(f"a fleet of {devices} devices on {sites} sites: expected at least one of each")
        if not 0.0 <= faults <= 1.0:
            raise ConfigError(f"faults {faults} is a share of the devices; expected 0 to 1")
        if not (math.isfinite(days) and days > 0):
            raise ConfigError(f"days {days}: expected more than 0")
        if not 0 <= seed < 2**63:
            raise ConfigError(f"seed {seed}: expected a whole number from 0 to 2^63 - 1")
        models = [model_of(wanted) for wanted in (types if types is not None else tuple(MODELS))]
        if not models:
            raise ConfigError("types is empty; name at least one device type, or leave it out for all")
        names = [model.name for model in models]
        if len(set(names)) < len(names):
            raise ConfigError(f"types names one twice: {', '.join(names)}")
        start = start.astimezone(UTC).replace(second=0, microsecond=0)
        places = plan_sites(sites)
        fleet = cls(seed=seed, start=start, sites=places, groups=plan_groups(seed, devices, models, places))
        return fleet.with_faults(plan_faults(seed, fleet.groups, places, start, days, faults))

    def with_faults(self, faults: Iterable[Fault]) -> "Fleet":
        """Return this fleet with these faults instead of its own.

        Raises ConfigError where a fault names a device, site or sensor that the fleet doesn't have.
        """
        changed = replace(self, faults=tuple(sorted(faults, key=lambda fault: (fault.start, fault.device_id))))
        changed._check_faults()
        return changed

    @property
    def types(self) -> tuple[DeviceType, ...]:
        """The device types of the fleet."""
        return tuple(group.model.type for group in self.groups)

    @property
    def n_devices(self) -> int:
        """How many devices there are."""
        return sum(len(group) for group in self.groups)

    def group(self, type_name: str) -> Group:
        """Return the devices of one type. Raises ConfigError for a type the fleet doesn't have."""
        for group in self.groups:
            if group.model.name == type_name:
                return group
        raise ConfigError(
            f"no device of type {type_name!r} in this fleet; it has {', '.join(t.name for t in self.types)}"
        )

    def devices(self) -> pl.DataFrame:
        """Return device_id, type, site, latitude and longitude of every device, type by type."""
        frames = []
        for group in self.groups:
            places = [self.sites[number] for number in group.site_of]
            frames.append(
                pl.DataFrame(
                    {
                        "device_id": group.ids,
                        "type": pl.repeat(group.model.name, len(group), eager=True),
                        "site": [place.id for place in places],
                        "latitude": [place.latitude for place in places],
                        "longitude": [place.longitude for place in places],
                    },
                    schema_overrides={"site": pl.String, "latitude": pl.Float64, "longitude": pl.Float64},
                )
            )
        return pl.concat(frames)

    def values(
        self, type_name: str, first_minute: int, n_minutes: int, members: NDArray[np.int64] | None = None
    ) -> Floats:
        """Return the sensor values (n_readings, n_devices, n_sensors) of a type, NaN where missing.

        The readings are those of `n_minutes` minutes from `first_minute` minutes after the fleet's start: one a
        minute for a type that reports every 60 s. `members` are places within `group(type_name)`, ascending;
        default all. A device that sent nothing has NaN in every sensor.
        """
        minute = int((self.start - EPOCH).total_seconds()) // 60 + first_minute
        interval_ms = self.group(type_name).model.type.interval_ms
        first = -(-minute * 60_000 // interval_ms)
        last = -(-(minute + n_minutes) * 60_000 // interval_ms)
        return self.block(self.group(type_name), first, last - first, members)

    def readings(
        self, type_name: str, start: datetime, end: datetime, device_ids: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """Return the readings of a type that are due from `start` until before `end`, by time, then device.

        Columns: device_id, timestamp (UTC, what the device's clock says, so some lie a little outside), and the
        sensors in float64, null where missing. What a device didn't send is no row.
        """
        group = self.group(type_name)
        members = None if device_ids is None else np.unique([group.place(name) for name in device_ids])
        first, count = self.due(group.model.type, start, end)
        values = self.block(group, first, count, members)
        keys = group.keys if members is None else group.keys[members]
        stamps = np.empty(values.shape[:2], np.int64)
        sensing.clock(stamps, first, group.model.type.interval_ms, keys)
        ids = group.ids if members is None else group.ids.gather(members)
        rows = pl.int_range(values.shape[1], dtype=pl.UInt32, eager=True)
        order = pl.concat([rows] * count) if count else rows.head(0)
        flat = values.reshape(-1, values.shape[2])
        columns = [
            pl.Series(name, np.ascontiguousarray(flat[:, s]), nan_to_null=True)
            for s, name in enumerate(group.model.type.sensor_names)
        ]
        frame = pl.DataFrame(
            [
                ids.gather(order).alias("device_id"),
                pl.Series("timestamp", stamps.reshape(-1)).cast(pl.Datetime("us", "UTC")),
                *columns,
            ]
        )
        sent = ~np.isnan(flat).all(axis=1)
        return frame if sent.all() else frame.filter(pl.Series(sent))

    def fault_reports(self, end: datetime) -> pl.DataFrame:
        """Return the ground truth of faults that began before `end`; see truth.fault_reports."""
        from .truth import fault_reports

        return fault_reports(self, end)

    def due(self, device_type: DeviceType, start: datetime, end: datetime) -> tuple[int, int]:
        """Return the number of the first reading due at or after `start`, and how many come before `end`."""
        return due(device_type.interval_ms, start, end)

    @cached_property
    def _resolved(self) -> dict[str, Resolved]:
        resolved = {}
        for group in self.groups:
            plain = resolve(self.faults, group, self.sites)
            held = replace(plain, sensor=plain.sensor.copy())
            for place in np.flatnonzero(held.sensor[:, sensing.KIND] == STUCK):
                row = held.sensor[place]
                member, sensor, at = (int(row[field]) for field in (sensing.SLOT, sensing.SENSOR, sensing.FIRST))
                before = self._computed(group, at - HOLD, HOLD + 1, np.array([member]), plain.physical())[:, 0, sensor]
                said = before[~np.isnan(before)]
                row[sensing.HELD] = said[-1] if said.size else np.nan
            resolved[group.model.name] = held
        return resolved

    def _check_faults(self) -> None:
        homes = {site.id: site for site in self.sites}
        for fault in self.faults:
            if FAULT_KINDS[fault.kind].where == "site":
                if fault.site not in homes:
                    raise ConfigError(f"fault {fault.kind}: no site {fault.site!r}; expected one of {', '.join(homes)}")
                continue
            group = next((group for group in self.groups if group.has(fault.device_id)), None)
            if group is None:
                raise ConfigError(f"fault {fault.kind}: no device {fault.device_id!r} in this fleet")
            for sensor in fault.sensors:
                if sensor not in group.model.type.sensor_names:
                    raise ConfigError(
                        f"fault {fault.kind} of {fault.device_id}: no sensor {sensor!r}; a {group.model.name} has"
                        f" {', '.join(group.model.type.sensor_names)}"
                    )

    def block(self, group: Group, first: int, count: int, members: NDArray[np.int64] | None = None) -> Floats:
        """Return readings `first` to before `first + count`, numbered from 1970 UTC on: `values` without a clock."""
        return self._computed(group, first, count, members, self._resolved[group.model.name])

    def _computed(
        self, group: Group, first: int, count: int, members: NDArray[np.int64] | None, resolved: Resolved
    ) -> Floats:
        """Return readings (count, n_members, n_sensors), tile by tile."""
        model = group.model
        chosen = np.arange(len(group)) if members is None else members
        out = np.empty((count, len(chosen), len(model.type.sensors)))
        keys = group.keys[chosen]
        site_numbers, site_of = np.unique(group.site_of[chosen].astype(np.int64), return_inverse=True)
        sites = [self.sites[number] for number in site_numbers]
        local = resolved if members is None else resolved.of_members(members)
        for low in range(0, count, TILE):
            tile = out[low : low + TILE]
            self._tile(model, tile, first + low, keys, site_numbers, sites, site_of.astype(np.int32), local)
        return out

    def _tile(
        self,
        model: DeviceModel,
        tile: Floats,
        first: int,
        keys: NDArray[np.uint64],
        site_numbers: NDArray[np.int64],
        sites: Sequence[Site],
        site_of: NDArray[np.int32],
        resolved: Resolved,
    ) -> None:
        interval_ms, interval_s = model.type.interval_ms, model.type.interval_s
        now = resolved.between(first, first + len(tile))
        clocks = weather.standard_offsets(sites)

        def physics(to: Floats, at: int, who: NDArray[np.int64] | slice, drives: Floats) -> None:
            shared = weather.channels(self.seed, sites, site_numbers, at, len(to), interval_ms)
            model.physics(to, at, interval_s, keys[who], site_of[who], shared, clocks, drives)

        physics(tile, first, slice(None), now.drives)
        for member, sensor, begin, end, lag in now.couplings:
            a, b = max(0, begin - first), min(len(tile), end - first)
            other = np.empty((b - a, 1, tile.shape[2]))
            physics(other, first + a - lag, np.array([member]), np.empty((0, now.drives.shape[1])))
            tile[a:b, member, sensor] = other[:, 0, sensor]
        sensing.sense(tile, first, interval_s, keys, model.specs(), now.sensor, now.absent)


def due(interval_ms: int, start: datetime, end: datetime) -> tuple[int, int]:
    """Return the number of the first reading at or after `start`, and how many come before `end`.

    Readings are numbered from 1970 UTC on. Raises ConfigError when `end` is before `start`.
    """
    if end < start:
        raise ConfigError(f"readings from {start} to {end}: the end is before the start")
    first = -((EPOCH - start) // timedelta(milliseconds=interval_ms))
    last = -((EPOCH - end) // timedelta(milliseconds=interval_ms))
    return first, last - first
