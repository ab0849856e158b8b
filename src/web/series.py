"""Rows of one device as lines for a chart: expected ranges joined between where they were stored, and fewer
points that still show every extreme."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ..telemetry.schema import DeviceType

JOIN_ROWS = 20
"""Expected ranges are stored every 10th row at least; they are carried on over at most this many rows."""

LOW = "low_"
HIGH = "high_"


@dataclass(frozen=True, slots=True)
class Series:
    """Points in time order. `frame`: timestamp, score, and per sensor its value, low_<sensor>, high_<sensor>.

    `bucket_ms` is None where every row is a point; else each bucket of that length gave two points, its
    smallest and its largest value of each sensor in the order they came.
    """

    frame: pl.DataFrame
    sensors: tuple[str, ...]
    bucket_ms: int | None


def series(rows: pl.DataFrame, device_type: DeviceType, points: int | None, sensors: Sequence[str]) -> Series:
    """Points of one device for some of its sensors.

    `rows`: rows of the lake (timestamp, sensors, score, bands) sorted by timestamp; `points`: how many points at
    most, None for every row.
    """
    frame = _with_expected(rows, device_type, sensors)
    if points is None or frame.height <= points:
        return Series(frame, tuple(sensors), None)
    return _extremes(frame, tuple(sensors), points)


def _with_expected(rows: pl.DataFrame, device_type: DeviceType, sensors: Sequence[str]) -> pl.DataFrame:
    names = device_type.sensor_names
    # A type that gained a sensor has narrower lists before: centres are the first half, widths the second.
    half = pl.col("bands").list.len() // 2
    stored = []
    for name in sensors:
        place = names.index(name)
        there = half > place
        centre = pl.when(there).then(pl.col("bands").list.get(place, null_on_oob=True))
        width = pl.when(there).then(pl.col("bands").list.get(half + place, null_on_oob=True))
        stored += [(centre - width).alias(LOW + name), (centre + width).alias(HIGH + name)]
    value = [
        (pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64).alias(name)).cast(pl.Float64)
        for name in sensors
    ]
    frame = rows.select("timestamp", pl.col("score").cast(pl.Float64), *value, *stored)
    edges = [LOW + name for name in sensors] + [HIGH + name for name in sensors]
    return frame.with_columns(
        pl.when(pl.col("score").is_not_null())
        .then(
            pl.col(edge)
            .fill_nan(None)
            .cast(pl.Float64)
            .interpolate_by("timestamp")
            .forward_fill(limit=JOIN_ROWS)
            .backward_fill(limit=JOIN_ROWS)
        )
        .alias(edge)
        for edge in edges
    )


def _extremes(frame: pl.DataFrame, sensors: tuple[str, ...], points: int) -> Series:
    first_ms, last_ms = _ms(frame, 0), _ms(frame, -1)
    bucket_ms = max(2, -(-(last_ms - first_ms + 1) // max(1, points // 2)))
    at = (pl.col("timestamp").dt.epoch("ms") - first_ms) // bucket_ms
    lines = ["score", *sensors]
    buckets = frame.group_by(at.alias("bucket"), maintain_order=True).agg(
        *(pl.col(line).min().alias(f"min.{line}") for line in lines),
        *(pl.col(line).max().alias(f"max.{line}") for line in lines),
        *((pl.col(line).arg_min() <= pl.col(line).arg_max()).alias(f"rises.{line}") for line in lines),
        *(pl.col(LOW + name).min() for name in sensors),
        *(pl.col(HIGH + name).max() for name in sensors),
    )
    edges = [edge + name for name in sensors for edge in (LOW, HIGH)]

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
            *edges,
        )

    both = pl.concat([half(bucket_ms // 4, True), half(bucket_ms * 3 // 4, False)])
    # The newest reading stays a point of its own: the figure beside the chart is the line's last point.
    newest = frame.tail(1).select(both.columns).cast(dict(both.schema))  # type: ignore[arg-type]
    return Series(pl.concat([both.sort("timestamp", maintain_order=True), newest]), sensors, bucket_ms)


def _ms(frame: pl.DataFrame, row: int) -> int:
    moment: int = frame["timestamp"].dt.epoch("ms")[row]
    return moment
