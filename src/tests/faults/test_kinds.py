"""The model of kinds names kinds on devices it hasn't seen, says why, and refuses where it can't know."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ...exceptions import ModelError
from ...faults.episodes import FEATURES
from ...faults.kinds import KindModel, LabelledEpisodes
from .broken import KINDS, labelled


@pytest.fixture(scope="module")
def learnt() -> LabelledEpisodes:
    return labelled([*(KINDS * 8), "rare", "rare"], seed=100)


@pytest.fixture(scope="module")
def unseen() -> LabelledEpisodes:
    return labelled(KINDS * 5, seed=900)


@pytest.fixture(scope="module")
def model(learnt: LabelledEpisodes) -> KindModel:
    return KindModel.fit(learnt)


def test_kinds_of_unseen_devices_are_named(model: KindModel, unseen: LabelledEpisodes) -> None:
    said = model.probability(unseen.features)
    named = [model.kinds[best] for best in said.argmax(axis=1).tolist()]
    assert named == list(unseen.kinds)
    assert said.sum(axis=1) == pytest.approx(np.ones(len(said)))
    assert said.max(axis=1).mean() > 0.8, "calibrated: where all are right, it says so"


def test_labels_that_mean_nothing_make_it_unsure(learnt: LabelledEpisodes, unseen: LabelledEpisodes) -> None:
    kinds = np.random.default_rng(1).permutation(np.array(KINDS * 8)).tolist()
    fooled = KindModel.fit(LabelledEpisodes(learnt.device[:32], learnt.features[:32], kinds))
    assert fooled.probability(unseen.features).max(axis=1).mean() < 0.5


def test_a_kind_with_too_few_labels_is_left_out_and_said_so(model: KindModel) -> None:
    assert (model.kinds, model.left_out, model.n_faults) == (KINDS, ("rare",), 32)


def test_the_explanation_adds_up_and_names_what_is_seen(model: KindModel, unseen: LabelledEpisodes) -> None:
    why = model.explain(unseen.features)
    assert why.shape == (20, 4, len(FEATURES))
    odds = np.log(model.probability(unseen.features))
    apart = odds - odds.mean(axis=1, keepdims=True)
    bias = (model.bias - model.bias.mean()) / model.temperature
    assert why.sum(axis=2) + bias == pytest.approx(apart, abs=1e-6)
    stuck = why[3, model.kinds.index("stuck")]
    assert stuck[[FEATURES.index(name) for name in ("run_0", "run_long_0", "same_0")]].min() > 0


@pytest.mark.parametrize(
    ("kinds", "devices", "why"),
    [
        (KINDS * 4, None, "kind of 16 faults, and 0 kinds have 5 or more, on 3 devices or more"),
        (["bias"] * 20 + ["drift"] * 4, None, "and 1 kinds have 5"),
        (["bias", "drift"] * 9, None, "takes two such kinds, with 20 faults"),
        (["bias", "drift"] * 12, 2, "and 0 kinds have 5"),
    ],
)
def test_it_refuses_with_too_few_labels(kinds: list[str], devices: int | None, why: str) -> None:
    n = len(kinds)
    device = np.arange(n) % (devices or n)
    with pytest.raises(ModelError, match=why):
        KindModel.fit(LabelledEpisodes(device, np.random.default_rng(1).normal(size=(n, len(FEATURES))), kinds))


def test_a_saved_model_says_the_same_and_saves_the_same_bytes(
    model: KindModel, learnt: LabelledEpisodes, unseen: LabelledEpisodes, tmp_path: Path
) -> None:
    model.save(tmp_path / "one")
    loaded = KindModel.load(tmp_path / "one")
    assert loaded.probability(unseen.features).tolist() == model.probability(unseen.features).tolist()
    assert (loaded.kinds, loaded.left_out, loaded.n_faults) == (model.kinds, model.left_out, model.n_faults)
    KindModel.fit(learnt).save(tmp_path / "two")
    for name in ("kinds.json", "kinds.npz"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_what_was_changed_or_is_missing_is_refused(model: KindModel, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="train again"):
        KindModel.load(tmp_path)
    model.save(tmp_path)
    (tmp_path / "kinds.npz").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="is not the file"):
        KindModel.load(tmp_path)
    model.save(tmp_path)
    head = msgspec.json.decode((tmp_path / "kinds.json").read_bytes())
    (tmp_path / "kinds.json").write_bytes(msgspec.json.encode({**head, "features": ["other"]}))
    with pytest.raises(ModelError, match="other features"):
        KindModel.load(tmp_path)


def test_features_of_another_width_are_an_error(model: KindModel) -> None:
    with pytest.raises(ValueError, match="expected"):
        model.probability(np.zeros((2, 3)))
