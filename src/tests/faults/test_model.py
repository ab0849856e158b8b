"""The fault model finds faults in devices it hasn't seen, says why, and refuses where it can't know."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ...benchmarks.fault_measures import area_under_roc
from ...exceptions import ModelError
from ...faults.boosting import BoostedModel
from ...faults.calibration import isotonic, platt
from ...faults.labels import LabelledRows, folds
from ...faults.linear import LinearModel
from ...faults.model import FaultConfig, FaultModel, features_of
from .worn import NAMES, worn

SMALL = FaultConfig(half_lives=((3.0, 10.0),), strengths=(1.0,), leaves=(4,))


@pytest.fixture(scope="module")
def model() -> FaultModel:
    return FaultModel.fit(worn(), SMALL)


def features(model: FaultModel, rows: LabelledRows) -> np.ndarray:
    return features_of(model.smoothing, rows.device, (rows.channels - model.centre) / model.spread)


def test_devices_that_were_never_seen_are_judged_well(model: FaultModel) -> None:
    unseen = worn(20, seed=2)
    said = model.probability(features(model, unseen))
    assert area_under_roc(unseen.faulty, said) > 0.97
    assert abs(said.mean() - unseen.faulty.mean()) < 0.03, "calibrated: as many as are said"
    assert {candidate.family for candidate in model.candidates} == {"linear", "boosted", "blend"}


def test_the_explanation_adds_up_and_blames_what_moved(model: FaultModel) -> None:
    unseen = worn(5, seed=3)
    seen = features(model, unseen)
    why = model.explain(seen)
    assert why.shape == (len(unseen), len(NAMES) + 1)
    odds = model.log_odds(seen)
    assert why.sum(axis=1) - odds == pytest.approx(np.full(len(odds), (why.sum(axis=1) - odds)[0]), abs=1e-6)
    last = np.flatnonzero(np.append(unseen.device[1:] != unseen.device[:-1], True))
    assert (np.argmax(why[last, :3], axis=1) != 2).all(), "never the sensor that says nothing"


def test_both_families_explain_in_one_scale() -> None:
    """The blend's explanation is the blend of its families'."""
    rows = worn()
    full = FaultModel.fit(rows, SMALL)
    seen = features(full, rows)[:50]
    boosted = BoostedModel.fit(features(full, rows), rows.faulty, rows.device, 4)
    linear = full.linear or LinearModel.fit(features(full, rows), rows.faulty, 1.0)
    half = replace(full, share=0.5, linear=linear, boosted=boosted)
    alone = [replace(full, share=share, linear=linear, boosted=boosted) for share in (0.0, 1.0)]
    assert half.explain(seen) == pytest.approx(sum(one.explain(seen) for one in alone) / 2)
    assert half.log_odds(seen) == pytest.approx(sum(one.log_odds(seen) for one in alone) / 2)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_saved_model_says_the_same_and_saves_the_same_bytes(model: FaultModel, share: float, tmp_path: Path) -> None:
    rows = worn(12, seed=4)
    seen = features(model, rows)
    linear = LinearModel.fit(seen, rows.faulty, 1.0) if share > 0 else None
    boosted = BoostedModel.fit(seen, rows.faulty, rows.device, 4) if share < 1 else None
    kept = replace(model, share=share, linear=linear, boosted=boosted)
    kept.save(tmp_path / "one")
    loaded = FaultModel.load(tmp_path / "one")
    assert loaded.probability(seen).tolist() == kept.probability(seen).tolist()
    loaded.save(tmp_path / "two")
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert [(tmp_path / "one" / name).read_bytes() for name in files] == [
        (tmp_path / "two" / name).read_bytes() for name in files
    ]


def test_the_same_rows_give_the_same_model(model: FaultModel, tmp_path: Path) -> None:
    FaultModel.fit(worn(), SMALL).save(tmp_path / "again")
    model.save(tmp_path / "first")
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


@pytest.mark.parametrize(("devices", "faults"), [(19, "19 labelled faults of 19"), (0, "0 labelled faults of 0")])
def test_too_few_faults_are_refused(devices: int, faults: str) -> None:
    rows = worn(30)
    label = rows.faulty & (rows.device < devices)
    with pytest.raises(ModelError, match=faults):
        FaultModel.fit(replace(rows, faulty=label), SMALL)


def test_many_faults_of_few_devices_are_refused() -> None:
    rows = worn(4, life=200)
    with pytest.raises(ModelError, match="of 4 devices"):
        replace(rows, faulty=np.arange(len(rows)) % 20 == 0).check()


def test_nothing_but_faults_is_refused() -> None:
    rows = worn(30)
    with pytest.raises(ModelError, match="all of"):
        replace(rows, faulty=np.ones(len(rows), bool)).check()


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("fault.json", b"{}", "damaged"),
        ("fault.json", b'{"format": 99}', "format 99"),
        ("fault.npz", b"no archive", "not the file"),
        ("fault.npz", None, "is missing"),
    ],
)
def test_files_that_are_not_a_model_are_refused(
    model: FaultModel, tmp_path: Path, file: str, content: bytes | None, said: str
) -> None:
    model.save(tmp_path)
    if content is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=said):
        FaultModel.load(tmp_path)


def test_folds_share_no_device_and_each_has_faults() -> None:
    rows = worn(13)
    judged = np.zeros(len(rows), int)
    for learn, judge in folds(rows.device, rows.faulty, 4, seed=1):
        assert not set(rows.device[learn]) & set(rows.device[judge])
        assert rows.faulty[judge].any()
        judged += judge
    assert (judged == 1).all()


def test_a_feature_beyond_training_counts_as_its_edge() -> None:
    rows = worn(20)
    linear = LinearModel.fit(rows.channels, rows.faulty, 1.0)
    beyond = np.array([[1e9, 5.0, 0.0]])
    edge = np.array([[rows.channels[:, 0].max(), 5.0, 0.0]])
    assert linear.log_odds(beyond) == pytest.approx(linear.log_odds(edge))


def test_calibration_mends_log_odds_that_are_too_sure() -> None:
    rng = np.random.default_rng(5)
    true = rng.normal(size=6000) * 2 - 1
    faulty = rng.random(6000) < 1 / (1 + np.exp(-true))
    for fit in (platt, isotonic):
        said = fit(true * 3, faulty).probability(true * 3)
        assert np.abs(said - 1 / (1 + np.exp(-true))).mean() < 0.03
