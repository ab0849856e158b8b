"""Runs one step of a pipeline inside a container of SageMaker: the same component, on the same settings."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import structlog

from ...components.artifact import Artifact, read
from ...components.workplace import Workplace
from ...exceptions import ConfigError, StorageError
from ...pipelines.steps import Pipeline, Step
from ...pipelines.training import TRAINING
from ...settings import Settings
from .layout import ARTIFACT, MODELS, VERDICT, VERDICT_FILE, Layout

log = structlog.get_logger(__name__)

PIPELINES = {pipeline.name: pipeline for pipeline in (TRAINING,)}
MOST_REASON = 1024
"""Letters of a reason that AWS keeps."""

FIRST_WAIT_S = 1.0


class Verdict(msgspec.Struct, frozen=True):
    """Whether a step's gate let it pass, and why not; a step without a gate passes."""

    verdict: str
    reason: str

    @classmethod
    def of(cls, artifact: Artifact) -> "Verdict":
        """What a step's artifact says, as the runner takes it."""
        said = artifact.summary
        if said.get("verdict") != "fail":
            return cls("pass", "")
        return cls("fail", f"{artifact.component}: {said.get('reason') or 'its verdict is fail'}"[:MOST_REASON])


def find_step(pipeline: str, name: str) -> Step:
    """A step of a pipeline by both names. Raises ConfigError where there is none."""
    if pipeline not in PIPELINES:
        raise ConfigError(f"no pipeline {pipeline!r}; there are: {', '.join(sorted(PIPELINES))}")
    found: Pipeline = PIPELINES[pipeline]
    for step in found.steps:
        if step.name == name:
            return step
    raise ConfigError(f"pipeline {pipeline!r} has no step {name!r}; it has {', '.join(s.name for s in found.steps)}")


def told(step: Step, fields: Mapping[str, str]) -> Step:
    """The step with some fields of its config as texts say, by `name` or `outer.name`.

    Raises ConfigError on a field that it doesn't have, and on a text that isn't what it takes.
    """
    config = msgspec.to_builtins(step.config)
    for path, text in fields.items():
        *outer, name = path.split(".")
        inside = config
        for part in outer:
            inside = inside.get(part) if isinstance(inside, dict) else None
        if not isinstance(inside, dict) or name not in inside:
            raise ConfigError(f"step {step.name!r} has no field {path!r}; it has {', '.join(config)}")
        inside[name] = text
    try:
        return replace(step, config=msgspec.convert(config, type(step.config), strict=False))
    except msgspec.ValidationError as error:
        raise ConfigError(f"step {step.name!r}: {error}") from error


def run_step(
    step: Step,
    settings: Settings,
    type_name: str,
    now_ms: int,
    sleep: Callable[[float], None] = time.sleep,
) -> Verdict:
    """Run a step on what SageMaker laid out, leave its artifact and its verdict where SageMaker looks for them.

    Raises ConfigError where an input is missing, and the component's own errors; storage that fails is tried again as
    the declaration says.
    """
    layout = Layout(settings.container_root)
    with tempfile.TemporaryDirectory(prefix="faultwatch-") as scratch:
        data = Path(scratch) / "data"
        data.mkdir()
        place = Workplace.open(settings.model_copy(update={"data": data}))
        try:
            inputs = {name: read(layout.input(name, Path(scratch))) for name in step.inputs}
            _bring_models(layout, data)
            ((type_id, _),) = place.types(type_name)
            artifact = _tried(step, inputs, place, type_id, now_ms, sleep)
            return _leave(layout, artifact)
        finally:
            place.close()


def _bring_models(layout: Layout, data: Path) -> None:
    """The files of models that serve, where the job was given them: what looks at the champion finds it as here."""
    given = layout.processing_input(MODELS)
    if given.is_dir():
        shutil.copytree(given, data / "models", dirs_exist_ok=True)


def _tried(
    step: Step,
    inputs: Mapping[str, Artifact],
    place: Workplace,
    type_id: int,
    now_ms: int,
    sleep: Callable[[float], None],
) -> Artifact:
    wait = FIRST_WAIT_S
    for _ in range(step.retries):
        try:
            return step.component(step.config, inputs, place, type_id, now_ms)
        except StorageError as error:
            log.warning("step.retried", step=step.name, reason=str(error), wait_s=wait)
            sleep(wait)
            wait *= 2
    return step.component(step.config, inputs, place, type_id, now_ms)


def _leave(layout: Layout, artifact: Artifact) -> Verdict:
    verdict = Verdict.of(artifact)
    if layout.trains:
        shutil.copytree(artifact.path, layout.model, dirs_exist_ok=True)
        return verdict
    shutil.copytree(artifact.path, layout.processing_output(ARTIFACT), dirs_exist_ok=True)
    folder = layout.processing_output(VERDICT)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / VERDICT_FILE).write_bytes(msgspec.json.encode(verdict) + b"\n")
    return verdict


def tell_reason(layout: Layout, reason: str) -> None:
    """Leave the reason of a failure where SageMaker looks for it; a layout that takes none is logged."""
    try:
        layout.reason.parent.mkdir(parents=True, exist_ok=True)
        layout.reason.write_text(reason[:MOST_REASON], encoding="utf-8")
    except OSError as error:
        log.warning("reason.untold", file=str(layout.reason), reason=error.strerror)
