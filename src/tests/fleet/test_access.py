"""What people see: their own, all of it, sorted, searched and paged; and nothing of anyone else."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, insert, select, update

from ...exceptions import AccessError, ConfigError, ConflictError, FaultwatchError
from ...fleet import (
    channels,
    database,
    kind_versions,
    likely_kinds,
    model_versions,
    models,
    owners,
    rules,
    tokens,
    users,
)
from ...fleet.access import Access
from ...fleet.likely_kinds import Found
from ...fleet.principal import Principal
from ...fleet.secrets import Secrets
from ...fleet.views import AlertCounts, AlertQuery, DeviceQuery
from .conftest import NOW_MS, PUMP, Fleet
from .test_alerts import firing, record

HOUR = 3_600_000
OPERATOR = Principal(None, "operator", None, "Olga")
KEY = b"x" * 43 + b"="


def owner(owner_id: int) -> Principal:
    return Principal(None, "owner", owner_id, "Ada")


def test_devices_by_owner_and_id(engine: Engine, fleet: Fleet) -> None:
    with database.reading(engine) as session:
        found = Access(session, owner(fleet.south)).device("pump-1")
        assert found.key == fleet.keys[fleet.south, "pump-1"]
        assert (found.owner, found.site, found.type_name, found.time_zone) == ("Suedwerk", "Mill", "pump", "UTC")
        with pytest.raises(AccessError, match="there is no device 'pump-2'") as caught:
            Access(session, owner(fleet.south)).device("pump-2")
        assert caught.value.status == 404
        everyone = Access(session, OPERATOR)
        assert everyone.device("pump-9").owner == "Suedwerk"
        with pytest.raises(ConflictError, match="'Nordwind', 'Suedwerk'; add \\?owner=NAME"):
            everyone.device("pump-1")
        assert everyone.device("pump-1", "Nordwind").key == fleet.keys[fleet.north, "pump-1"]


def test_devices_are_searched_filtered_and_sorted(engine: Engine, fleet: Fleet) -> None:
    valve, _ = fleet.registry.add_type(None, msgspec.structs.replace(PUMP, name="valve"), NOW_MS)
    fleet.registry.register(fleet.north, [("VALVE_7", valve, "Depot"), ("valve%8", valve, None)], NOW_MS)
    with database.reading(engine) as session:
        mine = Access(session, owner(fleet.north))

        def ids(**query: object) -> list[str]:
            return [device.device_id for device in mine.devices(DeviceQuery(**query)).items]  # type: ignore[arg-type]

        assert ids() == ["VALVE_7", "pump-1", "pump-2", "pump-3", "valve%8"]
        assert ids(sort="-device_id") == ["valve%8", "pump-3", "pump-2", "pump-1", "VALVE_7"]
        assert ids(sort="registered") == ["pump-1", "pump-2", "pump-3", "VALVE_7", "valve%8"]
        assert ids(search=" valve ") == ["VALVE_7", "valve%8"]
        assert ids(search="_") == ["VALVE_7"] and ids(search="%") == ["valve%8"]
        assert ids(type_id=valve) == ["VALVE_7", "valve%8"]
        assert ids(site_id=mine.device("pump-1").site_id) == ["pump-1", "pump-2"]
        assert ids(owner_id=fleet.south) == []
        some = [fleet.keys[fleet.north, "pump-3"], fleet.keys[fleet.south, "pump-9"]]
        assert ids(keys=some) == ["pump-3"] and ids(keys=[]) == []
        assert mine.device_keys(DeviceQuery(keys=some)) == some[:1]
        assert [device.device_id for device in mine.devices_by_keys([*reversed(some), some[0]])] == ["pump-3"] * 2


@pytest.mark.parametrize("sort", ["device_id", "-device_id", "registered", "-registered"])
@pytest.mark.parametrize("principal", ["operator", "owner"])
def test_pages_have_each_device_once(engine: Engine, fleet: Fleet, sort: str, principal: str) -> None:
    for owner_id in (fleet.north, fleet.south):
        fleet.registry.register(owner_id, [(f"d{number % 7}-{number}", fleet.pump, None) for number in range(20)], 1)
    with database.reading(engine) as session:
        access = Access(session, OPERATOR if principal == "operator" else owner(fleet.south))
        query = DeviceQuery(sort=sort, limit=7)  # type: ignore[arg-type]
        whole = access.devices(msgspec.structs.replace(query, limit=1000))
        assert whole.next is None
        seen = []
        while True:
            page = access.devices(query)
            seen += page.items
            if page.next is None:
                break
            query = msgspec.structs.replace(query, cursor=page.next)
        assert seen == whole.items and len(seen) == (45 if principal == "operator" else 22)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(cursor=st.text(max_size=20) | st.binary(max_size=20).map(lambda b: __import__("base64").b64encode(b).decode()))
def test_a_cursor_of_ones_own_making_is_refused(engine: Engine, fleet: Fleet, cursor: str) -> None:
    with database.reading(engine) as session:
        access = Access(session, OPERATOR)
        for read in (
            lambda: access.devices(DeviceQuery(cursor=cursor)),
            lambda: access.alerts(AlertQuery(cursor=cursor), 0),
        ):
            with pytest.raises(ConfigError, match="expected the `next` of the page before"):
                read()


def test_a_cursor_belongs_to_its_order(engine: Engine, fleet: Fleet) -> None:
    with database.reading(engine) as session:
        access = Access(session, OPERATOR)
        cursor = access.devices(DeviceQuery(limit=1)).next
        with pytest.raises(ConfigError, match="asked for in the same order"):
            access.devices(DeviceQuery(sort="registered", cursor=cursor))
        for limit in (0, 1001):
            with pytest.raises(ConfigError, match="expected 1 to 1000"):
                access.devices(DeviceQuery(limit=limit))


def test_each_alert_is_in_one_tab(engine: Engine, fleet: Fleet) -> None:
    ids = record(
        engine,
        1,
        firing(fleet, at_ms=NOW_MS),
        firing(fleet, "pump-2", at_ms=NOW_MS + 1, kind="silent", severity="critical"),
        firing(fleet, "pump-3", at_ms=NOW_MS + 2),
        firing(fleet, "pump-3", at_ms=NOW_MS + 3, kind="sensor", rule=1, sentence="Flow is STUCK."),
        firing(fleet, "pump-3", at_ms=NOW_MS + 4, kind="sensor", rule=1, to_state="resolved"),
    )
    opened, acknowledged, silenced, over = ids[:4]
    with database.writing(engine) as session:
        session.execute(update(models.Alert).where(models.Alert.id == acknowledged).values(acknowledged_ms=NOW_MS))
        values = {"silenced_until_ms": NOW_MS + HOUR, "acknowledged_ms": NOW_MS}
        session.execute(update(models.Alert).where(models.Alert.id == silenced).values(values))
    with database.reading(engine) as session:
        access = Access(session, owner(fleet.north))

        def found(now_ms: int = NOW_MS, **query: object) -> list[int]:
            return [alert.id for alert in access.alerts(AlertQuery(**query), now_ms).items]  # type: ignore[arg-type]

        assert [found(tab=tab) for tab in ("open", "acknowledged", "silenced", "resolved")] == [
            [opened],
            [acknowledged],
            [silenced],
            [over],
        ]
        assert found(tab="all") == [over, silenced, acknowledged, opened]
        assert found(NOW_MS + HOUR, tab="acknowledged") == [silenced, acknowledged]
        assert access.alert_counts(AlertQuery(), NOW_MS) == AlertCounts(1, 1, 1, 1)
        assert access.alert_counts(AlertQuery(kind="silent"), NOW_MS) == AlertCounts(0, 1, 0, 0)
        assert found(tab="all", severity="critical") == [acknowledged]
        assert found(tab="all", device_key=fleet.keys[fleet.north, "pump-3"]) == [over, silenced]
        assert found(tab="all", site_id=access.device("pump-1").site_id) == [acknowledged, opened]
        assert found(tab="all", search="stuck") == [over] and found(tab="all", search="PUMP-1") == [opened]
        assert found(tab="all", from_ms=NOW_MS + 5) == [silenced, acknowledged, opened]
        assert found(tab="all", until_ms=NOW_MS + 1) == [opened]
        assert found(tab="all", historic=True) == []
        page = access.alerts(AlertQuery(tab="all", limit=3), NOW_MS)
        rest = access.alerts(AlertQuery(tab="all", limit=3, cursor=page.next), NOW_MS)
        assert ([alert.id for alert in page.items + rest.items], rest.next) == (
            [over, silenced, acknowledged, opened],
            None,
        )


def test_an_alert_carries_the_names_people_know(engine: Engine, fleet: Fleet) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    with database.writing(engine) as session:
        user = models.User(email="a@b.c", name="Ada", password_hash="", role="admin", created_ms=1)
        session.add(user)
        session.flush()
        values = {"acknowledged_ms": NOW_MS, "acknowledged_by": user.id}
        session.execute(update(models.Alert).values(values))
    with database.reading(engine) as session:
        access = Access(session, owner(fleet.north))
        alert = access.alert(alert_id or 0)
        assert (alert.device_id, alert.site, alert.owner) == ("pump-1", "Harbour East", "Nordwind")
        assert (alert.acknowledged_by, alert.silenced_by) == ("Ada", None)
        assert [(entry.what, entry.who) for entry in access.alert_history(alert.id)] == [("fired", None)]


def everything(engine: Engine, fleet: Fleet) -> None:
    """One row of each kind for both owners, so that a leak has something to show."""
    with database.reading(engine) as session:
        sites = {site.owner_id: site.id for site in session.scalars(select(models.Site))}
    for number, owner_id in enumerate((fleet.north, fleet.south)):
        key = fleet.keys[owner_id, "pump-1"]
        fleet.registry.add_type(owner_id, msgspec.structs.replace(PUMP, name=f"own_{number}"), NOW_MS)
        changes = firing(fleet, owner_id=owner_id, device_key=key), firing(
            fleet, owner_id=owner_id, device_key=None, site_id=sites[owner_id], kind="site"
        )
        with database.writing(engine) as session:
            target = channels.Target("webhook", f"https://secret-{owner_id}.example.org", "hush")
            channel_id = channels.add(session, Secrets(KEY), owner_id, f"channel {owner_id}", target, NOW_MS)
            tokens.create(session, owner_id, f"token {owner_id}", NOW_MS)
            users.add(session, f"{owner_id}@example.org", "Kim", "", "owner", owner_id, NOW_MS)
            high = rules.NewRule(sensor="pressure", comparison="above", value=9.0)
            rules.add(session, owner_id, fleet.pump, PUMP, high, "a", NOW_MS)
            session.execute(
                insert(models.Maintenance).values(device_key=key, from_ms=0, until_ms=1, reason="", who="a")
            )
            session.execute(
                insert(models.FaultReport).values(
                    device_key=key, start_ms=0, kind="leak", source="a", said_by="a", created_ms=0
                )
            )
            session.execute(
                insert(models.BackfillJob).values(
                    file_name="f", file_hash="h", type_id=fleet.pump, owner_id=owner_id, created_ms=0
                )
            )
        ids = record(engine, number + 1, *changes)
        with database.writing(engine) as session:
            notice = insert(models.Outbox).values(
                idempotency_key=f"dead {owner_id}",
                alert_id=ids[0],
                channel_id=channel_id,
                payload={"event": "firing"},
                state="dead",
                attempts=12,
                created_ms=0,
                next_attempt_ms=0,
            )
            session.execute(notice)


Reader = Callable[[Access, Fleet, int], object]


def _key(fleet: Fleet, owner_id: int) -> int:
    return fleet.keys[owner_id, "pump-1"]


def _first_alert(access: Access, owner_id: int) -> int:
    query = select(models.Alert.id).where(models.Alert.owner_id == owner_id).order_by(models.Alert.id)
    return access._session.scalars(query).first() or 0


def _first_report(access: Access, owner_id: int) -> int:
    mine = select(models.Device.id).where(models.Device.owner_id == owner_id)
    return (
        access._session.scalars(select(models.FaultReport.id).where(models.FaultReport.device_key.in_(mine))).first()
        or 0
    )


def _own_type(fleet: Fleet, owner_id: int) -> int:
    return fleet.registry.type_by_name(owner_id, f"own_{[fleet.north, fleet.south].index(owner_id)}") or 0


ABOUT_ONE: dict[str, Reader] = {
    "site": lambda a, f, o: a.site(f.registry.lookup(o)["pump-1"].site_id or 0),
    "type": lambda a, f, o: a.type(_own_type(f, o)),
    "device": lambda a, f, o: a.device({f.north: "pump-2", f.south: "pump-9"}[o]),
    "device_by_key": lambda a, f, o: a.device_by_key(_key(f, o)),
    "maintenance": lambda a, f, o: a.maintenance(_key(f, o)),
    "fault_reports": lambda a, f, o: a.fault_reports(_key(f, o)),
    "reported_fault": lambda a, f, o: a.reported_fault(_first_report(a, o)),
    "alert": lambda a, f, o: a.alert(_first_alert(a, o)),
    "alert_history": lambda a, f, o: a.alert_history(_first_alert(a, o)),
    "notices": lambda a, f, o: a.notices(_first_alert(a, o)),
    "rule": lambda a, f, o: a.rule([f.north, f.south].index(o) + 1),
}
"""Questions about one thing: another owner's is answered with 404."""

LISTS: dict[str, Reader] = {
    "owners": lambda a, f, o: a.owners(),
    "sites": lambda a, f, o: a.sites(),
    "types": lambda a, f, o: [entry for entry in a.types() if entry.owner_id is not None],
    "devices_by_keys": lambda a, f, o: a.devices_by_keys(list(f.keys.values())),
    "devices": lambda a, f, o: a.devices(DeviceQuery()).items,
    "device_keys": lambda a, f, o: a.devices_by_keys(a.device_keys(DeviceQuery())),
    "alerts": lambda a, f, o: a.alerts(AlertQuery(tab="all"), NOW_MS).items,
    "channels": lambda a, f, o: a.channels(),
    "rules": lambda a, f, o: a.rules().items,
    "reported_faults": lambda a, f, o: a.reported_faults().items,
    "dead_notices": lambda a, f, o: a.dead_notices(),
    "tokens": lambda a, f, o: a.tokens(),
    "users": lambda a, f, o: a.users(),
    "windows": lambda a, f, o: a.windows(0),
    "jobs": lambda a, f, o: a.jobs(),
    "events": lambda a, f, o: a.events(0),
    "alerts_spent": lambda a, f, o: a.alerts_spent(f.pump, NOW_MS, 30.0, 1.0, 3.0),
}
"""Questions for a list, whose items say whose they are: nobody sees an item of another owner."""

COUNTS: dict[str, Reader] = {"alert_counts": lambda a, f, o: a.alert_counts(AlertQuery(), NOW_MS)}


BY_TYPE: dict[str, Reader] = {
    "model_versions": lambda a, f, o: a.model_versions([_own_type(f, owner_id) for owner_id in (f.north, f.south)])
}
"""Questions about types, answered for those they see."""


BY_ALERT: dict[str, Reader] = {
    "likely_kinds": lambda a, f, o: a.likely_kinds([_first_alert(a, owner_id) for owner_id in (f.north, f.south)])
}
"""Questions about alerts, answered for those they see."""


FOR_ADMINS: dict[str, Reader] = {"audit": lambda a, f, o: a.audit().items}
"""Questions of the whole house, which only admins may ask."""


FOR_OPERATORS: dict[str, Reader] = {"kind_versions": lambda a, f, o: a.kind_versions()}
"""Questions about what is made of the devices of all owners: who sees those of one is told nothing."""


def test_every_question_is_known_to_these_tests() -> None:
    public = {name for name in vars(Access) if not name.startswith("_")}
    assert public == set(ABOUT_ONE) | set(LISTS) | set(COUNTS) | set(BY_TYPE) | set(BY_ALERT) | set(FOR_ADMINS) | set(
        FOR_OPERATORS
    )


@pytest.mark.parametrize("role", ["operator", "owner", "viewer"])
def test_only_admins_ask_of_the_whole_house(engine: Engine, fleet: Fleet, role: models.Role) -> None:
    with database.reading(engine) as session:
        for ask in FOR_ADMINS.values():
            with pytest.raises(AccessError, match="for admins") as caught:
                ask(Access(session, Principal(None, role, fleet.north)), fleet, fleet.north)
            assert caught.value.status == 403
            assert ask(Access(session, Principal(None, "admin", None)), fleet, fleet.north) == []


def test_who_sees_one_owner_is_told_nothing_of_what_is_of_all(engine: Engine, fleet: Fleet) -> None:
    with database.writing(engine) as session:
        kind_versions.add(session, "folder", None, "", NOW_MS)
    with database.reading(engine) as session:
        for ask in FOR_OPERATORS.values():
            assert ask(Access(session, owner(fleet.north)), fleet, fleet.north) == []
            assert len(list(ask(Access(session, OPERATOR), fleet, fleet.north))) == 1  # type: ignore[call-overload]


@pytest.mark.parametrize("role", ["owner", "viewer"])
def test_what_is_anothers_does_not_exist(engine: Engine, fleet: Fleet, role: models.Role) -> None:
    everything(engine, fleet)
    with database.reading(engine) as session:
        for name, ask in ABOUT_ONE.items():
            for mine, other in ((fleet.north, fleet.south), (fleet.south, fleet.north)):
                access = Access(session, Principal(None, role, mine, "Ada"))
                assert ask(access, fleet, mine), name
                with pytest.raises(FaultwatchError, match="there is no") as caught:
                    ask(access, fleet, other)
                assert caught.value.status == 404, name
            assert ask(Access(session, OPERATOR), fleet, fleet.south), name


def test_lists_hold_ones_own(engine: Engine, fleet: Fleet) -> None:
    everything(engine, fleet)

    def owners_in(name: str, access: Access) -> set[int]:
        found = LISTS[name](access, fleet, fleet.north)
        assert isinstance(found, list)
        return {item.id if isinstance(item, owners.OwnerEntry) else item.owner_id for item in found}

    with database.reading(engine) as session:
        for name in LISTS:
            assert owners_in(name, Access(session, owner(fleet.north))) == {fleet.north}, name
            assert owners_in(name, Access(session, Principal(None, "viewer", fleet.south))) == {fleet.south}, name
            assert owners_in(name, Access(session, OPERATOR)) == {fleet.north, fleet.south}, name


def test_kinds_of_fault_are_told_of_alerts_they_see(engine: Engine, fleet: Fleet) -> None:
    everything(engine, fleet)
    with database.writing(engine) as session:
        first = {owner_id: _first_alert(Access(session, OPERATOR), owner_id) for owner_id in (fleet.north, fleet.south)}
        for owner_id, alert_id in first.items():
            found = Found(alert_id=alert_id, at_ms=NOW_MS, until_ms=NOW_MS, next_ms=None, model_version=1)
            likely_kinds.keep(session, found, owner_id, news=False)
    with database.reading(engine) as session:
        for owner_id, alert_id in first.items():
            own = BY_ALERT["likely_kinds"](Access(session, owner(owner_id)), fleet, owner_id)
            assert isinstance(own, dict) and set(own) == {alert_id}
        every = BY_ALERT["likely_kinds"](Access(session, OPERATOR), fleet, fleet.north)
        assert isinstance(every, dict) and set(every) == set(first.values())


def test_models_are_told_of_types_they_see(engine: Engine, fleet: Fleet) -> None:
    everything(engine, fleet)
    own = {owner_id: _own_type(fleet, owner_id) for owner_id in (fleet.north, fleet.south)}
    with database.writing(engine) as session:
        for type_id in own.values():
            model_versions.add(session, type_id, f"model-{type_id}", None, "", NOW_MS)
    with database.reading(engine) as session:
        for owner_id, type_id in own.items():
            found = BY_TYPE["model_versions"](Access(session, owner(owner_id)), fleet, owner_id)
            assert isinstance(found, dict) and set(found) == {type_id} and len(found[type_id]) == 1
        every = BY_TYPE["model_versions"](Access(session, OPERATOR), fleet, fleet.north)
        assert isinstance(every, dict) and set(every) == set(own.values())


def test_counts_hold_ones_own(engine: Engine, fleet: Fleet) -> None:
    everything(engine, fleet)
    with database.reading(engine) as session:
        assert COUNTS["alert_counts"](Access(session, owner(fleet.south)), fleet, 0) == AlertCounts(2, 0, 0, 0)
        assert COUNTS["alert_counts"](Access(session, OPERATOR), fleet, 0) == AlertCounts(4, 0, 0, 0)


def test_addresses_of_channels_are_never_shown(engine: Engine, fleet: Fleet) -> None:
    everything(engine, fleet)
    with database.reading(engine) as session:
        access = Access(session, OPERATOR)
        assert "secret" not in repr(access.channels()) and "hush" not in repr(access.channels())
        notices = access.notices(_first_alert(access, fleet.north))
        assert [(notice.channel, notice.news, notice.state) for notice in notices] == [
            (f"channel {fleet.north}", "firing", "pending"),
            (f"channel {fleet.north}", "firing", "dead"),
        ]
        raw = session.scalars(select(models.Channel)).all()
        assert not any("secret" in row.address or "hush" in (row.secret or "") for row in raw)


def test_someone_of_an_owner_has_one() -> None:
    with pytest.raises(AccessError, match="belongs to an owner"):
        Principal(1, "viewer", None)
