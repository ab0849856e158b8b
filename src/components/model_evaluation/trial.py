"""One model on rows that it hasn't seen: its alerts, the probes it catches, what it costs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...detection.detector import Detector
from ..learnt import Learnt
from ..replaying import DeviceRows, Opened, alerts, judge, settle, thresholds, within_faults
from ..workplace import Label
from .probes import Probes, caught, plan, spreads

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Faults = Mapping[int, Sequence[tuple[int, int]]]
DAY_MS = 86_400_000
TIMED_ROWS = 20_000
"""So many rows are timed at least."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """What models are judged on: `before`, in which devices settle, and `after`, in which they are judged.

    The same devices in the same slots in both. `faults`: reported ones by device key, from and until in ms. `probes`
    are None where nothing could be put in. What is within `seen` doesn't count.
    """

    before: DeviceRows
    after: DeviceRows
    faults: Faults
    probes: Probes | None
    interval_ms: int
    seen: Learnt | None = None

    @classmethod
    def of(
        cls, rows: DeviceRows, from_ms: int, labels: Sequence[Label], interval_ms: int, most_probes: int
    ) -> "Unseen":
        """Divide rows at a time, and put probes into the part that is judged: first into devices without a report."""
        faults = reported(labels)
        before, after = rows.take(rows.ts < from_ms), rows.take(rows.ts >= from_ms)
        candidates = sorted(range(len(rows.keys)), key=lambda slot: int(rows.keys[slot]) in faults)
        probes = plan(after, spreads(before), candidates, most_probes) if len(after) else None
        return cls(before, after, faults, probes, interval_ms)

    def without(self, learnt: Learnt) -> tuple["Unseen", Bools]:
        """What of it isn't in what a model learnt from, and which probes (k,) it keeps.

        Devices still live through the rest, so that a trial needn't be made again to be counted on this alone.
        """
        rows = self.after.take(~learnt.holds(self.after.keys, self.after.slots, self.after.ts))
        if self.probes is None:
            return replace(self, after=rows, seen=learnt), np.zeros(0, np.bool_)
        probed = np.isin(self.after.keys[self.probes.of], np.array(learnt.devices, np.int64))
        kept = ~probed | (self.probes.start_ms >= learnt.until_ms) | (self.probes.end_ms <= learnt.from_ms)
        probes = self.probes.chosen(kept) if kept.any() else None
        return replace(self, after=rows, probes=probes, seen=learnt), kept

    @property
    def device_days(self) -> Floats:
        """Days (n_devices,) of judged rows of each device."""
        counts: Floats = np.bincount(self.after.slots, minlength=len(self.after.keys)).astype(float)
        return counts * self.interval_ms / DAY_MS

    @property
    def reported_share(self) -> float:
        """The part of the judged rows that is within reported faults."""
        inside = np.zeros(len(self.after), np.bool_)
        for slot, key in enumerate(self.after.keys.tolist()):
            mine = self.after.slots == slot
            for start, end in self.faults.get(key, ()):
                inside |= mine & (self.after.ts >= start) & (self.after.ts <= end)
        return float(inside.mean()) if len(inside) else 0.0


@dataclass(frozen=True, slots=True)
class Trial:
    """What a model did: `false_alerts` (n_devices,) anomalies outside of reported faults, without repeats;
    `faults_seen` of `faults_there` (n_devices,) reported ones; `minutes` (k,) to each probe; `rows_per_s` of one core;
    `state_bytes` a device."""

    opened: Opened
    false_alerts: Floats
    faults_seen: Floats
    faults_there: Floats
    minutes: Floats
    rows_per_s: float
    state_bytes: int

    def on(self, part: Unseen, probes: Bools) -> "Trial":
        """The same, counted on a part of what was judged, with some of its probes (k,), as `Unseen.without` gives
        them."""
        false, seen, there = _counted(self.opened, part)
        return replace(self, false_alerts=false, faults_seen=seen, faults_there=there, minutes=self.minutes[probes])


def reported(labels: Sequence[Label]) -> dict[int, list[tuple[int, int]]]:
    """Faults by device key, from and until; one that is open lasts for ever."""
    faults: dict[int, list[tuple[int, int]]] = {}
    for label in labels:
        faults.setdefault(label.device_key, []).append(
            (label.start_ms, 1 << 62 if label.end_ms is None else label.end_ms)
        )
    return faults


def try_out(detector: Detector, unseen: Unseen, false_alerts_per_device_day: float) -> Trial:
    """Let a model live through `before`, and judge it on `after` and on the probes."""
    settled = settle(detector, unseen.before)
    minutes = np.zeros(0)
    if unseen.probes is not None:
        minutes = caught(detector, settled, unseen.probes, false_alerts_per_device_day, unseen.interval_ms)
    began = time.process_time()
    scores = judge(detector, settled, unseen.after)
    seconds = time.process_time() - began
    enter, leave = thresholds(detector, settled, false_alerts_per_device_day)
    opened = alerts(unseen.after, scores, enter, leave, unseen.interval_ms)
    false, seen, there = _counted(opened, unseen)
    return Trial(
        opened,
        false,
        seen,
        there,
        minutes,
        _speed(detector, unseen, len(unseen.after) / max(seconds, 1e-6)),
        settled.state.bytes_per_device,
    )


def _counted(opened: Opened, unseen: Unseen) -> tuple[Floats, Floats, Floats]:
    """False alerts, reported faults seen, and reported faults (n_devices,) of a trial."""
    keys = unseen.after.keys
    apart = within_faults(opened.slot, opened.at_ms, keys, unseen.faults) | ~opened.charged
    if unseen.seen is not None:
        apart |= unseen.seen.holds(keys, opened.slot, opened.at_ms)
    false = np.bincount(opened.slot[~apart], minlength=len(keys)).astype(float)
    return false, *_of_reported(opened, unseen)


def _speed(detector: Detector, unseen: Unseen, rows_per_s: float) -> float:
    """Rows a second of one core; few rows are too short to time, so they are taken again and again."""
    if len(unseen.after) >= TIMED_ROWS:
        return rows_per_s
    block = unseen.after.block(detector.sensor_names_)
    times = -(-TIMED_ROWS // max(len(block), 1))
    states = [detector.new_state(len(unseen.after.keys)) for _ in range(times)]
    began = time.process_time()
    for state in states:
        detector.update(state, block)
    return times * len(block) / max(time.process_time() - began, 1e-6)


def _of_reported(opened: Opened, unseen: Unseen) -> tuple[Floats, Floats]:
    """Reported faults (n_devices,) that began in the judged time, and those of them in which an alert opened."""
    keys = unseen.after.keys
    seen, there = np.zeros(len(keys)), np.zeros(len(keys))
    if not len(unseen.after):
        return seen, there
    first, last = int(unseen.after.ts.min()), int(unseen.after.ts.max())
    for slot, key in enumerate(keys.tolist()):
        at = opened.at_ms[opened.slot == slot]
        for start, end in unseen.faults.get(key, ()):
            if first <= start <= last and not _is_seen(unseen.seen, key, start):
                there[slot] += 1
                seen[slot] += bool(((at >= start) & (at <= end)).any())
    return seen, there


def _is_seen(learnt: Learnt | None, key: int, moment_ms: int) -> bool:
    return learnt is not None and key in learnt.devices and learnt.from_ms <= moment_ms < learnt.until_ms
