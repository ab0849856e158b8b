"""Readings keep rows together whatever is done to their columns."""

import numpy as np
import pytest

from ...telemetry.readings import Readings, concat


def some(keys: list[int], ts: list[int], width: int = 2) -> Readings:
    values = np.arange(len(keys) * width, dtype=float).reshape(len(keys), width)
    return Readings(3, np.array(keys), np.array(ts), values)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(n,\), \(n,\), \(n, s\)"):
        Readings(3, np.array([1]), np.array([1, 2]), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="expected"):
        Readings(3, np.array([1]), np.array([1]), np.zeros(1))


def test_rows_are_taken_by_mask_and_by_place() -> None:
    readings = some([1, 2, 3], [10, 20, 30])
    for chosen in (readings.take(np.array([True, False, True])), readings.take(np.array([0, 2]))):
        assert (chosen.keys.tolist(), chosen.ts.tolist(), chosen.values.tolist()) == (
            [1, 3],
            [10, 30],
            [[0, 1], [4, 5]],
        )
        assert chosen.values.flags.c_contiguous and len(chosen) == 2


def test_sorting_keeps_the_order_of_equal_keys() -> None:
    ordered = some([2, 1, 1, 1], [5, 9, 3, 9]).sorted_by_device_time()
    assert ordered.keys.tolist() == [1, 1, 1, 2]
    assert ordered.ts.tolist() == [3, 9, 9, 5]
    assert ordered.values[:, 0].tolist() == [4, 2, 6, 0]


def test_joining_widens_rows_of_an_older_version() -> None:
    joined = concat([some([1], [1], width=1), some([2], [2], width=2)])
    assert joined.n_sensors == 2
    np.testing.assert_array_equal(joined.values, [[0, np.nan], [0, 1]])
    only = some([1], [1])
    assert concat([only]) is only
    assert only.widen(1) is only
    with pytest.raises(ValueError, match="expected readings of one type"):
        concat([])
    with pytest.raises(ValueError, match=r"got types \[3, 4\]"):
        concat([only, Readings(4, only.keys, only.ts, only.values)])
