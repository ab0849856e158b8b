"""`faultwatch ingest`: files of readings, taken in as history."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import ConfigError
from ..fleet.terminal import DataOption, now_ms, opened, owner_meant

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from sqlalchemy import Engine

    from ..fleet.device_types import TypeEntry
    from ..settings import Settings
    from ..telemetry.mapping import Mapping
    from ..telemetry.schema import DeviceType
    from .ingest import Report

MOST_EXAMPLES = 3


def ingest(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files.", metavar="FILE...")],
    type_name: Annotated[
        str | None,
        typer.Option("--type", help="Their device type. May be left out where there is one only.", metavar="NAME"),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            help="Whose devices they are of; made where there is no such owner. May be left out where there is one"
            " only.",
            metavar="NAME",
        ),
    ] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="Which column is what, as `faultwatch types infer` writes it. Default: what that would find.",
            metavar="JSON",
        ),
    ] = None,
    learn: Annotated[
        int,
        typer.Option(
            min=0, help="Learn what is normal from the first so many rows of each device, and judge those after them."
        ),
    ] = 0,
    first: Annotated[
        int, typer.Option(min=0, help="Take in only the first so many rows of each device. Default: all.")
    ] = 0,
    data: DataOption = None,
) -> None:
    """Take in files of readings, of any age: they are kept, judged and shown, and nobody is notified.

    A running service does the work beside its own; without one, this command does it. The same files again change
    nothing; what was interrupted goes on where it was.
    """
    from ..logs import configure
    from ..telemetry.lake import Lake
    from ..telemetry.tables import head
    from . import ingest as work
    from .model_store import ModelStore

    for path in files:
        head(path)
    with opened(data) as (settings, engine):
        configure(settings)
        entry = _type_meant(engine, type_name)
        how = mapping_meant(mapping, files[0], entry.device_type)
        order = work.Order(
            paths=tuple(sorted({path.resolve() for path in files})),
            mapping=how,
            type_id=entry.type_id,
            owner_id=_owner(engine, owner),
            learn=learn,
            first=first,
        )
        lake = Lake(settings.lake_url, settings.storage_options())
        with _bars() as bars:
            report = work.take_in(settings, engine, lake, order, now_ms, _Shown(bars))
        typer.echo(_summary(report))
        for row in report.examples[:MOST_EXAMPLES]:
            typer.echo(f"  {row.message}", err=True)
        if not report.again and not report.job.scored:
            learnt = ModelStore(settings.data / "models", engine).champion(entry.type_id) is not None
            typer.echo(_not_judged(settings, entry.device_type, learnt, learn), err=True)


def _type_meant(engine: "Engine", name: str | None) -> "TypeEntry":
    from ..fleet import device_types
    from ..fleet.database import reading

    with reading(engine) as session:
        known = device_types.newest(session)
    names = ", ".join(sorted({entry.device_type.name for entry in known}))
    if not known:
        raise ConfigError(
            "there is no device type yet: `faultwatch types infer FILE` proposes one, `faultwatch types add` adds it"
        )
    found = [entry for entry in known if name in (None, entry.device_type.name)]
    if not found:
        raise ConfigError(f"there is no device type {name!r}; there are: {names}")
    if len(found) > 1:
        raise ConfigError(f"name the device type with --type; there are: {names}")
    return found[0]


def _owner(engine: "Engine", name: str | None) -> int:
    from ..fleet import owners
    from ..fleet.database import writing

    if name is None:
        return owner_meant(engine, None)
    with writing(engine) as session:
        known = {entry.name for entry in owners.all_owners(session)}
        owner_id = owners.add(session, name, now_ms())
    if " ".join(name.split()) not in known:
        typer.echo(f"owner {' '.join(name.split())!r} was added", err=True)
    return owner_id


def mapping_meant(path: Path | None, sample: Path, device_type: "DeviceType") -> "Mapping":
    """The mapping in a file, or the one that the sample's columns suggest for this type."""
    from ..telemetry.infer import mapping_for
    from ..telemetry.mapping import decode_mapping

    if path is not None:
        try:
            return decode_mapping(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path} can't be read: {error.strerror}") from error
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    proposal = mapping_for(sample, device_type)
    for note in proposal.notes:
        typer.echo(note, err=True)
    return proposal.mapping


@contextmanager
def _bars() -> "Iterator[RichProgress]":
    """Progress on a terminal; nothing where stderr goes to a program."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        yield bars


class _Shown:
    """The progress of an ingest as bars: rows read, then rows judged."""

    def __init__(self, bars: "RichProgress") -> None:
        self._bars = bars
        self._reading = bars.add_task("reading", total=None)
        self._judging = bars.add_task("judging", total=None, visible=False)

    def read(self, path: Path, rows: int) -> None:
        """So many rows of a file have been read."""
        self._bars.update(self._reading, description=f"reading {path.name}", completed=rows)

    def judged(self, rows: int, of: int) -> None:
        """So many rows of all have been taken in and judged."""
        self._bars.update(self._reading, visible=False)
        self._bars.update(self._judging, completed=rows, total=of, visible=True)


def _summary(report: "Report") -> str:
    job = report.job
    if report.again:
        return f"{job.file_name} was taken in before: {job.rows_done:,} readings; nothing was done"
    devices = f"{report.devices:,} device{'s' if report.devices != 1 else ''}"
    said = [f"{job.rows_done:,} readings of {devices} taken in, {job.scored:,} judged, {job.alerts:,} alerts"]
    if report.bad:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in report.bad.most_common())
        said.append(f"{report.bad.total():,} rows could not be taken and are in quarantine ({reasons})")
    return "; ".join(said)


def _not_judged(settings: "Settings", device_type: "DeviceType", learnt: bool, learn: int) -> str:
    if learnt:
        return f"type {device_type.name!r} has learnt what is normal; readings that come from now on are judged"
    what = f"no reading was judged: type {device_type.name!r} has not learnt yet what is normal."
    if learn:
        return f"{what} {learn:,} rows a device are too few, or the files end there: try more files or another --learn"
    return (
        f"{what} It learns from its first {settings.learn_readings:,} readings and these files end before that:"
        f" `faultwatch ingest --learn N` learns from the first N rows of each device"
    )
