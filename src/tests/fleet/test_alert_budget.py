"""The budget against what was: an alert with its repeats is one event, which one confirmed alert confirms."""

from typing import Any

from sqlalchemy import Engine, insert

from ...fleet import alert_budget, database, models
from .conftest import NOW_MS, Fleet

HOUR = 3_600_000
DAY = 24 * HOUR


def opened(engine: Engine, fleet: Fleet, *alerts: dict[str, Any]) -> tuple[int, int]:
    """Events and confirmed ones of the last day, with alerts at `at` for an hour, in hours before now."""
    rows = [
        {
            "owner_id": fleet.north,
            "device_key": fleet.keys[fleet.north, alert.get("device", "pump-1")],
            "kind": "anomaly",
            "rule": -1,
            "state": "resolved",
            "severity": "warning",
            "sentence": "",
            "fired_ms": NOW_MS - round(alert["at"] * HOUR),
            "resolved_ms": NOW_MS - round((alert["at"] - 1) * HOUR),
            "resolution": alert.get("resolution", "reading"),
            "confirmed_ms": NOW_MS if alert.get("confirmed") else None,
            "historic": alert.get("historic", False),
        }
        for alert in alerts
    ]
    with database.writing(engine) as session:
        session.execute(insert(models.Alert), rows)
    with database.reading(engine) as session:
        found = alert_budget.opened(session, fleet.pump, NOW_MS - DAY, NOW_MS)
    return found.get(fleet.north, (0, 0))


def test_a_repeat_is_no_event_of_its_own(engine: Engine, fleet: Fleet) -> None:
    flapping = [{"at": hours} for hours in (20, 14, 13, 2)]
    assert opened(engine, fleet, *flapping, {"at": 5, "device": "pump-2"}) == (2, 0)


def test_one_that_began_before_is_no_event_of_the_day_and_its_repeats_are_none(engine: Engine, fleet: Fleet) -> None:
    assert opened(engine, fleet, {"at": 60}, {"at": 40}, {"at": 20}) == (0, 0)


def test_a_day_without_one_or_a_repair_makes_the_next_a_new_event(engine: Engine, fleet: Fleet) -> None:
    assert opened(engine, fleet, {"at": 45}, {"at": 20}) == (1, 0)
    assert opened(engine, fleet, *({"at": at, "device": "pump-2", "resolution": "repaired"} for at in (30, 20, 5))) == (
        3,
        0,
    )


def test_a_confirmed_repeat_confirms_the_event_and_history_is_told_to_nobody(engine: Engine, fleet: Fleet) -> None:
    past = {"at": 23, "device": "pump-2", "historic": True}
    assert opened(engine, fleet, {"at": 20}, {"at": 10, "confirmed": True}, past) == (1, 1)
