"""Registers a model that passed the gate, and has it watched as challenger or served as champion."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import structlog

from ...exceptions import ModelError
from ...fleet import model_versions
from ...fleet.database import writing
from ...fleet.model_versions import ModelVersion
from ..artifact import Artifact, Detail, make
from ..data_ingestion import read_ingested
from ..workplace import Workplace
from .warming import warm_up

log = structlog.get_logger(__name__)

COMPONENT = "model_pusher"
PUSHED_FILE = "pushed.json"
HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PusherConfig:
    """A model is watched as challenger for `shadow_hours` before it may serve, or serves at once where that is 0.

    Before it serves it lives through the last `warm_days` of every device of its type.
    """

    shadow_hours: float = 0.0
    warm_days: float = 14.0


class Pushed(msgspec.Struct, frozen=True):
    """What became of a model: its version, `champion` or `challenger`, the version it took over from, and the command
    by which the service swaps it in (None where it served already, or is watched)."""

    version: int
    role: str
    previous: int | None
    command: int | None


def run(config: PusherConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """Give the model of `inputs["model_trainer"]` a version, if `inputs["model_evaluation"]` passed it.

    Its sample of the lake is pinned, so that retention can't take it. Raises ModelError where the gate refused it.
    """
    model, evaluation = inputs["model_trainer"], inputs["model_evaluation"]
    if evaluation.summary.get("verdict") != "pass" or evaluation.inputs.get("model_trainer") != model.hash:
        raise ModelError(
            f"model {model.path.name} of {model.subject} did not pass the gate"
            f" ({evaluation.summary.get('reason') or 'the evaluation is of another model'}); the champion goes on"
        )
    previous = place.champion(type_id)
    with writing(place.engine) as session:
        note = f"trained on {model.summary['rows']} readings"
        version = model_versions.add(session, type_id, model.path.name, place.run, note, now_ms)
    place.lake.pin(pin_name(type_id, version.version), read_ingested(inputs["data_ingestion"]).sample)
    pushed = Pushed(version.version, "champion", None if previous is None else previous.version, None)
    if config.shadow_hours > 0 and not version.champion and previous is not None:
        with writing(place.engine) as session:
            model_versions.watch(session, version, now_ms + round(config.shadow_hours * HOUR_MS))
        pushed = msgspec.structs.replace(pushed, role="challenger")
    elif not version.champion:
        pushed = msgspec.structs.replace(pushed, command=serve(place, version, now_ms, config.warm_days))

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / PUSHED_FILE).write_bytes(msgspec.json.encode(pushed))
        return {"version": pushed.version, "role": pushed.role, "previous": pushed.previous}

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=model.subject,
        inputs={"model_trainer": model, "model_evaluation": evaluation, "data_ingestion": inputs["data_ingestion"]},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("model.pushed", type=model.subject, version=pushed.version, role=pushed.role)
    return made


def serve(place: Workplace, version: ModelVersion, now_ms: int, warm_days: float) -> int | None:
    """Make a version champion once it has lived through `warm_days`; 0 of them swaps it in at once, with what the
    champion knows of devices. Return the command that swaps it in, None where it serves already."""
    if version.champion:
        return None
    warm = warm_up(place, version, warm_days) if warm_days > 0 else ""
    with writing(place.engine) as session:
        return model_versions.promote(session, version, place.who, now_ms, warm)


def pin_name(type_id: int, version: int) -> str:
    """The name under which the lake keeps what a version learnt from."""
    return f"model-{type_id}-{version}"
