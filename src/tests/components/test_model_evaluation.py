"""The gate: what is as good may serve, what is worse or was taught wrongly may not, and each check says why."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import delete, insert, update

from ...components import data_ingestion, data_transformation, learnt, model_evaluation, model_pusher, model_trainer
from ...components.artifact import Artifact, Detail, make
from ...components.data_ingestion import IngestionConfig, read_ingested
from ...components.data_transformation import TransformationConfig
from ...components.data_transformation.transformation import ROWS_FILE, TRANSFORM_FILE
from ...components.learnt import Learnt
from ...components.model_evaluation import Evaluation, EvaluationConfig, read_report
from ...components.model_evaluation.intervals import difference, rate, ratio
from ...components.model_pusher import PusherConfig
from ...components.model_trainer import TrainerConfig
from ...exceptions import ModelError
from ...fleet import models
from ...fleet.database import writing
from ..detection import fleet
from . import lakeside

Change = Callable[[pl.DataFrame], pl.DataFrame]


class Course:
    """A type's way from the lake to a verdict, in which rows can be tampered with on the way."""

    def __init__(self, folder: Path, n_devices: int, n_minutes: int, values: np.ndarray | None = None) -> None:
        self.place, self.type_id = lakeside.with_readings(folder, n_devices, n_minutes, values=values)
        self.made: dict[str, Artifact] = {}
        self.ingest()

    def ingest(self) -> None:
        """Take a snapshot and its rows."""
        now = lakeside.NOW
        self.made["data_ingestion"] = data_ingestion.run(IngestionConfig(), {}, self.place, self.type_id, now)
        self.made["data_transformation"] = data_transformation.run(
            TransformationConfig(), self.made, self.place, self.type_id, now
        )

    def judged(self, change: Change | None = None) -> Artifact:
        """Train, on rows as they are or tampered with, and judge."""
        rows = self.made["data_transformation"] if change is None else self._tampered(change)
        arguments = (self.place, self.type_id, lakeside.NOW)
        self.made["model_trainer"] = model_trainer.run(TrainerConfig(), {"data_transformation": rows}, *arguments)
        self.made["model_evaluation"] = model_evaluation.run(EvaluationConfig(), self.made, *arguments)
        return self.made["model_evaluation"]

    def push(self) -> Artifact:
        """Have what was judged last serve."""
        return model_pusher.run(PusherConfig(), self.made, self.place, self.type_id, lakeside.NOW)

    def _tampered(self, change: Change) -> Artifact:
        source = self.made["data_transformation"]

        def write(folder: Path) -> Mapping[str, Detail]:
            change(pl.read_ipc(source.path / ROWS_FILE)).write_ipc(folder / ROWS_FILE)
            (folder / TRANSFORM_FILE).write_bytes((source.path / TRANSFORM_FILE).read_bytes())
            return {}

        parent = self.place.artifacts("data_transformation", self.type_id)
        return make(parent, component="poison", subject="pump", inputs={}, config={}, now_ms=9, write=write)


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A champion serves that has learnt from sixty devices."""
    course = Course(tmp_path_factory.mktemp("course") / "data", 60, 1500)
    assert course.judged().summary["verdict"] == "pass"
    assert course.push().summary == {"version": 1, "role": "champion", "previous": None}
    return course


def test_a_report_has_every_figure_and_a_card(course: Course) -> None:
    again = course.judged()
    report = read_report(again)
    assert report.verdict == "pass" and report.champion == 1
    assert report.challenger_figures["probes"] == report.champion_figures["probes"] > 20
    assert report.challenger_figures["probes_caught"] > 0.8
    assert report.challenger_figures["devices_with_false_alerts"] <= report.challenger_figures["false_alerts"]
    assert {"budget", "speed", "size", "probes", "false alerts", "faults put in"} <= {c.name for c in report.checks}
    assert any(check.name == "slice step" for check in report.checks)
    card = (again.path / "card.md").read_text()
    assert "# Model" in card and "60 s" in card and "The champion was version 1" in card
    page = (again.path / "evaluation.html").read_text()
    assert "http" not in page and "<table>" in page


def test_a_sensor_scaled_by_a_thousand_is_stopped(course: Course) -> None:
    scaled = course.judged(lambda rows: rows.with_columns(pl.col("current") * 1000))
    assert scaled.summary["verdict"] == "fail" and "faults put in" in str(scaled.summary["reason"])
    with pytest.raises(ModelError, match="did not pass the gate"):
        course.push()


Serve = Callable[[Learnt | None], None]
END = fleet.START + 1500 * fleet.MINUTE


@pytest.fixture
def serve(course: Course) -> Iterator[Serve]:
    """Lets the champion be one that learnt from something else, or from who knows what."""
    champion = course.place.champion(course.type_id)
    assert champion is not None
    models_of_type = course.place.models(course.type_id)
    changed = models_of_type / "changed"

    def named(folder: str) -> None:
        with writing(course.place.engine) as session:
            session.execute(update(models.TrainedModel).values(folder=folder))

    def put(source: Learnt | None) -> None:
        shutil.copytree(models_of_type / champion.folder, changed, dirs_exist_ok=True)
        (changed / learnt.FILE).unlink()
        if source is not None:
            learnt.write(changed, source)
        named("changed")

    yield put
    named(champion.folder)
    shutil.rmtree(changed)


def _judged(course: Course) -> tuple[Evaluation, str, str]:
    """The report, what it says of the champion, and the card."""
    made = course.judged()
    report = read_report(made)
    told = [check.told for check in report.checks if check.name == "champion"]
    return report, told[0] if told else "", (made.path / "card.md").read_text()


def test_who_learnt_from_all_that_is_judged_is_not_compared_with(course: Course, serve: Serve) -> None:
    serve(Learnt(list(range(1, 61)), fleet.START, END))
    report, told, card = _judged(course)
    assert "learnt from 60 devices" in told and "leaves 0.0 of" in told and "a comparison takes 1" in told
    assert told in card and report.champion == 1 and not report.champion_figures
    names = {check.name for check in report.checks}
    assert {"budget", "probes"} <= names and not {"false alerts", "faults put in"} & names
    assert report.verdict == "pass"


def test_who_learnt_from_nobody_knows_what_is_not_compared_with(course: Course, serve: Serve) -> None:
    serve(None)
    report, told, card = _judged(course)
    assert "what it learnt from is not known" in told and told in card and not report.champion_figures
    serve(Learnt([1], 0, 1))
    (course.place.models(course.type_id) / "changed" / learnt.FILE).write_text("{}")
    assert "can't be read" in _judged(course)[1]


def test_models_are_compared_on_what_is_new_to_both(course: Course, serve: Serve) -> None:
    split = read_ingested(course.made["data_ingestion"]).split
    whole = _judged(course)[0].champion_figures
    half = split.held_out[::2]
    serve(Learnt(half, fleet.START, END))
    report, told, _ = _judged(course)
    new = 1 - len(half) / len(split.held_out)
    assert f"learnt from {len(half)} devices" in told and "both are compared on" in told
    assert report.champion_figures["device_days"] == pytest.approx(new * whole["device_days"], abs=0.02)
    assert report.champion_figures["probes"] == pytest.approx(new * whole["probes"])
    assert report.challenger_figures["probes"] == whole["probes"], "the budget is of all that is judged"
    assert "faults put in" in {check.name for check in report.checks}
    serve(Learnt(split.held_out, fleet.START, split.judged_ms))
    assert _judged(course)[0].champion_figures.keys() == whole.keys(), "what it learnt from was before"


def test_a_model_is_not_judged_on_what_it_learnt_from(course: Course) -> None:
    course.judged()
    held_out = read_ingested(course.made["data_ingestion"]).split.held_out
    source = learnt.read(course.made["model_trainer"].path)
    assert source is not None and not set(source.devices) & set(held_out)
    stray = course.made["model_trainer"].path
    learnt.write(stray, Learnt(held_out[:1], source.from_ms, END))
    with pytest.raises(ModelError, match="of another snapshot than .*; run data_transformation and model_trainer"):
        model_evaluation.run(EvaluationConfig(), course.made, course.place, course.type_id, lakeside.NOW)
    learnt.write(stray, source)


def test_flipped_labels_are_stopped(tmp_path: Path) -> None:
    """What was healthy is reported as faulty; what is left to learn from are hours in which all devices were ill."""
    healthy = fleet.values(1, 40, 1500)
    ill = np.arange(700, 820)
    spread = np.nanstd(healthy, axis=(0, 1))
    values = healthy.copy()
    values[ill] += 3 * spread * np.random.default_rng(5).normal(size=values[ill].shape)
    course = Course(tmp_path / "data", 40, 1500, values)
    report = {"kind": "leak", "source": "operator", "said_by": "ann", "created_ms": 1}
    faults = {"right": [(700, 820)], "flipped": [(0, 700), (1180, 1500)]}
    for labels, verdict in (("right", "pass"), ("flipped", "fail")):
        with writing(course.place.engine) as session:
            session.execute(delete(models.FaultReport))
            for key, (first, last) in product(range(1, 41), faults[labels]):
                times = {"start_ms": fleet.START + first * 60_000, "end_ms": fleet.START + last * 60_000}
                session.execute(insert(models.FaultReport).values(device_key=key, **times, **report))
        course.ingest()
        judged = course.judged()
        assert judged.summary["verdict"] == verdict, judged.summary
        if verdict == "pass":
            course.push()
    course.place.close()


def test_intervals() -> None:
    half = ratio(np.array([1.0, 0.0] * 20), np.ones(40))
    assert half.value == 0.5 and 0.3 < half.low < 0.5 < half.high < 0.7
    none = difference(np.ones(10), np.ones(10), np.ones(10))
    assert (none.value, none.low, none.high) == (0.0, 0.0, 0.0)
    events = rate(10, 5.0)
    assert events.value == 2.0
    assert (round(events.low * 5, 3), round(events.high * 5, 3)) == (4.795, 18.39)
    assert rate(0, 2.0).low == 0.0
    fewer = difference(np.zeros(10), np.ones(10), np.ones(10))
    assert fewer.either("more", "fewer") == "1.000 (1.000 to 1.000) fewer"
    assert half.either("more", "fewer").endswith("more") and half.told in half.either("more", "fewer")
