"""Ours and its peers behind one door: learn from rows nobody labelled, judge rows, by one rule, with the clock on.

The rule is the same for all and knows no label: a row is alarmed where its score is past the level that a fixed tail of
training rows is past, scored by a detector that didn't learn from them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ..detection.blocks import Block, TrainingRows
from ..detection.calibration import fit_tail
from ..detection.config import DAY_MS, DetectorConfig
from ..detection.detector import Detector
from .measures import Bools, Floats
from .peers import Peer, peers

TAIL = DetectorConfig().pointwise_tail
"""The part of training rows that a threshold lets alarm."""

LEARN_PART = 0.6
"""Of a single device's rows; the rest is scored for the threshold. Of several devices, every other one is."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a contestant said of the rows of a block, in their order.

    `score` float64 (n,), NaN for a row that it didn't score; `alarm` bool (n,); `threshold` that the score was held
    against; `seconds` it took; `bytes_per_device`, what it remembers of a device.
    """

    score: Floats
    alarm: Bools
    threshold: float
    seconds: float
    bytes_per_device: int


class Contestant(Protocol):
    """A detector that can be compared."""

    def judge(self, training: TrainingRows, before: Block, block: Block, n_devices: int) -> Verdict:
        """Learn from `training`, live through `before`, of the same days, then judge the rows of `block`."""


@dataclass(frozen=True, slots=True)
class Ours:
    """The detector that serves live, with its own thresholds. `false_events_per_row` is what its alarm may cost."""

    false_events_per_row: float

    def judge(self, training: TrainingRows, before: Block, block: Block, n_devices: int) -> Verdict:
        """An alarm lasts as the detector itself says; besides it, a row past the fixed tail is alarmed."""
        budget = self.false_events_per_row * DAY_MS / training.interval_ms
        detector = Detector(DetectorConfig(false_alerts_per_device_day=budget)).fit(training)
        state = detector.new_state(n_devices)
        detector.take_habits(state, detector.warm(state, before), before.slots)
        begun = time.process_time()
        scores = detector.update(state, block)
        seconds = time.process_time() - begun
        threshold = detector.pointwise_threshold()
        alarm = scores.alarm | (scores.score >= threshold)
        return Verdict(scores.score.astype(np.float64), alarm, threshold, seconds, state.bytes_per_device)


@dataclass(frozen=True, slots=True)
class Compared:
    """A peer under the rule; `make` makes it new."""

    make: Callable[[], Peer]

    def judge(self, training: TrainingRows, before: Block, block: Block, n_devices: int) -> Verdict:
        """Every row past the threshold is alarmed, and no other."""
        threshold = self.threshold(training)
        peer = self.make().fit(training)
        state = peer.new_state(n_devices)
        peer.update(state, before)
        begun = time.process_time()
        score = peer.update(state, block)
        seconds = time.process_time() - begun
        return Verdict(score, score > threshold, threshold, seconds, int(state[:1].nbytes))

    def threshold(self, training: TrainingRows) -> float:
        """The level that `TAIL` of the rows that weren't learnt from are past."""
        learnt, rest = split(training)
        names, slots = np.unique(rest.device, return_inverse=True)
        peer = self.make().fit(learnt)
        score = peer.update(peer.new_state(len(names)), Block(slots.astype(np.int32), rest.ts, rest.values))
        return fit_tail(score, 0.02).level(TAIL)


def split(rows: TrainingRows) -> tuple[TrainingRows, TrainingRows]:
    """Rows to learn from, and rows to set a threshold by."""
    devices = np.unique(rows.device)
    if len(devices) >= 4:
        learnt = np.isin(rows.device, devices[::2])
    else:
        learnt = np.zeros(len(rows), np.bool_)
        for device in devices:
            own = np.flatnonzero(rows.device == device)
            order = own[np.argsort(rows.ts[own], kind="stable")]
            learnt[order[: int(LEARN_PART * len(order))]] = True
    return taken(rows, learnt), taken(rows, ~learnt)


def taken(rows: TrainingRows, mask: Bools) -> TrainingRows:
    """The rows of a mask, in order of time."""
    chosen = np.flatnonzero(mask)
    chosen = chosen[np.argsort(rows.ts[chosen], kind="stable")]
    return replace(rows, device=rows.device[chosen], ts=rows.ts[chosen], values=rows.values[chosen])


def contestants(false_events_per_row: float) -> dict[str, Contestant]:
    """Ours and every peer, by the names of the figures."""
    makers: dict[str, Contestant] = {name: Compared(_maker(name)) for name in peers()}
    return {"faultwatch": Ours(false_events_per_row), **makers}


def _maker(name: str) -> Callable[[], Peer]:
    return lambda: peers()[name]
