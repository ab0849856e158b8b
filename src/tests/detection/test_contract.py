"""What every detector keeps, ours and those it is compared with: causal, deterministic, unimpressed by bad rows."""

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from ...benchmarks.peers import PYOD, CausalEcod, Ewma, Peer, Pyod, ThreeSigma, peers
from ...detection.blocks import Block, TrainingRows
from ...detection.detector import Detector
from ...detection.state import DetectorState
from ...exceptions import ModelError
from . import fleet

Floats = npt.NDArray[np.float64]
Model = Detector | Peer

NAMES = ("faultwatch", *peers())
DEVICES, MINUTES = 6, 400
TRAINING = fleet.training(fleet.values(1, DEVICES, MINUTES))


def make(name: str) -> Model:
    return Detector() if name == "faultwatch" else peers()[name]


def again(model: Model) -> Model:
    """The same detector, made from what it says of itself."""
    told = model.to_dict()
    assert json.loads(json.dumps(told)).keys() == told.keys()
    return type(model).from_dict(told)


class Life:
    """A detector and what it remembers of devices."""

    def __init__(self, model: Model, n_devices: int = DEVICES) -> None:
        self.model = model
        self.state = model.new_state(n_devices)

    def update(self, block: Block) -> Floats:
        if isinstance(self.model, Detector):
            assert isinstance(self.state, DetectorState)
            return self.model.update(self.state, block).score.astype(np.float64)
        assert isinstance(self.state, np.ndarray)
        return self.model.update(self.state, block)


@pytest.fixture(scope="module", params=NAMES)
def model(request: pytest.FixtureRequest) -> Model:
    return make(str(request.param)).fit(TRAINING)


def rows() -> Floats:
    """Readings (minutes, devices, sensors) with a fault in them."""
    values = fleet.values(2, DEVICES, MINUTES)
    values[350:, 2, 1] += 3.0
    return values


def test_changing_the_future_changes_nothing(model: Model) -> None:
    seen, changed = rows(), rows()
    changed[380:] = changed[380:][::-1] * 3
    before = slice(0, 380 * DEVICES)
    scores = [Life(model).update(fleet.block(values))[before] for values in (seen, changed)]
    assert scores[0].tobytes() == scores[1].tobytes()


def test_batches_of_any_size_say_the_same(model: Model) -> None:
    block = fleet.block(rows())
    whole = Life(model).update(block)
    life = Life(model)
    said = []
    for start in range(0, len(block), 7 * DEVICES):
        part = slice(start, start + 7 * DEVICES)
        said.append(life.update(Block(block.slots[part], block.ts[part], block.values[part])))
    np.testing.assert_allclose(np.concatenate(said), whole, rtol=1e-9, atol=1e-9)


def test_the_order_of_devices_says_the_same(model: Model) -> None:
    order = np.random.default_rng(3).permutation(DEVICES)
    straight = Life(model).update(fleet.block(rows())).reshape(MINUTES, DEVICES)
    shuffled = Life(model).update(fleet.block(rows()[:, order])).reshape(MINUTES, DEVICES)
    np.testing.assert_allclose(shuffled, straight[:, order], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_learning_twice_is_the_same_detector(name: str) -> None:
    block = fleet.block(rows())
    first, second = (Life(make(name).fit(TRAINING)).update(block) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_it_can_be_told_and_made_from_that(model: Model) -> None:
    block = fleet.block(rows())
    assert Life(again(model)).update(block).tobytes() == Life(model).update(block).tobytes()


def test_a_fault_scores_higher_than_health(model: Model) -> None:
    scores = Life(model).update(fleet.block(rows())).reshape(MINUTES, DEVICES)
    assert np.median(scores[355:, 2]) > np.median(scores[355:, [0, 1, 3, 4, 5]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_values_that_are_none_break_nothing(model: Model, bad: float) -> None:
    values = rows()
    values[100:120, 1] = bad
    values[130, :, 2] = bad
    scores = Life(model).update(fleet.block(values))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", NAMES)
def test_sensors_that_never_move_are_learnt(name: str) -> None:
    still = TRAINING.values.copy()
    still[:, 3] = 7.0
    learnt = make(name).fit(replace(TRAINING, values=still))
    values = rows()
    values[:, :, 3] = 7.0
    assert np.isfinite(Life(learnt).update(fleet.block(values))).all()
    dead = make(name).fit(replace(TRAINING, values=np.full_like(still, 7.0)))
    assert np.isfinite(Life(dead).update(fleet.block(np.full_like(values, 7.0)))).all()


def test_one_row_one_device_and_no_device_are_taken(model: Model) -> None:
    assert Life(model, 1).update(fleet.block(rows()[:1, :1])).shape == (1,)
    assert Life(model, 1).update(fleet.block(rows()[:, :1])).shape == (MINUTES,)
    nothing = Block(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 4)))
    assert Life(model, 0).update(nothing).shape == (0,)


@pytest.mark.parametrize("name", ["faultwatch", *PYOD])
def test_too_little_to_learn_from_is_said(name: str) -> None:
    few: TrainingRows = fleet.training(fleet.values(4, 1, 12))
    with pytest.raises(ModelError, match="12 readings"):
        make(name).fit(few)


def test_constructors_store_what_they_are_told() -> None:
    assert Ewma(half_life=3.0).half_life == 3.0
    assert Pyod("pyod_knn").name == "pyod_knn"
    assert vars(ThreeSigma()).keys() == {"scaling_"}


def test_ecod_scores_a_row_as_pyod_does_when_it_is_alone() -> None:
    from pyod.models.ecod import ECOD

    seen = np.random.default_rng(5).normal(size=(200, 3)) ** 3
    wanted = np.concatenate([ECOD().fit(seen).decision_function(row[None]) for row in 2 * seen[:20]])
    np.testing.assert_allclose(CausalEcod().fit(seen).decision_function(2 * seen[:20]), wanted)
