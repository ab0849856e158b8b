"""Ours on a fleet, as it serves: the type learns, now and again, every device lives, the engine opens alerts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Protocol

import numpy as np

from ..alerts.engine import (
    Devices,
    EngineConfig,
    EngineState,
    Kind,
    Mark,
    Observations,
    Rows,
    State,
    present_bits,
    step,
)
from ..alerts.observations import NO_DEVICES
from ..detection.blocks import Block, Scores, TrainingRows
from ..detection.config import DetectorConfig
from ..detection.detector import Detector
from ..detection.state import DetectorState

TOP = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that opened: when (ms), about what (`anomaly` or `sensor`), the sensors blamed most, in order; whether
    the engine took it for a repeat of its device's last one; when it was over (ms), None where it never was."""

    device: str
    opened_ms: int
    kind: str
    sensors: tuple[str, ...]
    repeat: bool = False
    over_ms: int | None = None


class Fleet(Protocol):
    """Devices of one type, day by day from 0."""

    @property
    def names(self) -> Sequence[str]:
        """Of the devices, by slot."""

    @property
    def sites(self) -> np.ndarray:
        """Of the devices (n_devices,), -1 for none."""

    @property
    def days(self) -> int:
        """How many there are."""

    def day(self, number: int) -> Block:
        """All rows of a day, in order of time."""

    def training(self, last: int) -> TrainingRows:
        """Rows of those who teach, of the days before day `last`, as many as are learnt from."""


def watch(fleet: Fleet, learn_days: int, train_every: int) -> tuple[list[Alert], float, int]:
    """Alerts that opened after the first `learn_days`, the seconds `update` took, and the rows it took.

    As the service does with `train_every_days`, the type learns anew every so many days, from the `learn_days` before;
    the new model lives through these before it serves, and devices in an open alert keep their levels. Rows count at
    their own time.
    """
    detector = Detector(DetectorConfig()).fit(fleet.training(learn_days))
    state = _new_state(detector, fleet)
    lived = [(detector.warm(state, block), block.slots) for block in map(fleet.day, range(learn_days))]
    detector.take_habits(state, joined([scores for scores, _ in lived]), np.concatenate([slots for _, slots in lived]))
    del lived
    engine = EngineState.new(config=EngineConfig())
    interval = detector.interval_ms_
    slots = np.arange(len(fleet.names), dtype=np.int32)
    news = Devices.of(slots, interval_ms=interval, silent_after_ms=10 * interval, site=-1, owner=0)
    alerts: list[Alert] = []
    open_now: dict[tuple[int, int, int], int] = {}
    seconds, rows = 0.0, 0
    for day in range(learn_days, fleet.days):
        if day > learn_days and (day - learn_days) % train_every == 0:
            in_alarm = np.unique([slot for slot, kind, _ in open_now if kind == Kind.ANOMALY]).astype(np.int64)
            detector, state = _trained_again(fleet, detector, state, range(day - learn_days, day), in_alarm)
        enter, leave = detector.threshold(detector.config.false_alerts_per_device_day)
        block = fleet.day(day)
        begun = time.process_time()
        scores = detector.update(state, block)
        seconds += time.process_time() - begun
        rows += len(block)
        observed = Rows.of(
            block.slots,
            block.ts,
            scores.score,
            enter=enter,
            leave=leave,
            present=present_bits(block.values),
            stuck=scores.stuck,
            live=False,
            learning=scores.learning,
        )
        said = step(engine, Observations(devices=news, rows=observed), int(block.ts[-1])).data
        news = NO_DEVICES
        for change in said:
            about = int(change["slot"]), int(change["kind"]), int(change["rule"])
            if change["to_state"] == State.FIRING and about not in open_now:
                open_now[about] = len(alerts)
                alerts.append(_opened(change, block, scores, fleet.names, detector.sensor_names_))
            elif change["to_state"] != State.FIRING and about in open_now:
                place = open_now.pop(about)
                alerts[place] = replace(alerts[place], over_ms=int(change["at_ms"]))
    return alerts, seconds, rows


def _new_state(detector: Detector, fleet: Fleet) -> DetectorState:
    state = detector.new_state(len(fleet.names))
    state.place(fleet.sites)
    return state


def _trained_again(
    fleet: Fleet, old: Detector, old_state: DetectorState, days: range, in_alarm: np.ndarray
) -> tuple[Detector, DetectorState]:
    """The type's next model, and what it knows of the devices: as `components.model_pusher` and the service have it."""
    detector = Detector(DetectorConfig()).fit(fleet.training(days.stop))
    lived = _new_state(detector, fleet)
    parts = []
    for block in map(fleet.day, days):
        parts.append((detector.update(lived, block), block.slots))
    detector.take_habits(lived, joined([scores for scores, _ in parts]), np.concatenate([slots for _, slots in parts]))
    state = detector.migrate(old_state, old)
    others = np.setdiff1d(np.arange(len(fleet.names)), in_alarm)
    state.put(others, lived.take(others))
    state.place(fleet.sites)
    return detector, state


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores one after the other as one."""
    return Scores(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scores)}
    )


def _opened(change: np.void, block: Block, scores: Scores, names: Sequence[str], sensors: Sequence[str]) -> Alert:
    row = int(change["row"])
    if change["kind"] == Kind.SENSOR:
        blamed: tuple[str, ...] = (sensors[int(change["rule"])],)
    else:
        order = np.argsort(-scores.contribution[row], kind="stable")[:TOP]
        blamed = tuple(sensors[int(place)] for place in order)
    kind = "sensor" if change["kind"] == Kind.SENSOR else "anomaly"
    return Alert(names[int(block.slots[row])], int(change["at_ms"]), kind, blamed, bool(change["marks"] & Mark.REPEAT))
