"""Alerts about models: what went wrong with runs, schedule and budget is told once, and over with the next good run."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from ...components.artifact import Artifact, Detail, make
from ...components.workplace import EVERY_TYPE, Workplace
from ...exceptions import FaultwatchError, StorageError
from ...fleet import models
from ...fleet.database import reading, writing
from ...pipelines import alarms
from ...pipelines.alarms import DAY_MS, HOUR_MS, LOST_MS, settle, settle_faults, settle_runs
from ...pipelines.operating import run_and_record
from ...pipelines.runs import WHO, Runs, Trigger
from ...pipelines.steps import Pipeline, Step
from ...service.model_watch import ModelWatch
from ...settings import Settings
from ..components import lakeside

NOW = lakeside.NOW
ON_DEMAND = Trigger("on demand", "ann")
SCHEDULED = Trigger("schedule", WHO)


@dataclass(frozen=True)
class Ends:
    """How a step ends."""

    how: str = "pass"


def ends(config: Ends, _inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """A component that fails, says no, or does well; what it writes says that data have drifted."""
    if config.how == "crash":
        raise FaultwatchError("there are too few readings")

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / "said").write_text(f"{config.how} {now_ms}")
        return {"verdict": config.how, "reason": "flow is out of range", "drifted": "flow"}

    where = place.artifacts("ends", type_id)
    return make(where, component="ends", subject="pump", inputs={}, config={}, now_ms=now_ms, write=write)


def run(
    place: Workplace, type_id: int, how: str, at_ms: int, pipeline: str = "training", step: str = "data_validation",
    trigger: Trigger = ON_DEMAND,
) -> None:  # fmt: skip
    """Run a pipeline of one step, as commands and triggers do."""
    declared = Pipeline(pipeline, (Step(step, ends, Ends(how)),))
    try:
        run_and_record(declared, place, type_id, trigger, clock=lambda: at_ms, sleep=lambda _: None)
    except FaultwatchError:
        assert how == "crash"


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace with a type of one device; MLflow can't be told, which is no trouble of these tests."""
    made, _ = lakeside.with_readings(tmp_path / "data", 1, 1)
    (made.data / "mlflow").write_text("no folder")
    return made


def told(place: Workplace, state: str = "firing") -> dict[str, tuple[str, str]]:
    """Cause, sentence and severity of the alerts in a state; each cause once."""
    with reading(place.engine) as session:
        rows = list(session.scalars(select(models.Alert).where(models.Alert.state == state)))
    found = {str(row.cause): (row.sentence, row.severity) for row in rows}
    assert len(found) == len(rows) and all(row.kind == "model" and row.owner_id is None for row in rows)
    return found


def test_a_failed_run_is_told_until_a_good_one(place: Workplace) -> None:
    run(place, 1, "crash", NOW)
    failed = "Training of Pump failed at data_validation: there are too few readings. The model that serves goes on."
    assert told(place) == {"training_failed": (failed, "warning")}
    run(place, 1, "crash", NOW + 1000)
    settle_runs(place, 1, NOW + 1000)
    assert list(told(place)) == ["training_failed"], "one at most is open"
    run(place, 1, "pass", NOW + 2000)
    assert told(place) == {} and list(told(place, "resolved")) == ["training_failed"]


def test_a_run_that_is_stopped_is_told_and_a_worse_model_is_not_trouble(place: Workplace) -> None:
    run(place, 1, "fail", NOW)
    stopped = "Training of Pump was stopped at data_validation: flow is out of range. The model that serves goes on."
    assert told(place) == {"validation_failed": (stopped, "warning")}
    run(place, 1, "pass", NOW + 1000)
    assert told(place) == {}
    run(place, 1, "fail", NOW + 2000, step="model_evaluation")
    assert told(place)["validation_failed"][1] == "info"


def test_runs_that_learn_from_faults_are_told_too(place: Workplace) -> None:
    def learns(how: str, at_ms: int, step: str = "fault_evaluation") -> None:
        run(place, EVERY_TYPE, how, at_ms, pipeline="faults", step=step)
        settle_faults(place, at_ms)

    learns("fail", NOW)
    about = "Training of the model of kinds of fault"
    once = f"{about} was stopped at fault_evaluation: flow is out of range. The model that serves goes on."
    assert told(place) == {"validation_failed": (once, "info")}, "not better than the champion, once"
    learns("fail", NOW + 1000)
    sentence, severity = told(place)["validation_failed"]
    assert severity == "warning" and "So was the one before." in sentence
    learns("crash", NOW + 2000, step="fault_episodes")
    failed = f"{about} failed at fault_episodes: there are too few readings. The model that serves goes on."
    assert told(place)["training_failed"] == (failed, "warning")
    learns("pass", NOW + 4000)
    assert told(place) == {}
    with reading(place.engine) as session:
        rows = list(session.scalars(select(models.Alert)))
    assert {(row.subject, row.link) for row in rows} == {("fault-kinds", "/models?type=fault-kinds")}


def test_drift_alone_tells_nobody(place: Workplace) -> None:
    run(place, 1, "pass", NOW, pipeline="monitoring")
    run(place, 1, "pass", NOW)
    settle(place, 1, Settings(data=place.data, train_every_days=None), NOW)
    assert told(place) == {}


def test_monitoring_that_fails_is_told(place: Workplace) -> None:
    run(place, 1, "crash", NOW, pipeline="monitoring")
    assert list(told(place)) == ["monitoring_failed"]
    run(place, 1, "pass", NOW + 1000)
    assert list(told(place)) == ["monitoring_failed"], "a training says nothing of it"
    run(place, 1, "pass", NOW + 2000, pipeline="monitoring")
    assert told(place) == {}


CHILD = """
import os, signal, sys
from pathlib import Path
from src.components.workplace import Workplace
from src.pipelines import operating
from src.settings import Settings
from src.tests.pipelines import test_alarms as here
operating.settle_runs = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
here.run(Workplace.open(Settings(data=Path(sys.argv[1]))), 1, "crash", int(sys.argv[2]))
"""


def test_a_process_that_is_killed_between_run_and_alert_loses_nothing(place: Workplace) -> None:
    root = Path(__file__).parents[3]
    child = [sys.executable, "-c", CHILD, str(place.data), str(NOW)]
    assert subprocess.run(child, cwd=root, env={**os.environ}, timeout=100).returncode == -signal.SIGKILL
    assert Runs(place.data).all("training", 1)[0].state == "failed" and told(place) == {}
    watch = ModelWatch(Settings(data=place.data), place.engine, place.lake)
    watch.look(NOW + 1000)
    watch.look(NOW + 2000)
    assert list(told(place)) == ["training_failed"]


def test_a_run_whose_process_is_gone_has_failed(place: Workplace) -> None:
    runs = Runs(place.data)
    runs.begin("training", ["one"], 1, "pump", ON_DEMAND, None, NOW)
    settle_runs(place, 1, NOW + LOST_MS)
    assert told(place) == {}, "it may be at work"
    with runs.only("training", 1):
        settle_runs(place, 1, NOW + LOST_MS + 1)
        assert told(place) == {}, "it is at work"
    settle_runs(place, 1, NOW + LOST_MS + 1)
    assert "its process ended without a word" in told(place)["training_failed"][0]


def test_a_database_that_fails_leaves_the_run_and_the_next_look_tells(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise StorageError("the database doesn't answer")

    with monkeypatch.context() as patch:
        patch.setattr(alarms, "_settle", away)
        run(place, 1, "crash", NOW)
    assert told(place) == {} and Runs(place.data).all("training", 1)[0].state == "failed"
    run(place, 1, "pass", NOW + 1000, pipeline="monitoring")
    assert list(told(place)) == ["training_failed"]


def test_training_that_is_overdue(place: Workplace) -> None:
    settings = Settings(data=place.data, train_every_days=7, shadow_hours=24, train_cooldown_hours=24, monitor_hours=6)
    slack_ms = 60 * HOUR_MS
    settle(place, 1, settings, NOW)
    assert told(place) == {}, "nothing was trained, nothing learnt: there is nothing to be late with"
    run(place, 1, "pass", NOW)
    settle(place, 1, settings, NOW + 7 * DAY_MS + slack_ms)
    assert told(place) == {}
    settle(place, 1, settings, NOW + 7 * DAY_MS + slack_ms + 1)
    sentence, severity = told(place)["training_overdue"]
    assert severity == "warning" and "should be every 7 days" in sentence
    settle(place, 1, settings, NOW + 9 * DAY_MS + slack_ms)
    assert told(place)["training_overdue"][0] == sentence
    run(place, 1, "pass", NOW + 10 * DAY_MS)
    settle(place, 1, settings, NOW + 10 * DAY_MS)
    assert told(place) == {}


def test_nothing_is_overdue_where_nothing_is_scheduled(place: Workplace) -> None:
    by_hand = Settings(data=place.data, train_every_days=7, monitor_hours=0)
    run(place, 1, "pass", NOW)
    settle(place, 1, by_hand, NOW + 90 * DAY_MS)
    assert told(place) == {}
    run(place, 1, "pass", NOW, pipeline="monitoring", trigger=SCHEDULED)
    settle(place, 1, by_hand, NOW + 90 * DAY_MS)
    assert list(told(place)) == ["training_overdue"], "a timer of the system looks at the models"
    settle(place, 1, Settings(data=place.data, train_every_days=None), NOW + 91 * DAY_MS)
    assert told(place) == {}


def test_a_budget_that_is_spent(place: Workplace) -> None:
    settings = Settings(data=place.data, false_alerts_per_device_month=30, train_every_days=None)

    def alerts(n: int, at_ms: int, *, confirmed: bool = False, historic: bool = False) -> None:
        row = {"owner_id": 1, "device_key": 1, "kind": "anomaly", "state": "resolved", "sentence": "", "rule": -1}
        sure = {"confirmed_ms": at_ms if confirmed else None, "historic": historic, "severity": "warning"}
        with writing(place.engine) as session:
            session.execute(insert(models.Alert), [{**row, **sure, "fired_ms": at_ms}] * n)

    def causes(at_ms: int) -> list[str]:
        settle(place, 1, settings, at_ms)
        with reading(place.engine) as session:
            return list(session.scalars(select(models.Alert.cause).where(models.Alert.state == "firing")))

    alerts(13, NOW - DAY_MS)
    alerts(50, NOW - DAY_MS, confirmed=True)
    alerts(50, NOW - DAY_MS, historic=True)
    assert causes(NOW) == [], "13 where 7 are allowed may be chance"
    alerts(1, NOW - HOUR_MS)
    assert causes(NOW) == ["budget_exceeded"], "14 are not: the low end of their interval is 7.7"
    assert causes(NOW + 6 * DAY_MS - 1) == ["budget_exceeded"]
    assert causes(NOW + 6 * DAY_MS + 1) == [], "1 is left of the last seven days"
