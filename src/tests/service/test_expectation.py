"""The lake keeps the expected range often enough for a chart, and no oftener."""

import numpy as np
import numpy.typing as npt

from ...service.expectation import EVERY, MOVED, choose

Float32s = npt.NDArray[np.float32]

QUIET, LEAVE = np.float32(1.0), np.float32(2.0)


def _chosen(
    centre: Float32s,
    *,
    first: int = 1,
    score: Float32s | None = None,
    last: Float32s | None = None,
) -> list[int]:
    """The rows chosen of one device's, whose count of readings begins at `first`; widths are 1."""
    n = len(centre)
    return np.flatnonzero(
        choose(
            np.zeros(n, np.int64),
            np.arange(first, first + n),
            np.full(n, QUIET) if score is None else score,
            np.full(n, LEAVE),
            centre,
            np.ones_like(centre),
            np.zeros((1, centre.shape[1]), np.float32) if last is None else last,
        )
    ).tolist()


def test_every_tenth_row_is_kept() -> None:
    assert _chosen(np.zeros((35, 2), np.float32)) == [9, 19, 29]
    assert _chosen(np.zeros((12, 2), np.float32), first=EVERY) == [0, 10]


def test_every_row_past_the_lower_threshold_is_kept() -> None:
    score = np.array([1.0, 1.99, 2.0, 9.0, np.nan, 1.0], np.float32)
    assert _chosen(np.zeros((6, 1), np.float32), score=score) == [2, 3]


def test_a_row_is_kept_where_a_centre_moved_by_a_quarter_of_its_width_since_the_last_one_kept() -> None:
    steps = np.array([0.0, 0.2, 0.25, 0.26, 0.4, 0.52, 0.3], np.float32)
    centre = np.stack([np.zeros_like(steps), steps], axis=1)
    assert _chosen(centre) == [3, 5], "0.26 is further than a quarter from 0, and 0.52 from 0.26"
    assert MOVED == 0.25


def test_a_centre_that_comes_or_goes_is_kept() -> None:
    centre = np.array([[np.nan], [0.0], [0.0], [np.nan], [np.nan]], np.float32)
    assert _chosen(centre, last=np.full((1, 1), np.nan, np.float32)) == [1, 3]


def test_each_device_is_compared_with_its_own_last_one_and_the_last_one_is_remembered() -> None:
    last = np.array([[5.0], [0.0]], np.float32)
    centre = np.array([[5.0], [5.0], [5.1], [5.1]], np.float32)
    slots, counts = np.array([0, 1, 0, 1]), np.ones(4, np.int64)
    quiet, leave, width = np.full(4, QUIET), np.full(4, LEAVE), np.ones((4, 1), np.float32)
    kept = choose(slots, counts, quiet, leave, centre, width, last)
    assert kept.tolist() == [False, True, False, False]
    assert last.tolist() == [[5.0], [5.0]]
