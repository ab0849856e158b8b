"""Reading readings: which files may hold the rows asked for, and those rows, merged by key."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from .lake_compaction import ranges
from .lake_files import PARTITIONS
from .lake_rows import COLUMNS, KEY, ORDER, merge
from .lake_table import LakeTable, TableState

HIDDEN = ("shard",)
"""Columns given only to those who name them."""


@dataclass(frozen=True, slots=True)
class Question:
    """Rows of some devices with `start_ms` <= timestamp < `end_ms`, brought by records above `after_seq`."""

    device_keys: Sequence[int] | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    after_seq: int | None = None

    def files(self, files: pl.DataFrame) -> pl.DataFrame:
        """The files that may hold such rows, by the smallest and largest values they tell."""
        tests = []
        if self.start_ms is not None:
            tests.append(pl.col("max_timestamp") >= moment(self.start_ms))
        if self.end_ms is not None:
            tests.append(pl.col("min_timestamp") < moment(self.end_ms))
        if self.after_seq is not None:
            tests.append(pl.col("max_ingest_seq") > self.after_seq)
        chosen = files.filter(tests) if tests else files
        if self.device_keys is None:
            return chosen
        keys = np.unique(np.asarray(self.device_keys, np.int64))
        if not len(keys):
            return chosen.clear()
        first = np.searchsorted(keys, chosen["min_device_key"].to_numpy()).clip(max=len(keys) - 1)
        low, high = chosen["min_device_key"].to_numpy(), chosen["max_device_key"].to_numpy()
        return chosen.filter(pl.Series((keys[first] >= low) & (keys[first] <= high)))

    def rows(self) -> pl.Expr:
        """The test of a row; the device's part is written so that row groups are told apart by their statistics."""
        tests = [pl.lit(True)]
        if self.device_keys is not None:
            keys = sorted(set(self.device_keys))
            if len(keys) == 1:
                tests.append(pl.col("device_key") == keys[0])
            elif keys:
                tests += [pl.col("device_key").is_between(keys[0], keys[-1]), pl.col("device_key").is_in(keys)]
            else:
                tests.append(pl.lit(False))
        if self.start_ms is not None:
            tests.append(pl.col("timestamp") >= moment(self.start_ms))
        if self.end_ms is not None:
            tests.append(pl.col("timestamp") < moment(self.end_ms))
        if self.after_seq is not None:
            tests.append(pl.col("ingest_seq") > self.after_seq)
        return pl.all_horizontal(tests)


def read(table: LakeTable, state: TableState, question: Question, columns: Sequence[str] | None) -> pl.DataFrame:
    """Return the merged rows of one version, in `columns` and what merging needs."""
    rows = table.scan(state, question.files(state.files)).filter(question.rows())
    return merge(table.collect(rows.select(_present(columns, state))))


def read_chunks(
    table: LakeTable,
    state: TableState,
    files: pl.DataFrame,
    rows: pl.Expr,
    columns: Sequence[str] | None,
    chunk_rows: int,
) -> Iterator[pl.DataFrame]:
    """Yield merged rows of `files`, whole devices and about `chunk_rows` rows at a time."""
    chosen = table.scan(state, files).filter(rows)
    for low, high in ranges(table, chosen, KEY[0], chunk_rows):
        part = chosen.filter(pl.col(KEY[0]).is_between(low, high))
        yield merge(table.collect(part.select(_present(columns, state))))


def known_at(table: LakeTable, state: TableState, keys: pl.DataFrame) -> pl.DataFrame:
    """Return the merged rows at `keys` (device_key, timestamp), each named once."""
    bounds = keys.select(pl.col("timestamp").min().alias("low"), pl.col("timestamp").max().alias("high")).row(
        0, named=True
    )
    devices = keys["device_key"].unique().to_list()
    files = Question(device_keys=devices).files(state.files)
    files = files.filter(pl.col("max_timestamp") >= bounds["low"], pl.col("min_timestamp") <= bounds["high"])
    near = pl.col("timestamp").is_between(bounds["low"], bounds["high"])
    rows = table.scan(state, files).filter(Question(device_keys=devices).rows() & near)
    return merge(table.collect(rows.join(keys.lazy(), on=KEY, how="semi"), "streaming"))


def in_columns(frame: pl.DataFrame, columns: Sequence[str] | None) -> pl.DataFrame:
    """Return `frame` in the columns asked for; one that no row had yet is null."""
    if columns is None:
        return frame.drop(HIDDEN, strict=False)
    missing = {name: COLUMNS.get(name, pl.Float64()) for name in columns if name not in frame.columns}
    return frame.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in missing.items()).select(columns)


def moment(ms: int) -> datetime:
    """Milliseconds since 1970 as a time in UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def needed(columns: Sequence[str]) -> list[str]:
    """`columns` and what merging needs besides."""
    return list(dict.fromkeys((*columns, *ORDER, "late")))


def _present(columns: Sequence[str] | None, state: TableState) -> list[str]:
    wanted = None if columns is None else set(needed(columns))
    return [name for name in state.columns if name not in PARTITIONS and (wanted is None or name in wanted)]
