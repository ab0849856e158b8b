"""Measures against values worked out by hand."""

import math

import numpy as np
import pytest

from ...benchmarks.measures import (
    Bools,
    Events,
    Judged,
    Rows,
    average_precision,
    runs,
    softened,
    volume_under_surface,
)


def bools(text: str) -> Bools:
    return np.array([mark == "#" for mark in text])


def judged(anomaly: str, alarm: str, minutes: float = 1.0) -> Judged:
    return Judged(bools(anomaly), bools(alarm), np.zeros(len(anomaly)), minutes)


def test_rows_are_counted_over_all_devices_together_and_never_adjusted() -> None:
    rows = Rows.of([judged("..####..", "...##.#."), judged("....", "#...")])
    assert (rows.hit, rows.false, rows.missed, rows.quiet) == (2, 2, 2, 6)
    assert rows.f1 == 0.5
    assert rows.far == 0.25
    assert rows.mar == 0.5
    assert (rows.precision, rows.recall) == (0.5, 0.5)


def test_rates_of_nothing_are_none() -> None:
    nothing = Rows.of([])
    assert [nothing.f1, nothing.far, nothing.mar, nothing.precision, nothing.recall] == [None] * 5
    quiet = Events.of([judged("....", "....")])
    assert (quiet.recall, quiet.median_delay, quiet.false_a_day) == (None, None, 0.0)


def test_runs_are_found_at_the_edges_too() -> None:
    assert runs(bools("##..#.#")) == [(0, 2), (4, 5), (6, 7)]
    assert runs(bools("....")) == []
    assert runs(bools("")) == []


def test_events_are_seen_after_a_delay_and_false_alarms_touch_none() -> None:
    events = Events.of([judged("..####....##..##", "#...#..#..#...#.", minutes=720.0), judged("....", "....", 720.0)])
    assert (events.anomalies, events.seen) == (3, 3)
    assert events.delays == (1440.0, 0.0, 0.0)
    assert events.median_delay == 0.0
    assert events.false == 2
    assert events.healthy_days == 6.0
    assert events.false_a_day == 2 / 6
    missed = Events.of([judged("##.##", "...#.")])
    assert missed.recall == 0.5


def test_average_precision_weighs_each_threshold_by_the_recall_it_adds() -> None:
    anomaly, score = bools("#.#."), np.array([4.0, 3.0, 2.0, 1.0])
    assert average_precision(anomaly, score) == pytest.approx(0.5 * 1.0 + 0.5 * 2 / 3)
    assert average_precision(anomaly, np.zeros(4)) == 0.5
    assert average_precision(anomaly, np.array([4.0, np.nan, 3.0, 1.0])) == 1.0
    assert math.isnan(average_precision(bools("...."), score))


def test_labels_fade_to_either_side_of_an_anomaly() -> None:
    label = softened(bools("....##...."), [(4, 6)], 4)
    near, far = math.sqrt(1 - 1 / 4), math.sqrt(1 - 2 / 4)
    np.testing.assert_allclose(label, [0, 0, far, near, 1, 1, near, far, 0, 0])
    np.testing.assert_allclose(softened(bools(".#"), [(1, 2)], 0), [0, 1])


def test_without_a_buffer_the_volume_is_the_average_precision_where_every_anomaly_is_touched() -> None:
    anomaly = bools("..##....#.")
    score = np.array([0.1, 0.3, 0.9, 0.8, 0.2, 0.1, 0.4, 0.0, 0.7, 0.2])
    assert volume_under_surface(anomaly, score, window=0) == pytest.approx(1.0 / 3 * 0.5 + 1.0 / 3 * 0.5 + 2.0 / 3)
    assert average_precision(anomaly, score) == 1.0


def test_the_volume_by_hand_with_a_buffer_of_two() -> None:
    """One anomaly of a row; thresholds take in the row before it, the anomaly, then the rest."""
    anomaly, score = bools("..#."), np.array([0.0, 3.0, 2.0, 1.0])
    near = math.sqrt(0.5)
    # Range precision and recall at each threshold; a buffer of 0 and of 1 both leave the label as it is.
    bare = 0.5 * 1.0
    recalls = [near / (1 + near / 2), (1 + near) / (1 + near / 2)]
    first, second = recalls[0], min(recalls[1], 1.0)
    buffered = first * near + (second - first) * (1 + near) / 2
    assert volume_under_surface(anomaly, score, window=2) == pytest.approx((bare + bare + buffered) / 3)


def test_a_better_score_has_a_larger_volume_and_a_perfect_one_nearly_fills_it() -> None:
    anomaly = np.zeros(600, np.bool_)
    anomaly[200:300] = anomaly[450:470] = True
    noise = np.random.default_rng(1).normal(size=600)
    volumes = [volume_under_surface(anomaly, noise + gain * anomaly) for gain in (0.0, 1.0, 3.0, 100.0)]
    assert volumes == sorted(volumes)
    assert volumes[0] < 0.35 and volumes[-1] > 0.9
    assert math.isnan(volume_under_surface(np.zeros(5, np.bool_), np.zeros(5)))
