"""Pooled drift: a small p-value is not enough, the statistic must be past that of the weeks before."""

import numpy as np
import pytest

from ...drift.adjusting import adjusted
from ...drift.pooled import Slice, plain_ks, pooled_drift


def weeks(shifts: list[float], n: int = 4000, seed: int = 1) -> Slice:
    """Weeks whose level is off by so many spreads each; the last is the current one."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(shift, 1.0, n) for shift in shifts]
    return Slice("all", "heat", values[:-1], values[-1])


def test_weather_that_moves_every_week_is_no_drift_though_ks_alone_calls_it_so() -> None:
    one = weeks([0.0, 0.25, -0.2, 0.15, -0.1])
    (found,) = pooled_drift([one])
    assert plain_ks(one.before, one.current) < 1e-4
    assert found.adjusted_p < 0.05 and not found.drifted


def test_a_change_past_those_of_earlier_weeks_is_drift() -> None:
    (found,) = pooled_drift([weeks([0.0, 0.25, -0.2, 0.15, 1.0])])
    assert found.drifted and found.statistic > 1.5 * found.usual


def test_weeks_alike_seldom_drift_in_many_sensors() -> None:
    found = [
        any(one.drifted for one in pooled_drift([weeks([0.0] * 5, 400, seed * 9 + s) for s in range(8)]))
        for seed in range(40)
    ]
    assert np.mean(found) <= 0.05


def test_missing_values_are_left_out_and_nothing_is_no_drift() -> None:
    nothing = Slice("all", "heat", [np.full(5, np.nan)] * 2, np.full(5, np.nan))
    (found,) = pooled_drift([nothing])
    assert (found.statistic, found.p_value, found.drifted) == (0.0, 1.0, False)
    assert pooled_drift([]) == []


def test_p_values_are_adjusted_as_benjamini_and_hochberg_did() -> None:
    assert adjusted(np.array([0.01, 0.04, 0.03, 0.5])) == pytest.approx([0.04, 0.16 / 3, 0.16 / 3, 0.5])
