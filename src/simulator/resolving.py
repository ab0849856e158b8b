"""Faults of a plan as the numbers that the compiled loops read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from . import drives, sensing
from .faults import BIAS, CALIBRATION, CYCLIC, DRIFT, FAULT_KINDS, LEAK, STUCK, Fault
from .planning import Group
from .randomness import Floats, bits, uniform
from .sites import Site

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FOREVER = 2**53
WEEK_S = 7 * 86400

Coupling = tuple[int, int, int, int, int]
"""Member, sensor, first reading, first reading after, and how many readings back the sensor looks."""


@dataclass(frozen=True, eq=False, slots=True)
class Resolved:
    """Faults of one type's devices as numbers; each table is sorted by the device's place among the members."""

    drives: Floats
    sensor: Floats
    couplings: tuple[Coupling, ...]
    absent: NDArray[np.int64]

    def between(self, first: int, last: int) -> "Resolved":
        """Return the faults that act on readings `first` to before `last`."""
        d, s, a = self.drives, self.sensor, self.absent
        return Resolved(
            drives=d[(d[:, drives.FIRST] < last) & (d[:, drives.LAST] > first)],
            sensor=s[(s[:, sensing.FIRST] < last) & (s[:, sensing.LAST] > first)],
            couplings=tuple(c for c in self.couplings if c[2] < last and c[3] > first),
            absent=a[(a[:, 1] < last) & (a[:, 2] > first)],
        )

    def of_members(self, members: NDArray[np.int64]) -> "Resolved":
        """Return the faults of these devices (n,), ascending, numbered by their places among them."""
        place = {int(member): slot for slot, member in enumerate(members)}

        def kept(table: Floats) -> Floats:
            rows = table[np.isin(table[:, 0].astype(np.int64), members)]
            rows[:, 0] = np.searchsorted(members, rows[:, 0].astype(np.int64))
            return rows

        return Resolved(
            drives=kept(self.drives),
            sensor=kept(self.sensor),
            couplings=tuple((place[c[0]], *c[1:]) for c in self.couplings if c[0] in place),
            absent=kept(self.absent.astype(np.float64)).astype(np.int64),
        )

    def physical(self) -> "Resolved":
        """Return the faults of the physics alone."""
        return replace(self, sensor=self.sensor[:0], couplings=(), absent=self.absent[:0])


def resolve(faults: Sequence[Fault], group: Group, sites: Sequence[Site]) -> Resolved:
    """Return the faults of a group's devices as numbers; a stuck sensor's value is not yet known (NaN)."""
    physics: list[tuple[float, ...]] = []
    sensor: list[tuple[float, ...]] = []
    couplings: list[Coupling] = []
    absent: list[tuple[int, int, int]] = []
    names = group.model.type.sensor_names
    number_of = {site.id: number for number, site in enumerate(sites)}
    for fault in faults:
        kind = FAULT_KINDS[fault.kind]
        first, last = _ticks(fault, group.model.type.interval_ms)
        if kind.where == "site":
            at_site = np.flatnonzero(group.site_of == number_of[fault.site])
            absent.extend((int(member), first, last) for member in at_site)
            continue
        if not group.has(fault.device_id):
            continue
        member = group.place(fault.device_id)
        if kind.where == "device":
            absent.append((member, first, last))
        elif kind.where == "physics":
            physics.append(_drive(fault, member, first, last, group))
        elif kind.where == "coupling":
            lag = round((WEEK_S - 7200 * fault.severity) / group.model.type.interval_s)
            couplings.extend((member, names.index(name), first, last, lag) for name in fault.sensors)
        else:
            sensor.extend(_sensor_fault(fault, name, member, first, last, group) for name in fault.sensors)
    return Resolved(
        drives=_table(physics, drives.N_FIELDS),
        sensor=_table(sensor, sensing.N_FIELDS),
        couplings=tuple(sorted(couplings)),
        absent=_table(absent, 3).astype(np.int64),
    )


def _table(rows: Sequence[tuple[float, ...]], fields: int) -> Floats:
    return np.array(sorted(rows, key=lambda row: row[:4]), np.float64).reshape(len(rows), fields)


def _ticks(fault: Fault, interval_ms: int) -> tuple[int, int]:
    step = timedelta(milliseconds=interval_ms)
    first = -((EPOCH - fault.start) // step)
    return first, FOREVER if fault.end is None else -((EPOCH - fault.end) // step)


def _drive(fault: Fault, member: int, first: int, last: int, group: Group) -> tuple[float, ...]:
    code = FAULT_KINDS[fault.kind].code
    minute = 60.0 / group.model.type.interval_s
    chance = uniform(group.keys[member], first)
    if code not in (LEAK, CYCLIC) and last == FOREVER:
        last = first + round(7 * 1440 * minute)
    ramp = (60.0 + 420.0 * chance if code == LEAK else 45.0) * minute
    period = (18.0 + 37.0 * chance) * minute
    return float(member), float(code), float(first), float(last), fault.severity, ramp, period


def _sensor_fault(fault: Fault, name: str, member: int, first: int, last: int, group: Group) -> tuple[float, ...]:
    kind = FAULT_KINDS[fault.kind]
    model = group.model.sensors[name]
    sensor = group.model.type.sensor_names.index(name)
    size = fault.severity * kind.spreads * model.spread
    signed = kind.code in (DRIFT, BIAS, CALIBRATION)
    if signed and int(bits(group.keys[member], first)) % 2:
        size = -size
    held = np.nan if kind.code == STUCK else 0.0
    return float(member), float(sensor), float(kind.code), float(first), float(last), size, held
