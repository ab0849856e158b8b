"""Fits the model of kinds on faults whose kind people told, and keeps it under its content's hash."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from ...faults.kinds import KindModel
from ..artifact import Artifact, Detail, make
from ..workplace import Workplace
from .episodes import read_episodes

log = structlog.get_logger(__name__)

COMPONENT = "fault_trainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultTrainerConfig:
    """`seed` of the folds by which the model learns how sure it may be."""

    seed: int = 1


def run(
    config: FaultTrainerConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Fit the model of kinds on `inputs["fault_episodes"]`; the same episodes give the same files.

    Raises ModelError on too few faults with a kind.
    """
    source = inputs["fault_episodes"]
    model = KindModel.fit(read_episodes(source).labelled, config.seed)

    def write(folder: Path) -> Mapping[str, Detail]:
        model.save(folder)
        return {"faults": model.n_faults, "kinds": list(model.kinds), "left_out": list(model.left_out)}

    made = make(
        place.models(type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"fault_episodes": source},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("fault_model.trained", model=made.path.name, faults=model.n_faults, kinds=len(model.kinds))
    return made
