"""A training set that was tampered with is stopped before anything is learnt from it, and the champion goes on."""

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

N_DEVICES, MINUTES = 12, 500


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Workplace, int]:
    """A fleet whose first model serves."""
    place, type_id = lakeside.with_readings(tmp_path / "data", N_DEVICES, MINUTES)
    run = train(place, type_id)
    assert run.state == "done", run.reason
    return place, type_id


def train(place: Workplace, type_id: int) -> Run:
    run, _ = execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    return run


def stopped(place: Workplace, type_id: int) -> str:
    """Why validation stopped a run, as the terminal says it; version 1 goes on serving."""
    run = train(place, type_id)
    assert run.state == "stopped" and run.step("data_validation").state == "stopped"
    assert run.step("model_trainer").state == "waiting"
    champion = place.champion(type_id)
    assert champion is not None and champion.version == 1
    assert run.reason in "\n".join(told(place, run))
    place.close()
    return run.reason


def test_flipped_labels(trained: tuple[Workplace, int]) -> None:
    place, type_id = trained
    row = {"kind": "leak", "source": "import", "said_by": "csv", "created_ms": 1}
    end = fleet.START + MINUTES * fleet.MINUTE
    with writing(place.engine) as session:
        for key in range(1, N_DEVICES + 1):  # every healthy hour is called faulty, the one faulty hour is not
            session.execute(
                insert(models.FaultReport).values(
                    device_key=key, start_ms=fleet.START + (3_600_000 if key == 1 else 0), end_ms=end, **row
                )
            )
    assert "labels of share" in stopped(place, type_id)


def test_a_sensor_scaled_by_a_thousand(trained: tuple[Workplace, int]) -> None:
    place, type_id = trained
    values = fleet.values(1, N_DEVICES, 4 * MINUTES)[MINUTES:]
    values[:, :, 1] *= 1000
    lakeside.add_readings(place, type_id, values, MINUTES, 6)
    reason = stopped(place, type_id)
    assert "skew of pressure" in reason and "train --data-changed" in reason


def test_other_units_are_learnt_from_where_that_is_said(trained: tuple[Workplace, int]) -> None:
    place, type_id = trained
    values = fleet.values(1, N_DEVICES, 4 * MINUTES)[MINUTES:]
    values[:, :, 1] *= 1000
    lakeside.add_readings(place, type_id, values, MINUTES, 6)
    meant = TRAINING.configured(data_validation={"compare": False})
    run, _ = execute(meant, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    assert run.step("data_validation").state == "done"
    place.close()


def test_a_tenth_of_the_rows_twice(trained: tuple[Workplace, int]) -> None:
    place, type_id = trained
    again = fleet.values(1, N_DEVICES, MINUTES)[: MINUTES // 10]
    lakeside.add_readings(place, type_id, np.ascontiguousarray(again), 0, 6)
    assert "duplicates of times: 600 of 6,600 rows" in stopped(place, type_id)


def test_more_of_the_same_is_learnt_from(trained: tuple[Workplace, int]) -> None:
    place, type_id = trained
    lakeside.add_readings(place, type_id, fleet.values(1, N_DEVICES, 2 * MINUTES)[MINUTES:], MINUTES, 6)
    run = train(place, type_id)
    assert run.step("data_validation").state == "done" and run.step("model_trainer").state == "done"
    place.close()
