"""One shard of the fleet: its log, its state, and what both have to say to database, lake and pages.

Synchronous, without threads, timers or HTTP: `service.live` puts those around it, `faultwatch ingest` and the
tests use it as it is. Every step that a crash can fall between is a method of its own:
append -> apply -> cut -> commit -> checkpoint -> trim.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
import polars as pl
import structlog
from sqlalchemy import Engine

from ..fleet import alerts, backfill_jobs, owners, rules, watermarks
from ..fleet.database import applying, reading, writing
from ..fleet.registry import Registry
from ..settings import Settings
from ..telemetry import checkpoint, records
from ..telemetry.checkpoint import Draft
from ..telemetry.hold import may_delete
from ..telemetry.lake import AnyTable, Lake
from ..telemetry.log import LogWriter, read_log
from ..telemetry.published import Clock, Publisher
from ..telemetry.schema import encode_type
from . import frames, spool
from .frames import Logged
from .model_store import ModelStore
from .patience import Insist, at_once
from .shard_state import Frozen, Outcome, ShardState

log = structlog.get_logger(__name__)

DEVICES_A_RECORD = 20_000
RECENT_RECORDS = 2_000
"""Records of rows that a recovery hands to intake, to tell repeated rows from new ones."""


@dataclass(slots=True)
class Cut:
    """What the lake has yet to be given, up to record `seq`."""

    seq: int
    now_ms: int
    rows: dict[int, list[pl.DataFrame]] = field(default_factory=dict)
    chunks: list[tuple[records.Backfill, pl.DataFrame]] = field(default_factory=list)
    bad_rows: list[tuple[int, records.Quarantined]] = field(default_factory=list)
    events: list[tuple[int, records.Record]] = field(default_factory=list)
    n_rows: int = 0


class Shard:
    """The one writer of shard `number` of a data folder.

    Opening it takes the log's lock, loads the newest checkpoint, and replays the log: state is made again, effects
    that the database has are not repeated, rows that the lake has are not committed again. Raises StorageError
    where another process has the shard, or something that was answered for is missing. `insist` asks the database
    for what a record can't be applied without.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        lake: Lake,
        *,
        now_ms: int,
        number: int = 0,
        insist: Insist = at_once,
    ) -> None:
        self.number = number
        self.registry = Registry(engine)
        self.models = ModelStore(settings.data / "models", engine, insist)
        self.receipts: list[records.Receipt] = []
        self.recent: deque[records.Rows] = deque(maxlen=RECENT_RECORDS)
        self.commands_seen: set[int] = set()
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._data = settings.data
        self._states = settings.data / "state" / f"shard-{number}"
        self._logs = settings.data / "log" / f"shard-{number}"
        self._spool = settings.data / "spool"
        self._app = f"shard-{number}"
        self._insist = insist
        self._fresh: dict[int, list[Logged]] = {}
        self._untold: dict[int, list[pl.DataFrame]] = {}
        with reading(engine) as session:
            seen = watermarks.read(session, number)
        self.log = LogWriter(
            self._logs,
            segment_bytes=settings.log_segment_bytes,
            address=settings.base_url,
            after=max(seen.applied_seq, seen.lake_seq, seen.state_seq, *checkpoint.kept_seqs(self._states)),
        )
        try:
            # Again, now that nobody else moves them; and from here on there is a row for two threads to move.
            self._advance(now_ms)
            self._applied_seq = self._marks.applied_seq
            self.state = ShardState(settings, self.models, self._spool, self._site_name)
            self._pending = Cut(0, now_ms)
            self._publisher = Publisher(settings.data / "published" / f"shard-{number}")
            self._recover()
            self.append_and_apply([records.Start(now_ms=now_ms)])
            self.sync(now_ms)
        except BaseException:
            self.log.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.log.close()

    def append_and_apply(self, batch: Sequence[records.Record]) -> list[Outcome]:
        """Log records and apply them: what an ingest without a service does."""
        return [self.apply(seq, record) for seq, record in zip(self.log.append(batch), batch, strict=True)]

    def sync(self, now_ms: int) -> None:
        """Log the types, models and devices that the database has and the log doesn't know yet."""
        self.registry.reload_types()
        for record in self.missing(now_ms):
            self.append_and_apply([record])

    def missing(self, now_ms: int) -> "list[records.Record]":
        """Records of types in newer versions, of devices and of owners' rules that the state doesn't know."""
        found: list[records.Record] = []
        for type_id, spec in sorted(self.registry.types().items()):
            known = self.state.types.get(type_id)
            if known is None or known.spec.version < spec.version:
                found.append(records.TypeVersion(now_ms=now_ms, type_id=type_id, owner_id=None, spec=encode_type(spec)))
        for theirs in self.registry.load():
            new = np.flatnonzero(self.state.roster.slots(theirs.keys) < 0)
            for start in range(0, len(new), DEVICES_A_RECORD):
                devices = theirs.at(new[start : start + DEVICES_A_RECORD])
                found.append(records.Devices(now_ms=now_ms, devices=tuple(devices)))
        with reading(self._engine) as session:
            unknown = [rule for rule in rules.in_force(session) if rule.id not in self.state.alerting.rules]
        for rule in unknown:
            found.append(msgspec.convert({**rule.payload(), "type": "rule", "now_ms": now_ms}, records.Rule))
        return found

    def apply(self, seq: int, record: records.Record) -> Outcome:
        """Advance the state by a record that is in the log, write its effects, keep its rows for the lake."""
        outcome = self.state.apply(seq, record)
        self.write_effects(outcome)
        self.hold(record, outcome)
        return outcome

    def write_effects(self, outcome: Outcome) -> None:
        """Write alerts, outbox, news and progress of a record in one transaction, once.

        What the database says is applied already is left alone. Raises StorageError where it doesn't answer; calling
        again is safe.
        """
        job = outcome.backfill
        if outcome.seq <= self._applied_seq or not (outcome.changes or outcome.done or job):
            return
        with applying(self._engine) as session:
            # A database that went away once it had committed was not heard to say so: a chunk counts once all the same.
            if job is not None and watermarks.read(session, self.number).applied_seq < outcome.seq:
                fired = sum(change.to_state == "firing" for change in outcome.changes)
                backfill_jobs.advance(session, job.job_id, job.rows, outcome.scored, fired)
            alerts.record(
                session, self.number, outcome.seq, outcome.changes, outcome.now_ms, done_commands=outcome.done
            )
        self._applied_seq = outcome.seq

    def hold(self, record: records.Record, outcome: Outcome) -> None:
        """Keep what a record gave until the lake is given it."""
        self._hold(record, outcome, self._keep_all)

    def cut(self) -> Cut:
        """Take out all that the lake has yet to be given."""
        self._settle_fresh()
        cut, self._pending = self._pending, Cut(self.state.seq, self.state.now_ms)
        cut.seq, cut.now_ms = self.state.seq, self.state.now_ms
        return cut

    @property
    def pending_rows(self) -> int:
        """How many rows the lake has yet to be given."""
        return self._pending.n_rows

    def commit(self, cut: Cut) -> None:
        """Give the lake what was cut, each table at most once. Raises StorageError where the lake can't be written."""
        for record, frame in cut.chunks:
            app_id = f"backfill-{record.file_hash}"
            self._lake.append_settled(record.type_id, frame, app_id=app_id, version=record.chunk)
            if record.last:
                with writing(self._engine) as session:
                    backfill_jobs.finish(session, record.job_id, cut.now_ms)
        for type_id, rows in cut.rows.items():
            self._lake.append_settled(type_id, pl.concat(rows, how="diagonal"), app_id=self._app, version=cut.seq)
        if cut.bad_rows:
            self._lake.quarantine(cut.bad_rows, app_id=self._app, version=cut.seq)
        if cut.events:
            self._lake.events(cut.events, app_id=self._app, version=cut.seq)
        self._advance(cut.now_ms, applied_seq=cut.seq, lake_seq=cut.seq)
        for type_id in cut.rows:
            self._publisher.drop_tail_through(type_id, cut.seq)

    def checkpoint(self, frozen: Frozen) -> None:
        """Save the state as `state.freeze()` gave it; the lake must have the rows up to it."""
        self.settle(self.draft(frozen), frozen.now_ms)

    def draft(self, frozen: Frozen) -> Draft:
        """Write the state down before it goes on. Raises StorageError where it can't be written."""
        return checkpoint.draft(self._states, frozen.seq, frozen.arrays, frozen.meta)

    def settle(self, draft: Draft, now_ms: int) -> None:
        """Make what was written down the newest checkpoint, once the lake has the rows up to it."""
        checkpoint.settle(draft)
        self._advance(now_ms, state_seq=draft.seq)

    def trim(self) -> int:
        """Delete segments and spool files that lake, database and both checkpoints are past; return how many segments.

        Both, because the older checkpoint is for when the newer one turns out to be damaged. While somebody copies the
        data folder nothing is deleted; the next time takes it all.
        """
        with may_delete(self._data) as free:
            return self._trim() if free else 0

    def _trim(self) -> int:
        kept = checkpoint.kept_seqs(self._states)
        if len(kept) < checkpoint.KEPT:
            return 0
        through = min(self._marks.deletable, kept[checkpoint.KEPT - 1])
        for item in [item for item in self.state.spooled if item[0] <= through]:
            spool.delete(self._spool, item[1])
            self.state.spooled.remove(item)
        return self.log.delete_through(through)

    def save(self) -> None:
        """Bring lake and checkpoint up to the last record, and let go of the log before it."""
        self.commit(self.cut())
        self.checkpoint(self.state.freeze())
        self.trim()

    def publish(self, wall_ms: int) -> None:
        """Show pages every device's last reading and status, and the rows the lake hasn't got yet."""
        self._settle_fresh()
        for type_id in list(self._untold):
            frame = pl.concat(self._untold[type_id], how="diagonal")
            first = int(frame["ingest_seq"][0])
            self._publisher.publish_tail(type_id, frame.drop("unchecked"), first, self.state.seq)
            del self._untold[type_id]
        clock = Clock(
            now_ms=self.state.now_ms,
            published_ms=wall_ms,
            last_seq=self.log.last_seq,
            applied_seq=self.state.seq,
            lake_seq=self._marks.lake_seq,
        )
        self._publisher.publish(clock, self.state.snapshot())

    def _site_name(self, site_id: int) -> str:
        return self._insist("name of a site", lambda: self._ask_site_name(site_id))

    def _ask_site_name(self, site_id: int) -> str:
        with reading(self._engine) as session:
            return owners.site_name(session, site_id)

    def _settle_fresh(self) -> None:
        """Turn what was scored into frames, many batches at once: small frames are dear."""
        for type_id, logged in self._fresh.items():
            frame = frames.lake_frame(logged, self.state.types[type_id].spec)
            self._pending.rows.setdefault(type_id, []).append(frame)
            self._untold.setdefault(type_id, []).append(frame)
        self._fresh = {}

    def _recover(self) -> None:
        """Make the state again from checkpoint and log; leave out what the lake holds already."""
        saved = checkpoint.load_latest(self._states)
        if saved is not None:
            self.state.thaw(Frozen(*saved))
        if self.log.last_seq < self.log.first_seq:
            self._follow_new_log()
        committed = _Committed(self._lake, self._app)
        replayed = 0
        for seq, record in read_log(self._logs, min(self.state.seq, self.log.first_seq - 1)):
            if isinstance(record, records.Rows):
                self.receipts.extend(record.receipts)
                self.recent.append(record)
            if seq <= self.state.seq:
                continue
            outcome = self.state.apply(seq, record)
            self.write_effects(outcome)
            self._hold(record, outcome, committed.lacks)
            self.commands_seen.update(outcome.done)
            replayed += 1
        log.info("shard.recovered", shard=self.number, seq=self.state.seq, replayed=replayed)

    def _follow_new_log(self) -> None:
        """Go on with a log that is empty: with nothing before it, or moved away, as is advised where it was damaged."""
        if self.state.seq >= self.log.last_seq:
            return
        log.warning(
            "shard.log_was_lost",
            shard=self.number,
            state_of=self.state.seq,
            goes_on_after=self.log.last_seq,
            meaning="what these records brought and lake and database don't hold has to be sent again",
        )
        self.state.seq = self.log.last_seq
        self.checkpoint(self.state.freeze())

    def _hold(self, record: records.Record, outcome: Outcome, lacks: Callable[[AnyTable, int], bool]) -> None:
        """Keep for the lake what it lacks of a record."""
        pending = self._pending
        if outcome.backfill is not None:
            rows = outcome.rows[outcome.backfill.type_id]
            frame = frames.lake_frame(rows, self.state.types[outcome.backfill.type_id].spec)
            pending.chunks.append((outcome.backfill, frame))
            pending.n_rows += outcome.backfill.rows
        else:
            for type_id, parts in outcome.rows.items():
                if lacks(type_id, outcome.seq):
                    self._fresh.setdefault(type_id, []).extend(parts)
                    pending.n_rows += sum(map(len, parts))
        if isinstance(record, records.Quarantined):
            if lacks("quarantine", outcome.seq):
                pending.bad_rows.append((outcome.seq, record))
        elif not isinstance(record, records.Rows) and lacks("events", outcome.seq):
            pending.events.append((outcome.seq, record))

    @staticmethod
    def _keep_all(table: AnyTable, seq: int) -> bool:
        return True

    def _advance(self, now_ms: int, **seqs: int) -> None:
        with writing(self._engine) as session:
            watermarks.advance(session, self.number, now_ms, **seqs)
            self._marks = watermarks.read(session, self.number)


class _Committed:
    """How far each table of the lake has a shard's records, asked once a table."""

    def __init__(self, lake: Lake, app_id: str) -> None:
        self._lake = lake
        self._app_id = app_id
        self._seqs: dict[AnyTable, int] = {}

    def lacks(self, table: AnyTable, seq: int) -> bool:
        """Whether a table hasn't got what record `seq` gave."""
        if table not in self._seqs:
            lake, app_id = self._lake, self._app_id
            seq_in = lake.committed(table, app_id) if isinstance(table, int) else lake.journal_committed(table, app_id)
            self._seqs[table] = seq_in or 0
        return seq > self._seqs[table]
