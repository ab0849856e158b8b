"""What is wrong with the models of a type, as alerts to operators: failed runs, a schedule missed, a budget spent.

Alerts are made from what runs left on the disk and what the database holds, never from what a process remembers: one
that dies between a run and its alert loses nothing, since the next look finds the same and says it.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from ..components.model_evaluation.intervals import rate
from ..components.workplace import EVERY_TYPE, FAULT_KINDS, Workplace
from ..fleet import alert_budget, model_alerts
from ..fleet.database import reading, writing
from ..fleet.models import Severity
from ..settings import Settings
from ..telemetry.schema import DeviceType
from .runs import WHO, Run, Runs

log = structlog.get_logger(__name__)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LOST_MS = 6 * HOUR_MS
"""A run that says for so long that it is running, with no process at work on it, has failed."""

BUDGET_DAYS = 7.0
TIMER_HOURS = 24.0
"""How often a timer of the system is taken to look at models, where the service isn't set to."""

MOST_REASON = 600
REPEATED = 2
"""So many refusals in a row are worth a look at why."""

_GOES_ON = "The model that serves goes on."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is so of a cause: `trouble`, a sentence, or why it is right (`good`); neither where it can't be said."""

    cause: str
    trouble: str = ""
    good: str = ""
    severity: Severity = "warning"


def settle_runs(place: Workplace, type_id: int, now_ms: int) -> None:
    """Open and end alerts of a type by how its last runs went. Raises StorageError where the database fails."""
    if type_id == EVERY_TYPE:
        settle_faults(place, now_ms)
        return
    device_type = place.device_type(type_id)
    link = f"/models?type={type_id}"
    _settle(place, device_type.name, link, now_ms, of_runs(Runs(place.data), type_id, device_type, now_ms))


def settle(place: Workplace, type_id: int, settings: Settings, now_ms: int) -> None:
    """Open and end every alert about a type's models. Raises StorageError where the database fails."""

    device_type = place.device_type(type_id)

    def verdicts() -> Iterator[Verdict]:
        yield from of_runs(Runs(place.data), type_id, device_type, now_ms)
        yield of_schedule(place, type_id, device_type, settings, now_ms)
        yield of_budget(place, type_id, device_type, settings, now_ms)

    _settle(place, device_type.name, f"/models?type={type_id}", now_ms, verdicts())


def settle_faults(place: Workplace, now_ms: int) -> None:
    """Open and end alerts about the model of kinds of fault. Raises StorageError where the database fails."""
    _settle(place, FAULT_KINDS, f"/models?type={FAULT_KINDS}", now_ms, of_faults(Runs(place.data), now_ms))


def of_runs(runs: Runs, type_id: int, device_type: DeviceType, now_ms: int) -> Iterator[Verdict]:
    """What the newest runs say that are over."""
    trained = _newest_over(runs, "training", type_id, device_type.name, now_ms)
    if trained is not None:
        about = f"Training of {device_type.title}"
        if trained.state == "stopped":
            step = next((one.name for one in trained.steps if one.state == "stopped"), "")
            # A model that isn't better is what a gate is for; data that can't be trained on are not.
            severity: Severity = "info" if step == "model_evaluation" else "warning"
            said = f"{about} was stopped{_reason(trained)}. {_GOES_ON}"
            yield Verdict("training_failed", good=f"run {trained.id} went as far as {step}")
            yield Verdict("validation_failed", said, severity=severity)
        elif trained.state == "done":
            for cause in ("training_failed", "validation_failed"):
                yield Verdict(cause, good=f"run {trained.id} went well")
        else:
            yield Verdict("training_failed", f"{about} failed{_reason(trained)}. {_GOES_ON}")
    looked = _newest_over(runs, "monitoring", type_id, device_type.name, now_ms)
    if looked is not None:
        said = f"Looking at the models of {device_type.title} failed{_reason(looked)}. Nothing is trained meanwhile."
        good = f"run {looked.id} went well"
        yield Verdict("monitoring_failed", good=good) if looked.state == "done" else Verdict("monitoring_failed", said)


def of_faults(runs: Runs, now_ms: int) -> Iterator[Verdict]:
    """What the newest runs that learn from faults say.

    A version that isn't better is what the gate is for; one refused again and again is worth a look.
    """
    over = [run for run in runs.lately("faults", EVERY_TYPE, FAULT_KINDS, most=REPEATED + 1) if run.state != "running"]
    newest = _newest_over(runs, "faults", EVERY_TYPE, FAULT_KINDS, now_ms)
    if newest is None:
        return
    about = "Training of the model of kinds of fault"
    if newest.state == "stopped":
        again = [run.state for run in over[:REPEATED]] == ["stopped"] * REPEATED
        said = f"{about} was stopped{_reason(newest)}. {'So was the one before. ' if again else ''}{_GOES_ON}"
        yield Verdict("training_failed", good=f"run {newest.id} went as far as fault_evaluation")
        yield Verdict("validation_failed", said, severity="warning" if again else "info")
    elif newest.state == "done":
        for cause in ("training_failed", "validation_failed"):
            yield Verdict(cause, good=f"run {newest.id} went well")
    else:
        yield Verdict("training_failed", f"{about} failed{_reason(newest)}. {_GOES_ON}")


def of_schedule(place: Workplace, type_id: int, device_type: DeviceType, settings: Settings, now_ms: int) -> Verdict:
    """Whether a training that the schedule asks for is missing; nothing where there is no schedule.

    What may hold a scheduled run up is allowed for: two rounds, a challenger that is watched, the cool-down.
    """
    runs = Runs(place.data)
    if settings.train_every_days is None or not _is_scheduled(runs, type_id, device_type, settings):
        return Verdict("training_overdue", good="nothing is scheduled any more")
    rounds = settings.monitor_hours or TIMER_HOURS
    slack_ms = round((2 * rounds + settings.shadow_hours + settings.train_cooldown_hours) * HOUR_MS)
    last_ms = _last_trained_ms(place, runs, type_id, device_type, now_ms)
    if last_ms is None:
        return Verdict("training_overdue")
    if now_ms - last_ms <= settings.train_every_days * DAY_MS + slack_ms:
        return Verdict("training_overdue", good="training has begun")
    day = datetime.fromtimestamp(last_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Verdict(
        "training_overdue",
        f"{device_type.title} was last trained {day}, and should be every {settings.train_every_days:g} days. Look"
        " whether the service or the timer that runs `faultwatch pipeline monitor` does, and at the last runs.",
    )


def of_budget(place: Workplace, type_id: int, device_type: DeviceType, settings: Settings, now_ms: int) -> Verdict:
    """Whether alerts that nobody confirmed are past the budget, by the low end of their 95 % interval.

    It is right again once they are within the budget: between the two nothing changes.
    """
    with reading(place.engine) as session:
        spent = alert_budget.of_type(
            session,
            type_id,
            now_ms,
            BUDGET_DAYS,
            settings.false_alerts_per_device_month,
            settings.max_alerts_a_day,
        )
    allowed, found = sum(one.allowed for one in spent), sum(one.unconfirmed for one in spent)
    if found <= allowed:
        return Verdict("budget_exceeded", good="alerts are within the budget again")
    if rate(found, 1.0).low <= allowed:
        return Verdict("budget_exceeded")
    return Verdict(
        "budget_exceeded",
        f"{device_type.title} gave {found} alerts that nobody confirmed within {BUDGET_DAYS:g} days; the budget is"
        f" {allowed:.1f}. `faultwatch backtest` shows what other budgets would have given.",
    )


def _settle(place: Workplace, subject: str, link: str, now_ms: int, verdicts: Iterator[Verdict]) -> None:
    with reading(place.engine) as session:
        known = model_alerts.open_about(session, subject)
    changed = [one for one in verdicts if _changes(one, known)]
    if not changed:
        return
    with writing(place.engine) as session:
        for one in changed:
            if one.trouble:
                model_alerts.report(
                    session, one.cause, one.trouble, link, now_ms, subject=subject, severity=one.severity
                )
            else:
                model_alerts.clear(session, one.cause, one.good, now_ms, subject=subject)
            log.info("model_alert", type=subject, cause=one.cause, trouble=one.trouble or None)


def _changes(one: Verdict, known: dict[str, str]) -> bool:
    if one.trouble:
        return known.get(one.cause) != one.trouble
    return bool(one.good) and one.cause in known


def _newest_over(runs: Runs, pipeline: str, type_id: int, name: str, now_ms: int) -> Run | None:
    """The newest run that is over, one whose process was lost long ago among them."""
    for run in runs.lately(pipeline, type_id, name, most=2):
        if run.state != "running" or _is_lost(runs, run, now_ms):
            return run
    return None


def _is_lost(runs: Runs, run: Run, now_ms: int) -> bool:
    return now_ms - run.started_ms > LOST_MS and not runs.is_held(run)


def _is_scheduled(runs: Runs, type_id: int, device_type: DeviceType, settings: Settings) -> bool:
    if settings.monitor_hours > 0:
        return True
    looked = runs.lately("monitoring", type_id, device_type.name)
    return bool(looked) and looked[0].trigger.who == WHO


def _last_trained_ms(place: Workplace, runs: Runs, type_id: int, device_type: DeviceType, now_ms: int) -> int | None:
    """When training last began and didn't get lost; of a type that only learnt by itself, when it did."""
    for run in runs.lately("training", type_id, device_type.name, most=2):
        if not (run.state == "running" and _is_lost(runs, run, now_ms)):
            return run.started_ms
    champion = place.champion(type_id)
    return None if champion is None else champion.trained_ms


def _reason(run: Run) -> str:
    """Where and why it ended, as a sentence goes on with it: " at model_trainer: the disk is full"."""
    told = run.reason or "its process ended without a word, `faultwatch train` goes on with it"
    at_step = any(told.startswith(f"{step.name}: ") for step in run.steps)
    return (" at " if at_step else ": ") + textwrap.shorten(told, MOST_REASON, placeholder=" …").rstrip(".")
