"""Rows of devices up to now: from the lake, and what the loop published that the lake doesn't hold yet."""

from collections.abc import Sequence

import polars as pl

from ..telemetry.published import read_recent
from .parts import Parts
from .ranges import TimeRange

KEY = ("device_key", "timestamp")


def device_rows(
    parts: Parts, type_id: int, keys: Sequence[int], span: TimeRange, columns: Sequence[str]
) -> pl.DataFrame:
    """Rows of devices of one type, sorted by device and time, each reading once.

    `columns`: which to read beside device_key and timestamp; one that no row ever had is null.
    """
    wanted = list(dict.fromkeys((*KEY, *columns)))
    start_ms, end_ms = span.start_ms, span.end_ms
    if not parts.published:
        return parts.lake.read(type_id, device_keys=keys, start_ms=start_ms, end_ms=end_ms, columns=wanted)
    frames = [
        read_recent(
            parts.lake,
            reader,
            type_id,
            app_id=f"shard-{shard}",
            device_keys=keys,
            start_ms=start_ms,
            end_ms=end_ms,
            columns=wanted,
        )
        for shard, reader in enumerate(parts.published)
    ]
    if len(frames) == 1:
        return frames[0]
    # Each shard's answer has the whole lake in it.
    return pl.concat(frames, how="diagonal_relaxed").unique(KEY, keep="first").sort(KEY)
