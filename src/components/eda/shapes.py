"""Shapes of the values of each sensor: distribution then and now, seasons, and what moves with what."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]

BINS = 40
PAIRS_ROWS = 200_000
"""As many rows, at even distances, say how sensors move together."""

HOURS, WEEKDAYS = 24, 7


@dataclass(frozen=True, slots=True)
class Distribution:
    """Counts (n,) between edges (n + 1,), of the earlier rows and of those of the newest period."""

    edges: Floats
    before: Floats
    newest: Floats


@dataclass(frozen=True, slots=True)
class Season:
    """Quartiles (n,) of a sensor in each hour (UTC) or on each day of the week; NaN where there was no value."""

    low: Floats
    middle: Floats
    high: Floats


def distribution(values: Floats, is_newest: npt.NDArray[np.bool_]) -> Distribution:
    """Bins span all but the outermost half percent, which the first and last bin take."""
    there = np.isfinite(values)
    known = values[there]
    if not len(known):
        return Distribution(np.linspace(0.0, 1.0, BINS + 1), np.zeros(BINS), np.zeros(BINS))
    low, high = np.quantile(known, [0.005, 0.995])
    if high <= low:
        low, high = float(known.min()), float(known.max())
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    cut = np.clip(known, low, high)
    newest = is_newest[there]
    return Distribution(
        edges,
        np.histogram(cut[~newest], edges)[0].astype(np.float64),
        np.histogram(cut[newest], edges)[0].astype(np.float64),
    )


def seasons(rows: pl.DataFrame, sensors: Sequence[str], when: pl.Expr, length: int) -> dict[str, Season]:
    """Quartiles of each sensor in each step of `when` (0 to `length` - 1), each device net of its own median, but
    brought back to the median of all."""
    level = {name: rows[name].median() for name in sensors}
    net = rows.select(
        when.alias("step"),
        *((pl.col(name) - pl.col(name).median().over("device_key") + level[name]).alias(name) for name in sensors),
    )
    asked = [
        pl.col(name).quantile(q).alias(f"{name} {q}")
        for name in sensors
        if level[name] is not None
        for q in (0.25, 0.5, 0.75)
    ]
    found = net.group_by("step").agg(asked).sort("step")
    steps = found["step"].to_numpy()
    return {name: Season(*(_at(found, f"{name} {q}", steps, length) for q in (0.25, 0.5, 0.75))) for name in sensors}


def correlations(rows: pl.DataFrame, sensors: Sequence[str]) -> Floats:
    """Spearman's rank correlation (n_sensors, n_sensors) of values net of their device's median; NaN where one of the
    two doesn't vary or is never there with the other."""
    some = rows.gather_every(max(1, -(-len(rows) // PAIRS_ROWS)))
    net = some.select(
        (pl.col(name) - pl.col(name).median().over("device_key")).fill_nan(None).alias(name) for name in sensors
    )
    found = np.full((len(sensors), len(sensors)), np.nan)
    for a, first in enumerate(sensors):
        for b in range(a, len(sensors)):
            pair = net.select(pl.col(first).alias("a"), pl.col(sensors[b]).alias("b")).drop_nulls()
            if len(pair) > 2:
                value = pair.select(pl.corr("a", "b", method="spearman")).item()
                found[a, b] = found[b, a] = np.nan if value is None else value
    return found


def _at(found: pl.DataFrame, column: str, steps: npt.NDArray[np.int64], length: int) -> Floats:
    values = np.full(length, np.nan)
    if column in found.columns:
        values[steps] = found[column].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return values
