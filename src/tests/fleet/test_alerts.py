"""What the engine decided, in the database: alerts, history, notices and news, all or nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, insert, select, text, update

from ...fleet import alerts, commands, database, events, models, owners, watermarks
from ...fleet.alerts import AlertChange, Blame
from ...fleet.registry import Registry
from .conftest import NOW_MS, PUMP, Fleet

MINUTE = 60_000


def firing(fleet: Fleet, device_id: str = "pump-1", **more: object) -> AlertChange:
    change = AlertChange(
        owner_id=fleet.north,
        device_key=fleet.keys[fleet.north, device_id],
        site_id=None,
        kind="anomaly",
        to_state="firing",
        at_ms=NOW_MS,
        first_signs_ms=NOW_MS - 5 * MINUTE,
        pending_ms=NOW_MS - 2 * MINUTE,
        score=6.5,
        sentence="Pressure is 3.1 bar below what is normal.",
        blame=(Blame(sensor="pressure", label="Pressure", unit="bar", share=0.8, observed=1.0, low=3.9, high=4.3),),
        model_version=2,
    )
    return msgspec.structs.replace(change, **more)


def record(engine: Engine, seq: int, *changes: AlertChange, done: tuple[int, ...] = ()) -> list[int | None]:
    with database.applying(engine) as session:
        return alerts.record(session, 0, seq, changes, NOW_MS, done_commands=done)


def add_channel(engine: Engine, owner_id: int, min_severity: str = "warning", kinds: list[str] | None = None) -> int:
    with database.writing(engine) as session:
        known = session.scalar(select(func.count()).select_from(models.Channel))
        return session.execute(
            insert(models.Channel)
            .values(
                owner_id=owner_id,
                name=f"channel {known}",
                kind="webhook",
                address="x",
                min_severity=min_severity,
                kinds=kinds,
                created_ms=NOW_MS,
            )
            .returning(models.Channel.id)
        ).scalar_one()


def told(engine: Engine) -> list[tuple[int, object]]:
    with database.reading(engine) as session:
        rows = session.scalars(select(models.Outbox).order_by(models.Outbox.id))
        return [(row.channel_id, row.payload["event"]) for row in rows]


def test_an_alert_from_beginning_to_end(engine: Engine, fleet: Fleet) -> None:
    channel = add_channel(engine, fleet.north)
    [alert_id] = record(engine, 1, firing(fleet))
    assert record(
        engine, 2, firing(fleet, to_state="update", severity="critical", score=9.0, at_ms=NOW_MS + MINUTE, sentence="")
    ) == [alert_id]
    assert record(
        engine, 3, firing(fleet, to_state="resolved", at_ms=NOW_MS + 2 * MINUTE, resolution="back to normal")
    ) == [alert_id]
    with database.reading(engine) as session:
        alert = session.get(models.Alert, alert_id)
        assert alert is not None
        assert (alert.state, alert.severity, alert.score, alert.peak_score) == ("resolved", "critical", 9.0, 9.0)
        assert (alert.fired_ms, alert.resolved_ms) == (NOW_MS, NOW_MS + 2 * MINUTE)
        assert alert.sentence == "Pressure is 3.1 bar below what is normal."
        assert alert.blame is not None and alert.blame[0]["label"] == "Pressure"
        history = session.scalars(select(models.AlertHistory).order_by(models.AlertHistory.id)).all()
        assert [(h.what, h.at_ms - NOW_MS) for h in history] == [
            ("fired", 0),
            ("worse", MINUTE),
            ("resolved", 2 * MINUTE),
        ]
        assert history[2].text == "back to normal"
        news = events.after(session, 0, owner_id=fleet.north)
        assert [item.payload["what"] for item in news] == ["fired", "worse", "resolved"]
        assert {item.alert_id for item in news} == {alert_id}
        notice = session.scalars(select(models.Outbox).order_by(models.Outbox.id)).first()
        assert notice is not None
        assert notice.payload["device"] == {"id": "pump-1", "name": "pump-1", "type": "pump"}
        assert (notice.payload["owner"], notice.payload["site"]) == ("Nordwind", "Harbour East")
    assert told(engine) == [(channel, "firing"), (channel, "worse"), (channel, "resolved")]


def test_a_record_takes_effect_once(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    record(engine, 5, firing(fleet))
    assert record(engine, 5, firing(fleet)) == [None]
    assert record(engine, 4, firing(fleet, to_state="resolved")) == [None]
    with database.reading(engine) as session:
        assert session.scalars(select(models.Alert.state)).all() == ["firing"]
        assert watermarks.read(session, 0).applied_seq == 5
    assert len(told(engine)) == 1


def test_all_or_nothing(engine: Engine, fleet: Fleet) -> None:
    broken = firing(fleet, device_key=10_000_000)
    with pytest.raises(Exception, match="(?i)foreign key"):
        record(engine, 1, firing(fleet), broken)
    with database.reading(engine) as session:
        assert session.scalars(select(models.Alert)).all() == []
        assert watermarks.read(session, 0).applied_seq == 0
        assert events.last_id(session) == 0


def test_many_turns_of_one_device_in_one_record(engine: Engine, fleet: Fleet) -> None:
    end = firing(fleet, to_state="resolved", resolution="back to normal")
    first, _, second, _, third = ids = record(engine, 1, firing(fleet), end, firing(fleet), end, firing(fleet))
    assert ids == [first, first, second, second, third]
    assert len({first, second, third}) == 3
    one, *_ = record(engine, 2, end, firing(fleet, rule=4, kind="sensor"), firing(fleet))
    assert one == third
    with database.reading(engine) as session:
        states = session.execute(select(models.Alert.kind, models.Alert.state).order_by(models.Alert.id)).all()
        assert [tuple(row) for row in states] == [("anomaly", "resolved")] * 3 + [
            ("sensor", "firing"),
            ("anomaly", "firing"),
        ]


def test_a_firing_while_one_is_open_counts_as_an_update(engine: Engine, fleet: Fleet) -> None:
    [first] = record(engine, 1, firing(fleet))
    assert record(engine, 2, firing(fleet, severity="critical")) == [first]
    with database.reading(engine) as session:
        assert session.scalars(select(models.Alert.severity)).all() == ["critical"]


def test_an_alert_a_person_closed_is_left_alone(engine: Engine, fleet: Fleet) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    with database.writing(engine) as session:
        session.execute(update(models.Alert).values(state="resolved", resolution="dismissed"))
    assert record(engine, 2, firing(fleet, to_state="update"), firing(fleet, to_state="resolved")) == [None, None]
    with database.reading(engine) as session:
        alert = session.get(models.Alert, alert_id)
        assert alert is not None and alert.resolution == "dismissed"


def test_an_alert_about_a_site(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    with database.reading(engine) as session:
        site = session.scalars(select(models.Site.id).where(models.Site.name == "Harbour East")).one()
    about = firing(fleet, device_key=None, site_id=site, kind="site", blame=(), sentence="No reading from 8 of 8.")
    [alert_id] = record(engine, 1, about)
    assert record(engine, 2, msgspec.structs.replace(about, to_state="resolved")) == [alert_id]
    with database.reading(engine) as session:
        notice = session.scalars(select(models.Outbox)).first()
        assert notice is not None
        assert (notice.payload["device"], notice.payload["site"]) == (None, "Harbour East")


def test_an_alert_about_nothing_is_a_bug(engine: Engine, fleet: Fleet) -> None:
    with pytest.raises(ValueError, match="neither a device nor a site"):
        record(engine, 1, firing(fleet, device_key=None))


def test_channels_hear_what_they_asked_for(engine: Engine, fleet: Fleet) -> None:
    everything = add_channel(engine, fleet.north, "info")
    worst = add_channel(engine, fleet.north, "critical")
    silence = add_channel(engine, fleet.north, "info", ["silent", "site"])
    other = add_channel(engine, fleet.south, "info")
    record(engine, 1, firing(fleet, severity="info"))
    assert told(engine) == [(everything, "firing")]
    record(engine, 2, firing(fleet, to_state="update", severity="critical"))
    assert told(engine)[1:] == [(everything, "worse"), (worst, "firing")]
    record(engine, 3, firing(fleet, to_state="resolved"), firing(fleet, "pump-2", kind="silent"))
    assert told(engine)[3:] == [
        (everything, "resolved"),
        (worst, "resolved"),
        (everything, "firing"),
        (silence, "firing"),
    ]
    assert other not in {channel for channel, _ in told(engine)}


def test_history_notifies_nobody(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north, "info")
    record(engine, 1, firing(fleet, historic=True), firing(fleet, "pump-2", historic=True))
    record(engine, 2, firing(fleet, to_state="resolved"))
    assert told(engine) == []
    with database.reading(engine) as session:
        news = events.after(session, 0)
        assert [(item.kind, item.payload.get("changes")) for item in news] == [("historic_alerts", 2), ("alert", None)]


def test_a_device_in_maintenance_is_spared(engine: Engine, fleet: Fleet) -> None:
    add_channel(engine, fleet.north)
    with database.writing(engine) as session:
        for device_id, until_ms in (("pump-1", None), ("pump-2", NOW_MS)):
            session.execute(
                insert(models.Maintenance).values(
                    device_key=fleet.keys[fleet.north, device_id],
                    from_ms=NOW_MS - MINUTE,
                    until_ms=until_ms,
                    reason="",
                    who="a",
                )
            )
    record(engine, 1, firing(fleet, "pump-1"))
    assert told(engine) == []
    record(engine, 2, firing(fleet, "pump-2"))
    assert len(told(engine)) == 1


def test_a_silence_outlasts_the_alert_it_was_spoken_on(engine: Engine, fleet: Fleet) -> None:
    [first] = record(engine, 1, firing(fleet))
    with database.writing(engine) as session:
        session.execute(update(models.Alert).values(silenced_until_ms=NOW_MS + 60 * MINUTE))
    end = firing(fleet, to_state="resolved", at_ms=NOW_MS + MINUTE)
    _, second = record(engine, 2, end, firing(fleet, at_ms=NOW_MS + 2 * MINUTE))
    record(engine, 3, msgspec.structs.replace(end, at_ms=NOW_MS + 3 * MINUTE))
    [third] = record(engine, 4, firing(fleet, at_ms=NOW_MS + 61 * MINUTE))
    with database.reading(engine) as session:
        until = dict(session.execute(select(models.Alert.id, models.Alert.silenced_until_ms)).all())
    assert until == {first: NOW_MS + 60 * MINUTE, second: NOW_MS + 60 * MINUTE, third: None}


def test_words_are_done_with_their_effects(engine: Engine, fleet: Fleet) -> None:
    with database.writing(engine) as session:
        key = fleet.keys[fleet.north, "pump-1"]
        first = commands.add(session, "repaired", key, {"alert_id": 1}, None, NOW_MS)
        second = commands.add(session, "repaired", key, {}, None, NOW_MS)
    record(engine, 7, done=(first,))
    with database.reading(engine) as session:
        waiting = [word for word in commands.pending(session) if word.kind == "repaired"]
        assert [word.id for word in waiting] == [second]
        done = session.get(models.Command, first)
        assert done is not None and (done.seq, done.done_ms, done.payload) == (7, NOW_MS, {"alert_id": 1})


def test_watermarks_only_go_forward(engine: Engine) -> None:
    with database.applying(engine) as session:
        assert watermarks.read(session, 3) == watermarks.Watermarks()
        watermarks.advance(session, 3, NOW_MS, applied_seq=9, lake_seq=5)
        watermarks.advance(session, 3, NOW_MS, applied_seq=8, state_seq=4)
        assert watermarks.read(session, 3) == watermarks.Watermarks(9, 5, 4)
        assert watermarks.read(session, 3).deletable == 4
        assert watermarks.read(session, 0) == watermarks.Watermarks()


Turn = tuple[str, str, str]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(
    batches=st.lists(
        st.lists(
            st.tuples(
                st.sampled_from(["pump-1", "pump-2"]),
                st.sampled_from(["anomaly", "silent"]),
                st.sampled_from(["firing", "resolved", "update"]),
            ),
            max_size=6,
        ),
        max_size=4,
    )
)
def test_however_changes_are_cut_into_records_the_alerts_are_the_same(
    quick_engine: Engine, batches: list[list[Turn]]
) -> None:
    """The database against a dictionary: one open alert per device and kind, each with its beginning and end."""
    fleet = emptied(quick_engine)
    opened: dict[tuple[str, str], int] = {}
    alive: list[list[str]] = []
    for seq, batch in enumerate(batches, 1):
        expected: list[int | None] = []
        for device_id, kind, to_state in batch:
            if to_state == "firing" and (device_id, kind) not in opened:
                opened[device_id, kind] = len(alive)
                alive.append(["fired"])
            place = opened.get((device_id, kind))
            expected.append(place)
            if to_state == "resolved" and place is not None:
                alive[opened.pop((device_id, kind))].append("resolved")
        changes = [firing(fleet, device_id, kind=kind, to_state=to_state) for device_id, kind, to_state in batch]
        ids = record(quick_engine, seq, *changes)
        assert [None if alert_id is None else alert_id - 1 for alert_id in ids] == expected
    with database.reading(quick_engine) as session:
        rows = session.execute(select(models.AlertHistory.alert_id, models.AlertHistory.what).order_by(text("id")))
        kept: list[list[str]] = [[] for _ in alive]
        for alert_id, what in rows:
            kept[alert_id - 1].append(what)
        states = session.scalars(select(models.Alert.state).order_by(models.Alert.id)).all()
    assert kept == alive
    assert states == ["resolved" if steps[-1] == "resolved" else "firing" for steps in alive]


@pytest.fixture
def quick_engine(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Engine]:
    """A database in a file of its own; `emptied` makes it new for each example."""
    path = tmp_path / "quick.sqlite"
    shutil.copy(migrated_sqlite, path)
    engine = database.connect(f"sqlite:///{path}")
    yield engine
    engine.dispose()


def emptied(engine: Engine) -> Fleet:
    """Empty the tables that alerts are in, numbers too; the fleet stays."""
    with database.applying(engine) as session:
        for table in ("events", "alert_history", "alerts", "watermarks"):
            session.execute(text(f"DELETE FROM {table}"))
        session.execute(text("DELETE FROM sqlite_sequence WHERE name IN ('alerts', 'events')"))
        owner_id = owners.add(session, "Nordwind", NOW_MS)
    registry = Registry(engine)
    pump, _ = registry.add_type(None, PUMP, NOW_MS)
    made = registry.register(owner_id, [("pump-1", pump, None), ("pump-2", pump, None)], NOW_MS)
    return Fleet(registry, owner_id, owner_id, pump, {(owner_id, entry.device_id): entry.key for entry in made})


def test_a_historic_alert_that_comes_live_is_told_of(engine: Engine, fleet: Fleet) -> None:
    channel = add_channel(engine, fleet.north)
    [alert_id] = record(engine, 1, firing(fleet, historic=True))
    record(engine, 2, firing(fleet, historic=True, to_state="update", severity="critical"))
    record(engine, 3, firing(fleet, to_state="update"))
    assert told(engine) == []
    assert record(engine, 4, firing(fleet, at_ms=NOW_MS + MINUTE)) == [alert_id]
    assert told(engine) == [(channel, "firing")]
    record(engine, 5, firing(fleet, at_ms=NOW_MS + 2 * MINUTE))
    assert told(engine) == [(channel, "firing")]
    with database.reading(engine) as session:
        assert not session.scalars(select(models.Alert)).one().historic
