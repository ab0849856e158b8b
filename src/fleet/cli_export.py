"""`faultwatch export`: readings with their scores and expected ranges, as a file for other programs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..exceptions import ConfigError
from .terminal import DataOption, OwnerOption, opened, owner_meant

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ..telemetry.export import Format, Selection
    from ..telemetry.records import DeviceEntry
    from .device_types import TypeEntry

MOST_LISTED = 10


def export(
    out: Annotated[Path, typer.Option(help="The file to write.", metavar="FILE")],
    type_name: Annotated[
        str | None,
        typer.Option("--type", help="Of which device type. May be left out where devices are of one type only."),
    ] = None,
    owner: OwnerOption = None,
    device: Annotated[
        list[str] | None,
        typer.Option(help="Of this device only. May be given several times. Default: all.", metavar="ID"),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="From this time on (RFC 3339). Default: the first.", metavar="TIME")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Until before this time (RFC 3339). Default: the last.", metavar="TIME")
    ] = None,
    form: Annotated[
        Literal["csv", "parquet"] | None, typer.Option("--format", help="Default: as the file's name ends.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    data: DataOption = None,
) -> None:
    """Write readings with their anomaly scores and expected ranges to a CSV or Parquet file.

    Columns are device_id, timestamp, score, each sensor, and low_SENSOR and high_SENSOR, its expected range.
    Rows stand device by device, each in time order. What the running service has judged is in it to the last reading.
    """
    from ..telemetry.export import write_export
    from ..telemetry.lake import Lake
    from ..telemetry.published import PublishedReader

    chosen = _format(out, form)
    _may_be_written(out, force)
    start_ms, end_ms = _time("--from", start), _time("--to", end)
    if start_ms is not None and end_ms is not None and start_ms >= end_ms:
        raise ConfigError(f"--from {start} is not before --to {end}; give an earlier --from")
    with opened(data) as (settings, engine):
        selection = _selection(engine, owner_meant(engine, owner), type_name, device, start_ms, end_ms)
        lake = Lake(settings.lake_url, settings.storage_options())
        published = PublishedReader(settings.data / "published" / "shard-0")
        with _progress(len(selection.devices)) as wrote:
            rows = write_export(out, chosen, lake, published, selection, wrote)
    if not rows:
        span = "".join(f" {word} {text}" for word, text in (("from", start), ("to", end)) if text is not None)
        raise ConfigError(f"there are no readings of type {selection.device_type.name!r}{span}; nothing was written")
    typer.echo(f"{rows:,} readings of type {selection.device_type.name!r} are in {out}", err=True)


def _format(out: Path, given: "Format | None") -> "Format":
    if given is not None:
        return given
    if out.suffix.lower() == ".csv":
        return "csv"
    if out.suffix.lower() == ".parquet":
        return "parquet"
    raise ConfigError(f"{out} ends neither in .csv nor in .parquet; name the format with --format")


def _may_be_written(out: Path, force: bool) -> None:
    if not out.parent.is_dir():
        raise ConfigError(f"{out} can't be written: there is no folder {out.parent}; make it first")
    if out.is_dir():
        raise ConfigError(f"{out} is a folder; name a file in it")
    if out.exists() and not force:
        raise ConfigError(f"{out} is there already; name another file, or give --force to replace it")


def _time(option: str, text: str | None) -> int | None:
    from ..telemetry.timestamps import parse_timestamps

    if text is None:
        return None
    ts, is_time = parse_timestamps([text])
    if not is_time[0]:
        raise ConfigError(f"{option} {text!r}: expected a time with a zone, such as 2026-01-31T12:00:00Z")
    return int(ts[0])


def _selection(
    engine: "Engine",
    owner_id: int,
    type_name: str | None,
    device_ids: list[str] | None,
    start_ms: int | None,
    end_ms: int | None,
) -> "Selection":
    from ..telemetry.export import Selection
    from .registry import Registry

    theirs = Registry(engine).lookup(owner_id)
    if unknown := [device_id for device_id in device_ids or [] if device_id not in theirs]:
        raise ConfigError(f"there is no device {unknown[0]!r} of this owner; there are: {_listed(sorted(theirs))}")
    devices = theirs.entries(list(dict.fromkeys(device_ids)) if device_ids else None)
    if not devices:
        raise ConfigError("this owner has no devices; nothing was written")
    entry = _type_meant(engine, owner_id, type_name, devices)
    if device_ids and (other := [device.device_id for device in devices if device.type_id != entry.type_id]):
        raise ConfigError(f"device {other[0]!r} is not of type {entry.device_type.name!r}; leave it or --type out")
    keys = {device.key: device.device_id for device in devices if device.type_id == entry.type_id}
    if not keys:
        raise ConfigError(f"this owner has no devices of type {entry.device_type.name!r}; nothing was written")
    return Selection(entry.type_id, entry.device_type, keys, start_ms, end_ms)


def _type_meant(engine: "Engine", owner_id: int, name: str | None, devices: "list[DeviceEntry]") -> "TypeEntry":
    """The type of that name, else the only one of the devices. Raises ConfigError where that isn't clear."""
    from . import device_types
    from .database import reading

    with reading(engine) as session:
        named = None if name is None else device_types.find(session, owner_id, name)
        known = {entry.type_id: entry for entry in device_types.newest(session)}
    if named is not None:
        return named
    used = [known[type_id] for type_id in sorted({device.type_id for device in devices})]
    names = _listed(sorted(entry.device_type.name for entry in used))
    if name is not None:
        raise ConfigError(f"there is no device type {name!r}; the devices are of: {names}")
    if len(used) > 1:
        raise ConfigError(f"name the device type with --type; the devices are of: {names}")
    return used[0]


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:MOST_LISTED])
    return shown + (" …" if len(names) > MOST_LISTED else "") or "none"


@contextmanager
def _progress(devices: int) -> "Iterator[Callable[[int], None]]":
    """A bar of devices on a terminal; nothing where stderr goes to a program."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("writing devices"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("write", total=devices)
        yield lambda done: bars.update(task, advance=done)
