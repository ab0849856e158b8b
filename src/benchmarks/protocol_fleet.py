"""A simulated fleet with every kind of fault: ours on all its rows, and beside its peers on a stratified sample.

A type learns from the first days of some devices, faults and all, since nobody has labelled them; then every device
lives on to the end, and the type learns again as the service does with `train_every_days`. Alerts are those of the
alert engine. What a device sends while it is silent, or its site is out, is nothing: these kinds are the engine's to
notice, and are left out here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..detection.blocks import Block, TrainingRows
from ..detection.config import DetectorConfig
from ..detection.fitting import chosen_devices
from ..simulator.faults import FAULT_KINDS
from ..simulator.fleet import Fleet
from ..simulator.planning import Group
from ..simulator.truth import effect_spreads, fault_reports
from .contestants import contestants
from .fleet_alerts import Alert, watch
from .measures import Judged
from .report import Result

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE_MS = 60_000
DAY_MINUTES = 1440
DAY_MS = DAY_MINUTES * MINUTE_MS
SAMPLE_DAYS = 14
"""Days after training that the sample is judged over: enough for each kind, and peers come to an end."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is: `learn_days` of `learn_devices` (of a type) teach, again every `train_every` days; `sample`
    devices are compared."""

    devices: int
    days: int
    faults: float
    learn_days: int
    train_every: int
    learn_devices: int
    sample: int
    seeds: tuple[int, ...]


SCALES = {
    "ci": Scale(devices=48, days=9, faults=0.4, learn_days=3, train_every=14, learn_devices=16, sample=18, seeds=(1,)),
    "medium": Scale(
        devices=600, days=60, faults=0.25, learn_days=14, train_every=14, learn_devices=40, sample=90, seeds=(12,)
    ),
    "full": Scale(
        devices=2001, days=60, faults=0.12, learn_days=14, train_every=14, learn_devices=40, sample=90, seeds=(1, 2, 3)
    ),
}


@dataclass(frozen=True, slots=True)
class Known:
    """A fault as its report tells it: times in ms; `effect`, how far it moves a sensor within a day, in normal spreads,
    None where it couldn't be measured; `late`, the same on its last day."""

    device: str
    kind: str
    start_ms: int
    end_ms: int
    sensors: tuple[str, ...]
    effect: float | None
    late: float | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What ours did on all rows of one type: its alerts, the faults that were there, and how many days were healthy.

    Faults that began before `judged_ms` were there when the type learnt: they explain alerts, and nobody can say how
    soon they were found.
    """

    seed: int
    type_name: str
    devices: int
    alerts: Sequence[Alert]
    faults: Sequence[Known]
    judged_ms: int
    device_days: float
    seconds: float
    rows: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """`results` of every contestant on the sample, and `watched`, ours on all rows, type by type and seed by seed."""

    results: dict[str, list[Result]]
    watched: list[Watched]


def measure(size: Literal["ci", "medium", "full"], say: Callable[[str], None]) -> Outcome:
    """Simulate, learn, judge. `say` is told who is at work."""
    scale = SCALES[size]
    results: dict[str, list[Result]] = {}
    watched: list[Watched] = []
    for seed in scale.seeds:
        fleet = Fleet.plan(
            seed=seed,
            devices=scale.devices,
            sites=max(4, scale.devices // 20),
            start=START,
            days=scale.days,
            faults=scale.faults,
        )
        faults = known_faults(fleet, scale)
        for group in fleet.groups:
            training = training_rows(fleet, group, scale, scale.learn_days)
            say(f"seed {seed}, {group.model.name}: ours on {len(group)} devices")
            watched.append(_watch(fleet, group, faults, scale, seed))
            for name, each in _compare(fleet, group, training, faults, scale, say).items():
                results.setdefault(name, []).extend(each)
    return Outcome(results, watched)


def known_faults(fleet: Fleet, scale: Scale) -> list[Known]:
    """The faults that show in readings and last past the days that are learnt from, by start."""
    end = fleet.start + timedelta(days=scale.days)
    until_ms = int(end.timestamp() * 1000)
    learnt_ms = int((fleet.start + timedelta(days=scale.learn_days)).timestamp() * 1000)
    reports = fault_reports(fleet, end).with_columns(pl.col("start", "end").dt.epoch("ms"))
    first_day = {
        (fault.device_id, fault.kind, int(fault.start.timestamp() * 1000)): effect_spreads(
            fleet, fault, min(end, fault.start + timedelta(days=1))
        )
        for fault in fleet.faults
        if fault.start < end
    }
    found = []
    for report in reports.iter_rows(named=True):
        ends = until_ms if report["end"] is None else report["end"]
        if FAULT_KINDS[report["kind"]].where in ("device", "site") or ends <= learnt_ms:
            continue
        found.append(
            Known(
                report["device_id"],
                report["kind"],
                report["start"],
                ends,
                tuple(report["sensors"]),
                first_day.get((report["device_id"], report["kind"], report["start"])),
                report["effect_spreads"],
            )
        )
    return found


def training_rows(fleet: Fleet, group: Group, scale: Scale, last: int) -> TrainingRows:
    """Rows of some devices of a type, of the days before day `last`, as many as are learnt from."""
    some = np.flatnonzero(chosen_devices(group.site_of.astype(np.int64), scale.learn_devices))
    first = (last - scale.learn_days) * DAY_MINUTES
    values = fleet.values(group.model.name, first, scale.learn_days * DAY_MINUTES, some)
    block = block_of(fleet, values, first)
    sensors = group.model.type.sensors
    return TrainingRows(
        device=block.slots.astype(np.int64),
        ts=block.ts,
        values=block.values,
        interval_ms=group.model.type.interval_ms,
        sensor_names=group.model.type.sensor_names,
        precisions=np.array([np.nan if one.precision is None else one.precision for one in sensors]),
        site=group.site_of[some][block.slots].astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class Type:
    """The devices of a type in a simulated fleet, as `fleet_alerts.watch` takes them."""

    fleet: Fleet
    group: Group
    scale: Scale

    @property
    def names(self) -> list[str]:
        """Of the devices, by slot."""
        return [str(name) for name in self.group.ids]

    @property
    def sites(self) -> npt.NDArray[np.integer]:
        """Of the devices (n_devices,)."""
        return self.group.site_of

    @property
    def days(self) -> int:
        """How many there are."""
        return self.scale.days

    def day(self, number: int) -> Block:
        """All rows of a day."""
        return next(days_of(self.fleet, self.group, number, number + 1, None))

    def training(self, last: int) -> TrainingRows:
        """Rows of those who teach, of the days before day `last`."""
        return training_rows(self.fleet, self.group, self.scale, last)


def block_of(fleet: Fleet, values: npt.NDArray[np.float64], first_minute: int) -> Block:
    """Values (n_minutes, n_devices, S) as rows, minute after minute; what a device didn't send is no row."""
    n_minutes, n_devices, n_sensors = values.shape
    start_ms = int(fleet.start.timestamp() * 1000)
    flat = values.reshape(-1, n_sensors)
    sent = ~np.isnan(flat).all(axis=1)
    slots = np.tile(np.arange(n_devices, dtype=np.int32), n_minutes)[sent]
    ts = np.repeat(start_ms + (first_minute + np.arange(n_minutes, dtype=np.int64)) * MINUTE_MS, n_devices)[sent]
    return Block(slots, ts, np.ascontiguousarray(flat[sent]))


def days_of(
    fleet: Fleet, group: Group, first: int, last: int, members: npt.NDArray[np.int64] | None
) -> Iterator[Block]:
    """The rows of a type from day `first` until before day `last`, a day at a time."""
    for day in range(first, last):
        yield block_of(
            fleet, fleet.values(group.model.name, day * DAY_MINUTES, DAY_MINUTES, members), day * DAY_MINUTES
        )


def sampled(group: Group, faults: Sequence[Known], scale: Scale, start_ms: int) -> npt.NDArray[np.int64]:
    """Places of the devices that are compared: of each kind of fault in turn, then healthy ones; ascending."""
    until_ms = start_ms + (scale.learn_days + SAMPLE_DAYS) * DAY_MINUTES * MINUTE_MS
    wanted = max(2, scale.sample // 3)
    mine = [fault for fault in faults if group.has(fault.device) and fault.start_ms < until_ms]
    by_kind: dict[str, list[str]] = {}
    for fault in mine:
        by_kind.setdefault(fault.kind, []).append(fault.device)
    chosen: list[str] = []
    while len(chosen) < wanted * 2 // 3 and any(by_kind.values()):
        for devices in by_kind.values():
            if devices and len(chosen) < wanted * 2 // 3:
                chosen.append(devices.pop(0))
    faulty = {fault.device for fault in faults}
    healthy = [str(name) for name in group.ids if str(name) not in faulty]
    chosen += healthy[: wanted - len(chosen)]
    return np.unique([group.place(name) for name in chosen])


def _watch(fleet: Fleet, group: Group, faults: Sequence[Known], scale: Scale, seed: int) -> Watched:
    mine = [fault for fault in faults if group.has(fault.device)]
    alerts, seconds, rows = watch(Type(fleet, group, scale), scale.learn_days, scale.train_every)
    judged_ms = int(fleet.start.timestamp() * 1000) + scale.learn_days * DAY_MS
    faulty_days = sum(fault.end_ms - max(fault.start_ms, judged_ms) for fault in mine) / DAY_MS
    healthy = len(group) * (scale.days - scale.learn_days) - faulty_days
    return Watched(seed, group.model.name, len(group), alerts, mine, judged_ms, healthy, seconds, rows)


def _compare(
    fleet: Fleet,
    group: Group,
    training: TrainingRows,
    faults: Sequence[Known],
    scale: Scale,
    say: Callable[[str], None],
) -> dict[str, list[Result]]:
    start_ms = int(fleet.start.timestamp() * 1000)
    members = sampled(group, faults, scale, start_ms)
    last = min(scale.days, scale.learn_days + SAMPLE_DAYS)
    before = joined(days_of(fleet, group, 0, scale.learn_days, members))
    block = joined(days_of(fleet, group, scale.learn_days, last, members))
    names = [str(group.ids[int(place)]) for place in members]
    anomaly = labels(block, names, faults)
    found: dict[str, list[Result]] = {}
    budget = DetectorConfig().false_alerts_per_device_day / DAY_MINUTES
    for name, contestant in contestants(budget).items():
        say(f"{group.model.name}: {name} on {len(block):,} rows of {len(members)} devices")
        verdict = contestant.judge(training, before, block, len(members))
        for slot, device in enumerate(names):
            own = block.slots == slot
            judged = Judged(anomaly[own], verdict.alarm[own], verdict.score[own], group.model.type.interval_ms / 60_000)
            seconds = verdict.seconds * float(own.mean())
            found.setdefault(name, []).append(
                Result(device, judged, verdict.threshold, seconds, verdict.bytes_per_device)
            )
    return found


def joined(blocks: Iterator[Block]) -> Block:
    """Blocks one after the other as one."""
    parts = list(blocks)
    return Block(
        np.concatenate([part.slots for part in parts]),
        np.concatenate([part.ts for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def labels(block: Block, names: Sequence[str], faults: Sequence[Known]) -> npt.NDArray[np.bool_]:
    """Rows (n,) at which their device had a fault."""
    anomaly = np.zeros(len(block), np.bool_)
    places = {name: slot for slot, name in enumerate(names)}
    for fault in faults:
        slot = places.get(fault.device)
        if slot is not None:
            anomaly |= (block.slots == slot) & (block.ts >= fault.start_ms) & (block.ts < fault.end_ms)
    return anomaly
