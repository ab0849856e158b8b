"""Rows of readings in the lake: their columns, how rows of one key merge, and how doubtful rows are settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ..exceptions import StorageError

KEY = ("device_key", "timestamp")
ORDER = (*KEY, "ingest_seq")
UTC_TIME = pl.Datetime("us", "UTC")

COLUMNS: dict[str, pl.DataType] = {
    "device_key": pl.Int64(),
    "timestamp": UTC_TIME,
    "score": pl.Float32(),
    "model_version": pl.Int32(),
    "late": pl.Boolean(),
    "shard": pl.Int16(),
    "ingest_seq": pl.Int64(),
    "bands": pl.List(pl.Float32),
    "blame": pl.Int32(),
    "arrived": UTC_TIME,
}
"""Columns of every table of readings; all others are sensors."""

REQUIRED = ("device_key", "timestamp", "ingest_seq", "arrived")
_DEFAULTS: Mapping[str, object] = {"late": False, "shard": 0}


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of rows that nobody had compared with the lake: `duplicates` said what was known,
    `late_parts` added sensors to a known row, `new` were not known, `conflicts` values contradicted it."""

    new: int
    late_parts: int
    duplicates: int
    conflicts: int


def sensors_of(columns: Sequence[str]) -> list[str]:
    """Which of a table's columns are sensors, in their order."""
    return [name for name in columns if name not in COLUMNS and name not in ("ingest_day", "ingest_hour")]


def normalised(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows in the lake's types, NaN as null, absent columns filled; an absent `shard` is 0.

    Raises StorageError where a required column is absent or has nulls.
    """
    absent = [name for name in REQUIRED if name not in frame.columns]
    if absent:
        raise StorageError(f"rows for the lake lack {', '.join(absent)}; they have {', '.join(frame.columns)}")
    empty = [name for name in REQUIRED if frame[name].null_count()]
    if empty:
        raise StorageError(f"rows for the lake have nulls in {', '.join(empty)}; each row needs them")
    own = []
    for name, dtype in COLUMNS.items():
        column = pl.col(name) if name in frame.columns else pl.lit(None)
        default = _DEFAULTS.get(name)
        column = column.cast(dtype)
        own.append((column if default is None else column.fill_null(default)).alias(name))
    own[2] = own[2].fill_nan(None)
    sensors = [pl.col(name).cast(pl.Float64).fill_nan(None) for name in sensors_of(frame.columns)]
    return frame.select(*own[:2], *sensors, *own[2:])


def merge(frame: pl.DataFrame) -> pl.DataFrame:
    """Return one row per (device_key, timestamp), ordered by it.

    The first accepted value of each column stays and later parts fill its nulls; a row that was scored is
    not `late`, whatever came after it.
    """
    rows = frame.sort([name for name in ORDER if name in frame.columns], maintain_order=True)
    as_next = pl.all_horizontal(pl.col(name) == pl.col(name).shift(-1) for name in KEY).fill_null(False)
    if not rows.select(as_next.any()).item():
        return rows
    double = as_next | as_next.shift(1, fill_value=False)
    parts = rows.filter(double)
    firsts = [pl.col(name).first(ignore_nulls=True) for name in rows.columns if name not in (*KEY, "late")]
    lates = [pl.col("late").min()] if "late" in rows.columns else []
    merged = parts.group_by(KEY, maintain_order=True).agg(*firsts, *lates).select(rows.columns)
    return pl.concat([rows.filter(~double), merged]).sort(KEY)


def settle(frame: pl.DataFrame, known: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, Settled]:
    """Settle the rows marked `unchecked` against `known`, the merged rows the lake has at their keys.

    Returns the rows to store (without the mark), the values that contradict (device_key, timestamp, sensor,
    value, kept, ingest_seq, arrived), and the counts. The first accepted value of a sensor stays, be it in
    the lake or earlier in `frame`; an equal one is dropped; one of a sensor that had none is a late part.
    """
    sensors = sensors_of([name for name in frame.columns if name != "unchecked"])
    rows = frame.with_row_index("row").with_columns(pl.col("row").cast(pl.Int64), known=pl.lit(False))
    doubtful = rows.filter("unchecked")
    if doubtful.is_empty():
        return frame.drop("unchecked"), _no_conflicts(), Settled(0, 0, 0, 0)
    before = _as_known(known, sensors)
    around = pl.concat(
        [before, rows.join(doubtful.select(KEY).unique(), on=KEY, how="semi").select(before.columns)]
    ).sort(*KEY, ~pl.col("known"), "ingest_seq", "row", maintain_order=True)
    order = pl.int_range(pl.len())
    judged = around.with_columns(order.alias("place")).with_columns(
        *(pl.col(name).first(ignore_nulls=True).over(KEY).alias(f"kept_{name}") for name in sensors),
        *(
            pl.when(pl.col(name).is_not_null()).then(pl.col("place")).min().over(KEY).alias(f"at_{name}")
            for name in sensors
        ),
        (pl.col("place") > pl.col("place").min().over(KEY)).alias("repeats"),
    )
    return _divide(rows, judged.filter(pl.col("unchecked") & ~pl.col("known")), sensors)


def _divide(
    rows: pl.DataFrame, judged: pl.DataFrame, sensors: Sequence[str]
) -> tuple[pl.DataFrame, pl.DataFrame, Settled]:
    """Put the settled rows back among the others, and the contradicting values apart."""
    later = {name: pl.col(name).is_not_null() & (pl.col("place") > pl.col(f"at_{name}")) for name in sensors}
    stays = judged.with_columns(pl.when(~later[name]).then(pl.col(name)).alias(name) for name in sensors)
    has_value = pl.any_horizontal(pl.col(name).is_not_null() for name in sensors)
    kept = stays.filter(~pl.col("repeats") | has_value)
    conflicts = pl.concat(
        [
            judged.filter(later[name] & (pl.col(name) != pl.col(f"kept_{name}"))).select(
                *KEY,
                pl.lit(name).alias("sensor"),
                pl.col(name).alias("value"),
                pl.col(f"kept_{name}").alias("kept"),
                "ingest_seq",
                "arrived",
                "row",
            )
            for name in sensors
        ]
    ).sort("row", maintain_order=True)
    n_late = int(kept["repeats"].sum())
    n_duplicates = judged.join(pl.concat([kept.select("row"), conflicts.select("row")]), on="row", how="anti").height
    counts = Settled(len(kept) - n_late, n_late, n_duplicates, conflicts["row"].n_unique())
    settled = kept.select("row", *sensors, pl.col("repeats").alias("part"))
    stored = (
        pl.concat(
            [
                rows.filter(~pl.col("unchecked")).with_columns(part=pl.lit(False)),
                rows.drop(*sensors).join(settled, on="row", how="inner").select(*rows.columns, "part"),
            ]
        )
        .sort("row")
        .with_columns(pl.when("part").then(True).otherwise(pl.col("late")).alias("late"))
        .drop("row", "known", "unchecked", "part")
    )
    return stored, conflicts.drop("row"), counts


def _as_known(known: pl.DataFrame, sensors: Sequence[str]) -> pl.DataFrame:
    """The lake's rows in the columns that settling compares; they come before any row of the frame."""
    return known.select(
        *KEY,
        *((pl.col(name) if name in known.columns else pl.lit(None)).cast(pl.Float64).alias(name) for name in sensors),
        pl.col("ingest_seq"),
        pl.col("arrived"),
        pl.lit(-1, pl.Int64).alias("row"),
        pl.lit(False).alias("unchecked"),
        pl.lit(True).alias("known"),
    )


def _no_conflicts() -> pl.DataFrame:
    return pl.DataFrame(
        schema={
            "device_key": pl.Int64(),
            "timestamp": UTC_TIME,
            "sensor": pl.String(),
            "value": pl.Float64(),
            "kept": pl.Float64(),
            "ingest_seq": pl.Int64(),
            "arrived": UTC_TIME,
        }
    )
