"""The training pipeline, declared once: its steps by name, what each runs, and what it is made from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..components import data_ingestion, data_transformation, model_trainer
from ..components.artifact import Artifact
from ..components.data_ingestion import IngestionConfig
from ..components.data_transformation import TransformationConfig
from ..components.model_trainer import TrainerConfig
from ..components.workplace import Workplace

Run = Callable[[Mapping[str, Artifact], Workplace, int, int], Artifact]
"""(inputs, place, type id, now in ms) -> artifact."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a pipeline: `inputs` names the steps whose artifacts it is made from."""

    name: str
    component: Run
    inputs: tuple[str, ...] = ()


STEPS = (
    Step(
        "data_ingestion",
        lambda _, place, type_id, now_ms: data_ingestion.run(IngestionConfig(), place, type_id, now_ms),
    ),
    Step(
        "data_transformation",
        lambda inputs, place, type_id, now_ms: data_transformation.run(
            TransformationConfig(), inputs, place, type_id, now_ms
        ),
        inputs=("data_ingestion",),
    ),
    Step(
        "model_trainer",
        lambda inputs, place, type_id, now_ms: model_trainer.run(TrainerConfig(), inputs, place, type_id, now_ms),
        inputs=("data_transformation",),
    ),
)


def run_steps(steps: Sequence[Step], place: Workplace, type_id: int, now_ms: int) -> Iterator[Artifact]:
    """Run steps in their order for one device type and yield what each made.

    Raises KeyError where a step names an input that no step before it makes.
    """
    made: dict[str, Artifact] = {}
    for step in steps:
        made[step.name] = step.component({name: made[name] for name in step.inputs}, place, type_id, now_ms)
        yield made[step.name]
