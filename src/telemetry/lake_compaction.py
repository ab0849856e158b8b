"""Compaction and retention: small files of what has ended become few large ones, old days go.

Rows stand where they arrived. A closed hour's appended files become hourly ones; a closed day's files
become daily ones; those are never touched again. What arrives late for a closed hour or day is appended
there and takes the same way by itself, so no row is ever rewritten more than twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from .lake_files import APPENDED, DAILY, DAY, DAY_FILES, HOUR, HOURLY
from .lake_table import LakeTable, TableState

CHUNK_ROWS = 2_000_000
"""Rows sorted in memory at a time: about half a gigabyte at 8 sensors."""

GRACE = timedelta(minutes=10)
"""How long after its end an hour or day is left alone: the commit of its last minute is on its way."""


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """What a compaction did, in partitions, files and rows."""

    hours: int = 0
    days: int = 0
    files_before: int = 0
    files_after: int = 0
    rows: int = 0


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """Days and rows that were deleted, and the days kept because a pinned snapshot stands on them."""

    days: int
    rows: int
    kept_for_pins: tuple[date, ...]


def compact(table: LakeTable, now_ms: int, chunk_rows: int = CHUNK_ROWS) -> CompactionReport:
    """Rewrite the closed hours and days of a table; one commit each, so that what is done stays done."""
    state = table.state()
    if state is None:
        return CompactionReport()
    report = CompactionReport()
    closed = datetime.fromtimestamp(now_ms / 1000, UTC) - GRACE
    for day, hour, files in _due(state.files, closed):
        to_hour, word = (DAY_FILES, DAILY) if hour == DAY_FILES else (hour, HOURLY)
        new = [
            table.write(part, day, to_hour, word)
            for part in sorted_chunks(table, state, files, table.shape.sort_by, chunk_rows)
        ]
        table.replace(files, new, changes_rows=False)
        report = CompactionReport(
            report.hours + (hour != DAY_FILES),
            report.days + (hour == DAY_FILES),
            report.files_before + len(files),
            report.files_after + len(new),
            report.rows + int(files["num_records"].sum()),
        )
    return report


def retain(table: LakeTable, before: date, pinned: pl.Expr | None) -> RetentionReport:
    """Remove the days of arrival before `before`, except those with files that `pinned` chooses."""
    state = table.state()
    if state is None:
        return RetentionReport(0, 0, ())
    old = state.files.filter(pl.col(DAY) < before)
    kept: list[date] = [] if pinned is None else old.filter(pinned)[DAY].unique().sort().to_list()
    gone = old.filter(~pl.col(DAY).is_in(kept))
    if not gone.is_empty():
        table.replace(gone, [], changes_rows=True)
    return RetentionReport(gone[DAY].n_unique(), int(gone["num_records"].sum()), tuple(kept))


def sorted_chunks(
    table: LakeTable, state: TableState, files: pl.DataFrame, sort_by: tuple[str, ...], chunk_rows: int
) -> Iterator[pl.DataFrame]:
    """Yield the rows of `files` in order, about `chunk_rows` at a time; rows of one first key stay together."""
    rows = table.scan(state, files)
    if int(files["num_records"].sum()) <= chunk_rows:
        yield table.collect(rows).sort(sort_by, maintain_order=True)
        return
    for low, high in ranges(table, rows, sort_by[0], chunk_rows):
        part = rows.filter(pl.col(sort_by[0]).is_between(low, high))
        yield table.collect(part).sort(sort_by, maintain_order=True)


def ranges(
    table: LakeTable, rows: pl.LazyFrame, column: str, chunk_rows: int
) -> list[tuple[int | datetime, int | datetime]]:
    """Split the values of `column` into ranges (both ends inside) that hold about `chunk_rows` rows each."""
    counts = table.collect(rows.group_by(column).len(), "streaming").sort(column)
    numbered = counts.with_columns(((pl.col("len").cum_sum() - 1) // chunk_rows).alias("chunk"))
    ends = numbered.group_by("chunk", maintain_order=True).agg(
        pl.col(column).first().alias("low"), pl.col(column).last().alias("high")
    )
    return list(ends.select("low", "high").iter_rows())


def _due(files: pl.DataFrame, closed: datetime) -> Iterator[tuple[date, int, pl.DataFrame]]:
    """Yield (day, hour or DAY_FILES, files) of what is to be rewritten, oldest first.

    An hour with one appended file has nothing to gain; a day that is closed takes its hours as they are.
    """
    waiting = files.filter(pl.col(HOUR) != DAY_FILES)
    for (day,), in_day in waiting.partition_by(DAY, as_dict=True, maintain_order=True).items():
        if datetime.combine(day + timedelta(days=1), time(), UTC) <= closed:
            yield day, DAY_FILES, in_day
            continue
        appended = in_day.filter(pl.col("path").str.contains(f"/{APPENDED}-", literal=True))
        for (hour,), in_hour in appended.partition_by(HOUR, as_dict=True, maintain_order=True).items():
            if len(in_hour) > 1 and datetime.combine(day, time(hour), UTC) + timedelta(hours=1) <= closed:
                yield day, hour, in_hour
