"""`faultwatch send`: files of readings, sent to a running service as devices send theirs: live."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import ConfigError, IngestError
from ..fleet.terminal import now_ms

if TYPE_CHECKING:
    import polars as pl

    from ..simulator.sending import Answer, Rejection, Sender
    from ..telemetry.files import BadLine
    from ..telemetry.mapping import Mapping
    from ..telemetry.schema import DeviceType

READ_ROWS = 100_000
MOST_EXAMPLES = 3
LIVE = timedelta(hours=47)
"""A reading is live for two days after its time; an hour is left for clocks that differ."""


def send(
    files: Annotated[list[Path], typer.Argument(help="CSV or Parquet files.", metavar="FILE...")],
    type_file: Annotated[
        Path, typer.Option("--type", help="Their device type, as `faultwatch types infer` writes it.", metavar="JSON")
    ],
    url: Annotated[
        str | None, typer.Option(help="The running service. Default: the one of this machine.", metavar="URL")
    ] = None,
    token: Annotated[str | None, typer.Option(help="Token that may write readings.", metavar="TOKEN")] = None,
    token_file: Annotated[Path | None, typer.Option(help="Read the token from this file.", metavar="FILE")] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="Which column is what, as `faultwatch types infer` writes it. Default: what that would find.",
            metavar="JSON",
        ),
    ] = None,
    skip: Annotated[int, typer.Option(min=0, help="Leave out the first so many rows of each device.")] = 0,
    as_if_now: Annotated[
        bool,
        typer.Option(
            "--as-if-now",
            help="Shift all times so that the last reading is of now; what is then older than 47 hours is left out.",
        ),
    ] = False,
) -> None:
    """Send files of readings to a running service, as devices do: they are judged as live, and alerts are sent.

    A reading older than two days is history, and refused: `faultwatch ingest` takes it in.
    """
    import polars as pl

    from ..service.ingest_cli import mapping_meant
    from ..settings import load_settings
    from ..simulator.cli import read_token
    from ..simulator.sending import Pauses, Sender

    secret = read_token(token, token_file)
    device_type = _type_in(type_file)
    frame, bad = read(files, mapping_meant(mapping, files[0], device_type), device_type)
    frame = frame.filter(pl.int_range(pl.len()).over("device_id") >= skip)
    if as_if_now:
        frame = shifted(frame, datetime.fromtimestamp(now_ms() / 1000, UTC))
    if frame.is_empty():
        raise IngestError(_nothing(files, bad))
    with Sender(
        url or load_settings().base_url, secret, Pauses(tell=lambda said: typer.echo(said, err=True))
    ) as sender:
        answers = [_post(sender, rows) for rows in _requests(frame, device_type)]
    devices = frame["device_id"].n_unique()
    typer.echo(summary(devices, answers, bad))
    for example in _examples(answers, bad):
        typer.echo(f"  {example}", err=True)


def read(files: Sequence[Path], mapping: "Mapping", device_type: "DeviceType") -> "tuple[pl.DataFrame, list[BadLine]]":
    """All rows of files in the order of time, as requests hold them, and the lines that can't be read.

    Raises IngestError where a file can't be read.
    """
    import msgspec
    import polars as pl

    from ..service.ingest import device_names
    from ..telemetry.files import read_chunks

    names = device_names(files)
    parts, bad = [], []
    for path in files:
        how = mapping
        if mapping.device_column is None and mapping.device is None:
            how = msgspec.structs.replace(mapping, device=names[path])
        for chunk in read_chunks(path, how, device_type, READ_ROWS):
            bad += chunk.bad
            columns = {
                "device_id": pl.Series(chunk.devices, dtype=pl.String).gather(chunk.device),
                "timestamp": pl.Series(chunk.ts).cast(pl.Datetime("ms", "UTC")),
                "type": pl.repeat(device_type.name, len(chunk), eager=True),
                "site": pl.Series(chunk.sites, dtype=pl.String).gather(chunk.device),
            }
            values = {
                sensor.name: pl.Series(chunk.values[:, place]).fill_nan(None)
                for place, sensor in enumerate(device_type.sensors)
                if not sensor.retired
            }
            parts.append(pl.DataFrame(columns | values))
    return pl.concat(parts).sort("timestamp", maintain_order=True), bad


def shifted(frame: "pl.DataFrame", now: datetime) -> "pl.DataFrame":
    """Readings with their last one at `now`, and without those that are then older than LIVE."""
    import polars as pl

    last = frame["timestamp"].max()
    moved = frame.with_columns(pl.col("timestamp") + (pl.lit(now) - pl.lit(last))) if len(frame) else frame
    return moved.filter(pl.col("timestamp") >= now - LIVE)


def summary(devices: int, answers: "Sequence[Answer]", bad: "Sequence[BadLine]") -> str:
    """What became of the readings, in one line."""
    accepted, again, refused = (
        sum(counts) for counts in zip(*((a.accepted, a.duplicate, a.rejected) for a in answers), strict=True)
    )
    said = [f"{accepted:,} readings of {devices:,} device{'s' if devices != 1 else ''} accepted"]
    if again:
        said.append(f"{again:,} were there already")
    if refused:
        said.append(f"{refused:,} were refused")
    if bad:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in Counter(line.reason for line in bad).items())
        said.append(f"{len(bad):,} lines can't be read ({reasons}) and were not sent")
    return "; ".join(said)


def _post(sender: "Sender", rows: "pl.DataFrame") -> "Answer":
    from ..simulator.sending import encode

    content = encode(rows, "arrow")
    return sender.send(content, "arrow", f"send-{hashlib.sha256(content).hexdigest()}")


def _requests(frame: "pl.DataFrame", device_type: "DeviceType") -> "list[pl.DataFrame]":
    from ..simulator.sending import requests_of

    return [rows for rows in requests_of(frame, parts=device_type.sends == "parts") if len(rows)]


def _type_in(path: Path) -> "DeviceType":
    from ..telemetry.schema import decode_type

    try:
        return decode_type(path.read_bytes())
    except OSError as error:
        raise ConfigError(
            f"--type {path} can't be read: {error.strerror}; expected one as `faultwatch types infer --out` writes it"
        ) from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _nothing(files: Sequence[Path], bad: "Sequence[BadLine]") -> str:
    name = files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
    first = f"; the first of {len(bad):,} bad lines: {bad[0].message}" if bad else ""
    return f"{name} holds no reading that could be sent{first}; check --mapping, --type and --skip"


def _examples(answers: "Sequence[Answer]", bad: "Sequence[BadLine]") -> list[str]:
    rejections: list[Rejection] = [example for answer in answers for example in answer.examples]
    lines = [f"line {line.line}: {line.message}" for line in bad[:MOST_EXAMPLES]]
    return lines + [f"{example.device_id}: {example.message}" for example in rejections[:MOST_EXAMPLES]]
