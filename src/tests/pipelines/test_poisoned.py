"""A training set that was tampered with is stopped before anything is learnt from it, and the champion goes on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert

from ...components.workplace import Workplace
from ...fleet import models
from ...fleet.database import writing
from ...pipelines.operating import told
from ...pipelines.runner import execute
from ...pipelines.runs import Run, Trigger
from ...pipelines.training import TRAINING
from ..components import lakeside
from ..detection import fleet

N_DEVICES, MINUTES, TYPE_ID = 12, 500, 1


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a fleet whose first model serves."""
    data = tmp_path_factory.mktemp("served") / "data"
    place, type_id = lakeside.with_readings(data, N_DEVICES, MINUTES)
    run = train(place, type_id)
    assert (run.state, type_id) == ("done", TYPE_ID), run.reason
    place.close()
    return data


@pytest.fixture
def place(served: Path, tmp_path: Path) -> Iterator[Workplace]:
    """A copy of that folder, to be tampered with."""
    shutil.copytree(served, tmp_path / "data")
    opened = Workplace.open(lakeside.settings(tmp_path / "data"))
    yield opened
    opened.close()


def train(place: Workplace, type_id: int) -> Run:
    run, _ = execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    return run


def stopped(place: Workplace) -> str:
    """Why validation stopped a run, as the terminal says it; version 1 goes on serving."""
    run = train(place, TYPE_ID)
    assert run.state == "stopped" and run.step("data_validation").state == "stopped"
    assert run.step("model_trainer").state == "waiting"
    champion = place.champion(TYPE_ID)
    assert champion is not None and champion.version == 1
    lines = list(told(place, run))
    assert lines[0].startswith("pump: stopped") and f"  {run.reason}" in lines
    assert Path(lines[-1].removeprefix("  what it found: ")).is_file()
    return run.reason


def test_flipped_labels(place: Workplace) -> None:
    row = {"kind": "leak", "source": "import", "said_by": "csv", "created_ms": 1}
    end = fleet.START + MINUTES * fleet.MINUTE
    with writing(place.engine) as session:
        for key in range(1, N_DEVICES + 1):  # every healthy hour is called faulty, the one faulty hour is not
            session.execute(
                insert(models.FaultReport).values(
                    device_key=key, start_ms=fleet.START + (3_600_000 if key == 1 else 0), end_ms=end, **row
                )
            )
    assert "labels of share" in stopped(place)


def test_a_sensor_scaled_by_a_thousand(place: Workplace) -> None:
    values = fleet.values(1, N_DEVICES, 4 * MINUTES)[MINUTES:]
    values[:, :, 1] *= 1000
    lakeside.add_readings(place, TYPE_ID, values, MINUTES, 6)
    reason = stopped(place)
    assert "skew of pressure" in reason and "train with --data-changed" in reason


def test_other_units_are_learnt_from_where_that_is_said(place: Workplace) -> None:
    values = fleet.values(1, N_DEVICES, 4 * MINUTES)[MINUTES:]
    values[:, :, 1] *= 1000
    lakeside.add_readings(place, TYPE_ID, values, MINUTES, 6)
    meant = TRAINING.configured(data_validation={"compare": False})
    run, _ = execute(meant, place, TYPE_ID, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    assert run.step("data_validation").state == "done"


def test_a_tenth_of_the_rows_twice(place: Workplace) -> None:
    again = fleet.values(1, N_DEVICES, MINUTES)[: MINUTES // 10]
    lakeside.add_readings(place, TYPE_ID, np.ascontiguousarray(again), 0, 6)
    assert "duplicates of times: 600 of 6,600 rows" in stopped(place)


def test_more_of_the_same_is_learnt_from(place: Workplace) -> None:
    lakeside.add_readings(place, TYPE_ID, fleet.values(1, N_DEVICES, 2 * MINUTES)[MINUTES:], MINUTES, 6)
    run = train(place, TYPE_ID)
    assert run.step("data_validation").state == "done" and run.step("model_trainer").state == "done"
