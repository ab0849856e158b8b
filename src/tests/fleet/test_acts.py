"""What people do about alerts and devices, and where it is written down."""

from collections.abc import Callable

import msgspec
import pytest
from sqlalchemy import Engine, select

from ...exceptions import AccessError, ConfigError, ConflictError, FaultwatchError
from ...fleet import alerts, commands, database, events, models
from ...fleet.acts import MAX_SILENCE_MS, Acts
from ...fleet.principal import Principal
from .conftest import NOW_MS, Fleet
from .test_alerts import add_channel, firing, record, told

HOUR = 3_600_000
LATER = NOW_MS + 60_000


@pytest.fixture
def ada(engine: Engine, fleet: Fleet) -> Principal:
    """Ada owns Nordwind's devices."""
    return person(engine, "owner", fleet.north)


def person(engine: Engine, role: models.Role, owner_id: int | None) -> Principal:
    with database.writing(engine) as session:
        user = models.User(
            email=f"{role}{owner_id or 0}@example.org",
            name=role.capitalize(),
            password_hash="",
            role=role,
            owner_id=owner_id,
            created_ms=NOW_MS,
        )
        session.add(user)
        session.flush()
        return Principal(user.id, role, owner_id, user.name)


def act(engine: Engine, principal: Principal, what: Callable[[Acts], object], now_ms: int = LATER) -> None:
    with database.writing(engine) as session:
        what(Acts(session, principal, now_ms))


def words(engine: Engine) -> list[tuple[str, int | None, dict[str, models.Json]]]:
    with database.reading(engine) as session:
        return [
            (word.kind, word.device_key, word.payload)
            for word in commands.pending(session)
            if word.kind != "type_version"
        ]


def history(engine: Engine) -> list[tuple[str, str | None, str]]:
    with database.reading(engine) as session:
        rows = session.scalars(select(models.AlertHistory).order_by(models.AlertHistory.id))
        return [(row.what, row.who, row.text) for row in rows if row.what not in ("fired", "worse")]


def audit(engine: Engine) -> list[tuple[str, str, str]]:
    with database.reading(engine) as session:
        rows = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id))
        return [(row.who, row.what, row.subject) for row in rows]


def test_acknowledging_is_a_mark_and_no_word(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    for _ in range(2):
        act(engine, ada, lambda acts: acts.acknowledge(alert_id))
    with database.reading(engine) as session:
        alert = session.get_one(models.Alert, alert_id)
        assert (alert.acknowledged_ms, alert.acknowledged_by, alert.state) == (LATER, ada.user_id, "firing")
        assert [item.payload["what"] for item in events.after(session, 0)] == ["fired", "acknowledged"]
    assert history(engine) == [("acknowledged", "Owner", "")]
    assert audit(engine) == [("Owner", "acknowledged", f"alert {alert_id}")]
    assert words(engine) == []


def test_silencing_until_a_time_and_ending_it(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    for until_ms in (NOW_MS + HOUR, NOW_MS + HOUR, NOW_MS + 2 * HOUR):
        act(engine, ada, lambda acts, until_ms=until_ms: acts.silence(alert_id, until_ms))  # type: ignore[misc]
    with database.reading(engine) as session:
        assert session.get_one(models.Alert, alert_id).silenced_until_ms == NOW_MS + 2 * HOUR
    for _ in range(2):
        act(engine, ada, lambda acts: acts.end_silence(alert_id))
    assert [what for what, _, _ in history(engine)] == ["silenced", "silenced", "silence ended"]
    for wrong in (LATER, LATER + MAX_SILENCE_MS + 1):
        with pytest.raises(ConfigError, match="within the next 30 days"):
            act(engine, ada, lambda acts, wrong=wrong: acts.silence(alert_id, wrong))  # type: ignore[misc]


def test_confirming_makes_a_fault_report_until_repaired(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    channel = add_channel(engine, fleet.north)
    key = fleet.keys[fleet.north, "pump-1"]
    [alert_id, _] = record(engine, 1, firing(fleet), firing(fleet, kind="sensor", rule=1))
    assert alert_id is not None
    for kind in ("leak", "leak", "  worn   bearing "):
        act(engine, ada, lambda acts, kind=kind: acts.confirm(alert_id, kind))  # type: ignore[misc]
    with database.reading(engine) as session:
        report = session.scalars(select(models.FaultReport)).one()
        assert (report.kind, report.start_ms, report.end_ms) == ("worn bearing", NOW_MS - 300_000, None)
        assert (report.device_key, report.said_by, report.alert_id) == (key, "Owner", alert_id)
    for _ in range(2):
        act(engine, ada, lambda acts: acts.repaired(key), LATER + 1)
    with database.reading(engine) as session:
        assert session.scalars(select(models.FaultReport.end_ms)).all() == [LATER + 1]
        assert session.execute(select(models.Alert.state, models.Alert.resolution).distinct()).all() == [
            ("resolved", "repaired")
        ]
    assert [(kind, where) for kind, where, _ in words(engine)] == [
        ("confirm", key),
        ("confirm", key),
        ("repaired", key),
    ]
    assert words(engine)[0][2] == {"alert_id": alert_id, "alert_kind": "anomaly", "rule": -1, "fault_kind": "leak"}
    assert told(engine) == [(channel, "firing")] * 2 + [(channel, "resolved")] * 2


def test_a_device_stays_faulty_while_another_of_its_alerts_is_confirmed(
    engine: Engine, fleet: Fleet, ada: Principal
) -> None:
    opened = record(engine, 1, firing(fleet), firing(fleet, kind="sensor", rule=1))
    for alert_id in opened:
        act(engine, ada, lambda acts, alert_id=alert_id: acts.confirm(alert_id, "leak"))  # type: ignore[misc]
    first, second = opened
    act(engine, ada, lambda acts: acts.dismiss(first or 0, "normal_operation"))
    assert [kind for kind, _, _ in words(engine)] == ["confirm", "confirm", "dismiss"]
    with database.reading(engine) as session:
        assert session.scalars(select(models.FaultReport.alert_id)).all() == [second]
    act(engine, ada, lambda acts: acts.dismiss(second or 0, "normal_operation"))
    assert [kind for kind, _, _ in words(engine)][3:] == ["not_faulty", "dismiss"]


@pytest.mark.parametrize("reason", ["normal_operation", "sensor_problem", "maintenance", "new_normal"])
def test_dismissing_closes_the_alert_and_says_why(engine: Engine, fleet: Fleet, ada: Principal, reason: str) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    [alert_id, _] = record(engine, 1, firing(fleet), firing(fleet, kind="sensor", rule=3))
    assert alert_id is not None
    act(engine, ada, lambda acts: acts.confirm(alert_id, "leak"))
    act(engine, ada, lambda acts: acts.dismiss(alert_id, reason, "flushed"))  # type: ignore[arg-type]
    with database.reading(engine) as session:
        states = session.execute(select(models.Alert.kind, models.Alert.state).order_by(models.Alert.id)).all()
        assert [tuple(row) for row in states] == [("anomaly", "resolved"), ("sensor", "firing")]
        assert session.scalars(select(models.FaultReport.id)).all() == [], "what is no fault is no label"
        alert = session.get_one(models.Alert, alert_id)
        assert (alert.confirmed_ms, alert.confirmed_by, alert.confirmed_kind) == (None, None, None)
    said = [(kind, payload) for kind, _, payload in words(engine)]
    about: dict[str, models.Json] = {"alert_id": alert_id, "alert_kind": "anomaly", "rule": -1}
    assert said[1:] == [("not_faulty", {}), ("dismiss", {**about, "reason": reason, "note": "flushed"})]
    assert {where for _, where, _ in words(engine)} == {key}
    assert history(engine)[-1][0] == "dismissed" and "flushed" in history(engine)[-1][2]


def test_what_makes_no_sense_is_refused(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    key = fleet.keys[fleet.north, "pump-1"]
    wrong: list[tuple[Callable[[Acts], object], str]] = [
        (lambda acts: acts.confirm(alert_id, "  "), "kind of fault: expected 1 to 500"),
        (lambda acts: acts.dismiss(alert_id, "boredom"), "expected one of normal_operation"),  # type: ignore[arg-type]
        (lambda acts: acts.dismiss(alert_id, "maintenance", "x" * 501), "note: expected at most 500"),
        (lambda acts: acts.maintenance(key, LATER + 2, LATER + 1), "end after it begins"),
        (lambda acts: acts.maintenance(key, 0, LATER), "in the future"),
    ]
    for what, said in wrong:
        with pytest.raises(ConfigError, match=said):
            act(engine, ada, what)
    assert words(engine) == [] and history(engine) == [] and audit(engine) == []


def test_an_alert_that_is_over_says_so(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    record(engine, 2, firing(fleet, to_state="resolved", resolution="back to normal"))
    doing: list[Callable[[Acts], object]] = [
        lambda acts: acts.acknowledge(alert_id),
        lambda acts: acts.silence(alert_id, LATER + HOUR),
        lambda acts: acts.end_silence(alert_id),
        lambda acts: acts.confirm(alert_id, "leak"),
        lambda acts: acts.dismiss(alert_id, "normal_operation"),
    ]
    for what in doing:
        with pytest.raises(ConflictError, match=r"is over \(back to normal\); there is nothing to"):
            act(engine, ada, what)


def test_an_alert_about_a_site_is_not_confirmed(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    with database.reading(engine) as session:
        site = session.scalars(select(models.Site.id).where(models.Site.owner_id == fleet.north)).one()
    [alert_id] = record(engine, 1, firing(fleet, device_key=None, site_id=site, kind="site"))
    assert alert_id is not None
    act(engine, ada, lambda acts: acts.acknowledge(alert_id))
    for what in (lambda acts: acts.confirm(alert_id, "leak"), lambda acts: acts.dismiss(alert_id, "maintenance")):
        with pytest.raises(ConflictError, match="is about a site"):
            act(engine, ada, what)


def test_maintenance_from_until_and_its_end(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    for _ in range(2):
        act(engine, ada, lambda acts: acts.maintenance(key, LATER, LATER + HOUR, "new bearing"))
    act(engine, ada, lambda acts: acts.maintenance(key, LATER + 5 * HOUR, None))
    act(engine, ada, lambda acts: acts.maintenance(key, LATER - 1000 * HOUR, LATER + HOUR))
    for _ in range(2):
        act(engine, ada, lambda acts: acts.end_maintenance(key), LATER + 1)
    with database.reading(engine) as session:
        windows = session.scalars(select(models.Maintenance).order_by(models.Maintenance.id)).all()
        assert [(window.from_ms, window.until_ms) for window in windows] == [
            (LATER, LATER + 1),
            (LATER - 1000 * HOUR, LATER + 1),
        ]
        kinds = [item.payload["what"] for item in events.after(session, 0)]
    assert kinds == ["maintenance"] * 3 + ["maintenance ended"]
    said = [(kind, payload.get("from_ms"), payload.get("until_ms")) for kind, _, payload in words(engine)]
    assert said[0] == ("maintenance", LATER, LATER + HOUR)
    assert said[1:] == [
        ("maintenance", LATER + 5 * HOUR, None),
        ("maintenance", LATER - 1000 * HOUR, LATER + HOUR),
        ("maintenance_end", None, None),
    ]


EVERY_ACT: dict[str, Callable[[Acts, int, int], object]] = {
    "acknowledge": lambda acts, alert_id, key: acts.acknowledge(alert_id),
    "silence": lambda acts, alert_id, key: acts.silence(alert_id, LATER + HOUR),
    "end_silence": lambda acts, alert_id, key: acts.end_silence(alert_id),
    "confirm": lambda acts, alert_id, key: acts.confirm(alert_id, "leak"),
    "dismiss": lambda acts, alert_id, key: acts.dismiss(alert_id, "normal_operation"),
    "repaired": lambda acts, alert_id, key: acts.repaired(key),
    "maintenance": lambda acts, alert_id, key: acts.maintenance(key, LATER, None),
    "end_maintenance": lambda acts, alert_id, key: acts.end_maintenance(key),
}


def test_every_act_is_known_to_these_tests() -> None:
    assert {name for name in vars(Acts) if not name.startswith("_")} == set(EVERY_ACT)


def test_nobody_acts_on_what_is_anothers(engine: Engine, fleet: Fleet) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    key = fleet.keys[fleet.north, "pump-1"]
    expected = {
        person(engine, "owner", fleet.south): 404,
        person(engine, "viewer", fleet.south): 404,
        person(engine, "viewer", fleet.north): 403,
    }
    operator = person(engine, "operator", None)
    for name, what in EVERY_ACT.items():
        for principal, status in expected.items():
            with pytest.raises(AccessError) as caught:
                act(engine, principal, lambda acts, what=what: what(acts, alert_id, key))  # type: ignore[misc]
            assert caught.value.status == status, name
        with pytest.raises(AccessError) as caught:
            act(engine, operator, lambda acts, what=what: what(acts, 10_000, 10_000))  # type: ignore[misc]
        assert caught.value.status == 404, name
    assert words(engine) == [] and history(engine) == [] and audit(engine) == []


@pytest.mark.parametrize("role", ["admin", "operator", "owner"])
def test_those_who_may_do(engine: Engine, fleet: Fleet, role: models.Role) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    principal = person(engine, role, fleet.north if role == "owner" else None)
    for seq, (name, what) in enumerate(EVERY_ACT.items(), 1):
        [alert_id] = record(engine, seq, firing(fleet))
        assert alert_id is not None
        act(engine, principal, lambda acts, what=what: what(acts, alert_id, key))  # type: ignore[misc]
        if name not in ("end_silence", "end_maintenance"):  # the silence was short, the window ended
            assert audit(engine)[-1][0] == principal.name, name


def test_acts_want_a_session_that_writes(engine: Engine, ada: Principal) -> None:
    with database.reading(engine) as session, pytest.raises(RuntimeError, match="database.writing"):
        Acts(session, ada, LATER)


def test_one_act_that_fails_takes_back_those_before_it(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None

    def both(acts: Acts) -> None:
        acts.acknowledge(alert_id)
        acts.acknowledge(10_000)

    with pytest.raises(FaultwatchError):
        act(engine, ada, both)
    with database.reading(engine) as session:
        assert session.get_one(models.Alert, alert_id).acknowledged_ms is None
        assert [item.payload["what"] for item in events.after(session, 0)] == ["fired"]


def test_the_loop_that_hears_of_it_later_changes_nothing_more(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    act(engine, ada, lambda acts: acts.dismiss(alert_id, "normal_operation"))
    with database.reading(engine) as session:
        [word] = [word for word in commands.pending(session) if word.kind == "dismiss"]
    resolved = msgspec.structs.replace(firing(fleet), to_state="resolved", resolution="dismissed")
    with database.applying(engine) as session:
        assert alerts.record(session, 0, 2, [resolved], LATER, done_commands=[word.id]) == [None]
    assert [what for what, _, _ in history(engine)] == ["dismissed"]
    assert words(engine) == []
