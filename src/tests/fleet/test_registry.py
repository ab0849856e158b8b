"""Types and devices in bulk, as intake asks for them."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select

from ...exceptions import AccessError, ConfigError, IngestError
from ...fleet import commands, database, device_types, models, owners
from ...fleet.registry import Registry, is_device_id
from ...telemetry.schema import Sensor
from .conftest import NOW_MS, PUMP, Fleet


def test_two_owners_may_both_have_a_pump_1(fleet: Fleet) -> None:
    north, south = fleet.registry.lookup(fleet.north)["pump-1"], fleet.registry.lookup(fleet.south)["pump-1"]
    assert north.key != south.key
    assert (north.owner_id, north.type_id) == (fleet.north, fleet.pump)


def test_sites_are_made_on_the_way_and_found_by_any_spelling(engine: Engine, fleet: Fleet) -> None:
    known = fleet.registry.lookup(fleet.north)
    assert known["pump-1"].site_id == known["pump-2"].site_id is not None
    assert known["pump-3"].site_id is None
    with database.reading(engine) as session:
        sites = session.execute(select(models.Site.slug, models.Site.name).order_by(models.Site.slug)).all()
    assert [tuple(site) for site in sites] == [("harbour-east", "Harbour East"), ("mill", "Mill")]


def test_registering_again_changes_nothing(engine: Engine, fleet: Fleet) -> None:
    first = fleet.registry.lookup(fleet.north)["pump-1"]
    other = Registry(engine)
    again = other.register(fleet.north, [("pump-1", fleet.pump, "Mill"), ("pump-7", fleet.pump, None)], NOW_MS)
    assert again[0] == first
    # The first registry doesn't know pump-7 yet: it meets the row that the other has made.
    assert fleet.registry.register(fleet.north, [("pump-7", fleet.pump, None)], NOW_MS) == [again[1]]


def test_a_device_twice_in_one_batch_is_one_device(fleet: Fleet) -> None:
    one, two = fleet.registry.register(fleet.north, [("new", fleet.pump, "Mill"), ("new", fleet.pump, None)], NOW_MS)
    assert one == two and one.site_id is not None


def test_a_lookup_is_live(fleet: Fleet) -> None:
    known = fleet.registry.lookup(fleet.north)
    fleet.registry.register(fleet.north, [("later", fleet.pump, None)], NOW_MS)
    assert known["later"].device_id == "later"


def test_all_devices_come_in_the_order_of_their_keys(fleet: Fleet) -> None:
    keys = [key for _, _, columns in fleet.registry.all_columns() for key in columns[0].tolist()]
    assert keys == sorted(keys) == sorted(fleet.keys.values())


def test_many_devices_at_once(engine: Engine, fleet: Fleet) -> None:
    made = fleet.registry.register(
        fleet.north, [(f"d-{number}", fleet.pump, f"site {number % 7}") for number in range(3000)], NOW_MS
    )
    assert [entry.device_id for entry in made[:2]] == ["d-0", "d-1"]
    assert len({entry.key for entry in made}) == 3000
    assert Registry(engine).lookup(fleet.north)["d-2999"] == made[-1]


@pytest.mark.parametrize("device_id", ["", " padded", "line\nbreak", "nul\0", "x" * 201])
def test_an_id_that_no_database_should_hold_is_refused(fleet: Fleet, device_id: str) -> None:
    with pytest.raises(IngestError, match="expected 1 to 200 characters"):
        fleet.registry.register(fleet.north, [("fine", fleet.pump, None), (device_id, fleet.pump, None)], NOW_MS)
    assert "fine" not in fleet.registry.lookup(fleet.north)


@given(st.text(max_size=12))
def test_an_id_that_is_taken_can_be_stored_anywhere(text: str) -> None:
    if is_device_id(text):
        assert "\0" not in text and text.encode().decode() == text


def test_an_owners_own_type_goes_before_the_shared_one(fleet: Fleet) -> None:
    own, _ = fleet.registry.add_type(fleet.south, PUMP, NOW_MS)
    assert own != fleet.pump
    assert fleet.registry.type_by_name(fleet.south, "pump") == own
    assert fleet.registry.type_by_name(fleet.north, "pump") == fleet.pump
    assert fleet.registry.type_by_name(fleet.north, "valve") is None


def test_a_new_version_keeps_the_id_and_tells_the_loop(engine: Engine, fleet: Fleet) -> None:
    wider = msgspec.structs.replace(PUMP, sensors=(*PUMP.sensors[1:], Sensor(name="flow", unit="l/s")))
    assert fleet.registry.add_type(None, wider, NOW_MS) == (fleet.pump, 2)
    newest = fleet.registry.types()[fleet.pump]
    assert [(sensor.name, sensor.retired) for sensor in newest.sensors] == [
        ("pressure", True),
        ("vibration", False),
        ("flow", False),
    ]
    with database.reading(engine) as session:
        assert [kept.version for kept in device_types.versions(session, fleet.pump)] == [1, 2]
        words = [(word.kind, word.payload) for word in commands.pending(session)]
    assert words == [
        ("type_version", {"type_id": fleet.pump, "version": 1}),
        ("type_version", {"type_id": fleet.pump, "version": 2}),
    ]


def test_the_same_type_again_is_no_new_version(engine: Engine, fleet: Fleet) -> None:
    assert fleet.registry.add_type(None, PUMP, NOW_MS) == (fleet.pump, 1)
    with database.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(models.DeviceTypeVersion)) == 1


def test_a_version_that_cannot_follow_is_refused(fleet: Fleet) -> None:
    with pytest.raises(ConfigError, match="interval_s can't change from 60.0 to 10.0"):
        fleet.registry.add_type(None, msgspec.structs.replace(PUMP, interval_s=10.0), NOW_MS)


def test_a_type_of_nobody_is_refused(fleet: Fleet) -> None:
    with pytest.raises(AccessError, match="no owner has the id 99"):
        fleet.registry.add_type(99, PUMP, NOW_MS)


def test_types_of_another_process_are_seen_after_a_reload(engine: Engine, fleet: Fleet) -> None:
    assert set(fleet.registry.types()) == {fleet.pump}
    added, _ = Registry(engine).add_type(None, msgspec.structs.replace(PUMP, name="valve"), NOW_MS)
    assert added not in fleet.registry.types()
    fleet.registry.reload_types()
    assert added in fleet.registry.types()


@pytest.mark.parametrize(
    ("name", "slug"),
    [("Harbour East", "harbour-east"), ("harbour_east", "harbour-east"), ("Zürich — Süd", "zurich-sud"), ("3", "3")],
)
def test_slugs(name: str, slug: str) -> None:
    assert owners.slug_of(name) == slug


@pytest.mark.parametrize("name", ["", " - ", "x" * 201])
def test_a_site_without_letters_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="1 to 200 letters and digits"):
        owners.slug_of(name)


def test_a_site_gets_its_particulars(engine: Engine, fleet: Fleet) -> None:
    with database.writing(engine) as session:
        first = owners.set_site(session, fleet.north, "harbour-east", "Harbour East", "Europe/Oslo", 59.9, 10.7)
        second = owners.set_site(session, fleet.north, "Depot", "Depot")
    known = fleet.registry.lookup(fleet.north)
    assert first == known["pump-1"].site_id != second
    with database.reading(engine) as session:
        site = session.get_one(models.Site, first)
        assert (site.time_zone, site.latitude) == ("Europe/Oslo", 59.9)


def test_owners_are_found_by_name(engine: Engine, fleet: Fleet) -> None:
    with database.writing(engine) as session:
        assert owners.add(session, "  Nordwind ", NOW_MS) == fleet.north
        assert owners.find(session, "Suedwerk") == fleet.south
        with pytest.raises(AccessError, match="no owner is called 'Westwind'; there are: 'Nordwind', 'Suedwerk'"):
            owners.find(session, "Westwind")
        with pytest.raises(ConfigError, match="1 to 200 characters"):
            owners.add(session, " ", NOW_MS)
