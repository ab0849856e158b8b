"""Notices in the outbox: when they are due, in which order, what silences and failures do to them."""

import msgspec
from sqlalchemy import Engine, select, update

from ...fleet import database, models, outbox
from .conftest import NOW_MS, Fleet
from .test_alerts import MINUTE, add_channel, firing, record, told


def due(engine: Engine, now_ms: int = NOW_MS, **more: object) -> list[tuple[int, object]]:
    with database.reading(engine) as session:
        notices = outbox.due(session, now_ms, **more)  # type: ignore[arg-type]
        return [(notice.channel_id, notice.payload["event"]) for notice in notices]


def send(engine: Engine, now_ms: int = NOW_MS) -> None:
    with database.writing(engine) as session:
        for notice in outbox.due(session, now_ms):
            outbox.mark_sent(session, notice.id, now_ms)


def fail(engine: Engine, next_attempt_ms: int | None) -> None:
    with database.writing(engine) as session:
        outbox.mark_failed(session, outbox.due(session, NOW_MS)[0].id, "no route", next_attempt_ms)


def silence(engine: Engine, until_ms: int | None) -> None:
    with database.writing(engine) as session:
        session.execute(update(models.Alert).values(silenced_until_ms=until_ms))


def test_of_one_alert_only_the_first_is_due(engine: Engine, fleet: Fleet) -> None:
    one, two = add_channel(engine, fleet.north), add_channel(engine, fleet.north)
    end = firing(fleet, to_state="resolved")
    record(engine, 1, firing(fleet), firing(fleet, "pump-2"), end)
    assert due(engine) == [(one, "firing"), (two, "firing")] * 2
    assert due(engine, busy_channels=[one]) == [(two, "firing")] * 2
    assert due(engine, limit=1) == [(one, "firing")]
    assert len(due(engine, NOW_MS - 60 * MINUTE)) == 4, "the clock was set back since"
    send(engine)
    assert due(engine) == [(one, "resolved"), (two, "resolved")]
    send(engine)
    assert due(engine) == []


def test_a_failed_notice_waits_and_those_after_it_too(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    record(engine, 1, firing(fleet), firing(fleet, to_state="resolved"))
    fail(engine, NOW_MS + MINUTE)
    assert due(engine) == []
    with database.reading(engine) as session:
        [notice] = outbox.due(session, NOW_MS + MINUTE)
        assert (notice.payload["event"], notice.attempts) == ("firing", 1)
        row = session.get_one(models.Outbox, notice.id)
        assert (row.state, row.last_error) == ("pending", "no route")


def test_nobody_hears_the_end_of_what_they_never_heard_of(engine: Engine, fleet: Fleet) -> None:
    channel = add_channel(engine, fleet.north)
    record(engine, 1, firing(fleet), firing(fleet, to_state="resolved"))
    fail(engine, None)
    assert due(engine) == [] and told(engine) == [(channel, "firing")]
    record(engine, 2, firing(fleet), firing(fleet, to_state="update", severity="critical"))
    send(engine)
    record(engine, 3, firing(fleet, to_state="resolved"))
    fail(engine, None)
    assert due(engine) == [(channel, "resolved")]


def test_an_alert_whose_notices_all_died_ends_unheard(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    record(engine, 1, firing(fleet))
    fail(engine, None)
    record(engine, 2, firing(fleet, to_state="resolved"))
    assert due(engine) == []


def test_a_silenced_alerts_notices_wait(engine: Engine, fleet: Fleet) -> None:
    channel = add_channel(engine, fleet.north)
    record(engine, 1, firing(fleet))
    silence(engine, NOW_MS + MINUTE)
    assert due(engine) == []
    assert due(engine, NOW_MS + MINUTE) == [(channel, "firing")]
    silence(engine, None)
    assert due(engine) == [(channel, "firing")]


def test_an_alert_that_comes_and_goes_in_silence_is_never_told(engine: Engine, fleet: Fleet) -> None:
    channel = add_channel(engine, fleet.north)
    end = firing(fleet, to_state="resolved", at_ms=NOW_MS + 1)
    record(engine, 1, firing(fleet))
    send(engine)
    silence(engine, NOW_MS + 60 * MINUTE)
    record(engine, 2, end, firing(fleet, at_ms=NOW_MS + 2), msgspec.structs.replace(end, at_ms=NOW_MS + 3))
    assert told(engine) == [(channel, "firing"), (channel, "resolved")]
    assert due(engine, NOW_MS + 59 * MINUTE) == []
    assert due(engine, NOW_MS + 60 * MINUTE) == [(channel, "resolved")]


def test_notices_are_told_apart(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north, "info")
    worse = firing(fleet, to_state="update", severity="critical", at_ms=NOW_MS + 1)
    milder = firing(fleet, to_state="update", severity="info", at_ms=NOW_MS + 2)
    record(engine, 1, firing(fleet), worse, milder, msgspec.structs.replace(worse, at_ms=NOW_MS + 3))
    with database.reading(engine) as session:
        rows = session.scalars(select(models.Outbox).order_by(models.Outbox.id)).all()
        assert [row.payload["event"] for row in rows] == ["firing", "worse", "worse"]
        assert len({row.idempotency_key for row in rows}) == 3
        alert = rows[1].payload["alert"]
        assert isinstance(alert, dict)
        assert (alert["severity"], alert["first_signs"]) == ("critical", "2025-11-24T15:55:00.000Z")
        assert rows[1].payload["at"] == "2025-11-24T16:00:00.001Z"


def test_old_notices_are_forgotten_once_they_are_done(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    record(engine, 1, firing(fleet), firing(fleet, "pump-2"))
    with database.writing(engine) as session:
        outbox.mark_sent(session, outbox.due(session, NOW_MS)[0].id, NOW_MS)
        outbox.forget_before(session, NOW_MS)
    assert len(told(engine)) == 2
    with database.writing(engine) as session:
        outbox.forget_before(session, NOW_MS + 1)
    assert len(told(engine)) == 1
