"""All that one shard knows of one device type: its model, and the state of its devices."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import structlog

from ..components.learnt import Learnt
from ..components.warming import Warm
from ..detection.blocks import Block, Scores, TrainingRows
from ..detection.config import DetectorConfig
from ..detection.detector import Detector
from ..detection.state import PEERS, DetectorState
from ..exceptions import ModelError
from ..telemetry.readings import Readings, rank_within
from ..telemetry.schema import DeviceType
from . import expectation
from .columns import Array, Column, Columns
from .learning import LearningBuffer
from .waiting import WaitingParts

Int64s = npt.NDArray[np.int64]
Float32s = npt.NDArray[np.float32]
NEVER = np.iinfo(np.int64).min

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installed:
    """The model that scores a type: its folder's name and version, and the fitted detector."""

    model: str
    version: int
    detector: Detector


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that went through together; `slots` (n,) are slots within the type.

    `late`: not newer than the device's last scored row, so neither scored nor told to the alert engine. Without
    `scores` the type has no model yet. `enter` and `leave` are thresholds by row, `kept` marks the rows whose expected
    range goes to the lake.
    """

    readings: Readings
    slots: Int64s
    late: bool
    scores: Scores | None
    enter: Float32s
    leave: Float32s
    kept: npt.NDArray[np.bool_]
    model_version: int | None


@dataclass(frozen=True, slots=True)
class LearningSettings:
    """How many readings teach a type, and a device, in all; and the false alerts a device may have a day."""

    type_readings: int
    device_readings: int
    false_alerts_per_device_day: float
    false_alerts_per_owner_day: float


InstallAs = Callable[[int, Detector, Learnt], Installed]
"""Keeps a detector that a type taught itself (type id, detector, from what), under a version."""


class TypeState:
    """One type in one shard. Devices are known by their slot in the type."""

    def __init__(self, type_id: int, spec: DeviceType, settings: LearningSettings, install_as: InstallAs) -> None:
        self._install_as = install_as
        self.type_id = type_id
        self.spec = spec
        self.settings = settings
        self.installed: Installed | None = None
        self._detector_state: DetectorState | None = None
        width = len(spec.sensors)
        self.devices = Columns(
            {
                "newest_ts": Column("i8", NEVER),
                "scored_ts": Column("i8", NEVER),
                "arrived_ms": Column("i8", NEVER),
                "readings": Column("i8", 0),
                "owner_devices": Column("i8", 0),
                "site": Column("i8", -1),
                "score": Column("f4", np.nan),
                "enter": Column("f4", np.inf),
                "leave": Column("f4", np.inf),
                "value": Column("f8", np.nan, width),
                "centre": Column("f4", np.nan, width),
                "width": Column("f4", np.nan, width),
                "kept_centre": Column("f4", np.nan, width),
            }
        )
        self.waiting = WaitingParts(type_id, width)
        self.learning: LearningBuffer | None = LearningBuffer(type_id, width, settings.type_readings)
        self._row_of: Int64s = np.zeros(0, np.int64)  # by device, what `_each_once` writes down

    @property
    def n_sensors(self) -> int:
        """Sensors of the newest version, retired ones included."""
        return len(self.spec.sensors)

    def resize(self, n_devices: int) -> None:
        """Make room for devices; new ones begin from the type's prior."""
        self.devices.resize(n_devices)
        if self._detector_state is not None:
            self._detector_state.grow(n_devices)

    def upgrade(self, spec: DeviceType) -> None:
        """Take over a newer version of the type; the model in use goes on while the type learns added sensors."""
        added = len(spec.sensors) - self.n_sensors
        self.spec = spec
        if added > 0:
            self.devices.widen(len(spec.sensors))
            self.waiting.widen(len(spec.sensors))
            self.learning = LearningBuffer(self.type_id, len(spec.sensors), self.settings.type_readings)

    def install(self, installed: Installed, warm: Warm | None = None) -> None:
        """Put a model in place of the one before; what devices have learnt moves over by sensor name.

        Devices in `warm` begin from there: the model has lived through their readings beforehand.
        """
        fresh = installed.detector.new_state(len(self.devices))
        if self.installed is not None and self._detector_state is not None:
            fresh = installed.detector.migrate(self._detector_state, self.installed.detector)
        if warm is not None:
            fresh.put(warm.slots, warm.state)
        fresh.place(self.devices.int64("site"))
        self.installed, self._detector_state = installed, fresh
        self.learning = None
        self._set_thresholds()

    def set_owner_devices(self, owner_devices: Int64s) -> None:
        """Say how many devices (n,) each device's owner has: the alert budget is the owner's."""
        if not np.array_equal(self.devices.int64("owner_devices"), owner_devices):
            self.devices.int64("owner_devices")[...] = owner_devices
            self._set_thresholds()

    def set_sites(self, sites: Int64s) -> None:
        """Say which site (n,) each device is at, -1 for none: devices of one are peers."""
        if not np.array_equal(self.devices.int64("site"), sites):
            self.devices.int64("site")[...] = sites
            if self._detector_state is not None:
                self._detector_state.place(self.devices.int64("site"))

    def _set_thresholds(self) -> None:
        if self.installed is None:
            return
        owner_devices = self.devices.int64("owner_devices")
        for size in np.unique(owner_devices):
            rate = min(self.settings.false_alerts_per_device_day, self.settings.false_alerts_per_owner_day / size)
            mine = owner_devices == size
            enter, leave = self.installed.detector.threshold(float(rate))
            self.devices.float32("enter")[mine] = enter
            self.devices.float32("leave")[mine] = leave

    def word(self, slots: Int64s, word: Literal["new_normal", "repaired"]) -> None:
        """Let the baselines of some devices relearn."""
        if self.installed is not None and self._detector_state is not None:
            self.installed.detector.word(self._detector_state, slots.astype(np.int32), word)

    def is_learning(self) -> npt.NDArray[np.bool_]:
        """Which devices (n,) are still learning what is normal for them."""
        readings = self.devices.int64("readings")
        return np.full(len(readings), self.installed is None) | (readings < self.settings.device_readings)

    def apply(self, readings: Readings, slots: Int64s, now_ms: int) -> list[Batch]:
        """Take whole rows in; return them as late, unscored and scored batches, each in order of time."""
        batches, readings, slots = self._sift(readings, slots, now_ms)
        taught = self.learning.take(readings, slots) if self.learning is not None else 0
        if taught:
            batches.append(self._through(readings.take(np.arange(taught)), slots[:taught], now_ms))
            if self.learning is not None and self.learning.full:
                self._fit()
        if taught < len(readings):
            rest = readings.take(np.arange(taught, len(readings))) if taught else readings
            batches.append(self._through(rest, slots[taught:], now_ms))
        return batches

    def study(self, readings: Readings, slots: Int64s, now_ms: int, *, last: bool) -> list[Batch]:
        """Take rows in to learn from, however many; after the last of them the type has learnt, if it can."""
        batches, readings, slots = self._sift(readings, slots, now_ms)
        if self.learning is None:
            self.learning = LearningBuffer(self.type_id, self.n_sensors, self.settings.type_readings)
        self.learning.add(readings, slots)
        batches.append(self._unscored(readings, slots, late=False))
        self._remember(batches[-1], now_ms)
        if last:
            self._fit()
        return batches

    def _sift(self, readings: Readings, slots: Int64s, now_ms: int) -> tuple[list[Batch], Readings, Int64s]:
        readings, slots = _by_time(readings.widen(self.n_sensors), slots)
        late = self._late(readings, slots)
        if not late.any():
            return [], readings, slots
        batch = self._unscored(readings.take(late), slots[late], late=True)
        np.maximum.at(self.devices.int64("newest_ts"), batch.slots, batch.readings.ts)
        self.devices.int64("arrived_ms")[batch.slots] = now_ms
        return [batch], readings.take(~late), slots[~late]

    def _late(self, readings: Readings, slots: Int64s) -> npt.NDArray[np.bool_]:
        late: npt.NDArray[np.bool_] = readings.ts <= self.devices.int64("scored_ts")[slots]
        if not self._each_once(slots):
            order = np.lexsort((np.arange(len(slots)), readings.ts, slots))
            again = (slots[order][1:] == slots[order][:-1]) & (readings.ts[order][1:] == readings.ts[order][:-1])
            late[order[1:][again]] = True
        return late

    def _each_once(self, slots: Int64s) -> bool:
        """Whether no device has two of these rows; a sort would cost ten times as much."""
        if len(self._row_of) < len(self.devices):
            self._row_of = np.zeros(len(self.devices), np.int64)
        rows = np.arange(len(slots))
        self._row_of[slots] = rows
        return bool((self._row_of[slots] == rows).all())

    def _through(self, readings: Readings, slots: Int64s, now_ms: int) -> Batch:
        batch = self._scored(readings, slots)
        self._remember(batch, now_ms)
        return batch

    def _fit(self) -> None:
        """Learn from what is held. Where that is too little to tell normal from not, go on collecting."""
        learning = self.learning
        if learning is None:
            return
        held = learning.readings
        precision = [np.nan if s.precision is None else s.precision for s in self.spec.sensors]
        rows = TrainingRows(
            device=held.keys,
            ts=held.ts,
            values=held.values,
            interval_ms=self.spec.interval_ms,
            sensor_names=self.spec.sensor_names,
            precisions=np.array(precision, np.float64),
            site=self.devices.int64("site")[learning.slots],
        )
        try:
            detector = Detector(DetectorConfig(learn_readings=self.settings.device_readings)).fit(rows)
        except ModelError as error:
            learning.target = 2 * max(len(learning), self.settings.type_readings)
            log.warning("type.not_learnt", type=self.spec.name, reason=str(error), next_try_at=learning.target)
            return
        first = self.installed is None
        self.install(self._install_as(self.type_id, detector, Learnt.of(held.keys, held.ts)))
        if first and self._detector_state is not None:
            order = np.argsort(held.ts, kind="stable")
            block = Block(
                learning.slots[order].astype(np.int32), held.ts[order], np.ascontiguousarray(held.values[order])
            )
            scores = detector.warm(self._detector_state, block)
            detector.take_habits(self._detector_state, scores, block.slots)

    def _unscored(self, readings: Readings, slots: Int64s, *, late: bool) -> Batch:
        nothing = np.zeros(len(slots), bool)
        unknown = np.full(len(slots), np.inf, np.float32)
        return Batch(readings, slots, late, None, unknown, unknown, nothing, None)

    def _scored(self, readings: Readings, slots: Int64s) -> Batch:
        if self.installed is None or self._detector_state is None:
            return self._unscored(readings, slots, late=False)
        known = len(self.installed.detector.sensor_names_)
        values = np.ascontiguousarray(readings.values[:, :known])
        scores = self.installed.detector.update(
            self._detector_state, Block(slots.astype(np.int32), readings.ts, values)
        )
        enter, leave = self.devices.float32("enter")[slots], self.devices.float32("leave")[slots]
        # Counted from the key on: devices that began together would all keep theirs in the same minute.
        counts = self.devices.int64("readings")[slots] + rank_within(slots) + readings.keys
        last = self.devices.float32("kept_centre")
        kept = expectation.choose(slots, counts, scores.score, leave, scores.centre, scores.width, last)
        return Batch(readings, slots, False, scores, enter, leave, kept, self.installed.version)

    def _remember(self, batch: Batch, now_ms: int) -> None:
        devices, slots, ts = self.devices, batch.slots, batch.readings.ts
        np.maximum.at(devices.int64("newest_ts"), slots, ts)
        devices.int64("arrived_ms")[slots] = now_ms
        devices.int64("scored_ts")[slots] = ts
        np.add.at(devices.int64("readings"), slots, 1)
        devices["value"][slots] = batch.readings.values
        if batch.scores is not None:
            known = batch.scores.centre.shape[1]
            devices.float32("score")[slots] = batch.scores.score
            devices.float32("centre")[slots, :known] = batch.scores.centre
            devices.float32("width")[slots, :known] = batch.scores.width

    def to_arrays(self) -> dict[str, Array]:
        """What a checkpoint keeps: views, with names that tell the parts apart."""
        arrays = {f"devices.{name}": array for name, array in self.devices.to_arrays().items()}
        arrays.update({f"waiting.{name}": array for name, array in self.waiting.to_arrays().items()})
        if self.learning is not None:
            arrays.update({f"learning.{name}": array for name, array in self.learning.to_arrays().items()})
        if self._detector_state is not None:
            state = self._detector_state.to_arrays()
            n_devices = len(self.devices)
            arrays.update(
                {f"detector.{name}": array if name in PEERS else array[:n_devices] for name, array in state.items()}
            )
        return arrays

    def load(self, arrays: Mapping[str, Array], installed: Installed | None) -> None:
        """Take over what a checkpoint kept, and the model that was in use; without one, the type learns.

        Raises OldFormatError where the detector's state is another version's.
        """
        parts: dict[str, dict[str, Array]] = {}
        for name, array in arrays.items():
            part, _, column = name.partition(".")
            parts.setdefault(part, {})[column] = array
        self.devices.load(parts["devices"])
        self.waiting.load(parts["waiting"])
        self.installed, self.learning = installed, None
        if "learning" in parts or installed is None:
            self.learning = LearningBuffer(self.type_id, self.n_sensors, self.settings.type_readings)
        if self.learning is not None and "learning" in parts:
            self.learning.load(parts["learning"])
        if installed is not None:
            self._detector_state = DetectorState.from_arrays(parts["detector"])


def _by_time(readings: Readings, slots: Int64s) -> tuple[Readings, Int64s]:
    """Return the rows in order of time, those of equal time in the order they came."""
    if len(readings) < 2 or (np.diff(readings.ts) >= 0).all():
        return readings, slots
    order = np.argsort(readings.ts, kind="stable")
    return readings.take(order), slots[order]
