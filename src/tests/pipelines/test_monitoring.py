"""Monitoring: a challenger is watched, then promoted or refused; alerts that people judged count; triggers fire."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from ...components.model_evaluation import GateConfig
from ...components.workplace import Workplace
from ...fleet import models
from ...fleet.database import writing
from ...pipelines.monitoring import MONITORING, read_shadow
from ...pipelines.runner import execute
from ...pipelines.runs import Runs, Trigger
from ...pipelines.training import TRAINING
from ...pipelines.triggers import DAY_MS, HOUR_MS, Facts, TriggerConfig, due, facts_of
from ...pipelines.watching import watch
from ...settings import Settings
from ..components import lakeside
from ..detection import fleet

MINUTE = fleet.MINUTE
ON_DEMAND = Trigger("on demand", "ann")


def at(minute: int) -> int:
    """A minute of the fleet's time."""
    return fleet.START + minute * MINUTE


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Workplace, int]:
    """Version 1 serves, version 2 is watched from minute 1,000 for four hours; readings go on to minute 1,300."""
    values = fleet.values(1, 24, 1300)
    place, type_id = lakeside.with_readings(tmp_path / "data", 24, 1000, values=values[:1000])
    execute(TRAINING, place, type_id, ON_DEMAND, clock=lambda: at(1000))
    other = TRAINING.configured(model_trainer={"learn_readings": 250}, model_pusher={"shadow_hours": 4.0})
    run, made = execute(other, place, type_id, ON_DEMAND, clock=lambda: at(1000))
    assert run.state == "done" and made["model_pusher"].summary["role"] == "challenger"
    lakeside.add_readings(place, type_id, values[1000:], 1000, 6)
    return place, type_id


def roles(place: Workplace, type_id: int) -> dict[int, str]:
    return {one.version: one.role for one in place.versions(type_id)}


def test_a_challenger_is_watched_and_then_serves(watched: tuple[Workplace, int]) -> None:
    place, type_id = watched
    assert roles(place, type_id) == {1: "champion", 2: "challenger"}
    _, made = execute(MONITORING, place, type_id, ON_DEMAND, clock=lambda: at(1200))
    early = read_shadow(made["shadow"])
    assert (early.decision, early.challenger, early.champion) == ("watching", 2, 1)
    assert early.rows == 24 * 300 and early.challenger_figures["probes"] == early.champion_figures["probes"] > 0
    assert roles(place, type_id) == {1: "champion", 2: "challenger"}, "and it alerts nobody"
    _, made = execute(MONITORING, place, type_id, ON_DEMAND, clock=lambda: at(1250))
    assert read_shadow(made["shadow"]).decision == "promoted"
    assert roles(place, type_id) == {1: "", 2: "champion"}
    _, made = execute(MONITORING, place, type_id, ON_DEMAND, clock=lambda: at(1260))
    assert read_shadow(made["shadow"]).decision == "none"
    place.close()


def test_a_challenger_that_does_worse_is_refused(watched: tuple[Workplace, int]) -> None:
    place, type_id = watched
    strict = GateConfig(least_rows_per_s=1e12)
    _, made = execute(MONITORING.configured(shadow={"gate": strict}), place, type_id, ON_DEMAND, clock=lambda: at(1250))
    told = read_shadow(made["shadow"])
    assert told.decision == "refused" and "speed" in told.reason
    assert roles(place, type_id) == {1: "champion", 2: ""}
    place.close()


def test_what_people_dismiss_is_a_model_whose_quality_fell(watched: tuple[Workplace, int]) -> None:
    place, type_id = watched
    with writing(place.engine) as session:
        for number in range(12):
            row = {"owner_id": 1, "device_key": number + 1, "kind": "anomaly", "state": "resolved", "sentence": ""}
            made = session.execute(
                insert(models.Alert)
                .values(severity="warning", fired_ms=at(1100), confirmed_ms=at(1150) if number < 2 else None, **row)
                .returning(models.Alert.id)
            ).scalar_one()
            if number >= 2:
                session.execute(
                    insert(models.AlertHistory).values(alert_id=made, at_ms=at(1160), what="dismissed", text="")
                )
    run, made_of = execute(MONITORING, place, type_id, ON_DEMAND, clock=lambda: at(1200))
    fallen = made_of["model_quality"].summary["fallen"]
    assert fallen == "2 of 12 judged alerts were confirmed; expected 30% or more"
    facts = facts_of(place, type_id, run)
    assert facts.fallen == fallen and facts.watched and facts.trained_ms == at(1000)
    assert (facts.readings_then, facts.readings_now, facts.labels_since) == (24_000, 24 * 1300, 0)
    place.close()


QUIET = Facts(trained_ms=0, readings_then=1000, readings_now=1500, labels_since=0, fallen="", drifted="", watched=False)


def test_triggers() -> None:
    config = TriggerConfig(every_days=7, new_share=1.0, new_labels=5, cooldown_hours=24)
    later = 2 * DAY_MS
    assert due(config, QUIET, later) is None
    cases = {
        "model quality": {"fallen": "few were confirmed"},
        "drift": {"drifted": "flow"},
        "new data": {"readings_now": 2000},
    }
    for kind, change in cases.items():
        fired = due(config, replace(QUIET, **change), later)  # type: ignore[arg-type]
        assert fired is not None and (fired.kind, fired.who) == (kind, "faultwatch") and fired.why
        assert due(config, replace(QUIET, **change), 23 * HOUR_MS) is None, "it cools down"  # type: ignore[arg-type]
        assert due(config, replace(QUIET, watched=True, **change), later) is None  # type: ignore[arg-type]
    labels = due(config, replace(QUIET, labels_since=5), later)
    assert labels is not None and labels.why == "5 new fault reports"
    schedule = due(config, QUIET, 8 * DAY_MS)
    assert schedule is not None and schedule.kind == "schedule" and "8.0 days ago" in schedule.why
    assert due(replace(config, every_days=None), QUIET, 80 * DAY_MS) is None
    assert due(config, replace(QUIET, trained_ms=None), 0) is not None


def test_a_round_trains_what_is_due_and_watches_it(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 24, 1000)
    (place.data / "mlflow").write_text("MLflow can't be told here")
    settings = Settings(data=tmp_path / "data", shadow_hours=5)
    list(watch(place, type_id, settings, lambda: at(1000)))
    run = Runs(place.data).all("training", type_id)[0]
    assert run.state == "done" and run.trigger == Trigger("schedule", "faultwatch", "no run has trained it yet")
    assert roles(place, type_id) == {1: "champion"}, "where nothing serves, nothing has to be watched first"
    lakeside.add_readings(place, type_id, fleet.values(2, 24, 2200)[1000:], 1000, 6)
    assert any("new data: 28,800 more" in line for line in watch(place, type_id, settings, lambda: at(2500), act=False))
    assert len(Runs(place.data).all("training", type_id)) == 1
    list(watch(place, type_id, settings, lambda: at(2500)))
    assert roles(place, type_id) == {1: "champion", 2: "challenger"}
    place.close()
