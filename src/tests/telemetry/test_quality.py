"""Row checks: each reason, in the words a person reads; and which rows are here already."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...telemetry.quality import (
    REASONS,
    LiveLimits,
    Reason,
    check_rows,
    cut_timestamps,
    explain_conflict,
    explain_row,
    not_finite,
    settle,
    unknown_sensor,
)
from ...telemetry.recent import RecentRows
from ...telemetry.schema import DeviceType, Sensor

NOW = 1_767_268_800_000
NAN = float("nan")
INF = float("inf")
PUMP = DeviceType(
    name="pump",
    sensors=(
        Sensor(name="pressure", unit="bar", low=0.0, high=16.0),
        Sensor(name="flow", unit="l/min", low=0.0),
        Sensor(name="old", retired=True),
    ),
)


def check(ts: int, values: Sequence[float], limits: LiveLimits | None = LiveLimits()) -> tuple[str, str]:
    sent = np.array([values], np.float64)
    code = int(check_rows(np.array([ts]), sent, PUMP, NOW, limits)[0])
    return REASONS[code], "" if code == 0 else explain_row(code, ts, sent[0], PUMP, NOW, limits)


@pytest.mark.parametrize(
    ("ts", "values", "reason", "message"),
    [
        (NOW, [2.5, 40.0, NAN], "fine", ""),
        (NOW, [0.0, 0.0, NAN], "fine", ""),
        (NOW, [16.0, NAN, NAN], "fine", ""),
        (NOW, [NAN, NAN, NAN], "fine", ""),
        (NOW, [16.5, 40.0, NAN], "out_of_range", "pressure is 16.5 bar; its valid range is 0 to 16 bar"),
        (NOW, [2.0, -3.0, NAN], "out_of_range", "flow is -3 l/min; its valid range begins at 0 l/min"),
        (
            NOW,
            [INF, 40.0, NAN],
            "not_finite",
            "pressure is inf, not a finite number: send null where there is no value",
        ),
        (NOW, [2.0, 40.0, 1.0], "unknown_sensor", "sensor 'old' of type 'pump' is retired: leave it out"),
        (
            NOW + 600_000,
            [2.0, 40.0, NAN],
            "future",
            "timestamp 2026-01-01T12:10:00Z is 10 minutes ahead of this server's clock;"
            " it may be 5 minutes at most: set the device's clock",
        ),
        (
            NOW - 10 * 86_400_000,
            [2.0, 40.0, NAN],
            "too_old",
            "timestamp 2025-12-22T12:00:00Z is 10 days old; live readings may be 48 hours old at most:"
            " send older ones as a file with `faultwatch ingest`",
        ),
    ],
)
def test_a_row_is_taken_or_refused_for_a_reason(ts: int, values: list[float], reason: str, message: str) -> None:
    assert check(ts, values) == (reason, message)


def test_the_limits_of_time_are_inclusive() -> None:
    limits = LiveLimits(ahead_ms=1000, age_ms=1000)
    assert check(NOW + 1000, [1.0, 1.0, NAN], limits)[0] == "fine"
    assert check(NOW + 1001, [1.0, 1.0, NAN], limits)[0] == "future"
    assert check(NOW - 1000, [1.0, 1.0, NAN], limits)[0] == "fine"
    assert check(NOW - 1001, [1.0, 1.0, NAN], limits)[0] == "too_old"


def test_backfill_takes_rows_of_any_time() -> None:
    assert check(0, [1.0, 1.0, NAN], None)[0] == "fine"
    assert check(NOW * 2, [17.0, 1.0, NAN], None)[0] == "out_of_range"


def test_what_is_wrong_with_the_value_goes_before_what_is_wrong_with_the_time() -> None:
    assert check(NOW + 10**9, [INF, -1.0, NAN])[0] == "not_finite"
    assert check(NOW + 10**9, [2.0, -1.0, NAN])[0] == "out_of_range"


def test_a_range_open_below_says_where_it_ends() -> None:
    cold = DeviceType(name="cold", sensors=(Sensor(name="t", unit="°C", high=10.0),))
    row = np.array([[11.0]])
    code = int(check_rows(np.array([NOW]), row, cold, NOW, None)[0])
    assert explain_row(code, NOW, row[0], cold, NOW, None) == "t is 11 °C; its valid range ends at 10 °C"


def test_a_typing_error_in_a_sensor_is_answered_with_the_names_there_are() -> None:
    assert unknown_sensor(["presure"], PUMP) == "sensor 'presure' is not of type 'pump', which has pressure, flow"
    many = unknown_sensor([f"s{i}" for i in range(9)], PUMP)
    assert many.startswith("sensors 's0', 's1', 's2', 's3', 's4' … are not of type 'pump'")


def test_nan_is_named() -> None:
    assert not_finite("flow", NAN) == "flow is nan, not a finite number: send null where there is no value"


@given(st.integers(-(10**13), 10**13), st.integers(1, 100_000))
def test_a_cut_timestamp_is_the_start_of_its_step(ts: int, step: int) -> None:
    cut = int(cut_timestamps(np.array([ts]), step)[0])
    assert cut % step == 0
    assert 0 <= ts - cut < step


Sent = tuple[int, int, float, float]


def settled(rows: Sequence[Sent], newest: dict[int, int] | None = None, recent: RecentRows | None = None) -> list[str]:
    """Reasons of rows (device, ts, pressure, flow); `+` marks those the lake has yet to check."""
    seen = np.full(8, np.iinfo(np.int64).min)
    for key, ts in (newest or {}).items():
        seen[key] = ts
    outcome = settle(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2:] for row in rows], np.float64).reshape(len(rows), 2),
        seen,
        recent or RecentRows(),
    )
    doubts = outcome.unchecked.tolist()
    return [REASONS[code] + ("+" if doubt else "") for code, doubt in zip(outcome.codes, doubts, strict=True)]


def held(*rows: Sent, doubt: bool = False) -> RecentRows:
    recent = RecentRows()
    recent.add(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2:] for row in rows], np.float64),
        np.full(len(rows), doubt),
        NOW,
    )
    return recent


def test_newer_rows_are_new() -> None:
    assert settled([(1, 60, 1.0, 2.0), (1, 61, 1.0, 2.0), (2, 60, 1.0, 2.0)], {1: 59}) == ["fine"] * 3


def test_the_same_reading_twice_in_a_batch() -> None:
    rows = [(1, 60, 1.0, 2.0), (1, 60, 1.0, 2.0), (1, 60, 1.0, NAN), (1, 60, 3.0, NAN), (1, 60, NAN, NAN)]
    assert settled(rows) == ["fine", "duplicate", "duplicate", "conflict", "duplicate"]


def test_sensors_of_a_reading_may_come_one_by_one() -> None:
    assert settled([(1, 60, 1.0, NAN), (1, 60, NAN, 2.0), (1, 60, NAN, 2.0)]) == ["fine", "fine", "duplicate"]


def test_what_a_row_in_conflict_would_have_brought_does_not_count() -> None:
    rows = [(1, 60, 1.0, NAN), (1, 60, 9.0, 5.0), (1, 60, NAN, 6.0), (1, 60, NAN, 5.0)]
    assert settled(rows) == ["fine", "conflict", "fine", "conflict"]


def test_a_row_that_is_in_memory_is_compared_with_it() -> None:
    recent = held((1, 60, 1.0, NAN), (1, 61, 1.0, 1.0))
    rows = [(1, 60, 1.0, NAN), (1, 60, 2.0, NAN), (1, 60, NAN, 4.0), (1, 61, 1.0, 1.0)]
    assert settled(rows, {1: 61}, recent) == ["duplicate", "conflict", "fine", "duplicate"]


def test_a_row_that_is_not_in_memory_is_left_to_the_lake() -> None:
    rows = [(1, 59, 1.0, NAN), (1, 59, 1.0, NAN), (1, 59, NAN, 2.0), (1, 59, 7.0, NAN)]
    assert settled(rows, {1: 61}) == ["fine+", "duplicate", "fine+", "conflict"]


def test_a_part_of_a_reading_of_which_the_lake_may_have_more_is_left_to_it_too() -> None:
    assert settled([(1, 60, NAN, 2.0)], {1: 60}, held((1, 60, 1.0, NAN), doubt=True)) == ["fine+"]


def test_the_conflict_is_said_in_words() -> None:
    outcome = settle(
        np.array([1]), np.array([NOW]), np.array([[3.0, NAN]]), np.array([0, NOW]), held((1, NOW, 2.5, 1.0))
    )
    assert explain_conflict(NOW, np.array([3.0, NAN]), outcome.present[0], PUMP_OF_TWO) == (
        "there is a reading of 2026-01-01T12:00:00Z already, with pressure 2.5 bar instead of 3 bar:"
        " the first one stays"
    )


PUMP_OF_TWO = DeviceType(name="pump", sensors=PUMP.sensors[:2])

sent_rows = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 3), st.sampled_from([1.0, 2.0, NAN]), st.sampled_from([1.0, 2.0, NAN])),
    max_size=12,
)


def one_by_one(rows: Sequence[Sent]) -> list[str]:
    """What `settle` promises, said the slow way."""
    have: dict[tuple[int, int], list[float]] = {}
    reasons = []
    for key, ts, *values in rows:
        found = (key, ts) in have
        there = have.setdefault((key, ts), [NAN, NAN]) if not found else have[key, ts]
        if any(v == v and t == t and v != t for v, t in zip(values, there, strict=True)):
            reasons.append("conflict")
        elif found and not any(v == v and t != t for v, t in zip(values, there, strict=True)):
            reasons.append("duplicate")
        else:
            reasons.append("fine")
            have[key, ts] = [v if t != t else t for v, t in zip(values, there, strict=True)]
    return reasons


@settings(max_examples=200)
@given(sent_rows)
def test_settling_many_at_once_is_settling_one_by_one(rows: list[Sent]) -> None:
    assert settled(rows) == one_by_one(rows)


@settings(max_examples=200)
@given(sent_rows, st.data())
def test_it_does_not_matter_how_rows_are_split_into_batches(rows: list[Sent], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=4)))
    recent = RecentRows()
    newest: dict[int, int] = {}
    reasons: list[str] = []
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        batch = rows[start:end]
        said = settled(batch, newest, recent)
        reasons += [reason.rstrip("+") for reason in said]
        kept = [row for row, reason in zip(batch, said, strict=True) if reason.startswith("fine")]
        if kept:
            recent.add(
                np.array([row[0] for row in kept]),
                np.array([row[1] for row in kept]),
                np.array([row[2:] for row in kept]),
                np.array([reason.endswith("+") for reason in said if reason.startswith("fine")]),
                NOW,
            )
        for key, ts, *_ in kept:
            newest[key] = max(newest.get(key, ts), ts)
    assert reasons == one_by_one(rows)


def test_every_reason_has_a_word() -> None:
    assert len(REASONS) == len(Reason)
    assert REASONS[Reason.conflict] == "conflict"
