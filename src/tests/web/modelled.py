"""A world with models: runs of the real pipelines on its own readings, one that serves, one that is watched, one that
failed."""

from dataclasses import replace

import msgspec

from ...components import learnt
from ...components.artifact import Artifact
from ...components.data_validation.checks import Limits
from ...components.workplace import Workplace
from ...exceptions import StorageError
from ...fleet import watermarks
from ...fleet.database import writing
from ...pipelines.alarms import settle
from ...pipelines.monitoring import MONITORING
from ...pipelines.runner import execute
from ...pipelines.runs import WHO, Trigger
from ...pipelines.steps import Pipeline
from ...pipelines.training import TRAINING
from ...telemetry.lake import Lake
from .world import MINUTE, World

ON_DEMAND = Trigger("on demand", "kim@example.org")


def place_of(world: World) -> Workplace:
    """The world as pipelines see it."""
    return Workplace(world.settings.data, world.engine, Lake(world.settings.lake_url))


def with_models(world: World) -> Workplace:
    """Version 1 of pump stations serves, version 2 is watched and was looked at; a third run failed."""
    place, type_id = place_of(world), world.types["pump_station"]
    with writing(world.engine) as session:
        watermarks.advance(session, 0, world.now_ms, lake_seq=len(world.types))
    small = {"learn_readings": 300}
    # The runs are of some hours ago, and people have reported faults since.
    later = {"limits": Limits(wrong_reports=1.0)}

    def train(pipeline: Pipeline, trigger: Trigger, minutes_ago: int) -> None:
        execute(pipeline, place, type_id, trigger, clock=lambda: world.now_ms - minutes_ago * MINUTE, fresh=True)

    train(TRAINING.configured(data_validation=later, model_trainer=small), ON_DEMAND, 9 * 60)
    again = TRAINING.configured(
        data_validation=later, model_trainer={"learn_readings": 400}, model_pusher={"shadow_hours": 24.0}
    )
    train(again, Trigger("schedule", WHO, "the last run began 7.2 days ago"), 6 * 60)
    for folder in sorted(path.parent for path in place.models(type_id).glob(f"*/{learnt.FILE}")):
        # The lake held the hours since when this world was made; in truth nobody has learnt from them yet.
        source = learnt.read(folder)
        assert source is not None
        learnt.write(folder, msgspec.structs.replace(source, until_ms=world.now_ms - 6 * 60 * MINUTE))
    train(MONITORING, Trigger("schedule", WHO), 30)
    steps = TRAINING.configured(data_validation=later).steps
    full = next(number for number, step in enumerate(steps) if step.name == "data_transformation")
    broken = Pipeline("training", (*steps[:full], replace(steps[full], component=_full, retries=0, cached=False)))
    try:
        train(broken, Trigger("new data", WHO, "6 new fault reports"), 20)
    except StorageError:
        settle(place, type_id, world.settings, world.now_ms - 20 * MINUTE)
    return place


def _full(*_: object) -> Artifact:
    raise StorageError("an artifact of data_transformation can't be written: No space left on device; free space")
