"""A model keeps its folder and its version, whatever happens between the two."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, delete, select

from ...components import learnt
from ...components.learnt import Learnt
from ...detection.detector import Detector
from ...exceptions import ModelError
from ...fleet import models
from ...fleet.database import reading, writing
from ...service.model_store import NAME_LENGTH, ModelStore
from ...settings import Settings
from . import fleet_of
from .fleet_of import START_MS


@pytest.fixture(scope="module")
def detectors() -> tuple[Detector, Detector]:
    """Two that learnt from different hours."""
    return fleet_of.detector(minutes=400), fleet_of.detector(minutes=500)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """A database with a type, whose id is 1."""
    return fleet_of.database(Settings(data=tmp_path))[0]


def _versions(engine: Engine) -> list[tuple[int, bool]]:
    with reading(engine) as session:
        query = select(models.TrainedModel.version, models.TrainedModel.champion)
        return [(version, champion) for version, champion in session.execute(query.order_by("version"))]


def test_the_same_detector_keeps_its_folder_and_version(
    engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]
) -> None:
    store = ModelStore(tmp_path / "models", engine)
    first, second = (store.keep(1, detector, START_MS, "test") for detector in detectors)
    again = store.keep(1, detectors[0], START_MS + 1, "replayed")
    assert (first.version, second.version) == (1, 2)
    assert (again.model, again.version) == (first.model, 1)
    assert len(first.model) == NAME_LENGTH and first.model != second.model
    assert _versions(engine) == [(1, False), (2, True)], "a replay makes no old model champion"
    assert store.champion(1) == (second.model, 2)
    assert store.champion(2) is None
    assert sorted(path.name for path in (tmp_path / "models" / "type-1").iterdir()) == sorted(
        [first.model, second.model]
    )


def test_a_crash_after_the_folder_and_before_the_database_is_made_good(
    engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]
) -> None:
    store = ModelStore(tmp_path / "models", engine)
    kept = store.keep(1, detectors[0], START_MS, "test")
    with writing(engine) as session:
        session.execute(delete(models.TrainedModel))
    assert store.keep(1, detectors[0], START_MS, "test").model == kept.model
    assert store.champion(1) == (kept.model, 1)


def test_what_was_kept_is_loaded(engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]) -> None:
    store = ModelStore(tmp_path / "models", engine)
    kept = store.keep(1, detectors[0], START_MS, "test")
    loaded = store.load(1, kept.model, kept.version)
    assert (loaded.model, loaded.version) == (kept.model, 1)
    assert loaded.detector.threshold(1 / 30) == detectors[0].threshold(1 / 30)


def test_what_a_model_learnt_from_is_kept_beside_it(
    engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]
) -> None:
    store = ModelStore(tmp_path / "models", engine)
    source = Learnt([1, 2], START_MS, START_MS + 60_000)
    told = store.keep(1, detectors[0], START_MS, "test", source)
    untold = store.keep(1, detectors[1], START_MS, "test")
    assert learnt.read(store.path(1, told.model)) == source
    assert learnt.read(store.path(1, untold.model)) is None
    again = ModelStore(tmp_path / "elsewhere", engine).keep(1, detectors[0], START_MS, "of an earlier version")
    assert again.model == told.model, "a log of an earlier version replayed names the same model"


def test_a_folder_that_is_gone_or_damaged_says_what_to_do(
    engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]
) -> None:
    store = ModelStore(tmp_path / "models", engine)
    kept = store.keep(1, detectors[0], START_MS, "test")
    (store.path(1, kept.model) / "detector.npz").write_bytes(b"PK")
    with pytest.raises(ModelError, match="damaged .* train the type again"):
        store.load(1, kept.model, 1)
    shutil.rmtree(store.path(1, kept.model))
    with pytest.raises(ModelError, match=f"model {kept.model} of type 1 is not in .*; restore the folder or train"):
        store.load(1, kept.model, 1)


def test_the_version_is_asked_for_as_patiently_as_it_is_told(
    engine: Engine, tmp_path: Path, detectors: tuple[Detector, Detector]
) -> None:
    asked = []

    def insist(what: str, question: Callable[[], Any]) -> Any:
        asked.append(what)
        question()
        return question()

    kept = ModelStore(tmp_path / "models", engine, insist).keep(1, detectors[0], START_MS, "test")
    assert (asked, kept.version, _versions(engine)) == (["model"], 1, [(1, True)])
