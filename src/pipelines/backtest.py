"""The alert budget against what was: alerts that other budgets would have given over the last days."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
from sqlalchemy import func, select

from ..components.data_ingestion import Ingested
from ..components.data_ingestion.ingestion import DAY_MS, lot
from ..components.model_evaluation.trial import reported
from ..components.replaying import DeviceRows, alerts, judge, settle, thresholds, within_faults
from ..components.workplace import Workplace, site_numbers
from ..detection.detector import Detector
from ..fleet import alert_budget, models
from ..fleet.database import reading

BATCH_DEVICES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestConfig:
    """The last `days` are judged by a `version` of the model (None: the champion); what is before settles devices.

    `per_device_month` and `most_a_day`, the budget as the settings have it; it is replayed `times` as large, too. At
    most `devices` devices are replayed; figures of more are scaled up. `sizes`: of owners with so many devices.
    """

    version: int | None = None
    days: float = 30.0
    per_device_month: float = 1.0
    most_a_day: float = 3.0
    times: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0)
    devices: int = 100
    sizes: tuple[int, ...] = (1, 200, 10_000)


class Counted(msgspec.Struct, frozen=True):
    """Alerts of a budget, without repeats: `budget_a_day` false ones allowed to the owner; `alerts` and those outside
    of reported faults (`false`) a day; `median_score` past which a reading counts."""

    owner: str
    devices: int
    times: float
    budget_a_day: float
    alerts_a_day: float
    false_a_day: float
    median_score: float


class Actual(msgspec.Struct, frozen=True):
    """What really opened over the same days: anomalies of the type without repeats, and those people confirmed."""

    owner: str
    alerts_a_day: float
    confirmed_a_day: float


class Replayed(msgspec.Struct, frozen=True):
    """A backtest: by owner, by size of owner, and what really was."""

    days: float
    devices: int
    of_devices: int
    rows: int
    owners: list[Counted]
    sizes: list[Counted]
    actual: list[Actual]


@dataclass(slots=True)
class _Sum:
    alerts: float = 0.0
    false: float = 0.0


def replay_budgets(config: BacktestConfig, place: Workplace, ingested: Ingested, detector: Detector) -> Replayed:
    """Replay a sample of the devices once, and count what each budget would have alerted on."""
    snapshot = ingested.snapshot
    from_ms = snapshot.end_ms - round(config.days * DAY_MS)
    devices = place.placed(snapshot.type_id)
    owners, sites = {placed.device_key: placed.owner for placed in devices}, site_numbers(devices)
    counts = place.lake.row_counts(snapshot.type_id, snapshot.start_ms, snapshot.end_ms)
    # Peers side by side, so that they are replayed together.
    chosen = sorted(sorted(counts, key=lot)[: config.devices], key=lambda key: (sites.get(key, -1), key))
    fleet = _fleet_sizes(place)
    names = sorted({owners[key] for key in counts})
    sums: dict[tuple[str, float], _Sum] = {}
    limits: dict[tuple[str, float], list[float]] = {}
    faults = reported(ingested.labels)
    rows_done, first_ms = 0, snapshot.end_ms
    for rows in _batches(place, ingested, detector, chosen, sites):
        before, after = rows.take(rows.ts < from_ms), rows.take(rows.ts >= from_ms)
        if not len(before):
            half = int(np.median(rows.ts))
            before, after = rows.take(rows.ts < half), rows.take(rows.ts >= half)
        settled = settle(detector, before)
        scores = judge(detector, settled, after)
        rows_done += len(after)
        first_ms = min(first_ms, int(after.ts.min(initial=snapshot.end_ms)))
        place.progress(min(1.0, rows_done / max(sum(counts[key] for key in chosen), 1)))
        whose = [owners[int(key)] for key in rows.keys]
        groups: list[tuple[str, npt.NDArray[np.float64]]] = [
            ("", np.array([fleet[name] for name in whose], float)),
            *((f"{size:,}", np.full(len(whose), float(size))) for size in config.sizes),
        ]
        for group, sizes in groups:
            for times in config.times:
                rate = times * np.minimum(config.per_device_month / 30, config.most_a_day / sizes)
                enter, leave = thresholds(detector, settled, rate)
                opened = alerts(after, scores, enter, leave, detector.interval_ms_)
                charged = opened.charged
                inside = within_faults(opened.slot, opened.at_ms, rows.keys, faults)
                for slot, name in enumerate(whose):
                    key = (group or name, times)
                    mine = charged & (opened.slot == slot)
                    total = sums.setdefault(key, _Sum())
                    total.alerts += int(mine.sum())
                    total.false += int((mine & ~inside).sum())
                    limits.setdefault(key, []).append(float(enter[slot]))
    days = max((snapshot.end_ms - first_ms) / DAY_MS, 1e-9)

    def told(owner: str, size: int, replayed: int, times: float) -> Counted:
        found, scale = sums[(owner, times)], size / max(replayed, 1) / days
        budget = times * min(size * config.per_device_month / 30, config.most_a_day)
        middle = float(np.median(limits[(owner, times)]))
        return Counted(owner, size, times, budget, found.alerts * scale, found.false * scale, middle)

    replayed = {name: sum(owners[key] == name for key in chosen) for name in names}
    of_type = {name: sum(owners[key] == name for key in counts) for name in names}
    return Replayed(
        days=round(days, 3),
        devices=len(chosen),
        of_devices=len(counts),
        rows=rows_done,
        owners=[told(n, of_type[n], replayed[n], t) for n in names if replayed[n] for t in config.times],
        sizes=[told(f"{size:,}", size, len(chosen), t) for size in config.sizes for t in config.times],
        actual=_actual(place, snapshot.type_id, names, from_ms, snapshot.end_ms),
    )


def _batches(
    place: Workplace, ingested: Ingested, detector: Detector, chosen: Sequence[int], sites: Mapping[int, int]
) -> Iterator[DeviceRows]:
    snapshot, sensors = ingested.snapshot, detector.sensor_names_
    for first in range(0, len(chosen), BATCH_DEVICES):
        frame = place.lake.read(
            snapshot.type_id,
            device_keys=chosen[first : first + BATCH_DEVICES],
            start_ms=snapshot.start_ms,
            end_ms=snapshot.end_ms,
            columns=["device_key", "timestamp", *sensors],
        )
        yield DeviceRows.of(frame.select("device_key", "timestamp", pl.col(sensors)), sensors, sites)


def _fleet_sizes(place: Workplace) -> dict[str, int]:
    """How many devices each owner has, of all types: the budget is the owner's."""
    query = select(models.Owner.name, func.count()).join(models.Device, models.Device.owner_id == models.Owner.id)
    with reading(place.engine) as session:
        return {name: n for name, n in session.execute(query.group_by(models.Owner.name))}


def _actual(place: Workplace, type_id: int, names: Sequence[str], from_ms: int, end_ms: int) -> list[Actual]:
    days = max((end_ms - from_ms) / DAY_MS, 1e-9)
    with reading(place.engine) as session:
        ids = {owner: name for owner, name in session.execute(select(models.Owner.id, models.Owner.name))}
        counts = alert_budget.opened(session, type_id, from_ms, end_ms)
    found = {ids[owner]: count for owner, count in counts.items()}
    return [Actual(name, found.get(name, (0, 0))[0] / days, found.get(name, (0, 0))[1] / days) for name in names]
