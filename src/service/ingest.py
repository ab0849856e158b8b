"""Take files in: read them, spool their rows as a job, and see it through, by the running service or without one."""

import fcntl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np
from sqlalchemy import Engine

from ..exceptions import ConfigError, IngestError
from ..fleet import backfill_jobs
from ..fleet.backfill_jobs import Job
from ..fleet.database import reading, writing
from ..fleet.registry import Registry
from ..settings import Settings
from ..telemetry.files import FileChunk, read_chunks
from ..telemetry.lake import Lake
from ..telemetry.log import is_in_use
from ..telemetry.mapping import Mapping, encode_mapping
from ..telemetry.readings import Readings, concat, rank_within
from ..telemetry.records import BadRow
from . import backfill
from .shard import Shard

READ_ROWS = 100_000
MOST_BAD_ROWS = 10_000
"""So many bad rows of a job go to quarantine; the others are only counted."""

POLL_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be taken in: files and how to read them, their type and owner.

    The first `learn` rows of each device teach the type and aren't judged; 0: none do, beyond what the type still
    lacks. Only the first `first` rows of each device are taken in; 0: all.
    """

    paths: tuple[Path, ...]
    mapping: Mapping
    type_id: int
    owner_id: int
    learn: int = 0
    first: int = 0


class Progress(Protocol):
    """Is told how far things are."""

    def read(self, path: Path, rows: int) -> None:
        """So many rows of a file have been read."""

    def judged(self, rows: int, of: int) -> None:
        """So many rows of all have been taken in and judged."""


@dataclass(slots=True)
class Report:
    """What became of an order. `job` counts good rows; `bad` counts the others by reason, `examples` are the first.

    `again`: the same files were taken in before, so that nothing was done.
    """

    job: Job
    devices: int
    bad: Counter[str] = field(default_factory=Counter)
    examples: list[BadRow] = field(default_factory=list)
    again: bool = False


def take_in(
    settings: Settings, engine: Engine, lake: Lake, order: Order, clock: Callable[[], int], progress: Progress
) -> Report:
    """Take files in; return when the lake has all their rows.

    What was interrupted goes on where it was, given the same files. Where the service runs, it does the work;
    otherwise this process has the shard meanwhile. Raises IngestError where a file can't be read or none of its rows
    can be taken, StorageError where log, lake or database fail.
    """
    with _alone(settings.data):
        report = _found(settings, engine, order, clock()) or _spooled(settings, engine, order, clock, progress)
    if not report.again:
        report.job = _see_through(settings, engine, lake, report.job, clock, progress)
        backfill.forget_manifest(settings.data, report.job.id)
    return report


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """One process at a time spools files; another waits for it."""
    folder = data / "spool"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _file_hash(order: Order) -> str:
    how = f"{encode_mapping(order.mapping)!r} {order.type_id} {order.owner_id} {order.learn}"
    how += f" first {order.first}" if order.first else ""
    return backfill.hash_files(order.paths, how)


def _found(settings: Settings, engine: Engine, order: Order, now_ms: int) -> Report | None:
    """The job of the same files, if there is one that is done or can go on."""
    with reading(engine) as session:
        job = backfill_jobs.of_hash(session, _file_hash(order))
    if job is None:
        return None
    if job.state == "preparing":  # whoever prepared it is gone: one process at a time does
        with writing(engine) as session:
            backfill_jobs.fail(session, job.id, "interrupted while its file was read", now_ms)
        backfill.forget_job(settings.data, job.id)
        return None
    devices = 0 if job.state == "done" else len(backfill.read_manifest(settings.data, job.id).device_keys)
    return Report(job, devices, again=job.state == "done")


def _spooled(settings: Settings, engine: Engine, order: Order, clock: Callable[[], int], progress: Progress) -> Report:
    reader = _Reader(engine, order, clock(), progress)
    readings = reader.read()
    job = backfill.spool_job(
        settings.data,
        engine,
        file_name=_name_of(order.paths),
        file_hash=_file_hash(order),
        owner_id=order.owner_id,
        readings=readings,
        learn=order.learn,
        now_ms=clock(),
        bad_rows=reader.bad_rows,
    )
    return Report(job, len(np.unique(readings.keys)), reader.bad, reader.bad_rows[:5])


class _Reader:
    """Reads all files of an order; registers their devices."""

    def __init__(self, engine: Engine, order: Order, now_ms: int, progress: Progress) -> None:
        self.bad: Counter[str] = Counter()
        self.bad_rows: list[BadRow] = []
        self._registry = Registry(engine)
        self._spec = self._registry.types()[order.type_id]
        self._order = order
        self._names = device_names(order.paths)
        self._now_ms = now_ms
        self._progress = progress

    def read(self) -> Readings:
        """All good rows. Raises IngestError where there is none."""
        parts = [part for path in self._order.paths for part in self._file(path)]
        if not parts or not sum(map(len, parts)):
            first = f"; the first: {self.bad_rows[0].message}" if self.bad_rows else ""
            raise IngestError(
                f"{_name_of(self._order.paths)} holds no row that can be taken: {self.bad.total():,} bad ones{first}."
                " Check the mapping and the type"
            )
        readings = concat(parts)
        return readings.take(rank_in_time(readings) < self._order.first) if self._order.first else readings

    def _file(self, path: Path) -> Iterator[Readings]:
        rows = 0
        mapping = self._order.mapping
        if mapping.device_column is None and mapping.device is None:
            mapping = msgspec.structs.replace(mapping, device=self._names[path])
        for chunk in read_chunks(path, mapping, self._spec, READ_ROWS):
            rows += chunk.lines
            self._progress.read(path, rows)
            self._set_bad_rows_apart(path, chunk)
            if len(chunk):
                yield Readings(self._order.type_id, self._keys(path, chunk)[chunk.device], chunk.ts, chunk.values)

    def _set_bad_rows_apart(self, path: Path, chunk: FileChunk) -> None:
        self.bad.update(line.reason for line in chunk.bad)
        for line in chunk.bad[: MOST_BAD_ROWS - len(self.bad_rows)]:
            message = f"{path.name}, line {line.line}: {line.message}"
            row = BadRow(self._order.owner_id, self._order.type_id, line.device_id, line.reason, message, line.raw)
            self.bad_rows.append(row)

    def _keys(self, path: Path, chunk: FileChunk) -> np.ndarray:
        """Device keys int64 by the chunk's device numbers; devices that are new are registered."""
        used = np.unique(chunk.device).tolist()
        items = [(chunk.devices[number], self._order.type_id, chunk.sites[number]) for number in used]
        entries = self._registry.register(self._order.owner_id, items, self._now_ms)
        for entry in entries:
            if entry.type_id != self._order.type_id:
                theirs = self._registry.types()[entry.type_id].name
                raise IngestError(
                    f"{path}: device {entry.device_id!r} is a {theirs!r} already, not a {self._spec.name!r};"
                    f" ingest its rows with --type {theirs}, or give the device another id"
                )
        keys = np.full(len(chunk.devices), -1, np.int64)
        keys[used] = [entry.key for entry in entries]
        return keys


def _see_through(
    settings: Settings,
    engine: Engine,
    lake: Lake,
    job: Job,
    clock: Callable[[], int],
    progress: Progress,
) -> Job:
    """Wait for the service to carry a job out, or do it here where no process has the shard."""
    total = job.rows_total or 0
    while job.state != "done":
        if job.state == "failed":
            raise IngestError(f"{job.file_name} was not taken in: {job.message}")
        if is_in_use(settings.data / "log" / "shard-0"):
            time.sleep(POLL_S)
        else:
            with Shard(settings, engine, lake, now_ms=clock()) as shard:
                backfill.apply_job(
                    shard, settings.data, engine, job.id, clock(), lambda rows: progress.judged(rows, total)
                )
                shard.save()
        with reading(engine) as session:
            job = backfill_jobs.get(session, job.id)
        progress.judged(job.rows_done, total)
    return job


def rank_in_time(readings: Readings) -> np.ndarray:
    """How many rows of the same device are earlier than each, int64 (n,)."""
    order = np.lexsort((readings.ts, readings.keys))
    rank = np.empty(len(order), np.int64)
    rank[order] = rank_within(readings.keys[order])
    return rank


def _name_of(paths: Sequence[Path]) -> str:
    return paths[0].name if len(paths) == 1 else f"{paths[0].name} and {len(paths) - 1} more"


def device_names(paths: Sequence[Path]) -> dict[Path, str]:
    """What devices are called whose files name none: as the file, and its folder where files are called the same.

    Raises ConfigError where that isn't enough to tell them apart.
    """
    stems = Counter(path.stem for path in paths)
    names = {path: path.stem if stems[path.stem] == 1 else f"{path.parent.name}-{path.stem}" for path in paths}
    counts = Counter(names.values())
    twice = [path for path in paths if counts[names[path]] > 1]
    if twice:
        raise ConfigError(
            f"{twice[0]} and {twice[1]} would both be device {names[twice[0]]!r}: rename one, or name the column of the"
            " device in the mapping"
        )
    return names
