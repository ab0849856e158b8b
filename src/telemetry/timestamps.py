"""Timestamps as senders write them, turned into milliseconds since 1970 UTC, many at a time."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

SECONDS_BELOW = 1e11
"""A number up to here is seconds since 1970, above it milliseconds: 1e11 s is the year 5138, 1e11 ms is 1973."""

LARGEST_MS = 253_402_300_799_999
"""The end of the year 9999, in milliseconds."""

FEW = 256
"""Up to so many texts are read one by one: putting a column together takes longer than that."""

_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)

_EXAMPLE = "2026-01-31T12:00:00Z"


def parse_timestamps(raw: Sequence[str | float]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Read RFC 3339 strings with a zone, and numbers of seconds or milliseconds since 1970.

    Returns milliseconds int64 (n,) and a mask bool (n,) of those that could be read; where it is false the
    time is 0, and `explain_timestamp` says why.
    """
    kinds = set(map(type, raw))
    if kinds <= {int, float}:
        return _from_numbers(np.array(raw, dtype=np.float64))
    if kinds == {str}:
        usual = _usual(raw) if len(raw) <= FEW else None
        return _from_strings(pl.Series(raw, dtype=pl.String)) if usual is None else usual
    ts = np.zeros(len(raw), np.int64)
    good = np.zeros(len(raw), bool)
    is_text = np.fromiter((isinstance(item, str) for item in raw), bool, len(raw))
    texts = pl.Series([item for item in raw if isinstance(item, str)], dtype=pl.String)
    ts[is_text], good[is_text] = _from_strings(texts)
    numbers = np.array([item for item in raw if not isinstance(item, str)], dtype=np.float64)
    ts[~is_text], good[~is_text] = _from_numbers(numbers)
    return ts, good


def _from_numbers(numbers: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    with np.errstate(over="ignore", invalid="ignore"):
        ms = np.where(np.abs(numbers) > SECONDS_BELOW, numbers, numbers * 1000.0)
        good = np.abs(ms) <= LARGEST_MS
    return np.rint(np.where(good, ms, 0.0)).astype(np.int64), good


def _usual(raw: Sequence[str | float]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]] | None:
    """A few texts as nearly everybody writes them; None where one is written otherwise or is no time."""
    try:
        times = [datetime.fromisoformat(text) for text in raw if isinstance(text, str) and _USUAL.fullmatch(text)]
    except ValueError:
        return None
    if len(times) < len(raw):
        return None
    return np.array([(time - _EPOCH) // _MS for time in times], np.int64), np.ones(len(times), bool)


def _from_strings(texts: pl.Series) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    # `%+` is ISO 8601 with a zone; a text without one gives null.
    parsed = texts.str.to_datetime("%+", strict=False, time_unit="ms", time_zone="UTC").to_physical()
    ts = parsed.fill_null(0).to_numpy()
    return ts, parsed.is_not_null().to_numpy() & (np.abs(ts) <= LARGEST_MS)


def parse_pattern(texts: pl.Series, pattern: str) -> pl.Series:
    """Read texts by a strptime pattern as Datetime in ms, null where one doesn't fit.

    With an offset in the pattern (`%z`) times are in UTC, else they have no zone; the name of a zone (`%Z`)
    is read over, since names such as CST stand for several. Raises PolarsError where the pattern has no meaning.
    """
    zoned = re.search(r"%[:#]*z|%\+", pattern) is not None
    return texts.str.to_datetime(pattern, strict=False, time_unit="ms", time_zone="UTC" if zoned else None)


def explain_timestamp(raw: str | float) -> str:
    """Say why `parse_timestamps` could not read this one."""
    expected = f"expected RFC 3339 with a zone, such as {_EXAMPLE}, or seconds or milliseconds since 1970"
    if not isinstance(raw, str):
        return f"timestamp {raw!r} is no time: {expected}"
    shown = raw if len(raw) <= 60 else raw[:60] + "…"
    _, with_zone = _from_strings(pl.Series([raw.strip() + "Z"]))
    if with_zone[0]:
        return f"timestamp {shown!r} has no zone: end it with Z if it is UTC, or with an offset such as +02:00"
    try:
        number = math.isfinite(float(raw))
    except ValueError:
        number = False
    if number:
        return f"timestamp {shown!r} is a number in quotes: send the number itself, or {expected}"
    return f"timestamp {shown!r} can't be read: {expected}"


def show_time(ts_ms: int) -> str:
    """Write milliseconds since 1970 as RFC 3339, without the fraction where it is zero."""
    time = np.datetime64(ts_ms, "ms") if ts_ms % 1000 else np.datetime64(ts_ms // 1000, "s")
    return f"{time}Z"
