"""`faultwatch train --faults`: from reports with a kind to the version that names kinds, or an honest refusal."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ...components.artifact import newest
from ...components.fault_kinds.episodes import read_episodes
from ...components.fault_kinds.evaluation import Champion, FaultEvaluationConfig, judge, read_judged
from ...components.workplace import EVERY_TYPE, FAULT_KINDS, Workplace
from ...exceptions import ConfigError, ModelError
from ...faults.kinds import KindModel
from ...fleet import kind_versions
from ...fleet.database import reading, writing
from ...fleet.fault_reports import FaultReports
from ...pipelines.cli import train
from ...pipelines.cli_models import list_models, promote, rollback, show_model
from ...pipelines.cli_pipeline import status
from ...pipelines.faults import FAULTS, due
from ...pipelines.lineage import find_version, reproduce
from ...pipelines.runner import execute
from ...pipelines.runs import Runs, Trigger
from ...pipelines.tracking import FOLDER, address, tracking
from ...settings import Settings
from ..components import lakeside
from ..faults.broken import KINDS
from . import faulty_fleet
from .faulty_fleet import NOW_MS

TRIGGER = Trigger("on demand", "ann")
LEARNT = [*(KINDS * 6), "other", "rare"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with 24 faults of four kinds, one that nobody named, and one of a kind of its own."""
    folder = tmp_path_factory.mktemp("faulty") / "data"
    place, _ = faulty_fleet.faulty(folder, LEARNT)
    place.close()
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Workplace:
    """The same, of the test's own."""
    shutil.copytree(template, tmp_path / "untrained")
    return Workplace.open(lakeside.settings(tmp_path / "untrained"))


@pytest.fixture(scope="module")
def trained_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, once a version has learnt from it."""
    folder = tmp_path_factory.mktemp("trained") / "data"
    shutil.copytree(template, folder)
    place = Workplace.open(lakeside.settings(folder))
    execute(FAULTS, place, EVERY_TYPE, TRIGGER, clock=lambda: NOW_MS)
    place.close()
    return folder


@pytest.fixture
def trained(trained_template: Path, tmp_path: Path) -> Workplace:
    """That, of the test's own."""
    shutil.copytree(trained_template, tmp_path / "data")
    return Workplace.open(lakeside.settings(tmp_path / "data"))


def champion(place: Workplace) -> kind_versions.KindVersion | None:
    with reading(place.engine) as session:
        return kind_versions.champion(session)


def test_reported_kinds_become_a_version_that_names_them(
    place: Workplace, with_mlflow: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_mlflow(place.data)
    train(data=place.data, faults=True)
    assert "fault_pusher: done" in capsys.readouterr().out
    served = champion(place)
    assert served is not None and (served.version, served.run) == (1, Runs(place.data).all("faults")[0].id)
    model = KindModel.load(place.models(EVERY_TYPE) / served.folder)
    assert (model.kinds, model.left_out, model.n_faults) == (KINDS, ("rare",), 24)
    list_models(data=place.data)
    assert "fault-kinds@1  champion" in capsys.readouterr().out
    show_model("fault-kinds", data=place.data)
    card = capsys.readouterr().out
    assert "25 faults of 25 devices" in card and "Too rare to be named: rare" in card
    status(data=place.data)
    assert f"{FAULT_KINDS}: done, run {served.run}" in capsys.readouterr().out
    with tracking(place):
        from mlflow.tracking import MlflowClient

        client = MlflowClient(address(place.data / FOLDER), address(place.data / FOLDER))
        registered = client.get_model_version_by_alias(FAULT_KINDS, "champion")
        assert "# Model of kinds" in (registered.description or "") and registered.run_id
        told = client.get_run(registered.run_id)
        assert told.data.metrics["fault_evaluation.named_right"] > 0.7
        assert told.data.tags["verdict.fault_evaluation"] == "pass"
    place.close()


def test_the_same_reports_give_the_same_version(trained: Workplace) -> None:
    run, again = execute(FAULTS, trained, EVERY_TYPE, TRIGGER, clock=lambda: NOW_MS + 1)
    report = read_judged(again["fault_evaluation"])
    assert report.model.log_loss < report.frequent.log_loss and report.champion_figures is None
    assert report.model.named_right > 0.7 and report.model.said_right >= report.model.named_right
    assert again["fault_pusher"].summary["version"] == 1
    assert [step.state for step in run.steps] == ["done", "cached", "done", "done"]
    trained.close()


def test_labels_that_mean_nothing_are_refused_and_the_champion_stays(trained: Workplace) -> None:
    kinds = np.random.default_rng(3).permutation(np.array(KINDS * 6)).tolist()
    with writing(trained.engine) as session:
        reports = FaultReports(session, faulty_fleet.ADMIN, NOW_MS + 2)
        for number, kind in enumerate(kinds):  # said later, and of all of the time, so that it is what holds
            reports.add(1 + number, kind, faulty_fleet.BEGIN_MS - 60_000, faulty_fleet.END_MS)
    run, made = execute(FAULTS, trained, EVERY_TYPE, TRIGGER, clock=lambda: NOW_MS + 3)
    assert run.state == "stopped" and "fault_pusher" not in made
    assert "naming the most frequent kind" in run.reason
    served = champion(trained)
    assert served is not None and served.version == 1
    trained.close()


def test_the_champion_is_judged_on_devices_that_it_has_not_seen_either(trained: Workplace) -> None:
    parent = trained.artifacts("fault_episodes", EVERY_TYPE)
    episodes, served = read_episodes(newest(parent)), champion(trained)
    assert served is not None
    model = KindModel.load(trained.models(EVERY_TYPE) / served.folder)
    few = episodes.labelled.taken(episodes.labelled.fault < 20)
    before = Champion(KindModel.of_kinds(few, KINDS), few)
    report = judge(FaultEvaluationConfig(), episodes, model, before)
    assert report.champion_figures is not None
    assert report.verdict == "pass" and report.model.log_loss < report.champion_figures.log_loss
    as_it_serves = judge(FaultEvaluationConfig(), episodes, model, Champion(before.model, None))
    assert as_it_serves.champion_figures is not None
    assert as_it_serves.champion_figures.log_loss < report.champion_figures.log_loss, "it would look better than it is"
    trained.close()


def test_too_few_reports_say_how_many_there_are_and_the_champion_stays(tmp_path: Path) -> None:
    place, _ = faulty_fleet.faulty(tmp_path / "data", ["bias", "stuck", "bias"])
    with pytest.raises(ModelError, match="kind of 3 faults, and 0 kinds have 5 or more, on 3 devices or more"):
        train(data=place.data, faults=True)
    (run,) = Runs(place.data).all("faults", EVERY_TYPE)
    assert run.state == "failed" and champion(place) is None
    for refused in (lambda: reproduce(place, run.id), lambda: find_version(place, "fault-kinds@champion")):
        with pytest.raises(ModelError, match="stands on reported faults"):
            refused()
    place.close()


def test_reports_without_readings_are_left_out_and_counted(place: Workplace) -> None:
    with writing(place.engine) as session:
        reports = FaultReports(session, faulty_fleet.ADMIN, NOW_MS)
        reports.add(1, "bias", faulty_fleet.BEGIN_MS - 2 * 86_400_000, faulty_fleet.BEGIN_MS - 2 * 86_400_000 + 60_000)
    _, made = execute(FAULTS, place, EVERY_TYPE, TRIGGER, clock=lambda: NOW_MS)
    assert made["fault_episodes"].summary["left_out"] == 1
    place.close()


def test_one_goes_back_to_the_version_before(place: Workplace, capsys: pytest.CaptureFixture[str]) -> None:
    with writing(place.engine) as session:
        for number, folder in enumerate(("aaa", "bbb")):
            version = kind_versions.add(session, folder, None, "made for a test", NOW_MS)
            kind_versions.promote(session, version, "Ann", NOW_MS + number)
    rollback(FAULT_KINDS, data=place.data)
    served = champion(place)
    assert served is not None and served.folder == "aaa"
    promote("fault-kinds@2", data=place.data)
    served = champion(place)
    assert served is not None and served.folder == "bbb" and "version 2 names kinds" in capsys.readouterr().out
    with pytest.raises(ModelError, match="there are: 2, 1"):
        promote("fault-kinds@3", data=place.data)
    place.close()


def test_new_reports_ask_for_a_training_and_a_cool_down_holds_it(place: Workplace, trained: Workplace) -> None:
    settings = Settings(data=place.data, train_cooldown_hours=1)
    trigger = due(place, settings, NOW_MS)
    assert trigger is not None and trigger.kind == "new data" and "25 faults" in trigger.why
    place.close()
    assert due(trained, settings, NOW_MS + 2 * 3_600_000) is None, "nothing is new"
    faulty_fleet.report(trained, ["noise"] * 5, at_ms=NOW_MS + 60_000, minutes_earlier=60)
    assert due(trained, settings, NOW_MS + 30 * 60_000) is None, "it cools down"
    again = due(trained, settings, NOW_MS + 2 * 3_600_000)
    assert again is not None and "5 faults" in again.why
    trained.close()


def test_options_of_detectors_do_not_go_with_faults(place: Workplace) -> None:
    with pytest.raises(ConfigError, match="of devices of all types"):
        train(data=place.data, type_name="pump", faults=True)
    with pytest.raises(ConfigError, match="of devices of all types"):
        train(data=place.data, days=30.0, faults=True)
    place.close()
