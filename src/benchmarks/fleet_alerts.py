"""Ours on a fleet, as it serves: the detector learns, every device lives, the alert engine opens alerts."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..alerts.engine import Devices, EngineConfig, EngineState, Kind, Observations, Rows, State, present_bits, step
from ..alerts.observations import NO_DEVICES
from ..detection.blocks import Block, Scores, TrainingRows
from ..detection.config import DetectorConfig
from ..detection.detector import Detector

TOP = 3


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that opened: when (ms), about what (`anomaly` or `sensor`), and the sensors blamed most, in order."""

    device: str
    opened_ms: int
    kind: str
    sensors: tuple[str, ...]


def watch(
    training: TrainingRows,
    days: Iterable[Block],
    names: Sequence[str],
    learn_days: int,
    sites: np.ndarray | None = None,
) -> tuple[list[Alert], float, int]:
    """Alerts that opened after the days that were learnt from, the seconds `update` took, and the rows it took.

    `days`, a block for each; `names` of devices by slot. Rows count at their own time.
    """
    detector = Detector(DetectorConfig()).fit(training)
    enter, leave = detector.threshold(detector.config.false_alerts_per_device_day)
    state = detector.new_state(len(names))
    if sites is not None:
        state.place(sites)
    engine = EngineState.new(config=EngineConfig())
    slots = np.arange(len(names), dtype=np.int32)
    interval = training.interval_ms
    news = Devices.of(slots, interval_ms=interval, silent_after_ms=10 * interval, site=-1, owner=0)
    alerts: list[Alert] = []
    seconds, rows = 0.0, 0
    lived: list[tuple[Scores, np.ndarray]] = []
    for day, block in enumerate(days):
        if day < learn_days:
            lived.append((detector.warm(state, block), block.slots))
            continue
        if lived:
            detector.take_habits(state, joined([scores for scores, _ in lived]), np.concatenate([x for _, x in lived]))
            lived = []
        begun = time.process_time()
        scores = detector.update(state, block)
        seconds += time.process_time() - begun
        rows += len(block)
        now_ms = int(block.ts[-1])
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
        said = step(engine, Observations(devices=news, rows=observed), now_ms)
        news = NO_DEVICES
        alerts += _opened(said.data, block, scores, names, training.sensor_names)
    return alerts, seconds, rows


def joined(parts: Sequence[Scores]) -> Scores:
    """Scores one after the other as one."""
    return Scores(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Scores)}
    )


def _opened(
    said: np.ndarray, block: Block, scores: Scores, names: Sequence[str], sensors: Sequence[str]
) -> list[Alert]:
    fires = (said["to_state"] == State.FIRING) & (said["from_state"] != State.FIRING)
    found = []
    for change in said[fires]:
        row = int(change["row"])
        if change["kind"] == Kind.SENSOR:
            blamed: tuple[str, ...] = (sensors[int(change["rule"])],)
        else:
            order = np.argsort(-scores.contribution[row], kind="stable")[:TOP]
            blamed = tuple(sensors[int(place)] for place in order)
        kind = "sensor" if change["kind"] == Kind.SENSOR else "anomaly"
        found.append(Alert(names[int(block.slots[row])], int(change["at_ms"]), kind, blamed))
    return found
