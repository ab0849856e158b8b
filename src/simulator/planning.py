"""Planning a fleet: which devices stand where, and which faults befall them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ..exceptions import ConfigError
from .faults import FAULT_KINDS, Fault
from .models import DeviceModel
from .randomness import keys_of
from .sites import Site


@dataclass(frozen=True, eq=False)
class Group:
    """The devices of one type: their model, random keys (n,) and sites (n,)."""

    model: DeviceModel
    keys: NDArray[np.uint64]
    site_of: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def ids(self) -> pl.Series:
        """Device ids: the model's prefix and a number from 1 on, padded so that they sort."""
        width = max(3, len(str(len(self))))
        numbers = pl.int_range(1, len(self) + 1, eager=True).cast(pl.String).str.zfill(width)
        return pl.select(device_id=pl.lit(f"{self.model.prefix}-") + numbers).to_series()

    def has(self, device_id: str) -> bool:
        """Say whether there is a device of this id."""
        prefix, _, number = device_id.rpartition("-")
        if prefix != self.model.prefix or not number.isdecimal() or not 1 <= int(number) <= len(self):
            return False
        return bool(self.ids[int(number) - 1] == device_id)

    def place(self, device_id: str) -> int:
        """Return the place of a device in this group. Raises ConfigError where there is none of this id."""
        if not self.has(device_id):
            raise ConfigError(f"no {self.model.name} {device_id!r}; expected {self.ids[0]} to {self.ids[-1]}")
        return int(device_id.rpartition("-")[2]) - 1


def plan_groups(seed: int, devices: int, models: Sequence[DeviceModel], sites: Sequence[Site]) -> tuple[Group, ...]:
    """Share `devices` out among the models in turn, and place each on a site that hosts its type."""
    groups = []
    for turn, model in enumerate(models):
        count = len(range(turn, devices, len(models)))
        if count == 0:
            continue
        keys = keys_of(seed, model.family, np.arange(1, count + 1))
        hosting = [number for number, site in enumerate(sites) if not site.hosts or model.name in site.hosts]
        homes = np.array(hosting or range(len(sites)), np.int32)
        groups.append(Group(model=model, keys=keys, site_of=homes[(keys >> np.uint64(20)) % np.uint64(len(homes))]))
    return tuple(groups)


def plan_faults(
    seed: int, groups: Sequence[Group], sites: Sequence[Site], start: datetime, days: float, share: float
) -> list[Fault]:
    """Return faults for a `share` of the devices within `days` days from `start`, one a device.

    The kinds take turns, so that twelve faults show all twelve kinds of device. The first eighth of the time has
    none, so that there is something to learn from; no fault takes more than 40 % of the time.
    """
    counts = [len(group) for group in groups]
    total = round(share * sum(counts))
    if total == 0:
        return []
    chance = np.random.Generator(np.random.Philox(key=[seed, 0xFA17]))
    borders = np.cumsum([0, *counts])
    chosen = chance.choice(sum(counts), total, replace=False)
    of_device = [name for name, kind in FAULT_KINDS.items() if kind.where != "site"]
    turns = [str(kind) for kind in chance.permutation(of_device)]
    faults = []
    for turn, device in enumerate(chosen):
        group = groups[int(np.searchsorted(borders, device, side="right")) - 1]
        index = int(device) - int(borders[groups.index(group)])
        faults.append(_device_fault(chance, group, index, turns[turn % len(turns)], start, days))
    busy = sorted({int(number) for group in groups for number in group.site_of})
    for _ in range(max(1, round(total / len(turns)))):
        begin, end = _spell(chance, "site_outage", start, days)
        site = sites[busy[int(chance.integers(len(busy)))]].id
        faults.append(Fault(kind="site_outage", site=site, start=begin, end=end, severity=1.0))
    return faults


def _device_fault(
    chance: np.random.Generator, group: Group, index: int, kind: str, start: datetime, days: float
) -> Fault:
    begin, end = _spell(chance, kind, start, days)
    model = group.model
    where = FAULT_KINDS[kind].where
    sensors: tuple[str, ...] = ()
    if where == "physics":
        sensors = model.shows[kind]
    elif where == "coupling":
        sensors = (str(chance.choice(model.follows)),)
    elif where == "sensor":
        moving = [name for name in model.type.sensor_names if name not in model.switches]
        sensors = (str(chance.choice(moving)),)
    severity = round(float(chance.uniform(0.15, 1.0)), 3)
    device_id = str(group.ids[index])
    return Fault(kind=kind, device_id=device_id, start=begin, end=end, severity=severity, sensors=sensors)


def _spell(chance: np.random.Generator, kind: str, start: datetime, days: float) -> tuple[datetime, datetime]:
    """Return when a fault begins and ends: its length log-uniform in its kind's range, to the minute."""
    low, high = (np.log(hours) for hours in FAULT_KINDS[kind].hours)
    hours = min(float(np.exp(chance.uniform(low, high))), 0.4 * 24.0 * days)
    onset = float(chance.uniform(0.125, 0.95)) * 24.0 * days
    begin = start + timedelta(minutes=round(60.0 * onset))
    return begin, begin + timedelta(minutes=max(1, round(60.0 * hours)))
