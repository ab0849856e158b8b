"""Ground truth: the faults of a fleet as fault reports, with the size of what each did to the readings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from .faults import FAULT_KINDS, Fault
from .fleet import Fleet
from .planning import Group

WINDOW: Final = 1440
"""Readings, the last of the fault, over which its effect is measured."""

SCHEMA: Final[Mapping[str, pl.DataType]] = {
    "device_id": pl.String(),
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "kind": pl.String(),
    "sensors": pl.List(pl.String()),
    "severity": pl.Float64(),
    "effect_spreads": pl.Float64(),
    "source": pl.String(),
}


def fault_reports(fleet: Fleet, end: datetime) -> pl.DataFrame:
    """Return a fault report for every fault that began before `end`, by start.

    Columns: device_id, start, end (null where the fault still lasts at `end`), kind, sensors (list), severity,
    effect_spreads, source ("simulator"). A site's fault is a report for each of its devices. `effect_spreads` is
    measured: the 99 % quantile, over the last day of the fault, of the difference from the same readings without
    the fault, in the sensor's normal spreads, of the sensor where it is largest; null where a device is silent.
    """
    rows = []
    for fault in fleet.faults:
        if fault.start >= end:
            continue
        seen_end = None if fault.end is None or fault.end > end else fault.end
        size = effect_spreads(fleet, fault, end)
        for device_id in _devices_of(fleet, fault):
            rows.append(
                {
                    "device_id": device_id,
                    "start": fault.start.astimezone(UTC),
                    "end": None if seen_end is None else seen_end.astimezone(UTC),
                    "kind": fault.kind,
                    "sensors": list(fault.sensors),
                    "severity": fault.severity,
                    "effect_spreads": size,
                    "source": "simulator",
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def effect_spreads(fleet: Fleet, fault: Fault, end: datetime) -> float | None:
    """Return what `fault` did until `end` to its device's readings, in normal spreads, or None where it sent none."""
    if FAULT_KINDS[fault.kind].where in ("site", "device"):
        return None
    group = _group_of(fleet, fault.device_id)
    until = end if fault.end is None else min(end, fault.end)
    first, count = fleet.due(group.model.type, fault.start, until)
    skipped = max(0, count - WINDOW)
    member = np.array([group.place(fault.device_id)])
    alone = fleet.with_faults([fault]).block(group, first + skipped, count - skipped, member)
    healthy = fleet.with_faults([]).block(group, first + skipped, count - skipped, member)
    spreads = np.array([group.model.sensors[name].spread for name in group.model.type.sensor_names])
    change = np.abs(alone - healthy)[:, 0] / spreads
    if np.isnan(change).all():
        return None
    return round(float(np.quantile(np.nan_to_num(change), 0.99, axis=0).max()), 2)


def _group_of(fleet: Fleet, device_id: str) -> Group:
    return next(group for group in fleet.groups if group.has(device_id))


def _devices_of(fleet: Fleet, fault: Fault) -> list[str]:
    if fault.device_id:
        return [fault.device_id]
    number = next(number for number, site in enumerate(fleet.sites) if site.id == fault.site)
    return [str(name) for group in fleet.groups for name in group.ids.filter(pl.Series(group.site_of == number))]
