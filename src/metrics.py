"""What the service counts and measures of itself, for Prometheus to read.

One `Metrics` a process, made by whoever composes it and handed to its parts. Figures that are looked up (open
alerts, the outbox, free space) are set just before they are read.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

STAGES = ("parse", "check", "log", "score", "alert", "lake", "compact", "publish", "checkpoint")
"""The way of a reading, and what is done with all of them from time to time."""

STORAGE = ("log", "devices", "effects", "commands", "lake", "checkpoint", "publishing", "compaction")
"""What the loop asks of storage."""

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of the histograms of answers: from one group commit to the longest an answer is waited for."""


class Stages:
    """Where the time goes: `with stages.measure("score"):`. Any thread may measure.

    `tell` gets stage, seconds by the clock and seconds of this thread's processor. What is measured inside of
    another stage is told as its own only.
    """

    def __init__(self, tell: Callable[[str, float, float], None] = lambda _stage, _wall_s, _cpu_s: None) -> None:
        self._tell = tell
        self._open = threading.local()

    def measure(self, stage: str) -> "Span":
        """What is done inside belongs to this stage."""
        return Span(stage, self._tell, self._open)

    def brief(self, stage: str, seconds: float) -> None:
        """A stretch of microseconds, in no other, by the clock alone: asking for the processor's time takes as long."""
        self._tell(stage, seconds, seconds)


class Span:
    """One stretch of a stage."""

    __slots__ = ("_cpu_s", "_inner_cpu_s", "_inner_s", "_open", "_outer", "_stage", "_tell", "_wall_s")

    def __init__(self, stage: str, tell: Callable[[str, float, float], None], open_: threading.local) -> None:
        self._stage = stage
        self._tell = tell
        self._open = open_
        self._inner_s = self._inner_cpu_s = 0.0

    def __enter__(self) -> Self:
        self._outer: Span | None = getattr(self._open, "span", None)
        self._open.span = self
        self._wall_s, self._cpu_s = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        wall_s, cpu_s = time.perf_counter() - self._wall_s, time.thread_time() - self._cpu_s
        self._open.span = self._outer
        if self._outer is not None:
            self._outer._inner_s += wall_s
            self._outer._inner_cpu_s += cpu_s
        self._tell(self._stage, max(0.0, wall_s - self._inner_s), max(0.0, cpu_s - self._inner_cpu_s))


@dataclass(frozen=True)
class Described:
    """A metric as the reference tells it; `name` is that of its samples, without a histogram's endings."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


class Metrics:
    """Every metric of the service; docs/reference/metrics.md is written from this class."""

    def __init__(self) -> None:
        # The start of the process says as much, in one line instead of one per series.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = CollectorRegistry()
        self.registry = registry
        self.info = Gauge("faultwatch_info", "1, with version and role.", ["version", "role"], registry=registry)
        self.check = Gauge(
            "faultwatch_check", "Whether a check of /readyz passes: 1, or 0.", ["check"], registry=registry
        )

        self.requests = Counter(
            "faultwatch_requests", "Requests with readings, by the status they were answered with.", ["status"],
            registry=registry,
        )  # fmt: skip
        self.request_seconds = Histogram(
            "faultwatch_request_seconds", "From the head of a request with readings to its answer.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.rows_accepted = Counter("faultwatch_rows_accepted", "Readings taken and on disk.", registry=registry)
        self.rows_duplicate = Counter(
            "faultwatch_rows_duplicate", "Readings that were here already, with the same values.", registry=registry
        )
        self.rows_rejected = Counter(
            "faultwatch_rows_rejected", "Readings not taken, which are in the quarantine, by reason.", ["reason"],
            registry=registry,
        )  # fmt: skip
        self.rows_scored = Counter(
            "faultwatch_rows_scored", "Readings given to the scorer and done with.", registry=registry
        )
        self.rows_waiting = Gauge(
            "faultwatch_rows_waiting", "Readings that wait to be logged or scored: the queue.", registry=registry
        )
        self.rows_waiting_limit = Gauge(
            "faultwatch_rows_waiting_limit", "Above this senders are told to wait (setting max_queue_rows).",
            registry=registry,
        )  # fmt: skip
        self.rows_unsaved = Gauge(
            "faultwatch_rows_unsaved", "Readings scored and logged that the lake has yet to be given.",
            registry=registry,
        )  # fmt: skip

        self.lag_seconds = Gauge(
            "faultwatch_lag_seconds", "How long the oldest logged record has waited to be scored; 0 where none waits.",
            registry=registry,
        )  # fmt: skip
        self.record = Gauge(
            "faultwatch_record", "Number of the last record that was logged, scored, applied to the database, given to"
            " the lake, or is in a checkpoint of the state.", ["step"], registry=registry,
        )  # fmt: skip
        self.stage_seconds = Counter(
            "faultwatch_stage_seconds", f"Time by stage: {', '.join(STAGES)}.", ["stage"], registry=registry
        )
        self.stage_cpu_seconds = Counter(
            "faultwatch_stage_cpu_seconds", "Processor time by stage, of its own threads.", ["stage"],
            registry=registry,
        )  # fmt: skip
        self.storage_failures = Counter(
            "faultwatch_storage_failures", "How often the log, the database, the lake or the disk did not do as asked.",
            ["what"], registry=registry,
        )  # fmt: skip

        self.devices = Gauge("faultwatch_devices", "Devices by status.", ["status"], registry=registry)
        self.alerts_fired = Counter(
            "faultwatch_alerts_fired", "Alerts that fired, by kind; without those about the past (files taken in).",
            ["kind"], registry=registry,
        )  # fmt: skip
        self.alerts_open = Gauge(
            "faultwatch_alerts_open", "Alerts that are open now.", ["kind", "severity"], registry=registry
        )
        self.notices = Gauge(
            "faultwatch_notices", "Notices to channels: pending, or dead (given up).", ["state"], registry=registry
        )
        self.notices_oldest_seconds = Gauge(
            "faultwatch_notices_oldest_seconds", "How long the oldest notice that is due has waited.",
            registry=registry,
        )  # fmt: skip
        self.heartbeats = Counter(
            "faultwatch_heartbeats", "Pings of the heartbeat address: sent, failed, or withheld as the loop is behind.",
            ["outcome"], registry=registry,
        )  # fmt: skip

        self.pipeline_began = Gauge(
            "faultwatch_pipeline_last_run_timestamp_seconds", "When the newest run of a pipeline for a device type"
            " began, in seconds since 1970.", ["pipeline", "type"], registry=registry,
        )  # fmt: skip
        self.pipeline_seconds = Gauge(
            "faultwatch_pipeline_last_run_seconds", "How long the newest run that is over took.", ["pipeline", "type"],
            registry=registry,
        )  # fmt: skip
        self.pipeline_ok = Gauge(
            "faultwatch_pipeline_last_run_ok", "Whether the newest run that is over went through: 1, or 0 where it"
            " failed or a gate stopped it.", ["pipeline", "type"], registry=registry,
        )  # fmt: skip
        self.pipeline_step_ok = Gauge(
            "faultwatch_pipeline_step_ok", "The same of each of its steps; none for a step that it didn't reach.",
            ["pipeline", "type", "step"], registry=registry,
        )  # fmt: skip
        self.champion_age_seconds = Gauge(
            "faultwatch_champion_age_seconds", "How long the model that serves a device type has served.", ["type"],
            registry=registry,
        )  # fmt: skip
        self.triggers_fired = Counter(
            "faultwatch_triggers_fired", "Training runs, by what fired them: on demand, schedule, new data, model"
            " quality, drift.", ["type", "trigger"], registry=registry,
        )  # fmt: skip

        self.page_requests = Counter(
            "faultwatch_page_requests", "Requests for pages and the API, by status.", ["status"], registry=registry
        )
        self.page_seconds = Histogram(
            "faultwatch_page_seconds", "How long pages and the API took to answer, event streams left out.",
            buckets=SECONDS, registry=registry,
        )  # fmt: skip
        self.event_streams = Gauge("faultwatch_event_streams", "Event streams that are open now.", registry=registry)
        self.published_age_seconds = Gauge(
            "faultwatch_published_age_seconds", "Age of the snapshot that pages show.", registry=registry
        )
        self.free_bytes = Gauge("faultwatch_free_bytes", "Free space of the data folder's disk.", registry=registry)
        ProcessCollector(registry=registry)

        self.stages = Stages(self._spent)
        # Series that are there from the start: a rate over one that only just appeared would miss its first rise.
        self._by_stage = {
            stage: (self.stage_seconds.labels(stage), self.stage_cpu_seconds.labels(stage)) for stage in STAGES
        }
        for outcome in ("sent", "failed", "withheld"):
            self.heartbeats.labels(outcome)
        for what in STORAGE:
            self.storage_failures.labels(what)

    def described(self) -> list[Described]:
        """Every metric in the order of the page, those of the process last."""
        ours = [value for value in vars(self).values() if isinstance(value, Counter | Gauge | Histogram)]
        labels = {family.name: metric._labelnames for metric in ours for family in metric.describe()}
        return [
            Described(
                f"{family.name}_total" if family.type == "counter" else family.name,
                family.type,
                tuple(labels.get(family.name, ())),
                family.documentation,
            )
            for family in self.registry.collect()
        ]

    def text(self) -> bytes:
        """Every metric in Prometheus' text format."""
        return generate_latest(self.registry)

    def _spent(self, stage: str, wall_s: float, cpu_s: float) -> None:
        wall, cpu = self._by_stage[stage]
        wall.inc(wall_s)
        cpu.inc(cpu_s)
