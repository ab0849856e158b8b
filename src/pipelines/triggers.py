"""Triggers: whether a type's model is due to be trained again, and why. All five of Google's level 1; this module
decides four, the fifth is a person's word."""

from dataclasses import dataclass

from ..components.workplace import Workplace
from ..fleet import judged_alerts
from ..fleet.database import reading
from .operating import artifacts
from .runs import WHO, Run, Runs, Trigger

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerConfig:
    """Train again every `every_days` (None: never by schedule); once there are `new_share` as many readings more than
    the last run took, or `new_labels` new fault reports; once the model's quality has fallen; once data have drifted.
    At most every `cooldown_hours`, whatever comes, so that a drifting fleet isn't trained without end."""

    every_days: float | None = 7.0
    new_share: float = 1.0
    new_labels: int = 5
    cooldown_hours: float = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a type: when training last began (ms, None: never), readings then and now, labels since, why
    the model's quality has fallen and how data have drifted (empty: they haven't), whether a challenger is watched."""

    trained_ms: int | None
    readings_then: int
    readings_now: int
    labels_since: int
    fallen: str
    drifted: str
    watched: bool


def due(config: TriggerConfig, facts: Facts, now_ms: int) -> Trigger | None:
    """What fires, the most telling first; None where nothing does, or it is too soon, or a challenger is watched."""
    if facts.watched:
        return None
    if facts.trained_ms is None:
        return Trigger("schedule", WHO, "no run has trained it yet") if config.every_days is not None else None
    since_ms = now_ms - facts.trained_ms
    if since_ms < config.cooldown_hours * HOUR_MS:
        return None
    if facts.fallen:
        return Trigger("model quality", WHO, facts.fallen)
    if facts.drifted:
        return Trigger("drift", WHO, facts.drifted)
    if facts.labels_since >= config.new_labels:
        return Trigger("new data", WHO, f"{facts.labels_since} new fault reports")
    more = facts.readings_now - facts.readings_then
    if facts.readings_then and more >= config.new_share * facts.readings_then:
        return Trigger("new data", WHO, f"{more:,} more readings than the {facts.readings_then:,} of the last run")
    if config.every_days is not None and since_ms >= config.every_days * DAY_MS:
        return Trigger("schedule", WHO, f"the last run began {since_ms / DAY_MS:.1f} days ago")
    return None


def facts_of(place: Workplace, type_id: int, monitored: Run | None) -> Facts:
    """What the runs, the lake and the database know of a type; `monitored`, the last run of monitoring."""
    runs = Runs(place.data).all("training", type_id)
    last = runs[0] if runs else None
    found = {} if monitored is None else artifacts(place, monitored)
    quality, drift = found.get("model_quality"), found.get("data_validation")
    with reading(place.engine) as session:
        labels = 0 if last is None else judged_alerts.labels_since(session, type_id, last.started_ms)
    extent = place.lake.extent(type_id)
    counts = place.lake.row_counts(type_id, extent[0], extent[1] + 1) if extent is not None else {}
    return Facts(
        trained_ms=None if last is None else last.started_ms,
        readings_then=_readings_then(place, last),
        readings_now=sum(counts.values()),
        labels_since=labels,
        fallen=str(quality.summary.get("fallen") or "") if quality is not None else "",
        drifted=str(drift.summary.get("drifted") or "") if drift is not None else "",
        watched=any(one.shadow_until_ms is not None for one in place.versions(type_id)),
    )


def _readings_then(place: Workplace, last: Run | None) -> int:
    """Readings of the type when it was last trained."""
    if last is None:
        return 0
    source = artifacts(place, last).get("data_ingestion")
    rows = None if source is None else source.summary.get("rows")
    return rows if isinstance(rows, int) else 0
