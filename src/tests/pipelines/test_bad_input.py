"""What training is given may be wanting or broken: an error that says what to do, and the champion goes on serving."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from ...components import model_trainer
from ...components.artifact import read
from ...components.command import newest_of
from ...components.data_transformation.transformation import ROWS_FILE
from ...components.model_evaluation import read_report
from ...components.model_trainer import TrainerConfig
from ...components.workplace import Workplace
from ...detection.detector import Detector
from ...exceptions import DataValidationError, ModelError, StorageError
from ...fleet import models
from ...fleet.database import writing
from ...pipelines.operating import record, run_and_record
from ...pipelines.runner import Unwatched, Watcher, execute
from ...pipelines.runs import Run, Runs, StepRun, Trigger
from ...pipelines.tracking import DATABASE, FOLDER
from ...pipelines.training import TRAINING
from ...telemetry.schema import DeviceType, Sensor
from ..checkout import run_python
from ..components import lakeside
from ..detection import fleet
from ..systems.disks import fill, mounted

TRIGGER = Trigger("on demand", "ann")
GAUGE = DeviceType(name="gauge", sensors=(Sensor(name=fleet.NAMES[0], unit="x", precision=0.01),))


def train(place: Workplace, type_id: int, watcher: Watcher | None = None) -> Run:
    run, _ = execute(
        TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW, watcher=watcher, sleep=lambda _: None
    )
    return run


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Workplace, int]]:
    """Twelve devices whose first model serves, and another eight hours that nothing has learnt from."""
    values = fleet.values(1, 12, 1000)
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500, values=values[:500])
    assert train(place, type_id).state == "done"
    lakeside.add_readings(place, type_id, values[500:], 500, 6)
    yield place, type_id
    champion = place.champion(type_id)
    assert champion is not None and (place.models(type_id) / champion.folder).is_dir()
    place.close()


def test_readings_of_records_that_the_database_doesnt_know(served: tuple[Workplace, int]) -> None:
    """So it is where a lake was restored beside an older database."""
    place, type_id = served
    with writing(place.engine) as session:
        session.execute(update(models.Watermark).values(lake_seq=1))
    with pytest.raises(DataValidationError, match="none of them by the records that the database knows .* one backup"):
        train(place, type_id)
    (failed,) = [run for run in Runs(place.data).all() if run.state == "failed"]
    assert failed.reason.startswith("data_ingestion: the lake")


def test_one_device_is_enough(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 1500)
    run = train(place, type_id)
    assert run.state == "done", run.reason
    assert place.champion(type_id) is not None
    place.close()


def test_one_sensor_is_enough(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500, spec=GAUGE)
    run = train(place, type_id)
    assert run.state == "done", run.reason
    place.close()


@pytest.mark.parametrize("faulty", [False, True])
def test_one_class_of_label(served: tuple[Workplace, int], faulty: bool) -> None:
    """Without a fault report all is healthy, which is fine; with all devices in one nothing is left to learn from."""
    place, type_id = served
    if faulty:
        row = {"kind": "leak", "source": "import", "said_by": "csv", "created_ms": 1, "start_ms": fleet.START}
        with writing(place.engine) as session:
            for key in range(1, 13):
                session.execute(insert(models.FaultReport).values(device_key=key, end_ms=None, **row))
    run = train(place, type_id)
    assert (run.state, run.step("data_validation").state) == (("stopped", "stopped") if faulty else ("done", "done"))
    assert not faulty or "100.0% of all device time is labelled faulty" in run.reason


def test_an_artifact_that_was_damaged_is_made_again(served: tuple[Workplace, int]) -> None:
    place, type_id = served
    first = train(place, type_id)
    rows = place.data / first.step("data_transformation").folder / ROWS_FILE
    rows.write_bytes(rows.read_bytes()[:1000])
    inputs = {"data_transformation": place.artifacts("data_transformation", type_id)}
    with pytest.raises(ModelError, match="not those that data_transformation wrote; run it again"):
        newest_of(place, type_id, *inputs)
    again = train(place, type_id)
    assert [step.state for step in again.steps[2:4]] == ["done", "cached"], "the model is of the same rows"
    assert read(rows.parent).hash == first.step("data_transformation").hash
    model = model_trainer.run(TrainerConfig(), newest_of(place, type_id, *inputs), place, type_id, lakeside.NOW)
    assert model.hash == first.step("model_trainer").hash


def test_a_champion_that_is_damaged_is_not_compared_with(served: tuple[Workplace, int]) -> None:
    place, type_id = served
    champion = place.champion(type_id)
    assert champion is not None
    (place.models(type_id) / champion.folder / "detector.npz").write_bytes(b"PK")
    run, made = execute(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW)
    assert run.state == "done", run.reason
    told = [check.told for check in read_report(made["model_evaluation"]).checks if check.name == "champion"]
    assert "not compared with" in told[0]


TELL = """
from pathlib import Path
from src.components.workplace import Workplace
from src.pipelines.operating import record
from src.settings import Settings
place = Workplace.open(Settings(data=Path({data!r})))
assert record(place, {type_id})
place.close()
"""


def test_mlflows_database_is_gone(served: tuple[Workplace, int], with_mlflow: Callable[[Path], None]) -> None:
    """A model is trained and serves without; the next process tells a new database what the old one didn't hear of."""
    place, type_id = served
    with_mlflow(place.data)
    assert record(place, type_id)
    tables = place.data / FOLDER / DATABASE
    tables.unlink()
    run = run_and_record(TRAINING, place, type_id, TRIGGER, clock=lambda: lakeside.NOW + 1)
    assert run.state == "done" and not Runs(place.data).get(run.id).recorded
    shutil.rmtree(tables.parent)
    with_mlflow(place.data)
    run_python("-c", TELL.format(data=str(place.data), type_id=type_id))
    assert Runs(place.data).get(run.id).recorded


class FillsAt(Unwatched):
    """Fills a disk once a step begins."""

    def __init__(self, step: str, disk: Path) -> None:
        self._step, self._disk = step, disk
        self.ballast: Path | None = None

    def step(self, run: Run, step: StepRun) -> None:
        """Fill it, if it is the step."""
        if (step.name, step.state) == (self._step, "running") and self.ballast is None:
            self.ballast = fill(self._disk)


def test_a_full_disk_in_mid_training(tmp_path: Path) -> None:
    """Each step in turn finds no room; once there is some, the run is gone on with."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "size=64m"):
        values = fleet.values(1, 12, 1000)
        place, type_id = lakeside.with_readings(disk / "data", 12, 500, values=values[:500])
        assert train(place, type_id).state == "done"
        lakeside.add_readings(place, type_id, values[500:], 500, 6)
        for name in [step.name for step in TRAINING.steps]:
            filling = FillsAt(name, disk)
            with pytest.raises(StorageError, match="free space|full"):
                train(place, type_id, filling)
            champion = place.champion(type_id)
            assert champion is not None and champion.version == 1 and filling.ballast is not None
            Detector.load(place.models(type_id) / champion.folder)
            filling.ballast.unlink()
        assert train(place, type_id).state == "done"
        champion = place.champion(type_id)
        assert champion is not None and champion.version == 2
        place.close()
