"""One Delta table of the lake: its files, its schema, and the commits that change them.

delta-rs keeps the transaction log; the Parquet files are written and read by Polars (measured, CPU s per
million rows of 8 sensors: 0.4 where delta-rs' own writer takes 0.7) and committed by name, so that a
rewrite replaces exactly the files it read and never disturbs an append.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from ..exceptions import StorageError
from .lake_files import (
    APPENDED,
    DAILY,
    DAY,
    HOUR,
    PARTITIONS,
    Place,
    delta_type,
    fsync,
    fsync_up,
    polars_columns,
    write_file,
)

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from deltalake.transaction import AddAction, RemoveAction

REWRITES = "rewrite"
"""Application id of commits that replace or remove files: of two that start from the same files, one fails."""

CHECKPOINT_EVERY = 50
"""Commits after which the log of a table is summed up, so that opening it reads few files."""

ATTEMPTS = 8
"""How often an append is tried when others commit at the same moment."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table looks like: the columns it begins with, the order of rows in a file (its first column is
    also what large files are split by), and the columns whose smallest and largest value each file tells."""

    columns: Mapping[str, pl.DataType]
    sort_by: tuple[str, ...]
    told: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableState:
    """A version of a table: `files` has a row per file, `path, size_bytes, num_records, ingest_day, ingest_hour`
    and `min_<column>`, `max_<column>` for each told column; `columns` are those of its rows."""

    version: int
    files: pl.DataFrame
    columns: dict[str, pl.DataType]
    committed: int | None


class LakeTable:
    """A Delta table at `url`, a folder or s3:// address; made by the first append. Threads may share it."""

    def __init__(self, url: str, options: Mapping[str, str], shape: Shape) -> None:
        self.url = url.rstrip("/")
        self.shape = shape
        self._place = Place(self.url, options)
        self._options = self._place.delta_options()
        self._local = self._place.local
        self._guard = threading.RLock()
        self._table: DeltaTable | None = None
        self._opened = 0
        self._was_there = False
        self._files: tuple[int, pl.DataFrame] | None = None

    @property
    def gone(self) -> bool:
        """Whether the table was there, on a local disk, and isn't any more."""
        with self._guard:
            if self._table is None:  # it went while it was being opened anew
                return self._was_there and self._local and not Path(self.url, "_delta_log").exists()
            return not self._log_is_there(self._table)

    def state(self, app_id: str | None = None) -> TableState | None:
        """Return the newest version, None before the first append; `committed` is that of `app_id` in it."""
        with self._guard, _told(self.url, "read"):
            table = self._refreshed()
            if table is None:
                return None
            committed = None if app_id is None else table.transaction_version(app_id)
            return TableState(table.version(), self._list_files(table), polars_columns(table), committed)

    def scan(self, state: TableState, files: pl.DataFrame | None = None) -> pl.LazyFrame:
        """Return the rows of some (or all) files of a version, unordered; columns a file lacks are null."""
        columns = {name: dtype for name, dtype in state.columns.items() if name not in PARTITIONS}
        paths = (state.files if files is None else files)["path"]
        if paths.is_empty():
            return pl.LazyFrame(schema=columns)
        return pl.scan_parquet(
            [f"{self.url}/{path}" for path in paths],
            schema=columns,
            missing_columns="insert",
            extra_columns="ignore",
            hive_partitioning=False,
            glob=False,
            storage_options=self._place.polars_options(),
            credential_provider=None,
        )

    def append(self, frame: pl.DataFrame, *, app_id: str, version: int, at: pl.Expr) -> bool:
        """Commit `frame` as version `version` of `app_id`; False where that is in already.

        `at` is the time by which rows are put into partitions. Columns the table lacks are added to it.
        The rows are on disk when this returns. Raises StorageError where they can't be.
        """
        with _told(self.url, "written"):
            with self._guard:
                table = self._refreshed() or self._create()
                if _is_in(table, app_id, version):
                    return False
            added = self._write_appended(frame, at)
            with self._guard:
                table = self._refreshed() or self._create()
                return self._commit(table, added, app_id, version, frame.schema)

    def write(self, frame: pl.DataFrame, day: date, hour: int, name: str) -> "AddAction":
        """Write rows of a partition to a file that belongs to no version yet; `replace` makes it one."""
        with _told(self.url, "written"):
            return write_file(
                self._place, frame, day, hour, name, told=self.shape.told, level=3 if name == DAILY else 1
            )

    def replace(self, old: pl.DataFrame, new: "Sequence[AddAction]", *, changes_rows: bool) -> None:
        """Commit `new` in place of the files of `old`. Raises StorageError where another rewrite came first."""
        from deltalake.transaction import RemoveAction

        now_ms = time.time_ns() // 1_000_000
        removed = [
            RemoveAction(path, changes_rows, now_ms, size, {DAY: day.isoformat(), HOUR: str(hour)})
            for path, size, day, hour in old.select("path", "size_bytes", *PARTITIONS).iter_rows()
        ]
        with self._guard, _told(self.url, "rewritten"):
            table = self._refreshed()
            version = 1 if table is None else (table.transaction_version(REWRITES) or 0) + 1
            present = set() if table is None else set(self._list_files(table)["path"])
            if (
                table is None
                or not present.issuperset(old["path"])
                or not self._commit(table, [*new, *removed], REWRITES, version, {})
            ):
                raise StorageError(f"the table {self.url} was rewritten by another process meanwhile; start again")

    def vacuum(self, hours: int) -> list[str]:
        """Delete files no version of the last `hours` needs, and the log of versions older than a week."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        with _told(self.url, "cleaned"):
            try:
                table = DeltaTable(self.url, storage_options=self._options)  # its own: nobody waits for the deleting
            except TableNotFoundError:
                return []
            gone = table.vacuum(retention_hours=hours, dry_run=False, enforce_retention_duration=False, full=True)
            table.update_incremental()
            self._checkpoint(table)
            table.cleanup_metadata()
            return gone

    def collect(self, rows: pl.LazyFrame, engine: Literal["auto", "streaming"] = "auto") -> pl.DataFrame:
        """Read what `scan` began."""
        with _told(self.url, "read"):
            return rows.collect(engine=engine)

    def _write_appended(self, frame: pl.DataFrame, at: pl.Expr) -> "list[AddAction]":
        """Write a file for each hour of `at` in `frame`."""
        ordered = frame.sort(self.shape.sort_by)
        hours = ordered.select(at.dt.date().alias(DAY), at.dt.hour().cast(pl.Int8).alias(HOUR))
        present = hours.unique().sort(PARTITIONS)
        parts = (
            ordered if len(present) == 1 else ordered.filter((hours[DAY] == day) & (hours[HOUR] == hour))
            for day, hour in present.iter_rows()
        )
        return [
            write_file(self._place, rows, day, hour, APPENDED, told=self.shape.told, level=1)
            for (day, hour), rows in zip(present.iter_rows(), parts, strict=True)
        ]

    def _refreshed(self) -> "DeltaTable | None":
        """Open the table or bring it up to date."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        if self._table is not None and self._log_is_there(self._table):
            try:
                self._table.update_incremental()
                if self._table.version() < self._opened + CHECKPOINT_EVERY:
                    return self._table
            except DeltaError:  # its log was cleaned past the version it stood at
                pass
            # What was opened long ago replays every commit since then; opening anew begins at a checkpoint.
            self._table = None
        try:
            self._table = DeltaTable(self.url, storage_options=self._options)
        except TableNotFoundError as error:
            if self._was_there:
                # A folder that isn't mounted looks so. What was written there now would be hidden later.
                raise StorageError(
                    f"the lake table {self.url} was there and is gone; bring its storage back, or, where it was deleted"
                    " on purpose, restart faultwatch"
                ) from error
            return None
        self._opened, self._was_there = self._table.version(), True
        return self._table

    def _log_is_there(self, table: "DeltaTable") -> bool:
        """Whether a local table's log is where it was; delta-rs takes a folder that is gone for one without news.

        A write that was under way makes the folders anew, so it is the newest commit that is looked for.
        """
        return not self._local or Path(self.url, "_delta_log", f"{table.version():020d}.json").exists()

    def _create(self) -> "DeltaTable":
        from deltalake import DeltaTable, Field, Schema
        from deltalake.exceptions import DeltaError

        columns = {**self.shape.columns, DAY: pl.Date(), HOUR: pl.Int8()}
        if self._local:
            Path(self.url).mkdir(parents=True, exist_ok=True)
        try:
            self._table = DeltaTable.create(
                self.url,
                Schema([Field(name, delta_type(dtype)) for name, dtype in columns.items()]),
                partition_by=list(PARTITIONS),
                mode="error",
                configuration={
                    "delta.enableExpiredLogCleanup": "false",
                    "delta.logRetentionDuration": "interval 7 days",
                    "delta.checkpointInterval": "1000000000",
                },
                storage_options=self._options,
            )
        except DeltaError:  # another process made it first
            self._table = DeltaTable(self.url, storage_options=self._options)
        self._was_there = True
        if self._local:
            for folder in list(Path(self.url).resolve().parents)[:3]:
                fsync(folder)
        return self._table

    def _add_columns(self, table: "DeltaTable", columns: Mapping[str, pl.DataType]) -> None:
        from deltalake import Field

        known = polars_columns(table)
        if missing := [Field(name, delta_type(dtype)) for name, dtype in columns.items() if name not in known]:
            table.alter.add_columns(missing)
            table.update_incremental()

    def _commit(
        self,
        table: "DeltaTable",
        actions: "Sequence[AddAction | RemoveAction]",
        app_id: str,
        version: int,
        columns: Mapping[str, pl.DataType],
    ) -> bool:
        """Commit the actions once; False where `version` of `app_id` was in before."""
        from deltalake.exceptions import CommitFailedError
        from deltalake.transaction import CommitProperties, PostCommitHookProperties, Transaction

        for attempt in range(ATTEMPTS):
            if attempt:
                table.update_incremental()
            if _is_in(table, app_id, version):
                return False
            before = table.version()
            try:
                self._add_columns(table, columns)
                table.create_write_transaction(
                    list(actions),
                    "append",
                    table.schema(),
                    list(PARTITIONS),
                    commit_properties=CommitProperties(app_transactions=[Transaction(app_id, version)]),
                    post_commithook_properties=PostCommitHookProperties(create_checkpoint=False),
                )
            except CommitFailedError:
                if attempt + 1 == ATTEMPTS:
                    raise
                continue
            table.update_incremental()
            self._sync_log(before + 1, table.version())
            if table.version() // CHECKPOINT_EVERY > before // CHECKPOINT_EVERY:
                self._checkpoint(table)
            return True
        raise AssertionError("the loop returns or raises")

    def _list_files(self, table: "DeltaTable") -> pl.DataFrame:
        if self._files is None or self._files[0] != table.version():
            actions = pl.DataFrame(table.get_add_actions(flatten=True))
            columns = [pl.col("path"), pl.col("size_bytes"), pl.col("num_records")]
            columns += [pl.col(f"partition.{name}").alias(name) for name in PARTITIONS]
            for name in self.shape.told:
                columns += [pl.col(f"{end}.{name}").alias(f"{end}_{name}") for end in ("min", "max")]
            self._files = (table.version(), actions.sort("modification_time", "path").select(columns))
        return self._files[1]

    def _checkpoint(self, table: "DeltaTable") -> None:
        table.create_checkpoint()
        if self._local:
            fsync(Path(self.url, "_delta_log", f"{table.version():020d}.checkpoint.parquet"))
            fsync(Path(self.url, "_delta_log", "_last_checkpoint"))
            fsync(Path(self.url, "_delta_log"))

    def _sync_log(self, first: int, last: int) -> None:
        """Bring commits to disk: delta-rs leaves that to the system, but the write-ahead log is cut after them."""
        if self._local:
            for version in range(first, last + 1):
                fsync(Path(self.url, "_delta_log", f"{version:020d}.json"))
            fsync_up(Path(self.url, "_delta_log"), Path(self.url))


def _is_in(table: "DeltaTable", app_id: str, version: int) -> bool:
    committed = table.transaction_version(app_id)
    return committed is not None and committed >= version


@contextmanager
def _told(url: str, what: str) -> Iterator[None]:
    """Say in the product's words what failed."""
    from deltalake.exceptions import DeltaError

    try:
        yield
    except (DeltaError, OSError, pl.exceptions.ComputeError) as error:
        raise StorageError(
            f"the lake table {url} could not be {what}: {str(error).splitlines()[0]}. Check that the address exists,"
            " that its disk has space, and that this process may use it"
        ) from error
