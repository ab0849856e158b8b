"""Files taken in by bulk: cut into chunks in the order of time, spooled, then logged and scored as history."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np

from ..exceptions import StorageError
from ..fleet.backfill_jobs import Job
from ..telemetry import records
from ..telemetry.readings import Readings, rank_within
from . import spool

CHUNK_ROWS = 400_000


class Manifest(msgspec.Struct, frozen=True):
    """What a job's spool holds: rows of each chunk in order, of which the first `learn_chunks` only teach the type."""

    job_id: int
    learn: int
    learn_chunks: int
    chunk_rows: list[int]
    device_keys: list[int]

    @property
    def rows(self) -> int:
        """Rows of the whole job."""
        return sum(self.chunk_rows)


def write_job(data: Path, job_id: int, readings: Readings, learn: int) -> Manifest:
    """Spool the rows of a job; the first `learn` rows of each device come first, in chunks of their own."""
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
    manifest = Manifest(job_id, learn, learn_chunks, chunk_rows, keys)
    _manifest_path(data, job_id).write_bytes(msgspec.json.encode(manifest))
    return manifest


def read_manifest(data: Path, job_id: int) -> Manifest:
    """Read what `write_job` wrote. Raises StorageError where it is gone."""
    path = _manifest_path(data, job_id)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} can't be read ({error}); ingest the file again") from error


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


def forget_job(data: Path, job_id: int) -> None:
    """Delete what a finished job left in the spool."""
    _manifest_path(data, job_id).unlink(missing_ok=True)
    for path in (data / "spool").glob(f"job-{job_id:06d}-*"):
        path.unlink()


def hash_files(paths: Sequence[Path], how: str) -> str:
    """SHA-256 over the contents of files and how they are read: what makes a job the same as another."""
    digest = hashlib.sha256(how.encode())
    for path in paths:
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest() + path.name.encode())
    return digest.hexdigest()


def _chunk_name(job_id: int, number: int) -> str:
    return f"job-{job_id:06d}-{number:06d}"


def _manifest_path(data: Path, job_id: int) -> Path:
    return data / "spool" / f"job-{job_id:06d}.json"
