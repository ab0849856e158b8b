"""`faultwatch train`: from the lake to a model that serves."""

from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from ...components.artifact import read
from ...detection.detector import Detector
from ...exceptions import ModelError
from ...fleet import commands, models
from ...fleet.database import reading
from ...pipelines.cli import train
from ...pipelines.training import STEPS, run_steps
from ..components import lakeside
from ..detection import fleet


def test_training_leaves_a_model_that_serves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500)
    train(data=tmp_path / "data")
    assert "model_trainer pump: rows" in capsys.readouterr().out
    with reading(place.engine) as session:
        found = session.execute(select(models.TrainedModel.folder, models.TrainedModel.version)).all()
        words = commands.pending(session)
    assert len(found) == 1 and found[0].version == 1
    folder = tmp_path / "data" / "models" / f"type-{type_id}" / found[0].folder
    (swap,) = [word for word in words if word.kind == "model_swap"]
    assert swap.payload == {"type_id": type_id, "folder": found[0].folder, "version": 1}
    detector = Detector.load(folder)
    scores = detector.update(detector.new_state(3), fleet.block(fleet.values(3, 3, 400)))
    assert np.isfinite(scores.score).all()
    assert read(folder).component == "model_trainer"
    place.close()


def test_training_again_on_the_same_rows_changes_nothing(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 5, 400)
    first = list(run_steps(STEPS, place, type_id, lakeside.NOW))
    again = list(run_steps(STEPS, place, type_id, lakeside.NOW + 1))
    assert [made.component for made in first] == [step.name for step in STEPS]
    assert [made.hash for made in first] == [made.hash for made in again]
    with reading(place.engine) as session:
        assert len(session.execute(select(models.TrainedModel.id)).all()) == 1
    place.close()


def test_too_few_readings_say_so(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 2, 20)
    with pytest.raises(ModelError, match="40 readings to learn from"):
        list(run_steps(STEPS, place, type_id, lakeside.NOW))
    place.close()


def test_steps_only_name_steps_before_them() -> None:
    seen: set[str] = set()
    for step in STEPS:
        assert set(step.inputs) <= seen
        seen.add(step.name)
