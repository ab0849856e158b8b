"""Registers a model of kinds that passed the gate, and has it name kinds from then on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import structlog

from ...exceptions import ModelError
from ...fleet import kind_versions
from ...fleet.database import writing
from ..artifact import Artifact, Detail, make
from ..workplace import Workplace

log = structlog.get_logger(__name__)

COMPONENT = "fault_pusher"
PUSHED_FILE = "pushed.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPusherConfig:
    """Nothing to choose: a model of kinds alerts nobody, so none is watched before it serves."""


class Pushed(msgspec.Struct, frozen=True):
    """What became of a model: its version, and the one it took over from."""

    version: int
    previous: int | None


def run(
    config: FaultPusherConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Give the model of `inputs["fault_trainer"]` a version and make it champion, if `inputs["fault_evaluation"]`
    passed it. Raises ModelError where the gate refused it."""
    model, evaluation = inputs["fault_trainer"], inputs["fault_evaluation"]
    if evaluation.summary.get("verdict") != "pass" or evaluation.inputs.get("fault_trainer") != model.hash:
        raise ModelError(
            f"model {model.path.name} of kinds of fault did not pass the gate"
            f" ({evaluation.summary.get('reason') or 'the evaluation is of another model'}); the champion goes on"
        )
    with writing(place.engine) as session:
        previous = kind_versions.champion(session)
        note = f"learnt from {model.summary['faults']} faults with a kind"
        version = kind_versions.add(session, model.path.name, place.run, note, now_ms)
        kind_versions.promote(session, version, place.who, now_ms)
    pushed = Pushed(version.version, None if previous is None else previous.version)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / PUSHED_FILE).write_bytes(msgspec.json.encode(pushed))
        return {"version": pushed.version, "role": "champion", "previous": pushed.previous}

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=model.subject,
        inputs={"fault_trainer": model, "fault_evaluation": evaluation},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("fault_model.pushed", version=pushed.version)
    return made
