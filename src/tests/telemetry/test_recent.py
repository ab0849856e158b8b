"""The rows of the last minutes: found while they are young, merged by reading, gone when they are old."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ...telemetry.recent import RecentRows, first_values

NAN = float("nan")


def add(
    recent: RecentRows, rows: Sequence[tuple[int, int, Sequence[float]]], now_ms: int = 0, doubt: bool = False
) -> None:
    keys = np.array([key for key, _, _ in rows], np.int64)
    ts = np.array([at for _, at, _ in rows], np.int64)
    values = np.array([sent for _, _, sent in rows], np.float64).reshape(len(rows), len(rows[0][2]) if rows else 1)
    recent.add(keys, ts, values, np.full(len(rows), doubt), now_ms)


def find(recent: RecentRows, key: int, ts: int, width: int = 2) -> list[float] | None:
    known = recent.find(np.array([key]), np.array([ts]), width)
    return known.values[0].tolist() if known.found[0] else None


def test_a_row_is_found_by_device_and_time() -> None:
    recent = RecentRows()
    add(recent, [(1, 60_000, [1.0, 2.0]), (2, 60_000, [3.0, NAN])])
    assert find(recent, 1, 60_000) == [1.0, 2.0]
    assert find(recent, 1, 60_001) is None
    assert find(recent, 3, 60_000) is None


def test_parts_of_a_reading_are_joined_and_the_first_value_stays() -> None:
    recent = RecentRows()
    add(recent, [(1, 60_000, [1.0, NAN])])
    add(recent, [(1, 60_000, [9.0, 2.0])], doubt=True)
    assert find(recent, 1, 60_000) == [1.0, 2.0]
    assert recent.find(np.array([1]), np.array([60_000]), 2).unsettled.tolist() == [True]


def test_a_sensor_that_was_added_is_missing_in_older_rows() -> None:
    recent = RecentRows()
    add(recent, [(1, 60_000, [1.0])])
    known = recent.find(np.array([1]), np.array([60_000]), 2)
    assert known.values[0, 0] == 1.0
    assert np.isnan(known.values[0, 1])
    add(recent, [(1, 60_000, [NAN, 5.0])])
    assert find(recent, 1, 60_000) == [1.0, 5.0]


def test_rows_stay_for_the_time_promised_and_go_after_twice_that() -> None:
    recent = RecentRows(keep_ms=1000)
    add(recent, [(1, 0, [1.0])], now_ms=0)
    add(recent, [(2, 0, [1.0])], now_ms=1000)
    assert find(recent, 1, 0, 1) == [1.0]
    add(recent, [(3, 0, [1.0])], now_ms=2000)
    assert find(recent, 1, 0, 1) is None
    assert find(recent, 2, 0, 1) == [1.0]


def test_memory_is_bounded_by_rows_however_fast_they_come() -> None:
    recent = RecentRows(max_rows=100)
    for i in range(50):
        add(recent, [(i, j, [1.0]) for j in range(10)])
    found = [find(recent, i, 0, 1) is not None for i in range(50)]
    assert sum(found) <= 10
    assert found[-5:] == [True] * 5


def test_first_values_of_segments() -> None:
    values = np.array([[NAN, 1.0], [2.0, 3.0], [NAN, NAN]])
    first, rows = first_values(values, np.array([0, 2]))
    np.testing.assert_array_equal(first, [[2.0, 1.0], [NAN, NAN]])
    assert rows.tolist() == [[1, 0], [3, 3]]


@settings(max_examples=60)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([1.0, 2.0, NAN])), max_size=6),
        max_size=12,
    )
)
def test_it_knows_what_a_dictionary_would(groups: list[list[tuple[int, int, float]]]) -> None:
    recent = RecentRows()
    expected: dict[tuple[int, int], float] = {}
    for group in groups:
        add(recent, [(key, ts, [value]) for key, ts, value in group])
        for key, ts, value in group:
            if np.isnan(expected.get((key, ts), NAN)):
                expected[key, ts] = value
        for key in range(4):
            for ts in range(4):
                known = find(recent, key, ts, 1)
                assert (known is not None) == ((key, ts) in expected)
                if known is not None:
                    np.testing.assert_equal(known[0], expected[key, ts])
