"""`faultwatch train`: from the lake to a model that serves, recorded, and back from the model to the lake."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer

from ...components.artifact import read
from ...components.workplace import Workplace
from ...detection.detector import Detector
from ...exceptions import ConfigError, DataValidationError, ModelError, StorageError
from ...fleet import commands, model_versions
from ...fleet.database import reading
from ...pipelines import lineage
from ...pipelines.cli import train
from ...pipelines.cli_models import list_models, mlflow, rollback, show_model
from ...pipelines.cli_pipeline import status
from ...pipelines.operating import record
from ...pipelines.runner import execute
from ...pipelines.runs import Runs, Trigger
from ...pipelines.tracking import DATABASE, FOLDER, RUN_TAG, address, tracking
from ...pipelines.training import TRAINING
from ..components import lakeside
from ..detection import fleet

WithMlflow = Callable[[Path], None]
TRIGGER = Trigger("on demand", "ann")


def test_training_leaves_a_model_that_serves_and_says_where_it_came_from(
    tmp_path: Path, with_mlflow: WithMlflow, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    place, type_id = lakeside.with_readings(data, 12, 500)
    with_mlflow(data)
    train(data=data)
    assert "model_pusher: done" in capsys.readouterr().out
    with reading(place.engine) as session:
        (version,) = model_versions.versions(session, type_id)
        words = commands.pending(session)
    assert version.version == 1 and version.role == "champion"
    folder = data / "models" / f"type-{type_id}" / version.folder
    (swap,) = [word for word in words if word.kind == "model_swap"]
    assert swap.payload.items() >= {"type_id": type_id, "folder": version.folder, "version": 1}.items()
    assert (data / "spool" / str(swap.payload["warm"])).exists()
    detector = Detector.load(folder)
    scores = detector.update(detector.new_state(3), fleet.block(fleet.values(3, 3, 400)))
    assert np.isfinite(scores.score).all()
    assert read(folder).component == "model_trainer"
    _recorded(place, type_id, version.run or "")
    _told(data, version.run or "", capsys)
    place.close()


def _recorded(place: Workplace, type_id: int, run_id: str) -> None:
    """What MLflow knows of the run."""
    run = Runs(place.data).get(run_id)
    assert run.recorded
    with tracking(place):
        from mlflow.tracking import MlflowClient

        client = MlflowClient(address(place.data / FOLDER), address(place.data / FOLDER))
        experiment = client.get_experiment_by_name("training")
        assert experiment is not None
        (told,) = client.search_runs([experiment.experiment_id])
        assert told.data.tags[RUN_TAG] == run_id and told.data.tags["trigger"] == "on demand"
        assert told.data.tags["artifact.model_trainer"] == run.step("model_trainer").hash
        assert told.data.tags["verdict.model_evaluation"] == "pass" and told.data.tags["snapshot.fingerprint"]
        assert told.data.params["model_trainer.learn_readings"] == "300"
        assert told.data.metrics["test.probes_caught"] >= 0 and told.data.metrics["seconds.model_trainer"] >= 0
        assert (told.info.start_time, told.info.end_time) == (run.started_ms, run.ended_ms)
        kept = {file.path for file in client.list_artifacts(told.info.run_id, "model_evaluation")}
        assert "model_evaluation/card.md" in kept
        registered = client.get_model_version_by_alias(f"pump-{type_id}", "champion")
        assert (registered.version, registered.run_id) in ((1, told.info.run_id), ("1", told.info.run_id))
        assert "# Model" in (registered.description or "")


def _told(data: Path, run_id: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line says of model and run."""
    capsys.readouterr()
    list_models(data=data)
    assert "pump@1  champion" in capsys.readouterr().out
    show_model("pump", data=data)
    assert "## What it learnt from" in capsys.readouterr().out
    status(data=data)
    assert f"pump: done, run {run_id}, on demand by command line" in capsys.readouterr().out
    with pytest.raises(ModelError, match="nothing to roll back to"):
        rollback("pump", data=data)


def test_training_again_on_the_same_rows_changes_nothing(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 5, 600)
    first, _ = execute(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW)
    again, made = execute(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW + 1)
    assert first.step("model_trainer").hash == again.step("model_trainer").hash
    assert [step.state for step in again.steps] == ["done", "done", "cached", "cached", "done", "done"]
    with reading(place.engine) as session:
        assert [one.version for one in model_versions.versions(session, type_id)] == [1]
        assert len([word for word in commands.pending(session) if word.kind == "model_swap"]) == 1
    assert made["model_pusher"].summary["version"] == 1
    place.close()


def test_too_few_readings_say_so(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 2, 20)
    with pytest.raises(ModelError, match="readings to learn from"):
        execute(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW)
    place.close()


def test_a_run_is_trained_again_to_the_byte_until_its_days_are_gone(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500)
    run, _ = execute(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW)
    later = lakeside.NOW + 40 * 86_400_000
    place.lake.compact(type_id, later)
    place.lake.vacuum(type_id, hours=0)
    again = lineage.reproduce(place, run.id)
    assert again.same and again.before == run.step("model_trainer").hash
    version = lineage.find_version(place, "pump")
    assert version == lineage.find_version(place, "pump@1") == lineage.find_version(place, "pump@champion")
    lines = "\n".join(lineage.lineage(place, version))
    for station in (run.id, again.before[:12], "on demand, by ann", "6,000 readings", "pinned: retention leaves it"):
        assert station in lines
    assert place.lake.retain(type_id, 1, later).kept_for_pins
    assert lineage.reproduce(place, run.id).same
    place.lake.unpin(f"model-{type_id}-1")
    assert place.lake.retain(type_id, 1, later).days
    day = datetime.fromtimestamp(fleet.START / 1000, UTC) + timedelta(hours=1)
    with pytest.raises(StorageError, match=rf"lost readings of {day:%Y-%m-%d} \("):
        lineage.reproduce(place, run.id)
    place.close()


def test_a_refused_model_serves_nobody_and_what_mlflow_lacks_it_is_told_later(
    tmp_path: Path, with_mlflow: WithMlflow
) -> None:
    data = tmp_path / "data"
    place, type_id = lakeside.with_readings(data, 12, 500)
    with_mlflow(data)
    strict = TRAINING.configured(model_evaluation={"gate": _strict()})
    run, _ = execute(strict, place, type_id, TRIGGER, clock=lambda: lakeside.NOW)
    assert run.state == "stopped" and "speed" in run.reason
    assert record(place, type_id) and place.champion(type_id) is None
    place.close()


def _strict() -> object:
    from ...components.model_evaluation import GateConfig

    return GateConfig(least_rows_per_s=1e12)


def test_without_mlflow_models_serve(tmp_path: Path) -> None:
    data = tmp_path / "data"
    place, type_id = lakeside.with_readings(data, 12, 500)
    (data / FOLDER).mkdir()
    (data / FOLDER / DATABASE).write_text("this is no database, but a text of more than a few bytes" * 20)
    train(data=data)
    assert place.champion(type_id) is not None and not Runs(data).all()[0].recorded
    place.close()


def test_pages_of_mlflow_are_an_extra(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pip install 'faultwatch\[mlflow\]'"):
        mlflow(data=tmp_path)


def test_an_empty_lake_says_what_to_do(tmp_path: Path) -> None:
    lakeside.settings(tmp_path / "data")
    with pytest.raises(DataValidationError, match="holds no readings yet; send some"):
        train(data=tmp_path / "data")


def test_a_refused_model_is_an_exit_code_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, _ = lakeside.with_readings(tmp_path / "data", 12, 500)
    place.close()
    from ...pipelines import training

    monkeypatch.setattr(training, "TRAINING", TRAINING.configured(model_evaluation={"gate": _strict()}))
    (tmp_path / "data" / FOLDER).write_text("no folder")
    with pytest.raises(typer.Exit) as left:
        train(data=tmp_path / "data")
    assert left.value.exit_code == 3
