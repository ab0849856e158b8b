"""Modes: what switches, what only looks like it, and who decides."""

import numpy as np

from ...detection.modes import Modes, find_modes


def _pumps(seed: int, minutes: int = 2880) -> tuple[np.ndarray, np.ndarray]:
    """Six pumps that are on for two hours of three: current and flow switch, temperature doesn't; values, devices."""
    rng = np.random.default_rng(seed)
    on = ((np.arange(minutes)[:, None] + rng.integers(0, 180, 6)) % 180 < 120).astype(float)
    noise = rng.normal(size=(3, *on.shape))
    rows = np.stack([on * (12 + noise[0]), on * (40 + 2 * noise[1]), 20 + noise[2]], axis=2)
    return rows.transpose(1, 0, 2).reshape(-1, 3), np.repeat(np.arange(6), minutes)


def test_a_pump_is_on_or_off_and_does_most_when_it_is_on() -> None:
    values, device = _pumps(1)
    modes = find_modes(values, device)
    assert 0 < modes.gaps[0] < 9 and 0 < modes.gaps[1] < 34 and np.isnan(modes.gaps[2])
    assert modes.patterns.tolist() == [[1.0, 1.0, 0.5], [0.0, 0.0, 0.5]]
    assert modes.homes.tolist() == [[True, True, True], [False, False, False]]
    np.testing.assert_array_equal(modes.of(values) == 0, values[:, 0] > 0)


def test_the_steps_of_a_coarse_sensor_are_no_modes() -> None:
    rng = np.random.default_rng(2)
    coarse = rng.choice([-0.27, 0.05, 0.38], (3000, 1))
    flickers = rng.choice([0.0, 1.0], (3000, 1))
    modes = find_modes(np.concatenate([coarse, flickers], axis=1), np.repeat(np.arange(3), 1000))
    assert np.isnan(modes.gaps).all() and len(modes.patterns) == 1


def test_a_fault_that_comes_once_is_no_mode() -> None:
    values, device = _pumps(3)
    values[:, :2] = 40 + np.random.default_rng(3).normal(size=(len(values), 2))
    values[1000:1500, 0] = 0.0
    assert len(find_modes(values, device).patterns) == 1


def test_a_broken_sensor_is_outvoted_and_a_missing_one_has_no_vote() -> None:
    modes = Modes(np.array([0.5, 0.5, 0.5]), np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    rows = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0], [np.nan, 0.0, np.nan], [np.nan, np.nan, np.nan]])
    assert modes.of(rows).tolist() == [0, 1, 1, 0]
