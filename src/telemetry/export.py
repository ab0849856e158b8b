"""Readings of a type as one file, CSV or Parquet: some devices at a time, so that any number of rows fits."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl
from polars.exceptions import ComputeError
from polars.io.plugins import register_io_source

from ..exceptions import StorageError
from .expected import edge_names, with_expected
from .lake import Lake
from .lake_reads import Question
from .lake_rows import UTC_TIME
from .published import PublishedReader, read_recent
from .schema import DeviceType

Format = Literal["csv", "parquet"]

CHUNK_ROWS = 200_000
"""Rows held in memory at a time, about; one device's are held whole."""

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.3fZ"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which readings: of `devices` (device_id by device_key) of a type, `start_ms` <= timestamp < `end_ms`."""

    type_id: int
    device_type: DeviceType
    devices: Mapping[int, str]
    start_ms: int | None = None
    end_ms: int | None = None

    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the file."""
        names = self.device_type.sensor_names
        edges = [edge for name in names for edge in edge_names(name, self.device_type)]
        numbers = dict.fromkeys(["score", *names, *edges], pl.Float64())
        return {"device_id": pl.String(), "timestamp": UTC_TIME, **numbers}


def write_export(
    path: Path,
    form: Format,
    lake: Lake,
    published: PublishedReader,
    selection: Selection,
    wrote: Callable[[int], None] = lambda devices: None,
    chunk_rows: int = CHUNK_ROWS,
) -> int:
    """Write the readings to `path`, device by device and in time order, and return how many there are.

    Rows that the lake doesn't hold yet are taken from what the loop `published`. The file appears whole, in
    place of one that is there, or not at all: where there is no reading, none is written. `wrote` is told of
    devices as they are done. Raises StorageError where the lake can't be read or the file not be written.
    """
    waiting = path.with_name(f".{path.name}.{os.getpid()}")
    total = 0

    def counted(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        nonlocal total
        for devices, frame in _parts(lake, published, selection, chunk_rows):
            total += frame.height
            yield frame
            wrote(devices)

    try:
        if form == "parquet":
            register_io_source(counted, schema=selection.schema()).sink_parquet(waiting)
        else:
            with waiting.open("wb") as file:
                for frame in counted():
                    frame.write_csv(file, include_header=file.tell() == 0, datetime_format=TIME_FORMAT)
        if total:
            os.replace(waiting, path)
    except (OSError, ComputeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).splitlines()[0]
        raise StorageError(f"{path} can't be written: {reason}") from error
    finally:
        waiting.unlink(missing_ok=True)
    return total


def _parts(
    lake: Lake, published: PublishedReader, selection: Selection, chunk_rows: int
) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield the number of devices and their rows in the columns of the file, whole devices at a time."""
    names = selection.device_type.sensor_names
    for keys in _batches(lake, selection, chunk_rows):
        rows = read_recent(
            lake,
            published,
            selection.type_id,
            device_keys=keys,
            start_ms=selection.start_ms,
            end_ms=selection.end_ms,
            columns=["device_key", "timestamp", *names, "score", "bands"],
        )
        frame = with_expected(rows, selection.device_type, names)
        device_id = pl.col("device_key").replace_strict(
            keys, [selection.devices[key] for key in keys], return_dtype=pl.String
        )
        yield len(keys), frame.with_columns(device_id.alias("device_id")).select(list(selection.schema()))


def _batches(lake: Lake, selection: Selection, chunk_rows: int) -> Iterator[list[int]]:
    """Divide the devices, in the order of their keys, so that each part has about `chunk_rows` rows in the lake."""
    rows_of = _rows_in_lake(lake, selection)
    batch: list[int] = []
    rows = 0
    for key in sorted(selection.devices):
        # A device without rows there may have some that were published, and counts as one.
        more = max(1, rows_of.get(key, 0))
        if batch and rows + more > chunk_rows:
            yield batch
            batch, rows = [], 0
        batch.append(key)
        rows += more
    if batch:
        yield batch


def _rows_in_lake(lake: Lake, selection: Selection) -> dict[int, int]:
    table = lake.table(selection.type_id)
    state = table.state()
    if state is None:
        return {}
    question = Question(list(selection.devices), selection.start_ms, selection.end_ms)
    rows = table.scan(state, question.files(state.files)).filter(question.rows())
    counts = table.collect(rows.group_by("device_key").len(), "streaming")
    return dict(counts.iter_rows())
