"""The lake: every reading with what the scorer said about it, one Delta table per device type."""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from ..exceptions import StorageError
from . import lake_compaction, lake_snapshots
from .lake_compaction import CHUNK_ROWS, CompactionReport, RetentionReport
from .lake_journals import EVENTS, QUARANTINE, conflict_rows, events_frame, events_records, quarantine_frame
from .lake_reads import Question, in_columns, known_at, moment, read, read_chunks
from .lake_rows import COLUMNS, KEY, ORDER, Settled, normalised, settle
from .lake_snapshots import PINS, Fingerprint, Snapshot
from .lake_table import LakeTable, Shape
from .records import Quarantined, Record

READINGS = Shape(columns=COLUMNS, sort_by=ORDER, told=("device_key", "timestamp", "ingest_seq"))

Journal = Literal["quarantine", "events"]
AnyTable = int | Journal
"""A table of the lake: the readings of a type by its id, or a journal."""

VACUUM_HOURS = 24
"""How long files of replaced versions stay: longer than any read takes."""

_AWS = (
    "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN AWS_REGION AWS_DEFAULT_REGION AWS_ENDPOINT_URL"
    " AWS_ALLOW_HTTP"
).split()


@dataclass(frozen=True, slots=True)
class Recent:
    """Rows of the lake and the number of the last record it holds of a shard, both of the same version."""

    rows: pl.DataFrame
    committed: int


class Lake:
    """The tables below `url`, a folder or an s3:// address. Threads and processes may share a lake.

    For s3:// the usual AWS_* variables are read; `storage_options` come before them. Errors of the storage
    are StorageErrors that name the table.
    """

    def __init__(self, url: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.url = url.rstrip("/")
        self._options = dict(storage_options or {})
        if "://" in url:
            self._options = {name: os.environ[name] for name in _AWS if name in os.environ} | self._options
        self._tables: dict[AnyTable | Literal["pins"], LakeTable] = {}
        self._guard = threading.Lock()

    def answers(self) -> None:
        """Look whether the lake can be reached. Raises StorageError where it can't, or may not be written."""
        if "://" in self.url:
            self.table("events").state()
            return
        folder = Path(self.url)
        with self._guard:
            tables = list(self._tables.values())
        if any(table.gone for table in tables):
            raise StorageError(f"the lake's folder {folder} is gone: put it back, or mount its disk again")
        place = next(place for place in (folder, *folder.parents) if place.exists())
        if not os.access(place, os.W_OK | os.X_OK):
            raise StorageError(
                f"the lake's folder {place} may not be written: see whether its disk is mounted read-only, and who owns"
                " it"
            )

    def append(self, type_id: int, frame: pl.DataFrame, *, app_id: str, version: int) -> bool:
        """Add rows as version `version` of `app_id` (`shard-0` and its record's number, `backfill-<hash>` and its
        chunk); False where that version or a later one is in already. They are on disk when this returns.

        `frame` needs device_key, timestamp, ingest_seq and arrived; score, model_version, late, shard, bands
        and blame are filled where absent; every other column is a sensor. An empty frame moves the version on.
        """
        return self._readings(type_id).append(normalised(frame), app_id=app_id, version=version, at=pl.col("arrived"))

    def append_settled(self, type_id: int, frame: pl.DataFrame, *, app_id: str, version: int) -> Settled | None:
        """Like `append`, for rows with a column `unchecked`: those it marks are compared with the lake first.

        Equal values are dropped, sensors a known row lacks are kept as a late part, values that contradict
        go to the quarantine. Returns None where the version is in already.
        """
        committed = self.committed(type_id, app_id)
        if committed is not None and committed >= version:
            return None
        marks = frame["unchecked"].fill_null(False)
        rows = normalised(frame.drop("unchecked")).with_columns(unchecked=marks)
        doubtful = rows.filter("unchecked")
        known = self._known(type_id, doubtful.select(KEY).unique())
        stored, conflicts, counts = settle(rows, known)
        own_id = f"{app_id}/type-{type_id}"
        # A shard that was killed after the next line cuts anew when it is back, up to a later record.
        told = self.journal_committed("quarantine", own_id) if not conflicts.is_empty() else None
        conflicts = conflicts.filter(pl.col("ingest_seq") > (-1 if told is None else told))
        if not conflicts.is_empty():
            self._journal("quarantine").append(
                conflict_rows(conflicts, type_id), app_id=own_id, version=version, at=pl.col("arrived")
            )
        stored_now = self._readings(type_id).append(stored, app_id=app_id, version=version, at=pl.col("arrived"))
        return counts if stored_now else None

    def committed(self, type_id: int, app_id: str) -> int | None:
        """The last version of `app_id` that the table of a type holds; None before the first."""
        state = self._readings(type_id).state(app_id)
        return None if state is None else state.committed

    def read(
        self,
        type_id: int,
        *,
        device_keys: Sequence[int] | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        columns: Sequence[str] | None = None,
        after_seq: int | None = None,
    ) -> pl.DataFrame:
        """Return rows with `start_ms` <= timestamp < `end_ms`, one per (device_key, timestamp) and in that order.

        Rows of the same key are merged: the first accepted value of a sensor stays, later parts fill what it
        lacks. `after_seq`: only rows brought by later records. A column asked for that no row had yet is null.
        """
        question = Question(device_keys, start_ms, end_ms, after_seq)
        return self._read(type_id, None, question, columns).rows

    def read_at(
        self,
        type_id: int,
        app_id: str,
        *,
        device_keys: Sequence[int] | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        columns: Sequence[str] | None = None,
    ) -> Recent:
        """Like `read`, with the last version of `app_id` in what was read (0 before the first)."""
        return self._read(type_id, app_id, Question(device_keys, start_ms, end_ms), columns)

    def chunks(
        self,
        type_id: int,
        *,
        start_ms: int | None = None,
        end_ms: int | None = None,
        columns: Sequence[str] | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Iterator[pl.DataFrame]:
        """Yield what `read` returns in parts of about `chunk_rows` rows; all rows of a device are in one part."""
        table, question = self._readings(type_id), Question(None, start_ms, end_ms)
        if (state := table.state()) is not None:
            for part in read_chunks(table, state, question.files(state.files), question.rows(), columns, chunk_rows):
                yield in_columns(part, columns)

    def extent(self, type_id: int) -> tuple[int, int] | None:
        """The times (ms) of the oldest and the newest reading of a type; None where there is none."""
        state = self._readings(type_id).state()
        if state is None or state.files.is_empty():
            return None
        oldest, newest = (
            state.files["min_timestamp"].dt.epoch("ms").min(),
            state.files["max_timestamp"].dt.epoch("ms").max(),
        )
        return (int(oldest), int(newest)) if isinstance(oldest, int) and isinstance(newest, int) else None

    def row_counts(self, type_id: int, start_ms: int, end_ms: int) -> dict[int, int]:
        """How many rows each device has in a time range, by device key; rows that will merge count apart."""
        table, question = self._readings(type_id), Question(None, start_ms, end_ms)
        if (state := table.state()) is None:
            return {}
        rows = table.scan(state, question.files(state.files)).filter(question.rows())
        counted = table.collect(rows.group_by("device_key").len().sort("device_key"), "streaming")
        return dict(zip(counted["device_key"].to_list(), counted["len"].to_list(), strict=True))

    def existing(self, type_id: int, keys: npt.NDArray[np.int64], ts: npt.NDArray[np.int64]) -> pl.DataFrame:
        """Return the merged rows the lake has at (keys, ts): device keys (n,) and milliseconds (n,)."""
        times = pl.Series("timestamp", ts).cast(pl.Datetime("ms", "UTC")).cast(pl.Datetime("us", "UTC"))
        return self._known(type_id, pl.DataFrame({"device_key": keys}).with_columns(times).unique())

    def quarantine(self, records: Sequence[tuple[int, Quarantined]], *, app_id: str, version: int) -> bool:
        """Keep rows that were not taken, of (number, record); False where `version` of `app_id` is in already."""
        frame = quarantine_frame(records)
        return self._journal("quarantine").append(frame, app_id=app_id, version=version, at=pl.col("arrived"))

    def read_quarantine(
        self,
        *,
        owner_id: int | None = None,
        device_keys: Sequence[int] | None = None,
        start_ms: int | None = None,
        end_ms: int | None = None,
        limit: int | None = None,
    ) -> pl.DataFrame:
        """Return rows that were not taken, newest first: those of an owner, or (values that contradicted a row
        of the lake have no owner in them) of devices; both where both are given, all where neither is."""
        rows = self._quarantined(owner_id, device_keys, start_ms, end_ms)
        rows = rows.sort("arrived", "ingest_seq", descending=True)
        return self.table("quarantine").collect(rows if limit is None else rows.head(limit))

    def count_quarantine(
        self,
        *,
        owner_id: int | None = None,
        device_keys: Sequence[int] | None = None,
        start_ms: int | None = None,
        samples: int = 3,
    ) -> pl.DataFrame:
        """Count rows that were not taken, chosen as by `read_quarantine`: a row per `reason`, the most frequent first.

        `rows`, `devices` (different ones), `newest`, and `samples`: the newest few, each with arrived, device_key,
        device_id, message and raw.
        """
        sample = pl.struct("arrived", "device_key", "device_id", "message", "raw")
        newest = sample.sort_by("arrived", "ingest_seq", descending=True).head(samples)
        counted = (
            self._quarantined(owner_id, device_keys, start_ms, None)
            .group_by("reason")
            .agg(
                pl.len().alias("rows"),
                pl.coalesce("device_id", pl.col("device_key").cast(pl.String)).n_unique().alias("devices"),
                pl.col("arrived").max().alias("newest"),
                newest.alias("samples"),
            )
            .sort(pl.col("rows"), pl.col("reason"), descending=[True, False])
        )
        return self.table("quarantine").collect(counted)

    def events(self, records: Sequence[tuple[int, Record]], *, app_id: str, version: int) -> bool:
        """Keep copies of log records other than rows, of (number, record), so that history can be replayed."""
        frame = events_frame(records)
        return self._journal("events").append(frame, app_id=app_id, version=version, at=pl.col("arrived"))

    def read_events(self, *, after_seq: int = 0) -> list[tuple[int, Record]]:
        """Return kept records numbered above `after_seq`, in order."""
        rows = self._read_journal("events", None, None).filter(pl.col("ingest_seq") > after_seq)
        return events_records(self.table("events").collect(rows.sort("ingest_seq")))

    def journal_committed(self, journal: Journal, app_id: str) -> int | None:
        """The last version of `app_id` that a journal holds; None before the first."""
        state = self._journal(journal).state(app_id)
        return None if state is None else state.committed

    def compact(self, table: AnyTable, now_ms: int, *, chunk_rows: int = CHUNK_ROWS) -> CompactionReport:
        """Rewrite the hours and days of arrival that ended 10 minutes ago or more; appends go on meanwhile."""
        return lake_compaction.compact(self.table(table), now_ms, chunk_rows)

    def retain(self, table: AnyTable, days: int, now_ms: int) -> RetentionReport:
        """Remove what arrived more than `days` days ago, by whole days, sparing those pinned snapshots need."""
        before = (datetime.fromtimestamp(now_ms / 1000, UTC) - timedelta(days=days)).date()
        pins = [pin.files_of() for pin in self.pins().values() if pin.type_id == table]
        return lake_compaction.retain(self.table(table), before, pl.any_horizontal(pins) if pins else None)

    def vacuum(self, table: AnyTable, *, hours: int = VACUUM_HOURS) -> int:
        """Delete the files of versions replaced more than `hours` ago and old log; return how many files went."""
        return len(self.table(table).vacuum(hours))

    def snapshot(
        self,
        type_id: int,
        start_ms: int,
        end_ms: int,
        seqs: Mapping[int, int],
        devices: Sequence[int] | None = None,
    ) -> Snapshot:
        """Fix the readings of a time range that the records up to `seqs` (shard: number) brought, of all devices or
        of some.

        The lake must hold all of those records (`lake_seq`): rows that come for them later would change it.
        """
        chosen = None if devices is None else tuple(sorted(devices))
        fingerprint, version = Fingerprint(), 0
        table = self._readings(type_id)
        if (state := table.state()) is not None:
            version, files = state.version, Question(chosen, start_ms, end_ms).files(state.files)
            rows = lake_snapshots.belongs(start_ms, end_ms, seqs, chosen)
            for part in read_chunks(table, state, files, rows, KEY, CHUNK_ROWS):
                fingerprint.add(part)
        return Snapshot(
            type_id=type_id,
            start_ms=start_ms,
            end_ms=end_ms,
            seqs=dict(seqs),
            version=version,
            rows=fingerprint.rows,
            fingerprint=fingerprint.hex(),
            devices=chosen,
        )

    def snapshot_chunks(
        self,
        snapshot: Snapshot,
        *,
        columns: Sequence[str] | None = None,
        chunk_rows: int = CHUNK_ROWS,
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a snapshot by whole devices. Raises StorageError at the end if they aren't all there."""
        fingerprint, table = Fingerprint(), self._readings(snapshot.type_id)
        if (state := table.state()) is not None:
            files = state.files.filter(snapshot.files_of())
            for part in read_chunks(table, state, files, snapshot.rows_of(), columns, chunk_rows):
                fingerprint.add(part)
                yield in_columns(part, columns)
        fingerprint.check(snapshot)

    def read_snapshot(self, snapshot: Snapshot, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """Return all rows of a snapshot. Raises StorageError where they aren't those it was taken of."""
        parts = list(self.snapshot_chunks(snapshot, columns=columns))
        return pl.concat(parts) if parts else in_columns(pl.DataFrame(schema=COLUMNS), columns)

    def survey(
        self, snapshot: Snapshot, columns: Sequence[str], question: Callable[[pl.LazyFrame], pl.LazyFrame]
    ) -> pl.DataFrame:
        """Return what `question` makes of a snapshot's rows as they are stored: those that will merge are still apart.

        They are given in `columns`, by device and time within each file only, and read as a stream: all of a large
        fleet may be counted. A column that no row had yet is null.
        """
        table = self._readings(snapshot.type_id)
        if (state := table.state()) is None:
            return question(in_columns(pl.DataFrame(schema=COLUMNS), columns).lazy()).collect()
        rows = table.scan(state, state.files.filter(snapshot.files_of())).filter(snapshot.rows_of())
        present = set(state.columns)
        shown = [
            pl.col(name) if name in present else pl.lit(None, COLUMNS.get(name, pl.Float64())).alias(name)
            for name in columns
        ]
        return table.collect(question(rows.select(shown)), "streaming")

    def pin(self, name: str, snapshot: Snapshot) -> None:
        """Keep the rows of `snapshot` from retention until `unpin`; a pin of that name moves."""
        lake_snapshots.write_pin(self._pins(), name, snapshot, snapshot.type_id, datetime.now(UTC))

    def unpin(self, name: str) -> None:
        """Let retention have the rows; a name that isn't pinned is no error."""
        if (snapshot := self.pins().get(name)) is not None:
            lake_snapshots.write_pin(self._pins(), name, None, snapshot.type_id, datetime.now(UTC))

    def pins(self) -> dict[str, Snapshot]:
        """The pinned snapshots by name."""
        return lake_snapshots.read_pins(self._pins())

    def _read(self, type_id: int, app_id: str | None, question: Question, columns: Sequence[str] | None) -> Recent:
        table = self._readings(type_id)
        state = table.state(app_id)
        if state is None:
            return Recent(in_columns(pl.DataFrame(schema=COLUMNS), columns), 0)
        return Recent(in_columns(read(table, state, question, columns), columns), state.committed or 0)

    def _known(self, type_id: int, keys: pl.DataFrame) -> pl.DataFrame:
        table = self._readings(type_id)
        if keys.is_empty() or (state := table.state()) is None:
            return pl.DataFrame(schema=COLUMNS)
        return known_at(table, state, keys)

    def _quarantined(
        self, owner_id: int | None, device_keys: Sequence[int] | None, start_ms: int | None, end_ms: int | None
    ) -> pl.LazyFrame:
        chosen = []
        if owner_id is not None:
            chosen.append(pl.col("owner_id") == owner_id)
        if device_keys is not None:
            chosen.append(pl.col("device_key").is_in(list(device_keys)))
        rows = self._read_journal("quarantine", start_ms, end_ms)
        return rows.filter(pl.any_horizontal(chosen).fill_null(False)) if chosen else rows

    def _read_journal(self, journal: Journal, start_ms: int | None, end_ms: int | None) -> pl.LazyFrame:
        table = self._journal(journal)
        state = table.state()
        if state is None:
            return pl.LazyFrame(schema=dict(table.shape.columns))
        rows = table.scan(state)
        if start_ms is not None:
            rows = rows.filter(pl.col("arrived") >= moment(start_ms))
        if end_ms is not None:
            rows = rows.filter(pl.col("arrived") < moment(end_ms))
        return rows

    def table(self, table: AnyTable) -> LakeTable:
        """The Delta table behind, for maintenance."""
        return self._readings(table) if isinstance(table, int) else self._journal(table)

    def _readings(self, type_id: int) -> LakeTable:
        return self._opened(type_id, f"readings/type-{type_id}", READINGS)

    def _journal(self, journal: Journal) -> LakeTable:
        return self._opened(journal, journal, QUARANTINE if journal == "quarantine" else EVENTS)

    def _pins(self) -> LakeTable:
        return self._opened("pins", "pins", PINS)

    def _opened(self, name: AnyTable | Literal["pins"], folder: str, shape: Shape) -> LakeTable:
        with self._guard:
            if name not in self._tables:
                self._tables[name] = LakeTable(f"{self.url}/{folder}", self._options, shape)
            return self._tables[name]
