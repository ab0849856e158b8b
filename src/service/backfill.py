"""Files taken in by bulk: cut into chunks in the order of time, spooled, then logged and scored as history."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from sqlalchemy import Engine

from ..exceptions import IngestError, StorageError
from ..fleet import backfill_jobs
from ..fleet.backfill_jobs import Job
from ..fleet.database import reading, writing
from ..telemetry import records
from ..telemetry.readings import Readings, rank_within
from . import spool
from .shard import Shard

CHUNK_ROWS = 400_000


class Manifest(msgspec.Struct, frozen=True):
    """What a job's spool holds: rows of each chunk in order, of which the first `learn_chunks` only teach the type.

    `bad_rows`: how many rows for quarantine lie beside them.
    """

    job_id: int
    learn: int
    learn_chunks: int
    chunk_rows: list[int]
    device_keys: list[int]
    bad_rows: int = 0

    @property
    def rows(self) -> int:
        """Rows of the whole job."""
        return sum(self.chunk_rows)


def spool_job(
    data: Path,
    engine: Engine,
    *,
    file_name: str,
    file_hash: str,
    owner_id: int,
    readings: Readings,
    learn: int,
    now_ms: int,
    bad_rows: Sequence[records.BadRow] = (),
) -> Job:
    """Make a job of rows; from here on a running service takes it up. Raises StorageError where it can't be kept."""
    with writing(engine) as session:
        job = backfill_jobs.create(
            session,
            file_name=file_name,
            file_hash=file_hash,
            type_id=readings.type_id,
            owner_id=owner_id,
            rows_total=len(readings),
            now_ms=now_ms,
        )
    write_job(data, job.id, readings, learn, bad_rows)
    with writing(engine) as session:
        backfill_jobs.ready(session, job.id)
        return backfill_jobs.get(session, job.id)


def apply_job(shard: Shard, data: Path, engine: Engine, job_id: int, now_ms: int, tell: Callable[[int], None]) -> None:
    """Carry a job out, or on, in this process; `tell` is called with the rows that were applied so far.

    The shard has still to be saved: `Shard.save`.
    """
    with reading(engine) as session:
        job = backfill_jobs.get(session, job_id)  # as the shard's recovery left it
    done = job.rows_done
    for batch in batches(data, read_manifest(data, job_id), job, now_ms):
        shard.append_and_apply(batch)
        shard.commit(shard.cut())
        done += sum(record.rows for record in batch if isinstance(record, records.Backfill))
        tell(done)


def write_job(
    data: Path, job_id: int, readings: Readings, learn: int, bad_rows: Sequence[records.BadRow] = ()
) -> Manifest:
    """Spool the rows of a job; the first `learn` rows of each device come first, in chunks of their own.

    Raises StorageError where they can't be written.
    """
    ordered = readings.take(np.lexsort((readings.keys, readings.ts)))
    first = rank_within(ordered.keys) < learn
    chunk_rows: list[int] = []
    learn_chunks = 0
    for teaching, rows in ((True, ordered.take(first)), (False, ordered.take(~first))):
        for start in range(0, len(rows), CHUNK_ROWS):
            chunk = rows.take(np.arange(start, min(start + CHUNK_ROWS, len(rows))))
            spool.write(data / "spool", _chunk_name(job_id, len(chunk_rows)), chunk)
            chunk_rows.append(len(chunk))
        if teaching:
            learn_chunks = len(chunk_rows)
    keys = [int(key) for key in np.unique(readings.keys)]
    manifest = Manifest(job_id, learn, learn_chunks, chunk_rows, keys, len(bad_rows))
    try:
        _bad_rows_path(data, job_id).write_bytes(msgspec.json.encode(list(bad_rows)))
        _manifest_path(data, job_id).write_bytes(msgspec.json.encode(manifest))
    except OSError as error:
        raise StorageError(f"{data / 'spool'} can't be written: {error.strerror}; free space on that disk") from error
    return manifest


def read_manifest(data: Path, job_id: int) -> Manifest:
    """Read what `write_job` wrote. Raises StorageError where it is gone."""
    path = _manifest_path(data, job_id)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} can't be read ({error}); ingest the file again") from error


def batches(data: Path, manifest: Manifest, job: Job, now_ms: int) -> Iterator[list[records.Record]]:
    """What is to be logged together, in order: each chunk that was not applied yet, the bad rows with the last one."""
    for chunk in chunks(manifest, job, now_ms):
        batch: list[records.Record] = [chunk]
        if chunk.last and manifest.bad_rows:
            batch.append(records.Quarantined(now_ms=now_ms, rows=_read_bad_rows(data, job.id)))
        yield batch


def chunks(manifest: Manifest, job: Job, now_ms: int) -> Iterator[records.Backfill]:
    """The records of a job's chunks that have not been applied yet, in order."""
    before = 0
    for number, rows in enumerate(manifest.chunk_rows):
        before += rows
        if before <= job.rows_done:
            continue
        teaching = number < manifest.learn_chunks
        yield records.Backfill(
            now_ms=now_ms,
            job_id=job.id,
            file_hash=job.file_hash,
            chunk=number,
            last=number == len(manifest.chunk_rows) - 1,
            taught=teaching and number == manifest.learn_chunks - 1,
            type_id=job.type_id,
            rows=rows,
            spool=f"{_chunk_name(job.id, number)}.arrow",
            learn=manifest.learn if teaching else 0,
        )


def forget_manifest(data: Path, job_id: int) -> None:
    """Delete the manifest of a job that is done; its chunks go with the log that names them (`Shard.trim`)."""
    _manifest_path(data, job_id).unlink(missing_ok=True)
    _bad_rows_path(data, job_id).unlink(missing_ok=True)


def forget_job(data: Path, job_id: int) -> None:
    """Delete all that a job spooled which was never logged."""
    forget_manifest(data, job_id)
    for path in (data / "spool").glob(f"job-{job_id:06d}-*"):
        path.unlink()


def hash_files(paths: Sequence[Path], how: str) -> str:
    """SHA-256 over the contents of files and how they are read: what makes a job the same as another.

    Raises IngestError where a file can't be read.
    """
    digest = hashlib.sha256(how.encode())
    for path in paths:
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest() + path.name.encode())
        except OSError as error:
            raise IngestError(f"{path} can't be read: {error.strerror or error}") from error
    return digest.hexdigest()


def _chunk_name(job_id: int, number: int) -> str:
    return f"job-{job_id:06d}-{number:06d}"


def _manifest_path(data: Path, job_id: int) -> Path:
    return data / "spool" / f"job-{job_id:06d}.json"


def _bad_rows_path(data: Path, job_id: int) -> Path:
    return data / "spool" / f"job-{job_id:06d}.bad-rows.json"


def _read_bad_rows(data: Path, job_id: int) -> tuple[records.BadRow, ...]:
    path = _bad_rows_path(data, job_id)
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[records.BadRow, ...])
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} can't be read ({error}); ingest the file again") from error
