"""Merging and settling agree with the rules told one value at a time."""

from collections.abc import Sequence

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ...telemetry.lake_rows import Settled, merge, normalised, settle
from .frames import scored

SENSORS = ("flow", "heat")
VALUES = st.one_of(st.none(), st.sampled_from([1.0, 2.0]))
ROW = st.tuples(st.integers(1, 2), st.integers(0, 1), VALUES, VALUES)
ROWS = st.lists(ROW.filter(lambda row: row[2:] != (None, None)), max_size=8)
Row = tuple[int, int, float | None, float | None]


def frame_of(rows: Sequence[Row], first_seq: int) -> pl.DataFrame:
    """Rows in the order they were accepted."""
    frame = scored(
        [row[0] for row in rows],
        [row[1] for row in rows],
        [first_seq + number for number in range(len(rows))],
        flow=[row[2] for row in rows],
        heat=[row[3] for row in rows],
    )
    return normalised(frame)


def told(rows: Sequence[Row]) -> dict[tuple[int, int], list[float | None]]:
    """What stays, one value at a time: the first of each sensor."""
    kept: dict[tuple[int, int], list[float | None]] = {}
    for device, minute, *values in rows:
        known = kept.setdefault((device, minute), [None, None])
        for place, value in enumerate(values):
            if known[place] is None:
                known[place] = value
    return kept


def as_dict(frame: pl.DataFrame) -> dict[tuple[int, int], list[float | None]]:
    minutes = frame.with_columns(minute=pl.col("timestamp").dt.minute())
    return {
        (device, minute): [flow, heat]
        for device, minute, flow, heat in minutes.select("device_key", "minute", *SENSORS).iter_rows()
    }


@settings(deadline=None)
@given(rows=ROWS, data=st.data())
def test_merging_keeps_the_first_value_of_each_sensor(rows: list[Row], data: st.DataObject) -> None:
    frame = frame_of(rows, 1)
    shuffled = frame[data.draw(st.permutations(range(len(rows))))] if rows else frame
    merged = merge(shuffled)
    assert as_dict(merged) == told(rows)
    assert len(merged) == len(told(rows))
    assert merged.equals(merged.sort("device_key", "timestamp"))
    assert merge(merged).equals(merged)


@settings(deadline=None)
@given(stored=ROWS, doubtful=ROWS)
def test_settling_keeps_what_merging_would_and_drops_what_is_said_twice(stored: list[Row], doubtful: list[Row]) -> None:
    lake = frame_of(stored, 1)
    frame = frame_of(doubtful, 100).with_columns(unchecked=pl.lit(True))
    rows, conflicts, counts = settle(frame, merge(lake))
    assert as_dict(merge(pl.concat([lake, rows]))) == told([*stored, *doubtful])

    known, contradicting, adding, new = told(stored), set(), set(), set()
    for number, (device, minute, *values) in enumerate(doubtful):
        if (device, minute) not in known:
            new.add(number)
        before = known.setdefault((device, minute), [None, None])
        for place, value in enumerate(values):
            if value is None:
                continue
            if before[place] is None:
                before[place] = value
                adding.add(number)
            elif before[place] != value:
                contradicting.add(number)
    assert counts == Settled(
        new=len(new),
        late_parts=len(adding - new),
        duplicates=len(set(range(len(doubtful))) - new - adding - contradicting),
        conflicts=len(contradicting),
    )
    assert len(rows) == len(new | adding)
    assert rows["late"].sum() == len(adding - new)
    assert set(conflicts["ingest_seq"].to_list()) == {100 + number for number in contradicting}


def test_rows_that_are_not_doubtful_pass_as_they_are() -> None:
    frame = frame_of([(1, 0, 1.0, None), (1, 0, 2.0, None)], 1)
    rows, conflicts, counts = settle(frame.with_columns(unchecked=pl.lit(False)), frame)
    assert rows.equals(frame)
    assert conflicts.is_empty() and counts == Settled(0, 0, 0, 0)


def test_a_scored_row_is_not_late_whatever_came_first() -> None:
    frame = frame_of([(1, 0, 1.0, None), (1, 0, None, 2.0)], 1)
    merged = merge(frame.with_columns(late=pl.Series([False, True]), score=pl.Series([3.0, None], dtype=pl.Float32)))
    assert merged.select("late", "score", "flow", "heat").rows() == [(False, 3.0, 1.0, 2.0)]
