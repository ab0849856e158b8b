"""Rows of the lake as people read them: the score, and of each sensor its value and its expected range."""

from collections.abc import Sequence

import polars as pl

from .schema import DeviceType

JOIN_ROWS = 20
"""Expected ranges are stored every 10th row at least; they are carried on over at most this many rows."""

LOW = "low_"
HIGH = "high_"


def with_expected(rows: pl.DataFrame, device_type: DeviceType, sensors: Sequence[str]) -> pl.DataFrame:
    """Return device_key, timestamp, score, the values of `sensors`, and low_<sensor>, high_<sensor> of each.

    `rows`: rows of the lake (device_key, timestamp, score, bands and sensors; a sensor no row has is null),
    sorted by device and timestamp. Expected ranges are joined between the rows of a device that have one;
    a row without a score has none.
    """
    edges = [edge for name in sensors for edge in edge_names(name, device_type)]
    frame = rows.select(
        "device_key",
        "timestamp",
        pl.col("score").cast(pl.Float64),
        *(
            (pl.col(name) if name in rows.columns else pl.lit(None, pl.Float64).alias(name)).cast(pl.Float64)
            for name in sensors
        ),
        *(edge for name in sensors for edge in _stored(name, device_type)),
    )
    joined = (
        pl.col(edge)
        .fill_nan(None)
        .cast(pl.Float64)
        .interpolate_by("timestamp")
        .forward_fill(limit=JOIN_ROWS)
        .backward_fill(limit=JOIN_ROWS)
        .over("device_key")
        for edge in edges
    )
    return frame.with_columns(
        pl.when(pl.col("score").is_not_null()).then(column).alias(edge)
        for edge, column in zip(edges, joined, strict=True)
    )


def edge_names(sensor: str, device_type: DeviceType) -> tuple[str, str]:
    """The columns of a sensor's expected range; with a _ behind where a sensor of the type has that name."""
    low, high = LOW + sensor, HIGH + sensor
    while low in device_type.sensor_names or high in device_type.sensor_names:
        low, high = f"{low}_", f"{high}_"
    return low, high


def _stored(sensor: str, device_type: DeviceType) -> tuple[pl.Expr, pl.Expr]:
    """Low and high of a sensor where a row has them."""
    place = device_type.sensor_names.index(sensor)
    # A type that gained a sensor has narrower lists before: centres are the first half, widths the second.
    half = pl.col("bands").list.len() // 2
    there = half > place
    centre = pl.when(there).then(pl.col("bands").list.get(place, null_on_oob=True))
    width = pl.when(there).then(pl.col("bands").list.get(half + place, null_on_oob=True))
    low, high = edge_names(sensor, device_type)
    return (centre - width).alias(low), (centre + width).alias(high)
