"""The way into the log: one thread takes all requests that wait, judges their rows, logs them and answers.

Requests that arrive within a few milliseconds share one write and one fsync. The same thread logs whatever
else changes a score or an alert, so the log has one writer and one order.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from ..exceptions import StorageError
from ..fleet.tokens import TokenInfo
from ..metrics import Metrics
from ..settings import Settings
from ..telemetry.quality import LiveLimits, Reason
from ..telemetry.records import Devices, Quarantined, Receipt, Record, Rows, TypeVersion
from .answers import RETRY_AFTER_S, Answer, Counts, problem, problem_of
from .decoded import Decoded
from .directory import Directory, Registry
from .judging import Judge, Judgement
from .receipts import Receipts

log = structlog.get_logger(__name__)

GROUP_ROWS = 200_000
"""A group takes no further request once it has so many rows."""

_encoder = msgspec.json.Encoder()


class Log(Protocol):
    """Where records are kept (`telemetry.log.LogWriter`)."""

    def append(self, records: Sequence[Record]) -> list[int]:
        """Write records, all or none; their numbers once they are on disk. Raises StorageError."""


@dataclass(frozen=True, slots=True)
class Request:
    """A decoded request of readings; `reply` is called once, mostly from the thread of intake, and must not raise."""

    token: TokenInfo
    decoded: Decoded
    reply: Callable[[Answer], None]
    key: str | None = None


@dataclass(frozen=True, slots=True)
class _Submission:
    records: Sequence[Record]
    numbers: "Future[list[int]]"
    newest: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None


class Intake:
    """Takes requests (`offer`) and other records (`submit`) into the log, from `start` to `stop`.

    `sink` gets every record with its number, in order, from the thread of intake. `newest` int64, by device
    key, is the newest timestamp of each device, `recent` the rows that were logged last, `receipts` the
    answers given under idempotency keys: all three from the replay of the log. `log_trouble` says why the log could
    not be written the last time, `judge_trouble` why rows could not be judged (devices not registered); None where
    they could.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        log: Log,
        registry: Registry,
        sink: Callable[[int, Record], None],
        newest: npt.NDArray[np.int64],
        receipts: Iterable[Receipt] = (),
        recent: Iterable[Rows] = (),
        clock: Callable[[], int],
        metrics: Metrics | None = None,
    ) -> None:
        self.failed = threading.Event()
        self.log_trouble: str | None = None
        self.judge_trouble: str | None = None
        self._metrics = metrics or Metrics()
        self._stages = self._metrics.stages
        for reason in set(Reason) - {Reason.fine, Reason.duplicate}:
            self._metrics.rows_rejected.labels(reason.name)
        self._log = log
        self._sink = sink
        self._clock = clock
        self._wait_s = settings.group_commit_ms / 1000
        self._most_rows = settings.max_queue_rows
        limits = LiveLimits(round(settings.future_limit_s * 1000), round(settings.late_limit_s * 1000))
        self._directory = Directory(registry)
        self._judge = Judge(self._directory, newest, limits)
        self._receipts = Receipts(receipts, clock())
        for rows in recent:
            self._judge.remember(rows.readings(), rows.unchecked_mask(), rows.now_ms)
        self._queue: queue.SimpleQueue[Request | _Submission | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        # Rows offered, logged and scored so far; each has one writer, so none needs a lock to be read.
        self._offered = self._done = self._logged = self._scored = 0
        self._thread = threading.Thread(target=self._run, name="intake")

    def start(self) -> None:
        """Begin to take what was offered."""
        self._thread.start()

    def stop(self) -> None:
        """Log and answer what waits, then end."""
        with self._lock:
            self._stopped = True
            self._queue.put(None)
        self._thread.join()

    @property
    def waiting_rows(self) -> int:
        """Rows that wait to be logged or to be scored."""
        return self._offered - self._done + self._logged - self._scored

    def offer(self, request: Request) -> None:
        """Queue a request; any thread may. It is answered at once where too many rows wait, or at the end."""
        with self._lock:
            refusal = self._refusal()
            if refusal is None:
                self._offered += request.decoded.count
                self._queue.put(request)
        if refusal is not None:
            request.reply(refusal)

    def submit(
        self,
        records: Sequence[Record],
        newest: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None = None,
    ) -> "Future[list[int]]":
        """Queue records to be logged together; the future gives their numbers once they are on disk.

        `newest` (device keys (n,), timestamps (n,)) says which readings came by another way with these
        records, so that later rows are compared with them. The future raises StorageError where the log does.
        """
        submission = _Submission(records, Future(), newest)
        with self._lock:
            ended = self._stopped or self.failed.is_set()
            if not ended:
                self._queue.put(submission)
        if ended:
            submission.numbers.set_exception(StorageError("the service is stopping and logs nothing more"))
        return submission.numbers

    def scored(self, record: Record) -> None:
        """The scorer has applied a record; called from one thread."""
        if isinstance(record, Rows):
            self._scored += len(record.ts) // 8
            self._metrics.rows_scored.inc(len(record.ts) // 8)

    def _refusal(self) -> Answer | None:
        if self._stopped or self.failed.is_set():
            return problem(
                503, "the service is stopping: send the readings again to the one that follows", RETRY_AFTER_S
            )
        if self.waiting_rows > self._most_rows:
            detail = (
                f"{self.waiting_rows:,} rows wait to be scored, more than the {self._most_rows:,} that may:"
                f" send the readings again in {RETRY_AFTER_S} seconds"
            )
            return problem(429, detail, RETRY_AFTER_S)
        return None

    def _run(self) -> None:
        try:
            while (group := self._next_group()) is not None:
                self._take(group)
        except BaseException:
            self.failed.set()
            log.exception("intake.died")
        finally:
            self._turn_away()

    def _turn_away(self) -> None:
        """Answer what was queued behind the end."""
        with self._lock:
            self._stopped = True
        while not self._queue.empty():
            item = self._queue.get()
            if isinstance(item, Request):
                refusal = self._refusal()
                assert refusal is not None
                item.reply(refusal)
            elif item is not None:
                item.numbers.set_exception(StorageError("the service is stopping and logs nothing more"))

    def _next_group(self) -> list[Request | _Submission] | None:
        """All that waits, after a pause in which more may come; None at the end."""
        first = self._queue.get()
        if first is None:
            return None
        if self._wait_s:
            time.sleep(self._wait_s)
        group = [first]
        rows = first.decoded.count if isinstance(first, Request) else 0
        while rows < GROUP_ROWS and not self._queue.empty():
            item = self._queue.get()
            if item is None:
                self._queue.put(None)
                break
            group.append(item)
            rows += item.decoded.count if isinstance(item, Request) else 0
        return group

    def _take(self, group: Sequence[Request | _Submission]) -> None:
        now_ms = self._clock()
        submissions = [item for item in group if isinstance(item, _Submission)]
        fresh, repeated = self._set_repetitions_apart([item for item in group if isinstance(item, Request)], now_ms)
        judgement: Judgement | None = None
        refusal: Answer | None = None
        try:
            with self._stages.measure("check"):
                judgement = self._judge.judge([(request.token, request.decoded) for request in fresh], now_ms)
            self.judge_trouble = None if fresh else self.judge_trouble
        except StorageError as error:
            self.judge_trouble = str(error)
            self._metrics.storage_failures.labels("devices").inc()
            refusal = problem_of(error)
        except Exception:
            # A bug met by one group must not end the service for all the others; nothing was logged yet.
            log.exception("intake.bug")
            refusal = problem(500, "a bug of this server: the readings were not taken; its log has the details")
        bodies = [_encoder.encode(counts) for counts in judgement.counts] if judgement else []
        receipts = [
            Receipt(request.token.token_id, request.key, body)
            for request, body in zip(fresh, bodies, strict=bool(judgement))
            if request.key is not None
        ]
        records = [record for submission in submissions for record in submission.records]
        own = _records(judgement, receipts, now_ms) if judgement else []
        try:
            with self._stages.measure("log"):
                numbers = self._log.append([*records, *own])
        except StorageError as error:
            self.log_trouble = str(error)
            self._metrics.storage_failures.labels("log").inc()
            log.error("intake.not_logged", reason=str(error), requests=len(fresh))
            refusal = problem_of(error)
            for submission in submissions:
                submission.numbers.set_exception(error)
        else:
            self.log_trouble = None if numbers else self.log_trouble
            self._logged_all(submissions, records, own, numbers, judgement, now_ms)
            self._count(judgement.counts if judgement else ())
            self._receipts.add(receipts, now_ms)
        answers = [refusal] * len(fresh) if refusal else [Answer(200, body) for body in bodies]
        self._answer(fresh, answers, repeated)

    def _count(self, counts: Sequence[Counts]) -> None:
        self._metrics.rows_accepted.inc(sum(count.accepted for count in counts))
        self._metrics.rows_duplicate.inc(sum(count.duplicate for count in counts))
        for count in counts:
            for reason, rows in count.reasons.items():
                self._metrics.rows_rejected.labels(reason).inc(rows)

    def _set_repetitions_apart(
        self, requests: Sequence[Request], now_ms: int
    ) -> tuple[list[Request], list[tuple[Request, bytes | int]]]:
        """Requests to be judged, and those whose key was answered before: with the answer, or whose it will be."""
        fresh: list[Request] = []
        repeated: list[tuple[Request, bytes | int]] = []
        here: dict[tuple[int, str], int] = {}
        for request in requests:
            if request.key is None:
                fresh.append(request)
                continue
            known = self._receipts.answer(request.token.token_id, request.key, now_ms)
            if known is not None:
                repeated.append((request, known))
                continue
            place = here.setdefault((request.token.token_id, request.key), len(fresh))
            if place < len(fresh):
                repeated.append((request, place))
            else:
                fresh.append(request)
        return fresh, repeated

    def _logged_all(
        self,
        submissions: Sequence[_Submission],
        records: Sequence[Record],
        own: Sequence[Record],
        numbers: Sequence[int],
        judgement: Judgement | None,
        now_ms: int,
    ) -> None:
        """The group is on disk: hand it on, and remember what it changes."""
        for number, record in zip(numbers, (*records, *own), strict=True):
            self._logged += len(record.ts) // 8 if isinstance(record, Rows) else 0
            self._sink(number, record)
        if any(isinstance(record, TypeVersion) for record in records):
            self._directory.reload_types()
        for record in records:
            if isinstance(record, Devices):
                self._directory.learn(record.devices)
        for taken in judgement.taken if judgement else ():
            self._judge.remember(taken.readings, taken.unchecked, now_ms)
        at = 0
        for submission in submissions:
            if submission.newest is not None:
                self._judge.advance(*submission.newest)
            submission.numbers.set_result(list(numbers[at : at + len(submission.records)]))
            at += len(submission.records)

    def _answer(
        self, fresh: Sequence[Request], answers: Sequence[Answer], repeated: Sequence[tuple[Request, bytes | int]]
    ) -> None:
        for request, answer in zip(fresh, answers, strict=True):
            request.reply(answer)
        for request, known in repeated:
            answer = answers[known] if isinstance(known, int) else Answer(200, known)
            request.reply(Answer(answer.status, answer.body, answer.status == 200, answer.retry_after_s))
        self._done += sum(request.decoded.count for request in fresh)
        self._done += sum(request.decoded.count for request, _ in repeated)


def _records(judgement: Judgement, receipts: Sequence[Receipt], now_ms: int) -> list[Record]:
    """What a judgement puts into the log. Receipts go with the first rows: they are written or lost together."""
    records: list[Record] = []
    if judgement.devices:
        records.append(Devices(now_ms=now_ms, devices=tuple(judgement.devices)))
    given = tuple(receipts)
    for taken in judgement.taken:
        records.append(Rows.of(now_ms, taken.readings, taken.unchecked, given))
        given = ()
    if judgement.bad_rows:
        records.append(Quarantined(now_ms=now_ms, rows=tuple(judgement.bad_rows), refused=tuple(judgement.refused)))
    return records
