"""Drift by device: a small shift in a tenth of a fleet is seen, what all devices share is not taken for it."""

import numpy as np
import pytest

from ...drift.by_device import device_drift, net

SENSORS = ("heat", "flow")


def fleet_weeks(seed: int, n_devices: int = 1000, weather: float = 0.5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Daily means of five weeks: a site's weather moves its devices alike, each has its own unrest; and the sites."""
    rng = np.random.default_rng(seed)
    sites = rng.integers(0, 20, n_devices)
    shared = rng.normal(scale=weather, size=(35, 20, 2)).cumsum(axis=0)[:, sites]
    own = rng.normal(size=(35, n_devices, 2)) * rng.lognormal(-1.5, 0.5, (n_devices, 1))
    days = rng.normal(size=(n_devices, 2)) * 3 + shared + own
    weeks = days.reshape(5, 7, n_devices, 2)
    return weeks[:4], weeks[4], sites


def test_a_shift_of_a_tenth_is_seen_and_named() -> None:
    seen = 0
    for seed in range(10):
        before, current, sites = fleet_weeks(seed)
        current = current.copy()
        current[:, :100, 0] += 0.3
        heat, flow = device_drift(before, current, sites, SENSORS)
        seen += heat.drifted and not flow.drifted
        assert np.abs(heat.change[:100]).mean() > 2 * np.abs(heat.change[100:]).mean()
    assert seen >= 9


def test_stable_weeks_seldom_drift() -> None:
    called = [any(one.drifted for one in device_drift(*fleet_weeks(100 + seed), SENSORS)) for seed in range(20)]
    assert np.mean(called) <= 0.05


def test_what_all_devices_share_is_left_to_the_pooled_level() -> None:
    before, current, sites = fleet_weeks(1)
    assert not any(one.drifted for one in device_drift(before, current + 5.0, sites, SENSORS))


def test_a_group_of_few_is_compared_with_all() -> None:
    values = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 4.0])
    assert net(values, np.array([0, 0, 0, 0, 0, 1])).tolist() == [0.0] * 5 + [3.0]


@pytest.mark.parametrize(("periods", "devices"), [(1, 100), (4, 29)])
def test_too_little_tells_nothing(periods: int, devices: int) -> None:
    before, current, sites = fleet_weeks(1, devices)
    heat, _ = device_drift(before[:periods], current + 9.0, sites, SENSORS)
    assert (heat.p_value, heat.drifted, heat.devices) == (1.0, False, 0)


def test_devices_that_said_nothing_are_not_counted() -> None:
    before, current, sites = fleet_weeks(1, 200)
    current = current.copy()
    current[:, :50] = np.nan
    heat, _ = device_drift(before, current, sites, SENSORS)
    assert heat.devices == 150 and np.isnan(heat.change[:50]).all()
