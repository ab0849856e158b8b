"""The live loop: threads and timers around a shard.

`intake` has the log's one writer; what it logs goes through a queue to the scorer, which owns the state; what the
scorer gives goes to the keeper, which feeds the lake. A clock logs ticks, a listener logs what people said. Each
thread waits out a database or lake that is gone; the log holds what they have yet to do.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import structlog
from sqlalchemy import Engine

from ..alerts.kinds import Kind
from ..exceptions import StorageError
from ..fleet.changes import Changes
from ..metrics import Metrics
from ..settings import Settings
from ..telemetry import records
from ..telemetry.checkpoint import Draft
from ..telemetry.hold import may_delete
from ..telemetry.lake import AnyTable, Lake
from . import commands
from .intake import Intake
from .shard import Cut, Shard
from .shard_state import Outcome

log = structlog.get_logger(__name__)

PUBLISH_S = 1.0
"""Pages see news this often, or as rarely as makes publishing a tenth of the scorer's time."""
LISTEN_S = 0.25
MAX_WAIT_S = 30.0
LAST_WAIT_S = 0.5
"""How long a loop that ends waits for storage before it asks once more, and leaves the rest to the next start."""
HOUR_MS = 3_600_000

Answer = TypeVar("Answer")


def wall_ms() -> int:
    """The wall's clock, ms since 1970."""
    return time.time_ns() // 1_000_000


class _StoppedError(StorageError):
    """The loop ended before storage answered."""


@dataclass(frozen=True, slots=True)
class _Kept:
    cut: Cut
    draft: Draft | None


class Live:
    """Runs one shard until `stop`. `failed` is set where a thread died of a bug; the process should end then.

    `troubles` says of each thing that storage does not let it do now what the reason is.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        lake: Lake,
        clock: Callable[[], int] = wall_ms,
        number: int = 0,
        metrics: Metrics | None = None,
    ) -> None:
        self.troubles: dict[str, str] = {}
        self._metrics = metrics or Metrics()
        self._stages = self._metrics.stages
        for kind in Kind:
            self._metrics.alerts_fired.labels(kind.name.lower())
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._clock = clock
        self._stopping = threading.Event()
        self._started = False
        self._unscored: deque[float] = deque()
        self.shard = Shard(settings, engine, lake, now_ms=clock(), number=number, insist=self._insist)
        self.shard.state.stages = self._stages
        self._logged: queue.SimpleQueue[tuple[int, records.Record] | None] = queue.SimpleQueue()
        self._cuts: queue.SimpleQueue[_Kept | None] = queue.SimpleQueue()
        self._keeping = threading.Event()
        self._next_publish = self._next_cut = self._next_checkpoint = 0.0
        self._cut_now = False
        self.intake = Intake(
            settings,
            log=self.shard.log,
            registry=self.shard.registry,
            sink=self._pass_on,
            newest=self.shard.state.newest(),
            receipts=self.shard.receipts,
            recent=self.shard.recent,
            clock=clock,
            metrics=self._metrics,
        )
        # One for all threads: what intake dies of ends the process, and where another died intake turns senders away.
        self.failed = self.intake.failed
        jobs = {"scorer": self._score, "keeper": self._keep, "clock": self._tick, "listener": self._listen}
        self._threads = {
            name: threading.Thread(target=self._guard, args=(name, job), name=name) for name, job in jobs.items()
        }

    def start(self) -> None:
        """Begin."""
        now = time.monotonic()
        self._next_cut, self._next_checkpoint = now + self._settings.lake_commit_s, now + self._settings.checkpoint_s
        self._started = True
        self.intake.start()
        for thread in self._threads.values():
            thread.start()

    def stop(self) -> None:
        """Answer what has come in, score it, save it, and let go of the shard."""
        self._stopping.set()
        for name in ("clock", "listener"):
            self._threads[name].join()
        self.intake.stop()
        self._logged.put(None)
        self._threads["scorer"].join()
        self._cuts.put(None)
        self._threads["keeper"].join()
        self.shard.log.close()

    @property
    def alive(self) -> bool:
        """Whether every thread of the loop runs."""
        return not self.failed.is_set() and all(thread.is_alive() for thread in self._threads.values())

    @property
    def lag_s(self) -> float:
        """How long the oldest logged record has waited to be scored, in seconds; 0 where none waits."""
        try:
            return time.monotonic() - self._unscored[0]
        except IndexError:
            return 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    def _guard(self, name: str, job: Callable[[], None]) -> None:
        try:
            job()
        except Exception:
            log.exception("live.thread_died", thread=name)
            self.failed.set()
            self._stopping.set()

    def _pass_on(self, seq: int, record: records.Record) -> None:
        self._unscored.append(time.monotonic())
        self._logged.put((seq, record))

    def _score(self) -> None:
        """Apply records in their order; publish, and cut for the keeper, when it is time."""
        while True:
            self._when_due()
            try:
                item = self._logged.get(timeout=min(PUBLISH_S, self._settings.lake_commit_s))
            except queue.Empty:
                continue
            if item is None:
                break
            seq, record = item
            try:
                with self._stages.measure("score"):
                    outcome = self.shard.state.apply(seq, record)
            except _StoppedError:
                return
            if not self._patiently("effects", lambda: self._write_effects(outcome)):
                return  # the next start applies it; whatever is saved from here on would count it as applied
            self.shard.hold(record, outcome)
            self.intake.scored(record)
            self._unscored.popleft()
            self._cut_now |= outcome.backfill is not None and outcome.backfill.last
        self._once("publishing", self._publish)
        self._hand_over(self._draft())

    def _write_effects(self, outcome: Outcome) -> None:
        with self._stages.measure("alert"):
            self.shard.write_effects(outcome)
        for change in outcome.changes:
            if change.to_state == "firing" and not change.historic:
                self._metrics.alerts_fired.labels(change.kind).inc()

    def _when_due(self) -> None:
        now = time.monotonic()
        if now >= self._next_publish:
            self._once("publishing", self._publish)
            self._next_publish = time.monotonic() + max(PUBLISH_S, 9 * (time.monotonic() - now))
        full = self.shard.pending_rows >= self._settings.max_queue_rows // 4
        if self._keeping.is_set() and self.shard.pending_rows < self._settings.max_queue_rows:
            return
        if self._cut_now or full or now >= self._next_cut:
            self._await_keeper()
            self._next_cut, self._cut_now = now + self._settings.lake_commit_s, False
            draft = self._draft() if now >= self._next_checkpoint else None
            if draft is not None:
                self._next_checkpoint = now + self._settings.checkpoint_s
            self._hand_over(draft)

    def _await_keeper(self) -> None:
        """The lake is behind by more than memory should hold: wait, so that senders are told to."""
        while self._keeping.is_set() and not self._stopping.wait(0.1):
            pass

    def _draft(self) -> Draft | None:
        """The state, written down; None where that could not be done now."""
        written: list[Draft] = []
        with self._stages.measure("checkpoint"):
            self._once("checkpoint", lambda: written.append(self.shard.draft(self.shard.state.freeze())))
        return written[0] if written else None

    def _hand_over(self, draft: Draft | None) -> None:
        self._keeping.set()
        with self._stages.measure("lake"):
            cut = self.shard.cut()
        self._cuts.put(_Kept(cut, draft))

    def _keep(self) -> None:
        """Feed the lake, save checkpoints, let go of old segments; compact once an hour."""
        compacted_hour = self._clock() // HOUR_MS
        while (kept := self._cuts.get()) is not None:
            cut, draft = kept.cut, kept.draft
            if not self._patiently("lake", lambda: self._commit(cut)):
                return  # what was cut later would count these rows as committed; the next start commits all
            if draft is not None:
                self._once("checkpoint", lambda: self._checkpoint(draft, cut.now_ms))
            self._keeping.clear()
            if self._clock() // HOUR_MS > compacted_hour and not self._stopping.is_set():
                compacted_hour = self._clock() // HOUR_MS
                with self._stages.measure("compact"):
                    self._once("compaction", self._tidy)

    def _publish(self) -> None:
        with self._stages.measure("publish"):
            self.shard.publish(self._clock())

    def _commit(self, cut: Cut) -> None:
        with self._stages.measure("lake"):
            self.shard.commit(cut)

    def _checkpoint(self, draft: Draft, now_ms: int) -> None:
        with self._stages.measure("checkpoint"):
            self.shard.settle(draft, now_ms)
            self.shard.trim()

    def _tidy(self) -> None:
        now_ms = self._clock()
        tables: list[AnyTable] = [*self.shard.state.types, "quarantine", "events"]
        for table in tables:
            self._lake.compact(table, now_ms)
            if self._settings.retention_days is not None:
                self._lake.retain(table, self._settings.retention_days, now_ms)
            with may_delete(self._settings.data) as free:
                if free:
                    self._lake.vacuum(table)

    def _tick(self) -> None:
        while not self._stopping.wait(self._until_closing()):
            self.intake.submit([records.Tick(now_ms=self._clock())])

    def _until_closing(self) -> float:
        """Seconds until the next interval of some type is closed."""
        now_ms, grace_ms = self._clock(), round(self._settings.tick_grace_s * 1000)
        intervals = {state.spec.interval_ms for state in list(self.shard.state.types.values())} or {60_000}
        nearest = min(interval - (now_ms - grace_ms) % interval for interval in intervals)
        return min(60.0, max(0.05, nearest / 1000))

    def _listen(self) -> None:
        """Copy what people said into the log, each word once."""
        listener = commands.Listener(self._engine, self._settings, self.intake, self.shard.commands_seen, self._clock)
        with Changes(self._engine) as changes:
            while not self._stopping.wait(LISTEN_S):
                if changes.any() or listener.has_more or "commands" in self.troubles:
                    self._once("commands", lambda: listener.poll(self._stopping))

    def _once(self, what: str, action: Callable[[], None]) -> None:
        try:
            action()
            self.troubles.pop(what, None)
        except StorageError as error:
            self._trouble(what, error)
            log.warning("live.put_off", what=what, reason=str(error))

    def _trouble(self, what: str, error: StorageError) -> None:
        self.troubles[what] = str(error)
        self._metrics.storage_failures.labels(what).inc()

    def _patiently(self, what: str, action: Callable[[], None]) -> bool:
        """Do it, again and again while storage doesn't answer; False where the loop stopped before it did."""
        wait = 0.1
        last = False
        while True:
            begun = time.monotonic()
            try:
                action()
                self.troubles.pop(what, None)
                return True
            except StorageError as error:
                self._trouble(what, error)
                # Storage that took long to say no had the time of another question.
                if last or (self._stopping.is_set() and time.monotonic() - begun > LAST_WAIT_S):
                    log.error("live.left_undone", what=what, reason=str(error), meaning="the next start does it")
                    return False
                log.error("live.waiting", what=what, reason=str(error), retry_in_s=wait)
                last = self._stopping.wait(wait)
                if last:
                    time.sleep(LAST_WAIT_S)
                wait = min(MAX_WAIT_S, wait * 2)

    def _insist(self, what: str, question: Callable[[], Answer], /) -> Answer:
        """Ask until storage answers. Raises _StoppedError where the loop stopped before."""
        if not self._started:
            return question()
        given: list[Answer] = []
        if not self._patiently(what, lambda: given.append(question())):
            raise _StoppedError(f"the loop stopped before storage told it the {what}; the next start asks again")
        return given[0]
