"""What a shard knows: its devices, types, models and alerts, advanced by one record of the log at a time.

No clock, no database and no lake: records in, rows and alert transitions out. Replaying a log gives what
living through it gave, byte for byte.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import structlog

from ..alerts.state import EngineConfig
from ..components import warming
from ..components.learnt import Learnt
from ..detection.detector import Detector
from ..exceptions import OldFormatError, StorageError
from ..fleet.alerts import AlertChange
from ..metrics import Stages
from ..settings import Settings
from ..telemetry import records
from ..telemetry.readings import Readings
from ..telemetry.schema import decode_type, encode_type
from . import frames, spool
from .alerting import Alerting
from .columns import Array
from .frames import Logged
from .model_store import ModelStore
from .roster import Roster
from .type_state import NEVER, Batch, Installed, LearningSettings, TypeState

Int64s = npt.NDArray[np.int64]
DAYS_OF_MONTH = 30.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Outcome:
    """What applying one record gave: rows for the lake by type, alert changes, commands that are done."""

    seq: int
    now_ms: int
    rows: dict[int, list[Logged]] = field(default_factory=dict)
    changes: list[AlertChange] = field(default_factory=list)
    done: list[int] = field(default_factory=list)
    backfill: records.Backfill | None = None
    scored: int = 0


@dataclass(frozen=True, slots=True)
class Frozen:
    """The state after record `seq`, as a checkpoint keeps it; most arrays are views and change with the next record."""

    seq: int
    arrays: Mapping[str, Array]
    meta: Mapping[str, object]

    @property
    def now_ms(self) -> int:
        """The time of the record."""
        return msgspec.convert(self.meta, _Meta).now_ms


class _TypeMeta(msgspec.Struct, frozen=True):
    spec: str
    model: str | None
    version: int


class _Meta(msgspec.Struct, frozen=True):
    now_ms: int
    types: dict[str, _TypeMeta]
    spooled: list[tuple[int, str]] = []


class ShardState:
    """The state of one shard after record `seq`, whose time was `now_ms`.

    `spooled`: (number of the record, file of the spool) of chunks whose files are still there.
    """

    def __init__(
        self, settings: Settings, models: ModelStore, spool_folder: Path, site_name: Callable[[int], str]
    ) -> None:
        self.seq = 0
        self.now_ms = 0
        self.roster = Roster()
        self.types: dict[int, TypeState] = {}
        self.spooled: list[tuple[int, str]] = []
        self.stages = Stages()
        per_device = settings.false_alerts_per_device_month / DAYS_OF_MONTH
        self.alerting = Alerting(
            self.roster,
            self.types,
            EngineConfig(budget_devices=1 / per_device, budget_most=settings.max_alerts_a_day),
            site_name,
        )
        self._learning = LearningSettings(
            settings.learn_readings, settings.learn_device_readings, per_device, settings.max_alerts_a_day
        )
        self._models = models
        self._spool = spool_folder
        self._grace_ms = round(settings.tick_grace_s * 1000)

    def apply(self, seq: int, record: records.Record) -> Outcome:
        """Advance by one record. Raises StorageError where the log skips a number."""
        if self.seq and seq != self.seq + 1:
            raise StorageError(f"record {seq} follows record {self.seq}; the log has a gap")
        self.seq, self.now_ms = seq, max(self.now_ms, record.now_ms)
        outcome = Outcome(seq, record.now_ms)
        match record:
            case records.Rows():
                self._rows(record, outcome)
            case records.Tick():
                self._tick(record, outcome)
            case records.Devices():
                self._devices(record, outcome)
            case records.TypeVersion():
                self._type_version(record, outcome)
            case records.ModelSwap():
                self._swap(record, outcome)
            case records.Word():
                self._word(record, outcome)
            case records.Rule():
                outcome.changes += self.alerting.rule(record)
                self._done(record.command_id, outcome)
            case records.Backfill():
                self._backfill(record, outcome)
            case records.Start():
                outcome.changes += self.alerting.start(record.now_ms)
            case records.Quarantined():
                self._refused(record, outcome)
        return outcome

    def freeze(self) -> Frozen:
        """What a checkpoint keeps, to be written before the next record is applied."""
        arrays = {f"roster.{name}": array for name, array in self.roster.to_arrays().items()}
        arrays.update({f"alerts.{name}": array for name, array in self.alerting.to_arrays().items()})
        types: dict[str, _TypeMeta] = {}
        for type_id, state in self.types.items():
            arrays.update({f"type-{type_id}.{name}": array for name, array in state.to_arrays().items()})
            model = state.installed
            types[str(type_id)] = _TypeMeta(
                encode_type(state.spec).decode(), model.model if model else None, model.version if model else 0
            )
        return Frozen(self.seq, arrays, msgspec.to_builtins(_Meta(self.now_ms, types, list(self.spooled))))

    def thaw(self, frozen: Frozen) -> None:
        """Take over the state of a checkpoint, into a state that is new."""
        meta = msgspec.convert(frozen.meta, _Meta)
        self.seq, self.now_ms, self.spooled = frozen.seq, meta.now_ms, meta.spooled
        parts: dict[str, dict[str, Array]] = {}
        for name, array in frozen.arrays.items():
            part, _, column = name.partition(".")
            parts.setdefault(part, {})[column] = array
        self.roster.load(parts["roster"])
        for type_id, saved in meta.types.items():
            state = TypeState(int(type_id), decode_type(saved.spec), self._learning, self._keep_learnt)
            model = self._model(int(type_id), saved.model, saved.version) if saved.model else None
            kept = parts[f"type-{type_id}"]
            try:
                state.load(kept, model)
            except OldFormatError as error:
                _learns_anew(int(type_id), error)
                state.load(kept, None)
            state.set_sites(self.roster.site_ids[self.roster.slots_of_type(int(type_id))])
            self.types[int(type_id)] = state
        self.alerting.load(parts["alerts"])

    def newest(self) -> Int64s:
        """The newest timestamp (ms) of each device, by device key; the smallest number where none has come."""
        newest = np.full(int(self.roster.keys.max()) + 1 if len(self.roster) else 0, NEVER, np.int64)
        for type_id, state in self.types.items():
            keys = self.roster.keys[self.roster.slots_of_type(type_id)]
            newest[keys] = state.devices.int64("newest_ts")
            np.maximum.at(newest, state.waiting.parts.keys, state.waiting.parts.ts)
        return newest

    def snapshot(self) -> dict[int, pl.DataFrame]:
        """Every device's last reading and status, a frame per type."""
        found = {}
        for type_id, state in self.types.items():
            slots = self.roster.slots_of_type(type_id)
            found[type_id] = frames.snapshot_frame(
                state, self.roster.keys[slots], self.alerting.status[slots], self.alerting.status_since[slots]
            )
        return found

    def _rows(self, record: records.Rows, outcome: Outcome) -> None:
        state = self._type(record.type_id)
        readings = record.readings()
        if state.spec.sends == "parts":
            state.waiting.add(readings, record.now_ms)
            outcome.changes += self.alerting.heard(self.roster.slots(readings.keys), record.now_ms)
        else:
            self._take(state, state.apply(readings, self._type_slots(readings), record.now_ms), outcome, live=True)

    def _refused(self, record: records.Quarantined, outcome: Outcome) -> None:
        slots = self.roster.slots(np.array([row.device_key for row in record.refused], np.int64))
        refused = [(slot, row) for slot, row in zip(slots.tolist(), record.refused, strict=True) if slot >= 0]
        if refused:
            outcome.changes += self.alerting.refused(
                np.array([slot for slot, _ in refused], np.int64),
                np.array([row.ts for _, row in refused], np.int64),
                np.array([row.outside for _, row in refused], np.uint64),
                record.now_ms,
            )

    def _tick(self, record: records.Tick, outcome: Outcome) -> None:
        for state in self.types.values():
            closed = state.waiting.close(record.now_ms, state.spec.interval_ms, self._grace_ms)
            if len(closed):
                self._take(state, state.apply(closed, self._type_slots(closed), record.now_ms), outcome, live=True)
        with self.stages.measure("alert"):
            outcome.changes += self.alerting.tick(record.now_ms)

    def _backfill(self, record: records.Backfill, outcome: Outcome) -> None:
        state = self._type(record.type_id)
        readings = spool.read(self._spool, record)
        slots = self._type_slots(readings)
        if record.learn:
            batches = state.study(readings, slots, record.now_ms, last=record.taught)
        else:
            batches = state.apply(readings, slots, record.now_ms)
        self._take(state, batches, outcome, live=False)
        outcome.backfill = record
        self.spooled.append((outcome.seq, record.spool))

    def _take(self, state: TypeState, batches: Sequence[Batch], outcome: Outcome, *, live: bool) -> None:
        for batch in batches:
            outcome.rows.setdefault(state.type_id, []).append(Logged(batch, outcome.seq, outcome.now_ms))
            outcome.scored += 0 if batch.scores is None else len(batch.readings)
            with self.stages.measure("alert"):
                outcome.changes += self.alerting.rows(state, batch, outcome.now_ms, live=live)

    def _type_slots(self, readings: Readings) -> Int64s:
        return self.roster.type_slots[self.roster.slots(readings.keys)]

    def _devices(self, record: records.Devices, outcome: Outcome) -> None:
        for device in record.devices:
            self._type(device.type_id)
        changed = self.roster.put(record.devices)
        owners, counts = np.unique(self.roster.owner_ids, return_counts=True)
        for type_id, state in self.types.items():
            state.resize(self.roster.of_type(type_id))
            slots = self.roster.slots_of_type(type_id)
            state.set_owner_devices(counts[np.searchsorted(owners, self.roster.owner_ids[slots])])
            state.set_sites(self.roster.site_ids[slots])
        outcome.changes += self.alerting.devices(changed, record.now_ms)

    def _type_version(self, record: records.TypeVersion, outcome: Outcome) -> None:
        spec = decode_type(record.spec)
        known = self.types.get(record.type_id)
        if known is None:
            self.types[record.type_id] = TypeState(record.type_id, spec, self._learning, self._keep_learnt)
        elif spec.version > known.spec.version:
            known.upgrade(spec)
            outcome.changes += self.alerting.devices(self.roster.slots_of_type(record.type_id), record.now_ms)
        self._done(record.command_id, outcome)

    def _swap(self, record: records.ModelSwap, outcome: Outcome) -> None:
        installed = self._model(record.type_id, record.model, record.version)
        warm = None
        if record.warm:
            self.spooled.append((outcome.seq, record.warm))
        if record.warm and installed is not None:
            try:
                lived = warming.read(self._spool, record.warm)
                warm = lived.at(self.roster.slots(lived.keys), self.roster.type_slots)
            except OldFormatError as error:
                log.warning("model.not_warmed", type_id=record.type_id, version=record.version, reason=str(error))
        if installed is not None:
            self._type(record.type_id).install(installed, warm)
            log.info("model.swapped", type_id=record.type_id, version=record.version, model=record.model)
        self._done(record.command_id, outcome)

    def _model(self, type_id: int, name: str, version: int) -> Installed | None:
        """A model of the store; None for one of an earlier version of faultwatch, whose type learns anew."""
        try:
            return self._models.load(type_id, name, version)
        except OldFormatError as error:
            _learns_anew(type_id, error)
            return None

    def _word(self, record: records.Word, outcome: Outcome) -> None:
        slots = self.roster.slots(np.array([record.device_key], np.int64))
        if slots[0] >= 0:
            outcome.changes += self.alerting.word(int(slots[0]), record)
            relearnt = self.alerting.relearns(record)
            if relearnt is not None:
                self._type(int(self.roster.type_ids[slots[0]])).word(self.roster.type_slots[slots], relearnt)
        self._done(record.command_id, outcome)

    @staticmethod
    def _done(command_id: int, outcome: Outcome) -> None:
        if command_id:
            outcome.done.append(command_id)

    def _type(self, type_id: int) -> TypeState:
        try:
            return self.types[type_id]
        except KeyError:
            raise StorageError(f"the log names type {type_id} before it was made known") from None

    def _keep_learnt(self, type_id: int, detector: Detector, source: Learnt) -> Installed:
        installed = self._models.keep(type_id, detector, self.now_ms, "learnt by itself", source)
        log.info("type.learnt", type=self.types[type_id].spec.name, version=installed.version)
        return installed


def _learns_anew(type_id: int, error: OldFormatError) -> None:
    log.warning("type.learns_anew", type_id=type_id, reason=str(error))
