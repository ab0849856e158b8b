"""Figures of the pipelines for /metrics: looked up in what runs left on the disk, whoever ran them."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Engine

from ..exceptions import ModelError
from ..fleet import device_types, model_versions
from ..fleet.database import reading
from ..metrics import Metrics
from ..pipelines.runs import Run, Runs
from ..telemetry.schema import DeviceType

PIPELINES = ("training", "monitoring")
GOOD = ("done", "cached")
NOT_REACHED = ("waiting", "running")


class PipelineFigures:
    """Remembers what fired the runs it has seen, so that each run is read once for that."""

    def __init__(self, data: Path, engine: Engine) -> None:
        self._runs = Runs(data)
        self._engine = engine
        self._fired: dict[str, tuple[int, str] | None] = {}
        self._told: Counter[tuple[str, str]] = Counter()

    def look(self, metrics: Metrics, now_ms: int | None = None) -> None:
        """Set the figures. Raises StorageError where the database, which comes last, doesn't answer."""
        now_ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
        with reading(self._engine) as session:
            types = {entry.type_id: entry.device_type for entry in device_types.newest(session)}
            versions = model_versions.all_of(session, list(types))
        called = _called(types)
        for gauge in (metrics.pipeline_began, metrics.pipeline_seconds, metrics.pipeline_ok, metrics.pipeline_step_ok):
            gauge.clear()
        metrics.champion_age_seconds.clear()
        for type_id, device_type in types.items():
            champion = next((one for one in versions[type_id] if one.champion), None)
            if champion is not None:
                age_ms = now_ms - (champion.promoted_ms or champion.trained_ms)
                metrics.champion_age_seconds.labels(called[type_id]).set(max(0, age_ms) / 1000)
            for pipeline in PIPELINES:
                _tell(metrics, called[type_id], self._runs.lately(pipeline, type_id, device_type.name, most=2))
        self._count(metrics, called)

    def _count(self, metrics: Metrics, called: dict[int, str]) -> None:
        """Count what fired training: a counter goes up by the runs that came since."""
        found: Counter[tuple[str, str]] = Counter()
        for name in _names(self._runs.folder):
            if name not in self._fired:
                self._fired[name] = self._fired_by(name)
            if (fired := self._fired[name]) is not None and fired[0] in called:
                found[called[fired[0]], fired[1]] += 1
        for labels, n in found.items():
            metrics.triggers_fired.labels(*labels).inc(max(0, n - self._told[labels]))
            self._told[labels] = max(n, self._told[labels])

    def _fired_by(self, name: str) -> tuple[int, str] | None:
        try:
            run = self._runs.get(name)
        except ModelError:
            return None
        return (run.type_id, run.trigger.kind) if run.pipeline == "training" else None


def _tell(metrics: Metrics, type_name: str, runs: Sequence[Run]) -> None:
    """The newest run says when it began, the newest that is over how it went."""
    if not runs:
        return
    labels = (runs[0].pipeline, type_name)
    metrics.pipeline_began.labels(*labels).set(runs[0].started_ms / 1000)
    over = next((run for run in runs if run.ended_ms is not None), None)
    if over is None or over.ended_ms is None:
        return
    metrics.pipeline_seconds.labels(*labels).set((over.ended_ms - over.started_ms) / 1000)
    metrics.pipeline_ok.labels(*labels).set(over.state == "done")
    for step in over.steps:
        if step.state not in NOT_REACHED:
            metrics.pipeline_step_ok.labels(*labels, step.name).set(step.state in GOOD)


def _names(folder: Path) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if "-training-" in name]
    except FileNotFoundError:
        return []


def _called(types: dict[int, DeviceType]) -> dict[int, str]:
    """What figures call a type: its name, with its id where types of several owners share it."""
    shared = Counter(one.name for one in types.values())
    return {type_id: one.name if shared[one.name] == 1 else f"{one.name}-{type_id}" for type_id, one in types.items()}
