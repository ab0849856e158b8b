"""Adaptation: a level follows at most so fast, so a fault that grows faster is found before it is large."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...detection.detector import Detector
from ...detection.state import DetectorState
from . import fleet

SETTLED_DAYS, MOST_DAYS = 14, 30


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector().fit(fleet.training(fleet.values(1, 24, 2 * 1440)))


@pytest.fixture(scope="module")
def settled(detector: Detector) -> tuple[DetectorState, np.ndarray]:
    """A device whose level has settled, and a month of healthy readings (minutes, 1, 4) after that."""
    rows = fleet.values(31, 1, (SETTLED_DAYS + MOST_DAYS) * 1440, missing=0.0)
    state = detector.new_state(1)
    detector.warm(state, fleet.block(rows[: SETTLED_DAYS * 1440]))
    return state, rows[SETTLED_DAYS * 1440 :]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    days=st.integers(1, MOST_DAYS),
    sensor=st.integers(0, 3),
    ends_at=st.floats(4.0, 8.0),
    up=st.booleans(),
)
def test_a_drift_faster_than_a_level_may_follow_is_suspect_before_it_is_large(
    detector: Detector, settled: tuple[DetectorState, np.ndarray], days: int, sensor: int, ends_at: float, up: bool
) -> None:
    assert ends_at / days > 2 * detector.config.max_drift
    state, healthy = settled
    rows = healthy[: days * 1440].copy()
    spreads = ends_at * np.linspace(0.0, 1.0, len(rows))
    rows[:, 0, sensor] += (1 if up else -1) * spreads * detector.arrays_["scale"][sensor, 1]
    scores = detector.update(state.copy(), fleet.block(rows, SETTLED_DAYS * 1440))
    enter, _ = detector.threshold(1 / 30)
    assert (scores.score[spreads < 3.0] >= enter).any()
