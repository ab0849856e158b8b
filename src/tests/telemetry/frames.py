"""Frames of scored rows, as the shard hands them to the lake."""

from collections.abc import Sequence
from datetime import UTC, datetime

import polars as pl

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
START_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
"""A midnight; rows below count their minutes from it."""


def time_column(name: str, milliseconds: Sequence[int]) -> pl.Series:
    """A column of times from milliseconds since 1970."""
    return pl.Series(name, milliseconds, dtype=pl.Int64).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))


def scored(
    keys: Sequence[int],
    minutes: Sequence[float],
    seq: int | Sequence[int] = 1,
    *,
    arrived_ms: int | None = None,
    **columns: Sequence[object],
) -> pl.DataFrame:
    """Rows of devices `keys` at `minutes` after START_MS; they arrived then, or all at `arrived_ms`."""
    times = [START_MS + round(minute * 60_000) for minute in minutes]
    seqs = [seq] * len(keys) if isinstance(seq, int) else list(seq)
    arrivals = times if arrived_ms is None else [arrived_ms] * len(keys)
    return pl.DataFrame(
        {
            "device_key": pl.Series(keys, dtype=pl.Int64),
            "timestamp": time_column("timestamp", times),
            **columns,
            "ingest_seq": pl.Series(seqs, dtype=pl.Int64),
            "arrived": time_column("arrived", arrivals),
        }
    )
