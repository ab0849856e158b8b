"""Features depend on a device's own past, and on nothing else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...exceptions import ConfigError
from ...faults.smoothing import Smoothing

SMOOTHING = Smoothing((2.0, 8.0), start_rows=3)


def test_a_mean_begins_at_the_first_value_and_halves_its_distance_in_a_half_life() -> None:
    values = np.array([[4.0], [0.0], [0.0]])
    features = SMOOTHING.update(SMOOTHING.new_state(1, 1), np.zeros(3, np.int32), values)
    assert features[:, 0] == pytest.approx([4.0, 4.0 * 0.5**0.5, 2.0])
    assert features[:, 2] == pytest.approx(features[:, 1] - [4.0, 2.0, 4.0 / 3], abs=1e-6)
    assert features[:, 3] == pytest.approx([1.0, 2.0, 3.0])
    assert SMOOTHING.names(["a"]) == ["a: smoothed 2", "a: smoothed 8", "a: since new", "age", "log age"]


def test_a_missing_value_changes_nothing_but_age() -> None:
    state = SMOOTHING.new_state(1, 2)
    before = SMOOTHING.update(state, np.zeros(1, np.int32), np.array([[1.0, np.nan]]))
    after = SMOOTHING.update(state, np.zeros(1, np.int32), np.array([[np.nan, np.nan]]))
    assert after[:, :6].tolist() == before[:, :6].tolist()
    assert before[0, 3:6].tolist() == [0.0, 0.0, 0.0]
    assert np.isfinite(after).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 9))
def test_rows_in_pieces_and_among_others_are_the_same_bytes(seed: int, pieces: int) -> None:
    rng = np.random.default_rng(seed)
    slots = rng.integers(0, 3, 40).astype(np.int32)
    values = np.where(rng.random((40, 2)) < 0.1, np.nan, rng.normal(size=(40, 2)))
    whole = SMOOTHING.update(SMOOTHING.new_state(3, 2), slots, values)
    state = SMOOTHING.new_state(3, 2)
    parts = [
        SMOOTHING.update(state, *both)
        for both in zip(np.array_split(slots, pieces), np.array_split(values, pieces), strict=True)
    ]
    assert np.concatenate(parts).tobytes() == whole.tobytes()
    alone = SMOOTHING.update(SMOOTHING.new_state(3, 2), slots[slots == 1], values[slots == 1])
    assert alone.tobytes() == whole[slots == 1].tobytes()


def test_state_of_eight_channels_is_small() -> None:
    assert Smoothing().new_state(1, 8).bytes_per_device <= 160


@pytest.mark.parametrize(("half_lives", "start"), [((), 1), ((3.0, 3.0), 1), ((-1.0,), 1), ((1.0,), 0)])
def test_lengths_that_make_no_sense_are_refused(half_lives: tuple[float, ...], start: int) -> None:
    with pytest.raises(ConfigError, match="expected"):
        Smoothing(half_lives, start)
