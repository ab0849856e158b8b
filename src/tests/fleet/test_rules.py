"""Rules of owners in the database: checked, put in force once, taken back with their word to the loop."""

from dataclasses import dataclass

import msgspec
import pytest
from sqlalchemy import Engine, select

from ...alerts.state import MAX_RULES
from ...exceptions import AccessError, ConfigError, ConflictError, FaultwatchError
from ...fleet import commands, database, device_types, models
from ...fleet.access import Access
from ...fleet.administration import Administration
from ...fleet.principal import Principal
from ...fleet.rules import NewRule
from ...telemetry.schema import DeviceType
from .conftest import NOW_MS, PUMP, Fleet

HIGH = NewRule(sensor="pressure", comparison="above", value=12.0, back=11.0, hold_ms=600_000)


@dataclass
class Desk:
    """Somebody at work on the database."""

    engine: Engine
    who: Principal

    def add(self, owner_id: int, new: NewRule = HIGH, type_name: str = "pump") -> int:
        with database.writing(self.engine) as session:
            return Administration(session, self.who, NOW_MS).add_rule(owner_id, type_name, new)

    def remove(self, rule_id: int) -> None:
        with database.writing(self.engine) as session:
            Administration(session, self.who, NOW_MS).remove_rule(rule_id)

    def words(self) -> list[str]:
        """The rules they see, in words."""
        with database.reading(self.engine) as session:
            return [rule.words for rule in Access(session, self.who).rules().items]


def owner_of(fleet: Fleet, engine: Engine) -> Desk:
    return Desk(engine, Principal(None, "owner", fleet.north, "Kim"))


def said(engine: Engine) -> list[tuple[object, object]]:
    """What the loop is told of rules: (id, removed)."""
    with database.reading(engine) as session:
        words = [word for word in commands.pending(session) if word.kind == "rule"]
    return [(word.payload["rule_id"], word.payload["removed"]) for word in words]


def test_a_rule_is_in_force_until_it_is_removed_and_the_loop_is_told(engine: Engine, fleet: Fleet) -> None:
    desk = owner_of(fleet, engine)
    rule_id = desk.add(fleet.north)
    assert desk.words() == ["Pressure above 12 bar for 10 minutes, until 11 bar"]
    assert desk.add(fleet.north) == rule_id, "said twice it is one rule"
    desk.remove(rule_id)
    assert desk.words() == []
    assert said(engine) == [(rule_id, False), (rule_id, True)]
    with pytest.raises(AccessError, match="there is no rule"):
        desk.remove(rule_id)
    assert desk.add(fleet.north) > rule_id, "an id is never given twice"


def test_every_act_is_in_the_audit_log(engine: Engine, fleet: Fleet) -> None:
    desk = owner_of(fleet, engine)
    desk.remove(desk.add(fleet.north))
    desk.add(fleet.north)
    desk.add(fleet.north)
    with database.reading(engine) as session:
        rows = session.execute(
            select(models.AuditEntry.who, models.AuditEntry.what).order_by(models.AuditEntry.id)
        ).all()
    assert [tuple(row) for row in rows] == [("Kim", "rule added"), ("Kim", "rule removed"), ("Kim", "rule added")]


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (NewRule(sensor="flow", comparison="above", value=1), "type 'pump' has pressure, vibration"),
        (NewRule(sensor="pressure", comparison="above", value=float("nan")), "finite"),
        (NewRule(sensor="pressure", comparison="above", value=1, back=2), "expected at most the value, 1"),
        (NewRule(sensor="pressure", comparison="below", value=2, back=1), "expected at least the value, 2"),
        (NewRule(sensor="pressure", comparison="above", value=1, hold_ms=8 * 86_400_000), "7 days"),
        (msgspec.structs.replace(HIGH, comparison="beside"), "expected above or below"),
        (msgspec.structs.replace(HIGH, severity="bad"), "info, warning"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(engine: Engine, fleet: Fleet, wrong: NewRule, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        owner_of(fleet, engine).add(fleet.north, wrong)
    assert said(engine) == []


def test_a_rule_may_be_about_one_device_of_the_owner_and_type(engine: Engine, fleet: Fleet) -> None:
    desk = owner_of(fleet, engine)
    one = msgspec.structs.replace(HIGH, device_key=fleet.keys[fleet.north, "pump-2"])
    desk.add(fleet.north, one)
    with database.reading(engine) as session:
        assert Access(session, desk.who).rules().items[0].device_id == "pump-2"
    with pytest.raises(AccessError) as caught:
        desk.add(fleet.north, msgspec.structs.replace(HIGH, device_key=fleet.keys[fleet.south, "pump-9"]))
    assert caught.value.status == 404


def test_who_may_set_rules(engine: Engine, fleet: Fleet) -> None:
    refused: dict[str, int] = {}
    for role, owner_id in (("viewer", fleet.north), ("operator", None), ("owner", fleet.south)):
        try:
            Desk(engine, Principal(None, role, owner_id)).add(fleet.north)  # type: ignore[arg-type]
        except FaultwatchError as error:
            refused[role] = error.status
    assert refused == {"viewer": 403, "operator": 403, "owner": 404}
    rule_id = Desk(engine, Principal(None, "admin", None)).add(fleet.north)
    with pytest.raises(AccessError) as caught:
        Desk(engine, Principal(None, "owner", fleet.south)).remove(rule_id)
    assert caught.value.status == 404
    assert Desk(engine, Principal(None, "viewer", fleet.south)).words() == []
    assert len(Desk(engine, Principal(None, "operator", None)).words()) == 1


def test_an_owner_has_so_many_rules_about_a_type_at_most(engine: Engine, fleet: Fleet) -> None:
    desk = owner_of(fleet, engine)
    for value in range(MAX_RULES):
        desk.add(fleet.north, NewRule(sensor="pressure", comparison="above", value=value))
    with pytest.raises(ConflictError, match="64 rules"):
        desk.add(fleet.north)


def test_rules_about_a_sensor_end_with_it(engine: Engine, fleet: Fleet) -> None:
    desk = owner_of(fleet, engine)
    rule_id = desk.add(fleet.north)
    without = DeviceType(name="pump", sensors=PUMP.sensors[1:])
    with database.writing(engine) as session:
        device_types.add(session, None, without, NOW_MS)
    assert desk.words() == []
    assert said(engine)[-1] == (rule_id, True)
