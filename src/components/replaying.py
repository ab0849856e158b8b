"""A detector lives through rows as it would have live: its devices settle, then are judged, then the alert engine says
which alerts would have opened. Training's evaluation, backtests, batch scoring and shadows all come through here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

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
from ..alerts.transitions import TRANSITION
from ..detection.blocks import Block, Scores
from ..detection.detector import Detector
from ..detection.state import DetectorState

I64 = npt.NDArray[np.int64]
F32 = npt.NDArray[np.float32]
PATIENCE = 10
"""Intervals without a reading after which a device would be silent; what is replayed is never silent."""

HOUR_MS = 3_600_000
ENGINE_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class DeviceRows:
    """Rows of some devices of a type, by device and time.

    `keys` (n_devices,) names them, `slots` (n,) says whose each row is, `values` (n, S), NaN where missing; `sites`
    (n_devices,) numbers the site of each, -1 for none: devices of one are peers.
    """

    keys: I64
    slots: npt.NDArray[np.int32]
    ts: I64
    values: npt.NDArray[np.float64]
    sensors: tuple[str, ...]
    sites: I64

    @classmethod
    def of(cls, frame: pl.DataFrame, sensors: Sequence[str], sites: Mapping[int, int]) -> "DeviceRows":
        """Take rows of the lake, sorted by device and time; a sensor that no row has is missing in all.

        `sites` numbers the sites by device key.
        """
        keys, slots = np.unique(frame["device_key"].to_numpy(), return_inverse=True)
        columns = [
            frame[name].fill_null(float("nan")).to_numpy() if name in frame.columns else np.full(len(frame), np.nan)
            for name in sensors
        ]
        values = np.stack(columns, axis=1) if len(frame) else np.zeros((0, len(sensors)))
        ts = frame["timestamp"].dt.epoch("ms").to_numpy()
        at = np.array([sites.get(key, -1) for key in keys.tolist()], np.int64)
        return cls(keys.astype(np.int64), slots.astype(np.int32), ts, np.ascontiguousarray(values), tuple(sensors), at)

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, mask: npt.NDArray[np.bool_]) -> "DeviceRows":
        """The rows chosen; devices keep their slots."""
        return DeviceRows(self.keys, self.slots[mask], self.ts[mask], self.values[mask], self.sensors, self.sites)

    def block(self, sensors: Sequence[str]) -> Block:
        """The rows as a detector of these sensors takes them."""
        if tuple(sensors) == self.sensors:
            return Block(self.slots, self.ts, self.values)
        places = [self.sensors.index(name) if name in self.sensors else -1 for name in sensors]
        columns = [self.values[:, at] if at >= 0 else np.full(len(self), np.nan) for at in places]
        return Block(self.slots, self.ts, np.ascontiguousarray(np.stack(columns, axis=1)))


@dataclass(frozen=True, slots=True)
class Settled:
    """Devices whose levels and habits a detector has learnt."""

    state: DetectorState

    @classmethod
    def new(cls, detector: Detector, rows: DeviceRows) -> "Settled":
        """The devices of `rows` before their first reading, among their peers."""
        state = detector.new_state(len(rows.keys))
        state.place(rows.sites)
        return cls(state)

    def copies(self, slots: I64) -> "Settled":
        """The same devices again, some of them perhaps several times: one for each of `slots` (m,). They have no peers:
        copies of one device would be each other's."""
        state = self.state.take(slots)
        state.group[:] = -1
        return Settled(state)


@dataclass(frozen=True, slots=True)
class Opened:
    """Alerts that opened, in order of time: `slot` (k,), `at_ms` (k,), `kind` (k,) of `alerts.kinds.Kind`.

    `repeat` (k,): an anomaly so soon after the end of its device's last one that it isn't charged to the budget.
    """

    slot: I64
    at_ms: I64
    kind: I64
    repeat: npt.NDArray[np.bool_]

    @property
    def charged(self) -> npt.NDArray[np.bool_]:
        """Which count against the budget of false alerts (k,): anomalies that repeat none."""
        counts: npt.NDArray[np.bool_] = (self.kind == Kind.ANOMALY) & ~self.repeat
        return counts

    def __len__(self) -> int:
        return len(self.slot)


def settle(detector: Detector, rows: DeviceRows) -> Settled:
    """Let devices live through rows that teach: levels settle, nothing alarms."""
    settled = Settled.new(detector, rows)
    scores = _in_time(rows, detector, lambda block: detector.warm(settled.state, block))
    detector.take_habits(settled.state, scores, rows.slots)
    return settled


def judge(detector: Detector, settled: Settled, rows: DeviceRows) -> Scores:
    """What a detector says of rows, by its devices' state, which moves on."""
    return _in_time(rows, detector, lambda block: detector.update(settled.state, block))


def _in_time(rows: DeviceRows, detector: Detector, judged: Callable[[Block], Scores]) -> Scores:
    """Scores of rows as they lie, judged in order of time: what peers share is known only to those who come later."""
    block = rows.block(detector.sensor_names_)
    if (rows.sites < 0).all():
        return judged(block)
    order = np.argsort(block.ts, kind="stable")
    scores = judged(Block(block.slots[order], block.ts[order], np.ascontiguousarray(block.values[order])))
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return scores.take(back)


def thresholds(
    detector: Detector, settled: Settled, false_alerts_per_device_day: float | npt.NDArray[np.float64]
) -> tuple[F32, F32]:
    """(enter, leave) of each device (n_devices,) at a budget, for all or for each."""
    rates = np.broadcast_to(false_alerts_per_device_day, len(settled.state))
    enter, leave = np.empty(len(rates), np.float32), np.empty(len(rates), np.float32)
    for rate in np.unique(rates):
        enter[rates == rate], leave[rates == rate] = detector.threshold(float(rate))
    return enter, leave


def alerts(
    rows: DeviceRows,
    scores: Scores,
    enter: F32,
    leave: F32,
    interval_ms: int,
    *,
    owners: npt.ArrayLike = 0,
    config: EngineConfig | None = None,
) -> Opened:
    """The alerts that the engine opens on scored rows, with thresholds by device (n_devices,).

    `owners`: of each device, a small number; the engine's budget a day is an owner's. What marks an alert as over
    budget doesn't keep it from opening.
    """
    engine = EngineState.new(config=config or EngineConfig())
    slots = np.arange(len(rows.keys), dtype=np.int32)
    news = Devices.of(slots, interval_ms=interval_ms, silent_after_ms=PATIENCE * interval_ms, site=-1, owner=owners)
    order = np.argsort(rows.ts, kind="stable")
    found = []
    for first in range(0, len(order), ENGINE_ROWS):
        at = order[first : first + ENGINE_ROWS]
        observed = Rows.of(
            rows.slots[at],
            rows.ts[at],
            scores.score[at],
            enter=enter[rows.slots[at]],
            leave=leave[rows.slots[at]],
            present=present_bits(rows.values[at]),
            stuck=scores.stuck[at],
            live=False,
            learning=scores.learning[at],
        )
        said = step(engine, Observations(devices=news, rows=observed), int(rows.ts[at[-1]])).data
        news = Devices.of([], interval_ms=[], silent_after_ms=[])
        found.append(said[(said["to_state"] == State.FIRING) & (said["from_state"] != State.FIRING)])
    opened = np.concatenate(found) if found else np.zeros(0, TRANSITION)
    opened = opened[np.argsort(opened["at_ms"], kind="stable")]
    slot, at_ms, kind = (opened[name].astype(np.int64) for name in ("slot", "at_ms", "kind"))
    return Opened(slot, at_ms, kind, opened["marks"] & Mark.REPEAT != 0)


def within_faults(
    slots: I64, at_ms: I64, keys: I64, faults: Mapping[int, Sequence[tuple[int, int]]], after_ms: int = HOUR_MS
) -> npt.NDArray[np.bool_]:
    """Which moments (k,) fall in a fault of their device, or within `after_ms` of its end."""
    inside = np.zeros(len(slots), np.bool_)
    for number, (slot, moment) in enumerate(zip(slots.tolist(), at_ms.tolist(), strict=True)):
        inside[number] = any(start <= moment <= end + after_ms for start, end in faults.get(int(keys[slot]), ()))
    return inside
