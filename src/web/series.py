"""Rows of one device as lines for a chart: expected ranges joined between where they were stored, and fewer
points that still show every extreme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ..telemetry.expected import edge_names, with_expected
from ..telemetry.schema import DeviceType


@dataclass(frozen=True, slots=True)
class Series:
    """Points in time order. `frame`: timestamp, score, and per sensor its value and the `edges` of its expected range.

    `bucket_ms` is None where every row is a point; else each bucket of that length gave two points, its
    smallest and its largest value of each sensor in the order they came.
    """

    frame: pl.DataFrame
    edges: Mapping[str, tuple[str, str]]
    bucket_ms: int | None

    @property
    def sensors(self) -> tuple[str, ...]:
        """The sensors there are lines of."""
        return tuple(self.edges)


def series(rows: pl.DataFrame, device_type: DeviceType, points: int | None, sensors: Sequence[str]) -> Series:
    """Points of one device for some of its sensors.

    `rows`: rows of the lake (timestamp, sensors, score, bands) sorted by timestamp; `points`: how many points at
    most, None for every row.
    """
    of_one = rows.with_columns(pl.lit(0, pl.Int64).alias("device_key"))
    frame = with_expected(of_one, device_type, sensors).drop("device_key")
    edges = {name: edge_names(name, device_type) for name in sensors}
    if points is None or frame.height <= points:
        return Series(frame, edges, None)
    return _extremes(frame, edges, points)


def _extremes(frame: pl.DataFrame, edges: Mapping[str, tuple[str, str]], points: int) -> Series:
    first_ms, last_ms = _ms(frame, 0), _ms(frame, -1)
    bucket_ms = max(2, -(-(last_ms - first_ms + 1) // max(1, points // 2)))
    at = (pl.col("timestamp").dt.epoch("ms") - first_ms) // bucket_ms
    lines = ["score", *edges]
    buckets = frame.group_by(at.alias("bucket"), maintain_order=True).agg(
        *(pl.col(line).min().alias(f"min.{line}") for line in lines),
        *(pl.col(line).max().alias(f"max.{line}") for line in lines),
        *((pl.col(line).arg_min() <= pl.col(line).arg_max()).alias(f"rises.{line}") for line in lines),
        *(pl.col(low).min() for low, _ in edges.values()),
        *(pl.col(high).max() for _, high in edges.values()),
    )

    def half(offset_ms: int, early: bool) -> pl.DataFrame:
        moment = first_ms + pl.col("bucket") * bucket_ms + offset_ms
        return buckets.select(
            pl.from_epoch(pl.min_horizontal(moment, last_ms - 1), "ms")
            .cast(pl.Datetime("us"))
            .dt.replace_time_zone("UTC")
            .alias("timestamp"),
            *(
                pl.when(pl.col(f"rises.{line}") == early)
                .then(pl.col(f"min.{line}"))
                .otherwise(pl.col(f"max.{line}"))
                .alias(line)
                for line in lines
            ),
            *(edge for pair in edges.values() for edge in pair),
        )

    both = pl.concat([half(bucket_ms // 4, True), half(bucket_ms * 3 // 4, False)])
    # The newest reading stays a point of its own: the figure beside the chart is the line's last point.
    newest = frame.tail(1).select(both.columns).cast(dict(both.schema))  # type: ignore[arg-type]
    return Series(pl.concat([both.sort("timestamp", maintain_order=True), newest]), edges, bucket_ms)


def _ms(frame: pl.DataFrame, row: int) -> int:
    moment: int = frame["timestamp"].dt.epoch("ms")[row]
    return moment
