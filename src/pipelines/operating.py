"""Runs pipelines as commands and triggers do: runs, tells MLflow, says how it went."""

import time
from collections.abc import Iterator

import structlog

from ..components.artifact import Artifact, read
from ..components.workplace import EVERY_TYPE, Workplace
from ..exceptions import ModelError, StorageError
from .alarms import settle_runs
from .runner import Clock, Sleep, Watcher, execute
from .runs import Run, Runs, Trigger
from .steps import Pipeline
from .tracking import tracking

log = structlog.get_logger(__name__)


def run_and_record(
    pipeline: Pipeline,
    place: Workplace,
    type_id: int,
    trigger: Trigger,
    *,
    clock: Clock,
    fresh: bool = False,
    watcher: Watcher | None = None,
    sleep: Sleep = time.sleep,
) -> Run:
    """Run a pipeline for a type, let operators be told where it went wrong, and tell MLflow of it, and of what couldn't
    be told before.

    Raises the error of a step that failed for good, once both were told.
    """
    try:
        run, _ = execute(pipeline, place, type_id, trigger, clock=clock, fresh=fresh, watcher=watcher, sleep=sleep)
    finally:
        _alert(place, type_id, clock())
        record(place, type_id)
    return run


def _alert(place: Workplace, type_id: int, now_ms: int) -> None:
    """Open or end alerts by how the run went; where the database fails, the next look does it."""
    try:
        settle_runs(place, type_id, now_ms)
    except StorageError as error:
        log.error("model_alert.not_told", reason=str(error), meaning="the next look at the models says it")


def record(place: Workplace, type_id: int) -> bool:
    """Tell MLflow of every run of a type that is over and of which it wasn't told, and of versions and aliases.

    False where it didn't take them: the log says why, and the next call tells it.
    """
    runs = Runs(place.data)
    try:
        with tracking(place) as told:
            for run in reversed(runs.all(type_id=type_id)):
                if run.state != "running" and not run.recorded:
                    told.record(run, artifacts(place, run))
                    run.recorded = True
                    runs.save(run)
            if type_id == EVERY_TYPE:
                told.mirror_kinds()
            else:
                told.mirror(type_id)
    except StorageError as error:
        log.error("mlflow.not_told", reason=str(error))
        return False
    return True


def artifacts(place: Workplace, run: Run) -> dict[str, Artifact]:
    """What the steps of a run made, as far as it is still there and whole."""
    found = {}
    for step in run.steps:
        if step.folder:
            try:
                found[step.name] = read(place.data / step.folder)
            except ModelError as error:
                log.warning("artifact.unreadable", run=run.id, step=step.name, reason=str(error))
    return found


def told(place: Workplace, run: Run) -> Iterator[str]:
    """How a run went, in lines for people."""
    yield f"{run.type_name}: {run.state}, run {run.id}"
    for step in run.steps:
        if step.state != "waiting":
            yield f"  {step.name}: {step.state} in {step.seconds:.1f} s{_summary(place, step.folder)}"
    if run.reason:
        yield f"  {run.reason}"
    for step in run.steps:
        if step.state == "stopped":
            yield from (f"  what it found: {page}" for page in sorted((place.data / step.folder).glob("*.html")))


def _summary(place: Workplace, folder: str) -> str:
    if not folder:
        return ""
    summary = read(place.data / folder).summary
    words = [
        f"{name} {value}"
        for name, value in summary.items()
        if name != "reason" and value not in (None, "") and not isinstance(value, list)
    ]
    return f": {', '.join(words)}" if words else ""
