"""An episode is told in features: which sensor is at fault, and what it does."""

import numpy as np
import pytest

from ...exceptions import ModelError
from ...faults import series
from ...faults.episodes import FEATURES, Episode, tell
from .broken import KINDS, MINUTE_MS, episode


def feature(told: np.ndarray, name: str) -> float:
    return float(told[FEATURES.index(name)])


@pytest.mark.parametrize("sensor", range(4))
@pytest.mark.parametrize("kind", KINDS)
def test_the_sensor_at_fault_is_the_suspect(kind: str, sensor: int) -> None:
    assert tell(episode(kind, seed=3, sensor=sensor)).suspect == sensor


def test_features_tell_what_people_would_see() -> None:
    seen = {kind: tell(episode(kind, seed=5)).features for kind in (*KINDS, "healthy")}
    assert np.isfinite(list(seen.values())).all()
    assert all(feature(seen[kind], "left_most") < 1.5 for kind in KINDS), "the others behave"
    assert feature(seen["bias"], "flat_0") > 0.95
    assert feature(seen["drift"], "line_fit_0") > 0.95 and feature(seen["drift"], "monotone_0") == 1.0
    assert feature(seen["noise"], "jump_0") > feature(seen["healthy"], "jump_0") + 1.0
    assert feature(seen["stuck"], "run_0") == 1.0
    assert feature(seen["healthy"], "odd_0") < 2.0 < feature(seen["bias"], "odd_0")


def test_a_unit_changes_nothing() -> None:
    one = episode("drift", seed=7)
    other = Episode(one.values * [1.0, 1000.0, 0.01, 9.0], one.ts, one.begin, one.interval_ms)
    assert tell(other).features == pytest.approx(tell(one).features, abs=1e-3)


def test_missing_values_are_counted_and_do_no_harm() -> None:
    one = episode("bias", seed=7)
    one.values[one.begin :: 2, 1] = np.nan
    told = tell(one)
    assert feature(told.features, "missing_0") == 0.5 and told.suspect == 1
    one.values[one.begin :, 1] = np.nan
    assert np.isfinite(tell(one).features).all()


def test_what_is_too_short_or_has_too_few_sensors_is_refused() -> None:
    whole = episode("bias", seed=1)
    with pytest.raises(ModelError, match="5 readings in it; to tell its kind takes 48 hours and 12 readings"):
        Episode(whole.values[: whole.begin + 5], whole.ts[: whole.begin + 5], whole.begin, MINUTE_MS)
    with pytest.raises(ModelError, match="24 hours before the fault"):
        Episode(whole.values[2880:], whole.ts[2880:], whole.begin - 2880, MINUTE_MS)
    with pytest.raises(ModelError, match="2 sensors"):
        Episode(whole.values[:, :2], whole.ts, whole.begin, MINUTE_MS)


def test_series() -> None:
    assert series.runs(np.array([1.0, 1.0, 1.0, 2.0, 2.0])) == (3.0, 0.75)
    strength, rows = series.period(np.sin(2 * np.pi * np.arange(600) / 20))
    assert strength > 0.9 and rows == 20
    ones, line = np.ones(50), np.arange(50.0)
    assert series.explained(3.0 + 2.0 * line, ones, line) == pytest.approx(1.0)
    assert series.explained(line - line.mean(), ones) == pytest.approx(0.0, abs=1e-9)
    assert series.correlation(line, -line) == pytest.approx(-1.0) and series.correlation(line, ones) == 0.0
