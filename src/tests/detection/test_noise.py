"""What few rows say of a sensor: noise, wander, and how rare an odd row is."""

import numpy as np
import pytest
from scipy.stats import norm

from ...detection.config import DetectorConfig
from ...detection.noise import normal_rates, normal_score, rare, row_noise, smoothed_deviation, wander, wander_factors

ONE = np.zeros(20_000, np.int64)


def white(columns: int = 1, rows: int = 20_000) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, columns))


def test_noise_is_told_apart_from_level_and_drift() -> None:
    values = 0.3 * white() + np.linspace(0, 50, len(ONE))[:, None]
    values[10_000:] += 1000.0
    assert row_noise(values[:9_000], ONE[:9_000])[0] == pytest.approx(0.3, rel=0.03)


def test_white_noise_doesnt_wander_a_random_walk_does_and_a_flickering_step_less_than_noise() -> None:
    noise = white(3)
    values = np.stack([noise[:, 0], noise[:, 1] + np.cumsum(0.3 * noise[:, 2]), np.tile([0.0, 1.0], 10_000)], axis=1)
    found = wander(values, ONE, 10.0)
    assert found[0] == pytest.approx(1.0, abs=0.1)
    assert found[1] > 3.0
    assert found[2] < 0.1


def test_one_change_of_level_is_no_habit() -> None:
    values = white(1, 400)
    moved = values + np.where(np.arange(400) < 170, 3.0, 0.0)[:, None]
    assert wander(moved, ONE[:400], 10.0)[0] < 3.0


def test_missing_values_and_constants_are_taken() -> None:
    values = white(2, 400)
    values[:, 1] = 7.0
    values[50:80, 0] = np.nan
    assert np.isfinite(wander(values, ONE[:400], 10.0)).all()
    assert wander(values[:20], ONE[:20], 10.0).tolist() == [1.0, 1.0]


def test_a_sensor_that_wanders_is_taken_wider_and_past_the_limit_not_at_all() -> None:
    noise = white(3)
    values = np.stack([noise[:, 0], np.cumsum(noise[:, 1]), np.tile([0.0, 1.0], 10_000)], axis=1)
    factors = wander_factors(values, ONE, DetectorConfig())
    assert factors[0] == pytest.approx(1.5**2, rel=0.2)
    assert factors[1] == np.inf and factors[2] == 1.0


def test_smoothed_noise_has_the_deviation_that_is_said() -> None:
    keep, mean, seen = 0.5 ** (1 / 10), 0.0, []
    for value in white()[:, 0]:
        mean = keep * mean + (1 - keep) * value
        seen.append(mean)
    assert np.std(seen[100:]) == pytest.approx(smoothed_deviation(10.0), rel=0.1)


def test_the_oddest_of_sensors_is_past_the_level_as_often_as_wanted() -> None:
    level = rare(1e-3, 8)
    assert 1 - (1 - 2 * norm.sf(level)) ** 8 == pytest.approx(1e-3)
    assert rare(1e-3, 1) < level


def test_scores_are_the_tail_and_rates_follow_from_it() -> None:
    scores = normal_score(np.array([0.01, 1.0, 1.5, 100.0]), 1e-3, 8)
    assert scores[0] == pytest.approx(0.0, abs=1e-6) and scores[1] == pytest.approx(3.0)
    assert (np.diff(scores) > 0).all() and scores[3] == 30.0
    levels, rates = normal_rates(1e-3, 8, 86_400.0)
    assert (np.diff(levels) > 0).all() and (np.diff(rates) < 0).all()
    assert np.interp(1.0, levels, rates) == pytest.approx(86.4)
