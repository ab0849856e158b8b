"""Chunks of files on their way in: kept beside the log until every watermark has passed them."""

import os
from pathlib import Path

import numpy as np
import polars as pl

from ..exceptions import StorageError
from ..telemetry.readings import Readings
from ..telemetry.records import Backfill


def write(folder: Path, name: str, readings: Readings) -> str:
    """Write rows to disk under a name and return the file's name, once they are there for good."""
    path = folder / f"{name}.arrow"
    frame = pl.DataFrame({"keys": readings.keys, "ts": readings.ts}).hstack(
        [pl.Series(f"v{number}", readings.values[:, number]) for number in range(readings.n_sensors)]
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        waiting = path.with_suffix(".tmp")
        with waiting.open("wb") as file:
            frame.write_ipc(file, compression="lz4")
            file.flush()
            os.fsync(file.fileno())
        os.replace(waiting, path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror}; free space on that disk") from error
    return path.name


def read(folder: Path, record: Backfill) -> Readings:
    """Read the rows of a chunk. Raises StorageError where the file is gone or damaged."""
    path = folder / record.spool
    try:
        frame = pl.read_ipc(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise StorageError(
            f"{path}, chunk {record.chunk} of a file that was taken in, can't be read: {error}. Restore the data folder"
        ) from error
    keys, ts = frame["keys"].to_numpy(writable=True), frame["ts"].to_numpy(writable=True)
    values = np.ascontiguousarray(frame.drop("keys", "ts").to_numpy(), dtype=np.float64)
    return Readings(record.type_id, keys, ts, values)


def delete(folder: Path, name: str) -> None:
    """Delete a chunk that nothing needs any more."""
    (folder / name).unlink(missing_ok=True)
