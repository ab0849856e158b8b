"""One round of monitoring for a type: look, promote or refuse the one that is watched, train again what is due."""

from collections.abc import Iterator

from ..components.workplace import Workplace
from ..settings import Settings
from .alarms import settle
from .monitoring import MONITORING
from .operating import run_and_record, told
from .runner import Clock
from .runs import WHO, Trigger
from .steps import Pipeline
from .training import TRAINING
from .triggers import TriggerConfig, due, facts_of


def watch(place: Workplace, type_id: int, settings: Settings, clock: Clock, *, act: bool = True) -> Iterator[str]:
    """Run the monitoring pipeline for a type, then the training pipeline if a trigger fires and `act`; yield lines."""
    run = run_and_record(_monitoring(settings), place, type_id, Trigger("schedule", WHO), clock=clock)
    yield from told(place, run)
    settle(place, type_id, settings, clock())
    trigger = due(_triggers(settings), facts_of(place, type_id, run), clock())
    if trigger is None:
        return
    yield f"  {trigger.kind}: {trigger.why}"
    if act:
        pipeline = TRAINING.configured(model_pusher={"shadow_hours": settings.shadow_hours})
        yield from told(place, run_and_record(pipeline, place, type_id, trigger, clock=clock))
        settle(place, type_id, settings, clock())


def _monitoring(settings: Settings) -> Pipeline:
    budget = {
        "per_device_month": settings.false_alerts_per_device_month,
        "most_a_day": settings.max_alerts_a_day,
    }
    return MONITORING.configured(model_quality=budget)


def _triggers(settings: Settings) -> TriggerConfig:
    return TriggerConfig(every_days=settings.train_every_days, cooldown_hours=settings.train_cooldown_hours)
