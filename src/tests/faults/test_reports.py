"""Fault reports that overlap or contradict each other come to one label for each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...faults.reports import Reported, without_overlaps

Short = tuple[int, int | None, str]


def told(*reports: tuple[int, int | None, str, int], device: int = 1) -> list[Short]:
    labels = without_overlaps([Reported(device, *report) for report in reports])
    return [(label.start_ms, label.end_ms, label.kind) for label in labels]


@pytest.mark.parametrize(
    ("reports", "labels"),
    [
        ([(0, 10, "leak", 1), (5, 20, "leak", 2)], [(0, 20, "leak")]),
        ([(0, 10, "leak", 1), (10, 20, "leak", 2)], [(0, 20, "leak")]),
        ([(0, 10, "leak", 1), (11, 20, "leak", 2)], [(0, 10, "leak"), (11, 20, "leak")]),
        ([(0, 10, "leak", 1), (5, 20, "wear", 2)], [(0, 5, "leak"), (5, 20, "wear")]),
        ([(0, 10, "leak", 2), (5, 20, "wear", 1)], [(0, 10, "leak"), (10, 20, "wear")]),
        ([(0, 30, "leak", 1), (10, 20, "wear", 2)], [(0, 10, "leak"), (10, 20, "wear"), (20, 30, "leak")]),
        ([(0, None, "leak", 1), (10, 20, "leak", 2)], [(0, None, "leak")]),
        ([(0, None, "leak", 1), (10, None, "wear", 2)], [(0, 10, "leak"), (10, None, "wear")]),
        ([(0, 10, "leak", 1), (0, 10, "wear", 1)], [(0, 10, "wear")]),
        ([(20, 10, "leak", 1), (0, 10, "wear", 1)], [(0, 10, "wear"), (20, 10, "leak")]),
    ],
)
def test_overlaps(reports: list[tuple[int, int | None, str, int]], labels: list[Short]) -> None:
    assert told(*reports) == labels


def test_devices_have_nothing_to_do_with_each_other() -> None:
    one, other = Reported(1, 0, 10, "leak", 1), Reported(2, 5, 20, "wear", 2)
    assert without_overlaps([other, one]) == [one, other]


times = st.integers(0, 12)
some = st.builds(
    lambda start, length, kind, said: (start, None if length == 0 else start + length, kind, said),
    times,
    st.integers(0, 6),
    st.sampled_from(["leak", "wear", "bias"]),
    st.integers(0, 4),
)


@given(st.lists(some, max_size=8))
def test_each_time_has_the_kind_that_was_said_last(reports: list[tuple[int, int | None, str, int]]) -> None:
    labels = told(*reports)
    for time in range(25):
        holding = [
            (said, number, kind)
            for number, (start, end, kind, said) in enumerate(reports)
            if start <= time < (99 if end is None else end)
        ]
        mine = [kind for start, end, kind in labels if start <= time < (99 if end is None else end)]
        assert mine == ([max(holding)[2]] if holding else [])
