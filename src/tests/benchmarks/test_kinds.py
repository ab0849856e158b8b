"""`faultwatch benchmark faults --protocol fleet`: counted by hand, and on a small fleet."""

import numpy as np
import pytest

from ...benchmarks.protocol_kinds import Found, Named, Scale, calibration_error, figures, judge, simulate, table
from ...faults.episodes import FEATURES
from ...faults.kinds import KindModel, LabelledEpisodes
from ...simulator.faults import FAULT_KINDS


def test_figures_and_table_counted_by_hand() -> None:
    named = Named(
        ["leak", "leak", "bias", "bias"],
        ["leak", "bias", "bias", "bias"],
        np.array([0.9, 0.5, 0.8, 0.8]),
        np.array([5.0, 1.0, 4.0, 2.0]),
    )
    told = figures(named)
    assert (told["faults"], told["named_right"], told["large_faults"], told["large_named_right"]) == (4, 0.75, 2, 1.0)
    assert told["kinds"] == {"bias": [2, 1.0], "leak": [2, 0.5]} and told["most_frequent"] == 0.5
    assert "| leak | 2 | 50% | bias (1) |" in table(named) and "| all | 4 | 75.0% | |" in table(named)


def test_calibration_error_is_the_distance_of_what_is_said() -> None:
    right = np.array([True, False] * 50)
    assert calibration_error(np.full(100, 0.5), right) == pytest.approx(0.0, abs=0.03)
    assert calibration_error(np.full(100, 0.9), right) == pytest.approx(0.4, abs=0.03)


def test_no_fault_is_judged_by_a_model_that_knows_its_device() -> None:
    """Features that tell the device and nothing else: whoever knows the device knows the kind, and nobody else does."""
    rng = np.random.default_rng(4)
    device = np.repeat(np.arange(24), 6)
    features = rng.normal(size=(24, len(FEATURES)))[device]
    kinds = [("bias", "drift", "leak")[number] for number in (device % 3).tolist()]
    found = Found(LabelledEpisodes(device, features, kinds), np.ones(len(device)), 0)
    assert judge(found).right.mean() < 0.7
    knows = KindModel.fit(found.episodes)
    best = knows.probability(features).argmax(axis=1).tolist()
    assert [knows.kinds[number] for number in best] == kinds


def test_faults_of_a_fleet_become_episodes_and_silent_devices_do_not() -> None:
    found = simulate(Scale(devices=12, days=6, faults=1.0, seeds=(1,)), lambda line: None)
    kinds = set(found.episodes.kinds)
    assert len(found.episodes.kinds) >= 3 and kinds <= set(FAULT_KINDS) - {"silent", "site_outage"}
    assert found.effect.shape == (len(found.episodes.kinds),) and found.effect.max() > 1.0
