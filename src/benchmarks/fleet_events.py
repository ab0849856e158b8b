"""Faults of a simulated fleet against the alerts that ours opened: seen or not, how soon, and was the sensor named."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..simulator.faults import FAULT_KINDS
from .fleet_alerts import Alert
from .protocol_fleet import Known, Watched

LARGE = 3.0
"""Faults that move a sensor by so many of its normal spreads within a day should be seen."""

AFTER_MS = 3_600_000
"""An alert within an hour after a fault is of the fault; a false one is none so soon."""

DAY_MS = 86_400_000
STEPS = ("bias", "calibration_step")
DRIFTS = ("drift", "leak", "wear")

Row = dict[str, str | float | int | None]


@dataclass(frozen=True, slots=True)
class Event:
    """A fault and what became of it: minutes to its first alert (None: never), whether an owner was told of it within
    the budget, whether a guilty sensor was among the first three of any alert (the first decides), and whether an alert
    of before it began was still open an hour later: then no new one can open, and the device is suspect all the same.
    """

    fault: Known
    minutes: float | None
    notified: bool
    named: bool
    under_alert: bool


def events_of(watched: Watched) -> list[Event]:
    """What became of every fault that began when the type had learnt. The devices of a type are one owner's."""
    told = notified(watched.alerts, watched.devices)
    found = []
    for fault in watched.faults:
        if fault.start_ms < watched.judged_ms:
            continue
        mine = sorted((alert for alert in watched.alerts if belongs(alert, fault)), key=lambda alert: alert.opened_ms)
        minutes = (mine[0].opened_ms - fault.start_ms) / 60_000 if mine else None
        named = bool(mine) and bool(set(mine[0].sensors) & set(fault.sensors))
        found.append(Event(fault, minutes, any(alert in told for alert in mine), named, _under(watched.alerts, fault)))
    return found


def belongs(alert: Alert, fault: Known) -> bool:
    """Whether an alert opened during a fault of its device, or right after it."""
    return alert.device == fault.device and fault.start_ms <= alert.opened_ms <= fault.end_ms + AFTER_MS


def _under(alerts: Sequence[Alert], fault: Known) -> bool:
    return any(
        alert.device == fault.device
        and alert.opened_ms < fault.start_ms
        and (alert.over_ms is None or alert.over_ms > fault.start_ms + AFTER_MS)
        for alert in alerts
    )


def notified(alerts: Sequence[Alert], owner_devices: int) -> set[Alert]:
    """Alerts of which the owner was told: all of sensors, and of a day's anomalies those within the budget, which
    repeats of what was told neither use nor need."""
    budget = min(owner_devices / 30.0, 3.0)
    used: dict[int, int] = {}
    told: set[Alert] = set()
    known: set[str] = set()
    for alert in sorted(alerts, key=lambda alert: alert.opened_ms):
        day = alert.opened_ms // DAY_MS
        if alert.kind == "sensor":
            told.add(alert)
        elif alert.repeat and alert.device in known:
            told.add(alert)
        else:
            known.discard(alert.device)
            if used.get(day, 0) < budget:
                told.add(alert)
                known.add(alert.device)
            used[day] = used.get(day, 0) + 1
    return told


def false_alerts(watched: Watched) -> list[Alert]:
    """Anomaly alerts that belong to no fault, as budgets count them: without repeats."""
    return [
        alert
        for alert in watched.alerts
        if alert.kind == "anomaly" and not alert.repeat and not any(belongs(alert, fault) for fault in watched.faults)
    ]


def kinds(watched: Sequence[Watched]) -> list[tuple[str, list[Event]]]:
    """Events by kind of fault, the kind of whose large faults least were seen first."""
    events = [event for one in watched for event in events_of(one)]
    found = {kind: [event for event in events if event.fault.kind == kind] for kind in FAULT_KINDS}
    return sorted(((kind, each) for kind, each in found.items() if each), key=_worst_first)


def _worst_first(kind: tuple[str, list[Event]]) -> float:
    seen = by_kind(*kind)["large_seen"]
    return float(seen) if isinstance(seen, float) else 2.0


def summary(watched: Sequence[Watched]) -> dict[str, object]:
    """What ours did on all rows: recall of large faults, delays, naming, false alerts."""
    events = [event for one in watched for event in events_of(one)]
    large = [event for event in events if (event.fault.effect or 0.0) >= LARGE]
    late = [event for event in events if (event.fault.late or 0.0) >= LARGE]
    false = sum(len(false_alerts(one)) for one in watched)
    days = sum(one.device_days for one in watched)
    return {
        "rows": sum(one.rows for one in watched),
        "rows_per_s": round(sum(one.rows for one in watched) / max(sum(one.seconds for one in watched), 1e-9)),
        "faults": len(events),
        "large_faults": len(large),
        "event_recall_opened": share([event.minutes is not None for event in large]),
        "missed_while_an_alert_was_open": sum(event.minutes is None and event.under_alert for event in large),
        "event_recall_notified": share([event.notified for event in large]),
        "large_on_last_day": len(late),
        "event_recall_of_large_on_last_day": share([event.minutes is not None for event in late]),
        "named_in_top_three": share([event.named for event in large if event.minutes is not None]),
        "median_minutes_of_steps": middle([event for event in large if event.fault.kind in STEPS]),
        "median_minutes_of_drifts": middle([event for event in large if event.fault.kind in DRIFTS]),
        "false_alerts": false,
        "false_alerts_per_device_day": None if days <= 0 else round(false / days, 5),
        "false_alerts_by_type": {
            f"{one.type_name}, seed {one.seed}": round(len(false_alerts(one)) / max(one.device_days, 1e-9), 5)
            for one in watched
        },
    }


def by_kind(kind: str, events: Sequence[Event]) -> Row:
    """A line of the table of kinds."""
    large = [event for event in events if (event.fault.effect or 0.0) >= LARGE]
    return {
        "kind": kind,
        "faults": len(events),
        "seen": share([event.minutes is not None for event in events]),
        "large": len(large),
        "large_seen": share([event.minutes is not None for event in large]),
        "large_notified": share([event.notified for event in large]),
        "median_minutes": middle(large),
        "named": share([event.named for event in large if event.minutes is not None]),
    }


def kinds_table(rows: Sequence[Row]) -> str:
    """The lines by kind as a Markdown table."""
    heads = ("kind", "faults", "seen", "large", "large_seen", "large_notified", "median_minutes", "named")
    lines = ["| " + " | ".join(head.replace("_", " ") for head in heads) + " |", "| --- |" + " ---: |" * 7]
    lines += ["| " + " | ".join("-" if row[head] is None else str(row[head]) for head in heads) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def share(found: Sequence[bool]) -> float | None:
    """The part that is true; None of nothing."""
    return round(float(np.mean(found)), 4) if found else None


def middle(events: Sequence[Event]) -> float | None:
    """Median minutes to the first alert of those that had one."""
    delays = [event.minutes for event in events if event.minutes is not None]
    return round(float(np.median(delays)), 1) if delays else None
