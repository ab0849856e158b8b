"""What the live loop says of itself: whether it is ready, and the figures that are looked up."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from ..alerts.status import Status
from ..checks import LEAST_FREE_BYTES, Probe, free_bytes, full_disk
from ..fleet import figures, watermarks
from ..fleet.database import answers, reading
from ..metrics import Metrics
from ..settings import Settings
from ..telemetry.lake import Lake
from .live import Live, wall_ms

BEHIND_S = 120.0
"""A loop that is further behind than this isn't ready: its alerts come late."""

OF_DATABASE = ("effects", "commands")
OF_LAKE = ("lake",)
OF_DISK = ("checkpoint", "publishing")
"""What the loop does, by what it stands on."""


class LoopHealth:
    """Looks at a loop from outside; any thread may ask."""

    def __init__(self, live: Live, settings: Settings, engine: Engine, lake: Lake, behind_s: float = BEHIND_S) -> None:
        self._behind_s = behind_s
        self._live = live
        self._settings = settings
        self._engine = engine
        self._lake = lake

    def probes(self) -> Mapping[str, Probe]:
        """What readiness of the loop means."""
        return {"log": self._log, "scorer": self.scorer, "database": self._database, "lake": self._lake_answers}

    def scorer(self) -> str | None:
        """Why the loop doesn't keep up; None where it does."""
        if not self._live.alive:
            return "a thread of the loop has ended; the log says why. Start faultwatch again"
        if self._live.lag_s >= self._behind_s:
            return (
                f"the scorer is {self._live.lag_s:.0f} s behind; expected less than {self._behind_s:g}."
                f" {self._live.intake.waiting_rows:,} readings wait. Where storage doesn't answer, that is the reason;"
                " else give the machine more processor, or send less"
            )
        return None

    def stalled(self) -> str | None:
        """Why readings aren't taken, or judged within two minutes; None where they are."""
        return self._live.intake.log_trouble or self.scorer()

    def look(self, metrics: Metrics) -> None:
        """Set the figures of the loop. Raises StorageError where the database, which comes last, doesn't answer."""
        live = self._live
        metrics.rows_waiting.set(live.intake.waiting_rows)
        metrics.rows_waiting_limit.set(self._settings.max_queue_rows)
        metrics.rows_unsaved.set(live.shard.pending_rows)
        metrics.lag_seconds.set(live.lag_s)
        metrics.free_bytes.set(free_bytes(self._settings.data))
        metrics.record.labels("logged").set(live.shard.log.last_seq)
        metrics.record.labels("scored").set(live.shard.state.seq)
        counts = np.bincount(live.shard.state.alerting.status, minlength=len(Status))
        for status in Status:
            metrics.devices.labels(status.name.lower()).set(int(counts[status]))
        self._look_into_database(metrics)

    def _look_into_database(self, metrics: Metrics) -> None:
        now_ms = wall_ms()
        with reading(self._engine) as session:
            marks = watermarks.read(session, self._live.shard.number)
            alerts = figures.open_alerts(session)
            notices = figures.notices(session, now_ms)
        metrics.record.labels("applied").set(marks.applied_seq)
        metrics.record.labels("lake").set(marks.lake_seq)
        metrics.record.labels("checkpoint").set(marks.state_seq)
        metrics.alerts_open.clear()
        for (kind, severity), n in alerts.items():
            metrics.alerts_open.labels(kind, severity).set(n)
        metrics.notices.labels("pending").set(notices.pending)
        metrics.notices.labels("dead").set(notices.dead)
        waited_ms = 0 if notices.oldest_due_ms is None else max(0, now_ms - notices.oldest_due_ms)
        metrics.notices_oldest_seconds.set(waited_ms / 1000)

    def _log(self) -> str | None:
        return self._live.intake.log_trouble or self._trouble(OF_DISK) or full_disk(self._settings.data)

    def _database(self) -> str | None:
        answers(self._engine)
        return self._live.intake.judge_trouble or self._trouble(OF_DATABASE)

    def _lake_answers(self) -> str | None:
        self._lake.answers()
        if fault := self._trouble(OF_LAKE):
            return fault
        local = "://" not in self._lake.url
        return full_disk(Path(self._lake.url), LEAST_FREE_BYTES) if local else None

    def _trouble(self, of: tuple[str, ...]) -> str | None:
        troubles = dict(self._live.troubles)
        return next((troubles[what] for what in of if what in troubles), None)
