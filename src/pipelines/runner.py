"""The local runner: carries out steps in order, keeps what is done, tries again, stops where a gate says so."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Protocol

import structlog

from ..components.artifact import Artifact, Detail, flat, made_before, read
from ..components.code import code_hash
from ..components.workplace import Workplace
from ..exceptions import FaultwatchError, ModelError, StorageError
from .runs import Run, Runs, StepRun, Trigger
from .steps import Pipeline, Step

log = structlog.get_logger(__name__)

FIRST_WAIT_S = 1.0


class Watcher(Protocol):
    """Is told of a run as it goes."""

    def begun(self, run: Run) -> None:
        """A run begins, or is gone on with."""

    def step(self, run: Run, step: StepRun) -> None:
        """The state of a step has changed."""

    def progress(self, step: str, done: float) -> None:
        """How much of a step is done, 0 to 1."""


class Unwatched:
    """Nobody watches."""

    def begun(self, run: Run) -> None:
        """Nothing."""

    def step(self, run: Run, step: StepRun) -> None:
        """Nothing."""

    def progress(self, step: str, done: float) -> None:
        """Nothing."""


Clock = Callable[[], int]
Sleep = Callable[[float], None]


def execute(
    pipeline: Pipeline,
    place: Workplace,
    type_id: int,
    trigger: Trigger,
    *,
    clock: Clock,
    fresh: bool = False,
    watcher: Watcher | None = None,
    sleep: Sleep = time.sleep,
) -> tuple[Run, dict[str, Artifact]]:
    """Run a pipeline for one device type (`EVERY_TYPE`: for devices of all types), or go on with the run of it that was
    killed (not with `fresh`).

    Returns the run and what its steps made. A run that a gate stopped is no error: its state is `stopped`. Raises the
    step's own error where one failed for good, and ConflictError where the pipeline is running for this type.
    """
    runs = Runs(place.data)
    with runs.only(pipeline.name, type_id):
        return _Running(pipeline, place, runs, clock, watcher or Unwatched(), sleep).go(type_id, trigger, fresh)


class _Running:
    def __init__(
        self, pipeline: Pipeline, place: Workplace, runs: Runs, clock: Clock, watcher: Watcher, sleep: Sleep
    ) -> None:
        self._pipeline = pipeline
        self._place = place
        self._runs = runs
        self._clock = clock
        self._watcher = watcher
        self._sleep = sleep

    def go(self, type_id: int, trigger: Trigger, fresh: bool) -> tuple[Run, dict[str, Artifact]]:
        run = None if fresh else self._unfinished(type_id)
        if run is None:
            run = self._runs.begin(
                self._pipeline.name,
                [step.name for step in self._pipeline.steps],
                type_id,
                self._place.name_of(type_id),
                trigger,
                self._place.serving(type_id),
                self._clock(),
            )
        self._watcher.begun(run)
        made: dict[str, Artifact] = {}
        for step in self._pipeline.steps:
            artifact = self._finished(run, step.name) or self._step(run, step, made)
            made[step.name] = artifact
            if artifact.summary.get("verdict") == "fail":
                self._stop(run, step.name, str(artifact.summary.get("reason") or "its verdict is fail"))
                return run, made
        run.state, run.ended_ms = "done", self._clock()
        self._runs.save(run)
        return run, made

    def _unfinished(self, type_id: int) -> Run | None:
        """The run that a killed process left, if this code can go on with it; nobody else holds the lock."""
        left = [run for run in self._runs.all(self._pipeline.name, type_id) if run.state == "running"]
        for old in left[1:]:
            self._abandon(old)
        if not left:
            return None
        names = [step.name for step in self._pipeline.steps]
        if [step.name for step in left[0].steps] == names and left[0].code == code_hash():
            return left[0]
        self._abandon(left[0])
        return None

    def _abandon(self, run: Run) -> None:
        run.state, run.ended_ms, run.reason = "failed", self._clock(), "its process ended, and another run took over"
        self._runs.save(run)

    def _finished(self, run: Run, name: str) -> Artifact | None:
        """What a step made before the run was killed, where it is whole."""
        step = run.step(name)
        if step.state not in ("done", "cached"):
            return None
        try:
            artifact = read(self._place.data / step.folder)
        except ModelError as error:
            log.warning("step.lost", run=run.id, step=name, reason=str(error))
            return None
        return artifact if artifact.hash == step.hash else None

    def _step(self, run: Run, step: Step, made: Mapping[str, Artifact]) -> Artifact:
        noted = run.step(step.name)
        noted.started_ms, noted.ended_ms, noted.message = self._clock(), None, ""
        inputs = {name: made[name] for name in step.inputs}
        parent = self._place.artifacts(step.name, run.type_id)
        artifact = made_before(parent, inputs, config_of(step)) if step.cached else None
        if artifact is not None:
            self._keep(run, noted, artifact, cached=True)
            return artifact
        place = replace(
            self._place,
            progress=lambda done: self._watcher.progress(step.name, done),
            run=run.id,
            who=run.trigger.who,
        )
        artifact = self._tried(run, noted, step, inputs, place)
        self._keep(run, noted, artifact, cached=False)
        return artifact

    def _tried(
        self, run: Run, noted: StepRun, step: Step, inputs: Mapping[str, Artifact], place: Workplace
    ) -> Artifact:
        """Run a component; where storage fails it, wait and try again."""
        wait = FIRST_WAIT_S
        for attempt in range(step.retries + 1):
            noted.state, noted.attempts = "running", noted.attempts + 1
            self._runs.save(run)
            self._watcher.step(run, noted)
            try:
                return step.component(step.config, inputs, place, run.type_id, self._clock())
            except StorageError as error:
                if attempt == step.retries:
                    self._fail(run, noted, error)
                    raise
                log.warning("step.retried", run=run.id, step=step.name, reason=str(error), wait_s=wait)
                self._sleep(wait)
                wait *= 2
            except Exception as error:
                self._fail(run, noted, error)
                raise
        raise AssertionError("a step is tried at least once")

    def _keep(self, run: Run, noted: StepRun, artifact: Artifact, *, cached: bool) -> None:
        noted.state, noted.ended_ms = "cached" if cached else "done", self._clock()
        noted.hash = artifact.hash
        noted.folder = Path(artifact.folder).relative_to(self._place.data).as_posix()
        self._runs.save(run)
        self._watcher.step(run, noted)

    def _stop(self, run: Run, name: str, reason: str) -> None:
        noted = run.step(name)
        noted.state, noted.message = "stopped", reason
        run.state, run.ended_ms, run.reason = "stopped", self._clock(), f"{name}: {reason}"
        self._runs.save(run)
        self._watcher.step(run, noted)
        log.warning("run.stopped", run=run.id, step=name, reason=reason)

    def _fail(self, run: Run, noted: StepRun, error: Exception) -> None:
        told = str(error) if isinstance(error, FaultwatchError) else f"{type(error).__name__}: {error}"
        noted.state, noted.ended_ms, noted.message = "failed", self._clock(), told
        run.state, run.ended_ms, run.reason = "failed", self._clock(), f"{noted.name}: {told}"
        self._watcher.step(run, noted)
        log.error("run.failed", run=run.id, step=noted.name, reason=told)
        try:
            self._runs.save(run)
        except StorageError as trouble:  # the disk that is full for the step is full for this too
            log.error("run.unsaved", run=run.id, reason=str(trouble))


def config_of(step: Step) -> dict[str, Detail]:
    """A step's config as its artifact tells it."""
    assert is_dataclass(step.config) and not isinstance(step.config, type)
    return flat(asdict(step.config))
