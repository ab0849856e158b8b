"""A simulated fleet as files: readings in CSV or Parquet, and beside them types, devices, sites and fault reports."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import msgspec
import polars as pl
from polars.io.plugins import register_io_source

from ..exceptions import ConfigError, StorageError
from ..telemetry.schema import DeviceType, encode_type
from .fleet import Fleet

Format = Literal["csv", "parquet"]
Per = Literal["type", "device"]

CHUNK_ROWS: Final = 1_000_000
"""Readings held in memory at once, about: what bounds the memory for a fleet of any size."""

TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%S%.3fZ"


def write_files(
    fleet: Fleet,
    end: datetime,
    folder: Path,
    file_format: Format,
    per: Per = "type",
    wrote: Callable[[int], None] = lambda rows: None,
) -> int:
    """Write the fleet's readings from its start until before `end` to `folder`, and return how many rows.

    `readings/<type>.<format>`, or with `per` "device" `readings/<type>/<device_id>.<format>`; `types/*.json`,
    `devices.csv`, `sites.json`, `fault_reports.csv` and `fault_reports.jsonl`. `wrote` is told of rows as they
    are written. Raises ConfigError where the folder is not empty, StorageError where it can't be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not empty; name a new folder with --out")
    try:
        write_plan(fleet, end, folder)
        rows = 0
        for device_type in fleet.types:
            write = _write_devices if per == "device" else _write_type
            rows += write(fleet, device_type, end, folder / "readings", file_format, wrote)
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error}") from error
    return rows


def write_plan(fleet: Fleet, end: datetime, folder: Path) -> None:
    """Write device types, devices, sites and the ground truth of faults until `end` to `folder`."""
    write_types(fleet.types, folder / "types")
    fleet.devices().write_csv(folder / "devices.csv")
    (folder / "sites.json").write_bytes(msgspec.json.format(msgspec.json.encode(fleet.sites), indent=2) + b"\n")
    reports = fleet.fault_reports(end)
    reports.with_columns(pl.col("sensors").list.join(" ")).write_csv(
        folder / "fault_reports.csv", datetime_format=TIME_FORMAT
    )
    encode = msgspec.json.Encoder().encode
    (folder / "fault_reports.jsonl").write_bytes(b"".join(encode(row) + b"\n" for row in reports.iter_rows(named=True)))


def write_types(types: Iterable[DeviceType], folder: Path) -> list[Path]:
    """Write each device type as JSON to `folder`, as `faultwatch types add` reads it, and return the files."""
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for device_type in types:
            paths.append(folder / f"{device_type.name}.json")
            paths[-1].write_bytes(msgspec.json.format(encode_type(device_type), indent=2) + b"\n")
    except OSError as error:
        raise StorageError(f"{folder} can't be written: {error}") from error
    return paths


def chunks(fleet: Fleet, device_type: DeviceType, end: datetime) -> Iterator[pl.DataFrame]:
    """Yield a type's readings from the fleet's start until before `end`, in order, about CHUNK_ROWS at a time."""
    at_once = max(1, CHUNK_ROWS // len(fleet.group(device_type.name)))
    step = timedelta(milliseconds=device_type.interval_ms) * at_once
    start = fleet.start
    while start < end:
        yield fleet.readings(device_type.name, start, min(end, start + step))
        start += step


def _write_type(
    fleet: Fleet,
    device_type: DeviceType,
    end: datetime,
    folder: Path,
    file_format: Format,
    wrote: Callable[[int], None],
) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{device_type.name}.{file_format}"
    total = 0

    def counted(*_pushed_down: object) -> Iterator[pl.DataFrame]:
        nonlocal total
        for frame in chunks(fleet, device_type, end):
            yield frame
            total += len(frame)
            wrote(len(frame))

    if file_format == "parquet":
        schema = fleet.readings(device_type.name, fleet.start, fleet.start).schema
        register_io_source(counted, schema=dict(schema)).sink_parquet(path)
        return total
    with path.open("wb") as file:
        for frame in counted():
            frame.write_csv(file, include_header=file.tell() == 0, datetime_format=TIME_FORMAT)
    return total


def _write_devices(
    fleet: Fleet,
    device_type: DeviceType,
    end: datetime,
    folder: Path,
    file_format: Format,
    wrote: Callable[[int], None],
) -> int:
    folder = folder / device_type.name
    folder.mkdir(parents=True, exist_ok=True)
    ids = fleet.group(device_type.name).ids
    _, readings = fleet.due(device_type, fleet.start, end)
    at_once = max(1, CHUNK_ROWS // max(1, readings))
    total = 0
    for low in range(0, len(ids), at_once):
        some = ids[low : low + at_once].to_list()
        frame = fleet.readings(device_type.name, fleet.start, end, some)
        for device_id in some:
            own = frame.filter(pl.col("device_id") == device_id)
            path = folder / f"{device_id}.{file_format}"
            if file_format == "parquet":
                own.write_parquet(path)
            else:
                own.write_csv(path, datetime_format=TIME_FORMAT)
        total += len(frame)
        wrote(len(frame))
    return total
