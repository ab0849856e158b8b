"""What the values of each sensor are like: centre and spread, measured one way for all that are compared."""

from collections.abc import Sequence

import msgspec
import polars as pl

from ...telemetry.schema import Sensor

WIDTHS = ((0.05, 0.95, 3.29), (0.005, 0.995, 5.15), (0.0, 1.0, 6.0))
"""Quantiles, and how many spreads lie between them in a normal distribution. The first pair that are apart counts: a
sensor that is mostly zero has its width further out."""

QUANTILES = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)


class SensorStatistics(msgspec.Struct, frozen=True):
    """Of `values` values of a sensor: its centre (median), its spread, and quantiles, the smallest and largest among
    them. Without a value all are zero."""

    sensor: str
    values: int
    centre: float = 0.0
    spread: float = 0.0
    quantiles: dict[str, float] = {}


def statistics(frame: pl.DataFrame, sensors: Sequence[Sensor]) -> list[SensorStatistics]:
    """Statistics of each sensor that is a column of `frame`."""
    return [_of(frame[sensor.name], sensor) for sensor in sensors if sensor.name in frame.columns]


def _of(column: pl.Series, sensor: Sensor) -> SensorStatistics:
    values = column.filter(column.is_finite().fill_null(False)).sort()
    if values.is_empty():
        return SensorStatistics(sensor.name, 0)
    centre = _quantile(values, 0.5)
    return SensorStatistics(
        sensor.name,
        len(values),
        centre,
        _spread(values, centre, sensor.precision),
        {f"{q:g}": _quantile(values, q) for q in (0.0, *QUANTILES, 1.0)},
    )


def _spread(values: pl.Series, centre: float, precision: float | None) -> float:
    """Never zero: at least the smallest step of the sensor, or a millionth of its value where that isn't known."""
    least = precision or max(abs(centre) * 1e-6, 1e-9)
    for low, high, spreads in WIDTHS:
        width = _quantile(values, high) - _quantile(values, low)
        if width > 0.0:
            return max(width / spreads, least)
    return least


def _quantile(values: pl.Series, q: float) -> float:
    return float(values[round(q * (len(values) - 1))])
