"""The pipeline of the model of kinds, declared once: from reported faults to the version that names kinds of fault."""

from ..components.fault_kinds import episodes, evaluation, pusher, trainer
from ..components.workplace import EVERY_TYPE, Workplace
from ..faults.labels import MIN_FAULTS
from ..fleet import judged_alerts
from ..fleet.database import reading
from ..settings import Settings
from .runs import WHO, Runs, Trigger
from .steps import Pipeline, Step

FAULTS = Pipeline(
    "faults",
    (
        Step("fault_episodes", episodes.run, episodes.EpisodesConfig()),
        Step(
            "fault_trainer",
            trainer.run,
            trainer.FaultTrainerConfig(),
            inputs=("fault_episodes",),
            cached=True,
        ),
        Step(
            "fault_evaluation",
            evaluation.run,
            evaluation.FaultEvaluationConfig(),
            inputs=("fault_episodes", "fault_trainer"),
        ),
        Step(
            "fault_pusher",
            pusher.run,
            pusher.FaultPusherConfig(),
            inputs=("fault_trainer", "fault_evaluation"),
        ),
    ),
)
"""Run for `EVERY_TYPE`; the gate stops it where its artifact's summary says `verdict: fail`."""

NEW_LABELS = 5
"""So many faults with a kind that were reported since the last run are worth a training."""

HOUR_MS = 3_600_000


def due(place: Workplace, settings: Settings, now_ms: int) -> Trigger | None:
    """What asks for a training now, if something does: faults whose kind was told since the last run, unless that is
    within the cool-down. With too few to learn from nothing does."""
    ran = Runs(place.data).all(FAULTS.name, EVERY_TYPE)[:1]
    if ran and now_ms - ran[0].started_ms < settings.train_cooldown_hours * HOUR_MS:
        return None
    with reading(place.engine) as session:
        labels, new = (
            judged_alerts.kinds_told(session, since_ms, episodes.NO_KIND)
            for since_ms in (0, ran[0].started_ms if ran else 0)
        )
    if labels < MIN_FAULTS or new < NEW_LABELS:
        return None
    return Trigger("new data", WHO, f"{new} faults with a kind were reported since the last run, {labels} in all")
