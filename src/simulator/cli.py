"""`faultwatch simulate`: a fleet with weather, seasons and faults, as files or sent to a running server."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..exceptions import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from .fleet import Fleet
    from .live import Sent

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FILES, _SERVER, _FLEET = "As files", "To a running server", "The fleet"
_CATCH_UP = timedelta(hours=24)
_LIVE_DAYS = 2.0


def simulate(
    devices: Annotated[int, typer.Option(min=1, help="How many devices.", rich_help_panel=_FLEET)] = 200,
    sites: Annotated[int, typer.Option(min=1, help="How many sites they stand on.", rich_help_panel=_FLEET)] = 10,
    types: Annotated[
        list[str] | None,
        typer.Option(
            "--type",
            help="A device type: pump_station, refrigerated_display or solar_inverter. May be given several times;"
            " default all.",
            metavar="NAME",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed and start give the same readings.", rich_help_panel=_FLEET)
    ] = 1,
    faults: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of the devices that get a fault.", rich_help_panel=_FLEET),
    ] = 0.05,
    start: Annotated[
        str | None,
        typer.Option(
            help="Time of the first reading, such as 2026-11-24T00:00:00Z. Default: for files, so that they end now;"
            " for a server, now, or a day ago with --speed.",
            metavar="TIME",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(
            help="Days of readings in files (default 14), and days within which faults begin (a server: default 2).",
            rich_help_panel=_FLEET,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write files to this folder.", metavar="DIR", rich_help_panel=_FILES),
    ] = None,
    file_format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Kind of file.", rich_help_panel=_FILES)
    ] = "parquet",
    per: Annotated[
        Literal["type", "device"], typer.Option(help="One file for each of these.", rich_help_panel=_FILES)
    ] = "type",
    url: Annotated[
        str | None,
        typer.Option(
            help="Send to this server, such as http://127.0.0.1:8765.", metavar="URL", rich_help_panel=_SERVER
        ),
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Token that may write readings.", metavar="TOKEN", rich_help_panel=_SERVER)
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="Read the token from this file.", metavar="FILE", rich_help_panel=_SERVER)
    ] = None,
    speed: Annotated[
        float,
        typer.Option(help="Times as fast, until it has caught up with the clock.", rich_help_panel=_SERVER),
    ] = 1.0,
    duration: Annotated[
        str | None,
        typer.Option(
            help="How long, in the fleet's time: 90s, 30m, 2h, 1d. Default: until Ctrl-C.",
            metavar="TIME",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    body: Annotated[
        Literal["arrow", "json"], typer.Option(help="What requests are made of.", rich_help_panel=_SERVER)
    ] = "arrow",
    parts: Annotated[
        bool, typer.Option("--parts", help="Send each sensor's value on its own.", rich_help_panel=_SERVER)
    ] = False,
    types_to: Annotated[
        Path | None,
        typer.Option(
            help="Only write the device types to this folder, for `faultwatch types add`.",
            metavar="DIR",
            rich_help_panel=_SERVER,
        ),
    ] = None,
) -> None:
    """Simulate a fleet with weather, seasons and faults: as files (--out), or sent to a running server (--url)."""
    chosen = [name for name, value in (("--out", out), ("--url", url), ("--types-to", types_to)) if value is not None]
    if len(chosen) != 1:
        raise ConfigError(
            "--out DIR writes files, --url URL sends to a running server, --types-to DIR writes the device types;"
            f" expected one of them, got {' and '.join(chosen) or 'none'}"
        )
    if types_to is not None:
        _types_to(types_to, types)
        return
    from .fleet import Fleet

    lasts = None if duration is None else parse_duration(duration)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    if out is not None:
        if lasts is not None or speed != 1.0 or token is not None or token_file is not None or parts:
            raise ConfigError(
                "--token, --token-file, --speed, --duration and --parts go with --url; for files use --days"
            )
        span = 14.0 if days is None else days
        begin = now - timedelta(days=_positive("--days", span)) if start is None else parse_time(start)
    else:
        _positive("--speed", speed)
        span = days if days is not None else (lasts.total_seconds() / 86400 if lasts is not None else _LIVE_DAYS)
        back = (_CATCH_UP if lasts is None else min(lasts, _CATCH_UP)) if speed > 1.0 else timedelta(0)
        begin = now - back if start is None else parse_time(start)
    fleet = Fleet.plan(
        seed=seed, devices=devices, sites=sites, types=types or None, start=begin, days=span, faults=faults
    )
    if out is not None:
        _to_files(fleet, span, out, file_format, per)
    elif url is not None:
        _to_server(fleet, url, read_token(token, token_file), speed, lasts, body, parts)


def parse_duration(text: str) -> timedelta:
    """Read a length of time such as 90s, 30m, 2h or 1.5d. Raises ConfigError with what is expected."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if not found or float(found[1]) == 0 or len(found[1]) > 12:
        raise ConfigError(f"--duration {text!r}: expected a number and s, m, h or d, such as 30m or 2h")
    try:
        return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    except OverflowError as error:
        raise ConfigError(f"--duration {text!r} is too long; leave it out to send until Ctrl-C") from error


def parse_time(text: str) -> datetime:
    """Read a time with a zone. Raises ConfigError with what is expected."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ConfigError(f"--start {text!r} is no time; expected one such as 2026-11-24T00:00:00Z") from error
    if time.tzinfo is None:
        raise ConfigError(f"--start {text!r} has no time zone; add Z for UTC: {text.strip()}Z")
    return time.astimezone(UTC)


def read_token(token: str | None, token_file: Path | None) -> str:
    """Return the token from the command line or from a file. Raises ConfigError where there is none, or two."""
    if (token is None) == (token_file is None):
        given = "neither" if token is None else "both"
        raise ConfigError(
            f"--url needs a token by --token or --token-file, got {given};"
            " `faultwatch tokens create` makes one that may write readings"
        )
    if token_file is None:
        found = (token or "").strip()
    else:
        try:
            found = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"--token-file {token_file} can't be read: {error}") from error
    if not found:
        raise ConfigError("the token is empty; `faultwatch tokens create` makes one that may write readings")
    return found


def _positive(name: str, value: float) -> float:
    if not 0.0 < value < 1e6:
        raise ConfigError(f"{name} {value:g}: expected a number above 0")
    return value


def _types_to(folder: Path, names: list[str] | None) -> None:
    from .files import write_types
    from .models import MODELS, model_of

    for path in write_types([model_of(name).type for name in names or MODELS], folder):
        typer.echo(path)


def _to_files(
    fleet: "Fleet", days: float, out: Path, file_format: Literal["csv", "parquet"], per: Literal["type", "device"]
) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from .files import write_files

    end = fleet.start + timedelta(days=days)
    due = sum(fleet.due(group.model.type, fleet.start, end)[1] * len(group) for group in fleet.groups)
    columns = (TextColumn("writing readings"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, console=Console(stderr=True)) as progress:
        task = progress.add_task("write", total=due)
        rows = write_files(fleet, end, out, file_format, per, lambda n: progress.update(task, advance=n))
    typer.echo(
        f"{rows:,} readings of {fleet.n_devices:,} devices, {len(fleet.faults)} faults,"
        f" from {fleet.start:%Y-%m-%dT%H:%M:%SZ} to {end:%Y-%m-%dT%H:%M:%SZ}, in {out}"
    )
    typer.echo(f"the same again: --seed {fleet.seed} --start {fleet.start:%Y-%m-%dT%H:%M:%SZ}")


def _to_server(
    fleet: "Fleet",
    url: str,
    token: str,
    speed: float,
    duration: timedelta | None,
    body: Literal["arrow", "json"],
    parts: bool,
) -> None:
    from rich.console import Console

    from .live import Pace, run
    from .sending import Pauses, Sender

    console = Console(stderr=True, highlight=False)

    def tell(message: str) -> None:
        console.print(message, markup=False)

    pauses = Pauses(tell=tell)
    with Sender(url, token, pauses) as sender:
        tell(f"{fleet.n_devices:,} devices, {len(fleet.faults)} faults planned; Ctrl-C ends it")
        with console.status("sending") as status:
            tally = Tally(status.update, tell)
            try:
                run(fleet, Pace(fleet.start, speed, duration), sender, pauses, body, parts, tally.add)
            finally:
                status.stop()
                typer.echo(tally.line)


class Tally:
    """What has been sent so far, as a line for people.

    `show` is given the line whenever it changes, `tell` why rows were rejected, each reason once.
    """

    def __init__(self, show: "Callable[[str], None]", tell: "Callable[[str], None]") -> None:
        self._accepted = self._duplicate = self._rejected = 0
        self._reasons: set[str] = set()
        self._show = show
        self._tell = tell
        self.line = "nothing sent yet"

    def add(self, sent: "Sent") -> None:
        """Count what was sent."""
        self._accepted += sent.accepted
        self._duplicate += sent.duplicate
        self._rejected += sent.rejected
        late = f", {sent.late.total_seconds():.0f} s behind" if sent.late >= timedelta(seconds=2) else ""
        bad = f", {self._rejected:,} rejected" if self._rejected else ""
        again = f", {self._duplicate:,} there already" if self._duplicate else ""
        self.line = f"{sent.moment:%Y-%m-%d %H:%M}Z  {self._accepted:,} readings accepted{again}{bad}{late}"
        self._show(self.line)
        for example in sent.examples:
            if example.reason not in self._reasons:
                self._reasons.add(example.reason)
                self._tell(f"rejected, and others like it: {example.device_id}: {example.message}")
