"""Parts wait for the interval in which the first of them arrived, and are merged."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ...service.waiting import WaitingParts
from ...telemetry.readings import Readings

INTERVAL, GRACE = 60_000, 15_000


def _parts(rows: list[tuple[int, int, list[float]]]) -> Readings:
    keys, ts, values = zip(*rows, strict=True)
    return Readings(1, np.array(keys, np.int64), np.array(ts, np.int64), np.array(values, np.float64))


def test_parts_of_a_reading_become_one_row_when_their_interval_is_closed() -> None:
    waiting = WaitingParts(1, 2)
    waiting.add(_parts([(7, 60_000, [1.0, np.nan])]), 61_000)
    waiting.add(_parts([(7, 60_000, [np.nan, 2.0]), (8, 60_000, [3.0, np.nan])]), 65_000)
    assert len(waiting.close(134_999, INTERVAL, GRACE)) == 0
    closed = waiting.close(135_000, INTERVAL, GRACE)
    assert list(closed.keys) == [7, 8]
    assert np.array_equal(closed.values, [[1.0, 2.0], [3.0, np.nan]], equal_nan=True)
    assert len(waiting) == 0


def test_a_late_part_of_a_waiting_reading_does_not_put_it_off() -> None:
    waiting = WaitingParts(1, 2)
    waiting.add(_parts([(7, 60_000, [1.0, np.nan])]), 119_000)
    waiting.add(_parts([(7, 60_000, [np.nan, 2.0])]), 121_000)
    assert len(waiting.close(135_000, INTERVAL, GRACE)) == 1


def test_of_two_parts_that_name_one_sensor_the_first_counts() -> None:
    waiting = WaitingParts(1, 1)
    waiting.add(_parts([(7, 60_000, [5.0])]), 61_000)
    waiting.add(_parts([(7, 60_000, [6.0])]), 62_000)
    assert waiting.close(200_000, INTERVAL, GRACE).values.tolist() == [[5.0]]


def test_a_checkpoint_keeps_what_waits() -> None:
    waiting = WaitingParts(1, 2)
    waiting.add(_parts([(7, 60_000, [1.0, np.nan])]), 61_000)
    again = WaitingParts(1, 2)
    again.load(waiting.to_arrays())
    assert np.array_equal(again.close(200_000, INTERVAL, GRACE).values, [[1.0, np.nan]], equal_nan=True)


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 5)), max_size=30),
    st.randoms(),
)
def test_the_order_of_parts_between_two_closings_is_irrelevant(
    parts: list[tuple[int, int, int, int]], random: "object"
) -> None:
    """Each (device, minute, sensor) once, as intake lets through; the value is a function of all three."""
    unique = sorted({(key, minute, sensor) for key, minute, sensor, _ in parts})
    rows = []
    for key, minute, sensor in unique:
        values = [np.nan] * 3
        values[sensor] = float(key * 100 + minute * 10 + sensor)
        rows.append((key, minute * INTERVAL, values))
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    results = []
    for order in (rows, shuffled):
        waiting = WaitingParts(1, 3)
        for row in order:
            waiting.add(_parts([row]), 61_000)
        closed = waiting.close(10 * INTERVAL, INTERVAL, GRACE)
        results.append((closed.keys.tolist(), closed.ts.tolist(), closed.values.tobytes()))
    assert results[0] == results[1]
    assert len(results[0][0]) == len({(key, minute) for key, minute, _ in unique})
