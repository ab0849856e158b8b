"""Open alerts get the likeliest kind of fault, by their readings so far, ever less often, and once when they end."""

import shutil
from pathlib import Path

import pytest

from ...components.workplace import EVERY_TYPE, Workplace
from ...exceptions import AccessError, ModelError
from ...fleet import events, kind_versions, models
from ...fleet.access import Access
from ...fleet.database import reading, writing
from ...fleet.likely_kinds import Found, due
from ...fleet.principal import Principal
from ...pipelines.faults import FAULTS
from ...pipelines.naming import SOONEST_MS, name_due
from ...pipelines.runner import execute
from ...pipelines.runs import Trigger
from ..components import lakeside
from ..faults.broken import KINDS
from . import faulty_fleet
from .faulty_fleet import NOW_MS

ALERTED = 25
HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 reported faults that a version has learnt from, and an open alert of a device that is stuck."""
    folder = tmp_path_factory.mktemp("open") / "data"
    place, _ = faulty_fleet.faulty(folder, KINDS * 6, "stuck")
    execute(FAULTS, place, EVERY_TYPE, Trigger("on demand", "ann"), clock=lambda: NOW_MS)
    place.close()
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Workplace:
    """The same, of the test's own."""
    shutil.copytree(template, tmp_path / "data")
    return Workplace.open(lakeside.settings(tmp_path / "data"))


def found(place: Workplace, owner_id: int | None = None) -> Found | None:
    """What is found of the one alert, as seen by an owner, or by who sees all."""
    principal = Principal(1, "viewer", owner_id) if owner_id else Principal(1, "admin", None)
    with reading(place.engine) as session:
        ids = list(session.scalars(models.Alert.__table__.select().with_only_columns(models.Alert.id)))
        return Access(session, principal).likely_kinds(ids).get(ids[0])


def test_an_open_alert_is_named_with_what_speaks_for_it(place: Workplace) -> None:
    assert name_due(place, NOW_MS) == 1
    named = found(place)
    assert named is not None and named.is_said and named.kinds[0].kind == "stuck"
    assert named.model_version == 1 and named.until_ms == faulty_fleet.END_MS - 60_000
    assert len(named.kinds) == 3 and sum(one.probability for one in named.kinds) <= 1.0
    assert "Flow repeats one value for long" in named.signs, named.signs
    with reading(place.engine) as session:
        news = [entry for entry in events.after(session, 0) if entry.payload.get("what") == "changed"]
    assert [entry.owner_id for entry in news] == [2], "open pages of its owner hear of it"


def test_nobody_else_sees_it(place: Workplace) -> None:
    name_due(place, NOW_MS)
    assert found(place, owner_id=2) is not None
    assert found(place, owner_id=1) is None
    with reading(place.engine) as session, pytest.raises(AccessError):
        Access(session, Principal(1, "owner", 1)).alert(1)


def test_it_is_looked_at_again_ever_less_often_and_once_when_it_is_over(place: Workplace) -> None:
    name_due(place, NOW_MS)
    first = found(place)
    assert first is not None and first.next_ms is not None
    assert first.next_ms - NOW_MS == pytest.approx(6 * HOUR_MS, rel=0.01), "half of the 12 hours it has lasted"
    assert name_due(place, NOW_MS + SOONEST_MS) == 0
    assert name_due(place, first.next_ms) == 1
    over_ms = first.next_ms + HOUR_MS
    faulty_fleet.resolve(place, ALERTED, over_ms)
    assert name_due(place, over_ms + 1) == 1
    last = found(place)
    assert last is not None and last.next_ms is None and name_due(place, over_ms + 2) == 0


def test_a_new_version_looks_at_open_alerts_anew(place: Workplace) -> None:
    name_due(place, NOW_MS)
    with writing(place.engine) as session:
        served = kind_versions.champion(session)
        assert served is not None
        shutil.copytree(place.models(EVERY_TYPE) / served.folder, place.models(EVERY_TYPE) / "again")
        kind_versions.promote(session, kind_versions.add(session, "again", None, "", NOW_MS), "Ann", NOW_MS)
    assert name_due(place, NOW_MS + 1) == 1
    named = found(place)
    assert named is not None and named.model_version == 2


def test_where_readings_are_too_few_it_says_nothing_and_tries_later(place: Workplace) -> None:
    with writing(place.engine) as session:
        alert = session.get_one(models.Alert, 1)
        alert.first_signs_ms = alert.fired_ms = faulty_fleet.END_MS - 5 * 60_000
    name_due(place, NOW_MS)
    unnamed = found(place)
    assert unnamed is not None and not unnamed.is_said and unnamed.kinds == ()
    assert "5 readings in it" in unnamed.why_not
    assert unnamed.next_ms == NOW_MS + SOONEST_MS


def test_work_is_bounded_in_number_and_in_time(place: Workplace) -> None:
    ticks = iter([0.0, 100.0])
    assert name_due(place, NOW_MS, clock=lambda: next(ticks)) == 0, "its time is up before the first"
    assert name_due(place, NOW_MS, most=0) == 0
    assert found(place) is None


def test_a_damaged_version_says_so_and_names_nothing(place: Workplace) -> None:
    served = place.kind_champion()
    assert served is not None
    (place.models(EVERY_TYPE) / served.folder / "kinds.npz").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="train again"):
        name_due(place, NOW_MS)
    assert found(place) is None
    with reading(place.engine) as session:
        assert len(due(session, 1, NOW_MS, 10)) == 1


def test_without_a_version_nothing_is_looked_at(tmp_path: Path) -> None:
    place, _ = faulty_fleet.faulty(tmp_path / "data", ["bias"], "stuck")
    assert name_due(place, NOW_MS) == 0 and found(place) is None
    place.close()
