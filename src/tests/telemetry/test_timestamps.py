"""Timestamps in every form senders write them."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...telemetry.timestamps import FEW, explain_timestamp, parse_timestamps, show_time

NOON = 1_767_268_800_000


@pytest.mark.parametrize(
    "raw",
    [
        "2026-01-01T12:00:00Z",
        "2026-01-01T12:00:00.000Z",
        "2026-01-01 12:00:00Z",
        "2026-01-01T14:00:00+02:00",
        "2026-01-01T14:00:00+0200",
        NOON,
        NOON / 1000,
        float(NOON),
        NOON // 1000,
    ],
)
def test_a_time_may_be_text_with_a_zone_or_seconds_or_milliseconds(raw: str | float) -> None:
    ts, good = parse_timestamps([raw])
    assert good.tolist() == [True]
    assert ts.tolist() == [NOON]


def test_forms_may_be_mixed_and_keep_their_places() -> None:
    ts, good = parse_timestamps(["2026-01-01T12:00:00Z", NOON, "yesterday", NOON / 1000 + 0.25])
    assert ts.tolist() == [NOON, NOON, 0, NOON + 250]
    assert good.tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("2026-01-01T12:00:00", "has no zone: end it with Z if it is UTC"),
        ("2026-01-01 12:00:00", "has no zone"),
        ("01/02/2026", "can't be read: expected RFC 3339 with a zone, such as 2026-01-31T12:00:00Z"),
        ("2026-02-30T12:00:00Z", "can't be read"),
        ("", "can't be read"),
        ("1767268800", "is a number in quotes: send the number itself"),
        (float("nan"), "is no time"),
        (float("inf"), "is no time"),
        (1e300, "is no time"),
        (-1e20, "is no time"),
        ("9" * 500, "…"),
    ],
)
def test_what_is_no_time_is_said_in_words(raw: str | float, words: str) -> None:
    _, good = parse_timestamps([raw])
    assert not good[0]
    assert words in explain_timestamp(raw)
    assert len(explain_timestamp(raw)) < 300


def test_no_timestamps_are_no_error() -> None:
    ts, good = parse_timestamps([])
    assert len(ts) == len(good) == 0


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_that_is_shown_is_read_as_the_same(ts_ms: int) -> None:
    ts, good = parse_timestamps([show_time(ts_ms)])
    assert good[0]
    assert int(ts[0]) == ts_ms


@given(st.lists(st.one_of(st.text(max_size=30).filter(str.isprintable), st.floats())))
def test_any_text_and_any_number_is_read_or_explained(raw: list[str | float]) -> None:
    ts, good = parse_timestamps(raw)
    assert len(ts) == len(good) == len(raw)
    for item, readable in zip(raw, good, strict=True):
        if not readable:
            assert explain_timestamp(item)


@given(
    st.from_regex(
        r"[0-2][0-9]{3}-[0-1][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{3})?(Z|[+-][0-2][0-9]:[0-9]{2})",
        fullmatch=True,
    )
)
def test_a_few_texts_are_read_as_many_are(text: str) -> None:
    (few,), (few_good,) = parse_timestamps([text])
    many, many_good = parse_timestamps([text] * (FEW + 1))
    assert (few, few_good) == (many[0], many_good[0])
    parsed = pl.Series([text]).str.to_datetime("%+", strict=False, time_unit="ms", time_zone="UTC").to_physical()[0]
    assert few_good == (parsed is not None)
    assert few == (parsed or 0)
