"""Steps in a container of SageMaker: every command line of the definition, run, to the model that is trained here."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from ...cloud.aws import container
from ...cloud.aws.layout import Layout
from ...cloud.aws.sagemaker_pipeline import compile_pipeline
from ...cloud.cli import step
from ...components.artifact import FILE, read
from ...components.workplace import Workplace
from ...exceptions import ConfigError, ModelError, StorageError
from ...pipelines.runner import execute
from ...pipelines.runs import Trigger
from ...pipelines.training import TRAINING
from ..components import lakeside
from .environments import IMAGE, made
from .sagemaker_here import Here

TOLD = {"PGUSER": "", "PGPASSWORD": "", "FAULTWATCH_DATABASE_SECRET": ""}


@dataclass(frozen=True)
class Both:
    """The same readings, trained on by the definition's command lines and by `faultwatch train`'s runner."""

    there: Here
    here: dict[str, Path]
    place: Workplace
    type_id: int


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """Run both, once for all tests of this module."""
    folder = tmp_path_factory.mktemp("sagemaker")
    place, type_id = lakeside.with_readings(folder / "data", 12, 500)
    given = {
        **TOLD,
        "FAULTWATCH_DATABASE_URL": f"sqlite:///{folder / 'data' / 'faultwatch.db'}",
        "FAULTWATCH_LAKE_URL": str(folder / "data" / "lake"),
    }
    definition = msgspec.to_builtins(compile_pipeline(TRAINING, made(), IMAGE, "pump"))
    there = Here(definition, folder, given)
    there.at(f"s3://{made().buckets.models}/models").mkdir(parents=True)
    there.run()
    run, found = execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    assert run.state == "done"
    yield Both(there, {name: artifact.path for name, artifact in found.items()}, place, type_id)
    place.close()


def contents(folder: Path) -> dict[str, bytes]:
    """The files of an artifact but what says when it was made."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != FILE}


@pytest.mark.timeout(600)
def test_every_command_line_runs_and_the_model_is_the_one_trained_here_to_the_byte(both: Both, tmp_path: Path) -> None:
    there = both.there
    assert there.failed == "" and there.ran == [
        *(step.name for step in TRAINING.steps[:-1]),
        "gate",
        "model_pusher",
        "gate",
    ]
    (package,) = there.registered
    archive = there.at(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
    shutil.unpack_archive(archive, tmp_path / "model")
    assert contents(tmp_path / "model") == contents(both.here["model_trainer"])
    assert read(tmp_path / "model").hash == read(both.here["model_trainer"]).hash
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    for name in ("data_ingestion", "data_transformation"):
        found = there.at(
            there.resolve({"Get": f"Steps.{name}.ProcessingOutputConfig.Outputs['artifact'].S3Output.S3Uri"})
        )
        assert contents(found) == contents(both.here[name])
    assert package["CustomerMetadataProperties"]["model_evaluation"].startswith("s3://")


@pytest.mark.timeout(600)
def test_a_model_that_the_gate_refuses_is_not_registered_and_the_reason_is_told(both: Both) -> None:
    strict = replace(both.there, parameters={"model_evaluation__gate__least_rows_per_s": "1e12"}, registered=[])
    strict.ran.remove("gate")
    steps = strict.definition["Steps"]
    strict.run(steps[-2:])
    assert (
        strict.registered == [] and strict.failed.strip().startswith("model_evaluation: ") and "speed" in strict.failed
    )


def test_a_step_compares_with_the_models_that_serve_where_it_was_given_them(both: Both) -> None:
    champion = both.place.champion(both.type_id)
    assert champion is not None
    layout = Layout(both.there.container("model_evaluation"))
    target = layout.processing_input("models") / f"type-{both.type_id}" / champion.folder
    shutil.copytree(both.place.models(both.type_id) / champion.folder, target)
    report = evaluated(both, layout)
    assert report["champion"] == 1
    (said,) = (check["told"] for check in report["checks"] if check["name"] == "champion")
    assert said.startswith(
        "version 1 was not compared with: it learnt from 11 devices"
    ), "12 devices for 8 hours are too few"


def evaluated(both: Both, layout: Layout) -> dict[str, Any]:
    """The report of an evaluation in a folder laid out already."""
    settings = lakeside.settings(both.place.data).model_copy(update={"container_root": layout.root})
    container.run_step(container.find_step("training", "model_evaluation"), settings, "pump", lakeside.NOW)
    found: dict[str, Any] = msgspec.json.decode((layout.processing_output("artifact") / "evaluation.json").read_bytes())
    return found


@pytest.fixture
def in_container(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a step as `faultwatch cloud step` does, in this process, with this environment."""

    def stepped(root: Path, environment: Mapping[str, str], *arguments: Any, **options: Any) -> None:
        for name, text in {**environment, "FAULTWATCH_CONTAINER_ROOT": str(root)}.items():
            if text:
                monkeypatch.setenv(name, text)
        step(*arguments, **options)

    return stepped


def test_the_reason_of_a_failure_is_left_where_aws_shows_it(tmp_path: Path, in_container: Callable[..., None]) -> None:
    root = tmp_path / "ml"
    root.mkdir()
    database = {"FAULTWATCH_DATABASE_URL": f"sqlite:///{tmp_path / 'db'}"}
    with pytest.raises(ConfigError, match="no input 'data_ingestion' below"):
        in_container(root, database, "model_evaluation", "pump")
    assert (root / "output" / "message").read_text().startswith("no input 'data_ingestion' below")
    layout = Layout(root)
    layout.hyperparameters.parent.mkdir(parents=True)
    layout.hyperparameters.write_text('{"rounds": "3"}')
    with pytest.raises(ConfigError):
        in_container(root, database, "model_trainer", "pump")
    assert (root / "output" / "failure").read_text().startswith("step 'model_trainer' has no field 'rounds'; it has ")


def test_a_verdict_that_no_condition_asks_for_ends_the_job(both: Both, in_container: Callable[..., None]) -> None:
    layout = Layout(both.there.container("model_evaluation"))
    strict = ["gate.least_rows_per_s=1e12"]
    with pytest.raises(typer.Exit) as left:
        in_container(layout.root, both.there.given, "model_evaluation", "pump", changes=strict)
    assert left.value.exit_code == 3 and "speed" in layout.reason.read_text()
    in_container(layout.root, both.there.given, "model_evaluation", "pump", changes=strict, told=True)


def test_bad_words_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no pipeline 'scoring'; there are: training"):
        container.find_step("scoring", "model_trainer")
    with pytest.raises(ConfigError, match="has no step 'tidy'; it has data_ingestion, "):
        container.find_step("training", "tidy")
    ingestion = container.find_step("training", "data_ingestion")
    with pytest.raises(ConfigError, match="step 'data_ingestion': Expected `float`"):
        container.told(ingestion, {"days": "many"})
    assert (
        container.told(ingestion, {"days": "7"}).config
        == TRAINING.configured(data_ingestion={"days": 7.0}).steps[0].config
    )
    with pytest.raises(ConfigError, match=r"has no field 'gate\.tidy'"):
        container.told(container.find_step("training", "model_evaluation"), {"gate.tidy": "1"})
    layout = Layout(tmp_path)
    (tmp_path / "input" / "config").mkdir(parents=True)
    layout.hyperparameters.write_text("[]")
    with pytest.raises(ConfigError, match="expected an object of names and texts"):
        layout.told()
    layout.channel("model").mkdir(parents=True)
    (layout.channel("model") / "model.tar.gz").write_bytes(b"no archive")
    with pytest.raises(ConfigError, match="can't be unpacked: .*; train again"):
        layout.input("model", tmp_path / "scratch")


def test_storage_that_fails_is_tried_again_as_the_declaration_says(both: Both, tmp_path: Path) -> None:
    tries: list[str] = []
    ingestion = container.find_step("training", "data_ingestion")

    def failing(times: int) -> Callable[..., Any]:
        def component(*arguments: Any) -> Any:
            tries.append("once")
            if len(tries) <= times:
                raise StorageError("away")
            return ingestion.component(*arguments)

        return component

    settings = lakeside.settings(both.place.data).model_copy(update={"container_root": tmp_path})
    waited: list[float] = []
    said = container.run_step(replace(ingestion, component=failing(2)), settings, "pump", lakeside.NOW, waited.append)
    assert said.verdict == "pass" and waited == [1.0, 2.0]
    tries.clear()
    with pytest.raises(StorageError, match="away"):
        container.run_step(replace(ingestion, component=failing(9)), settings, "pump", lakeside.NOW, waited.append)
    assert len(tries) == 1 + ingestion.retries


def test_an_artifact_that_was_changed_on_its_way_is_refused(both: Both, tmp_path: Path) -> None:
    root = tmp_path / "ml"
    shutil.copytree(both.there.container("data_transformation"), root)
    (Layout(root).processing_input("data_ingestion") / "labels.json").write_text('[["x"]]')
    settings = lakeside.settings(both.place.data).model_copy(update={"container_root": root})
    with pytest.raises(ModelError, match="are not those that data_ingestion wrote"):
        container.run_step(container.find_step("training", "data_transformation"), settings, "pump", lakeside.NOW)
