"""`faultwatch benchmark`: figures anyone can measure again, printed and as JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer

benchmark = typer.Typer(no_args_is_help=True, help="Measure faultwatch: figures to print and as JSON.")

JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the figures to this file too.", metavar="FILE")]

ROWS_PER_REQUEST = {"arrow": 20_000, "json-rows": 2_000, "json-columns": 5_000}


@benchmark.command("throughput")
def throughput(
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = 100_000,
    sensors: Annotated[int, typer.Option(min=1, max=64, help="Sensors of each.")] = 8,
    minutes: Annotated[int, typer.Option(min=1, max=2_000, help="Readings of each, the last one of now.")] = 3,
    form: Annotated[
        Literal["arrow", "json-rows", "json-columns"], typer.Option("--format", help="What requests are made of.")
    ] = "arrow",
    rows_per_request: Annotated[
        int | None, typer.Option(min=1, help="Rows in a request. Default: as suits the format.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Load a real server as fast as it takes it: rates, CPU seconds per million rows, latencies, and every row counted.

    The server, the senders and this command share the machine; what the server takes is measured on its own.
    """
    import tempfile

    from .throughput import Load, measure

    load = Load(
        devices=devices,
        sensors=sensors,
        minutes=minutes,
        form=form,
        rows_per_request=rows_per_request or ROWS_PER_REQUEST[form],
    )
    with tempfile.TemporaryDirectory(prefix="faultwatch-benchmark-") as folder:
        show(measure(load, Path(folder)), json_file)


@benchmark.command("pages")
def pages(
    devices: Annotated[int, typer.Option(min=1, help="How many devices.")] = 100_000,
    minutes: Annotated[int, typer.Option(min=1, max=2_000, help="Readings of each, the last one of now.")] = 10,
    json_file: JsonOption = None,
) -> None:
    """Look at pages while a loop in a process of its own takes in all it can: milliseconds to each answer."""
    import tempfile

    from .pages import measure
    from .throughput import Load

    load = Load(devices=devices, sensors=8, minutes=minutes, form="arrow", rows_per_request=ROWS_PER_REQUEST["arrow"])
    with tempfile.TemporaryDirectory(prefix="faultwatch-benchmark-") as folder:
        show(measure(load, Path(folder)), json_file)


@benchmark.command("detection")
def detection(
    json_file: Annotated[
        Path,
        typer.Option("--json", help="Write figures here, a table and a picture beside it.", metavar="FILE"),
    ],
    protocol: Annotated[
        Literal["skab", "fleet"], typer.Option(help="Recordings of a testbed, or a simulated fleet.")
    ] = "skab",
    data: Annotated[
        Path | None,
        typer.Option(help="Where the recordings are (skab).", metavar="FOLDER", exists=True, file_okay=False),
    ] = None,
    size: Annotated[
        Literal["ci", "medium", "full"],
        typer.Option(help="ci: a small part, within a minute. medium: 600 devices, 60 days, in ten minutes (fleet)."),
    ] = "full",
) -> None:
    """Compare the detector with rules of thumb and with PyOD: same rows, same rule, no label seen."""
    from .detection import run

    typer.echo(run(protocol, data, size, json_file, lambda line: typer.echo(line, err=True)))


@benchmark.command("budget")
def budget(
    skab: Annotated[
        Path | None,
        typer.Option(help="Where SKAB's anomaly-free.csv is.", metavar="FOLDER", exists=True, file_okay=False),
    ] = None,
    cmapss: Annotated[
        Path | None,
        typer.Option(help="train_FD001.txt of NASA's turbofans.", metavar="FILE", exists=True, dir_okay=False),
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Count false alerts on recordings in which nothing is wrong, against a budget per 1,000 intervals."""
    from .budget import measure

    show(measure(skab, cmapss), json_file)


@benchmark.command("cost")
def cost(
    rows: Annotated[int, typer.Option(min=1, help="Rows judged for each number of devices.")] = 3_000_000,
    devices: Annotated[list[int] | None, typer.Option(min=1, help="How many devices; may be given again.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Time the detector alone, everything on: rows a second by number of devices, a month of one device, its start."""
    from .cost import judging, starts

    show(judging(rows, tuple(devices or (10_000, 100_000, 1_000_000))) | starts(), json_file)


@benchmark.command("faults")
def faults(
    json_file: Annotated[
        Path,
        typer.Option("--json", help="Write figures here, a table and a picture beside it.", metavar="FILE"),
    ],
    protocol: Annotated[
        Literal["cmapss", "fleet"],
        typer.Option(help="NASA's turbofans, run to failure, or kinds of fault in a simulated fleet."),
    ] = "cmapss",
    data: Annotated[
        Path | None,
        typer.Option(help="train_FD001.txt (cmapss).", metavar="FILE", exists=True, dir_okay=False),
    ] = None,
    size: Annotated[Literal["ci", "full"], typer.Option(help="fleet only; ci: a small part.")] = "full",
) -> None:
    """Compare the fault model with other classifiers, or count kinds named right: devices never learnt from."""
    from . import faults, protocol_kinds

    def say(line: str) -> None:
        typer.echo(line, err=True)

    done = faults.run(data, json_file, say) if protocol == "cmapss" else protocol_kinds.run(size, json_file, say)
    typer.echo(done)


@benchmark.command("drift")
def drift(
    json_file: Annotated[
        Path, typer.Option("--json", help="Write figures here, and a table beside it.", metavar="FILE")
    ],
    size: Annotated[Literal["ci", "full"], typer.Option(help="ci: a small part, within a minute.")] = "full",
    type_name: Annotated[
        str | None, typer.Option("--type", help="Only this type of device.", metavar="NAME", show_default="all")
    ] = None,
    weeks: Annotated[int, typer.Option(min=5, help="With --type: so many weeks of it.")] = 72,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another fleet.")] = 1,
) -> None:
    """Compare weeks of a stable simulated fleet with those before: false alarms, and power at a small shift."""
    from .drift import run

    only = None if type_name is None else {type_name: weeks}
    typer.echo(run(size, json_file, lambda line: typer.echo(line, err=True), only, seed))


def show(figures: Mapping[str, object], json_file: Path | None) -> None:
    """Print figures as JSON, and write them to a file where one is named."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(figures), indent=2)
    typer.echo(text)
    if json_file is not None:
        json_file.write_bytes(text + b"\n")
