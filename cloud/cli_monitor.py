"""`faultwatch cloud monitor`: have an endpoint's readings and answers compared with what training saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..components.command import DataOption
from .options import MadeOption, RegionOption, TypeOption

if TYPE_CHECKING:
    from ..components.artifact import Artifact
    from ..components.workplace import Workplace

monitor = typer.Typer(no_args_is_help=True, help="Have an endpoint's readings compared with what training saw.")
EndpointOption = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.", metavar="NAME")]


ModelFlag = Annotated[
    bool, typer.Option("--model/--data-quality", help="What it answers, beside fault reports, or what it is sent.")
]


@monitor.command("baseline")
def baseline(
    out: Annotated[Path, typer.Option(help="Folder to write to.", metavar="DIR")],
    type_name: TypeOption,
    data: DataOption = None,
) -> None:
    """Write statistics.json and constraints.json of the newest snapshot and model, for Model Monitor.

    That of the model needs a reported fault among the readings on which it was judged.
    """
    from ..components.command import workplace
    from ..exceptions import ModelError
    from .aws.baselines import data_quality, model_quality

    with workplace(data) as place:
        snapshot, model = _evidence(place, type_name)
        data_quality(place, snapshot).write(out / "data")
        typer.echo(f"written: {out / 'data'}")
        try:
            model_quality(place, snapshot, model).write(out / "model")
        except ModelError as error:
            typer.echo(f"not written: {out / 'model'}, {error}")
            return
    typer.echo(f"written: {out / 'model'}")


@monitor.command("start")
def start_monitoring(
    made: MadeOption,
    watched: EndpointOption,
    analyzer: Annotated[str, typer.Option(help="AWS's image of Model Monitor in your region.", metavar="IMAGE")],
    type_name: TypeOption,
    of_model: ModelFlag = False,
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Compare what an endpoint is sent with what training saw, every hour; or what it answers with fault reports,
    every day."""
    from ..components.command import workplace
    from .aws.account import Account
    from .aws.baselines import data_quality, model_quality
    from .aws.made import read_made
    from .aws.monitoring import DATA, MODEL, watch

    environment = read_made(made)
    with workplace(data) as place, Account(region) as account:
        snapshot, model = _evidence(place, type_name)
        found = model_quality(place, snapshot, model) if of_model else data_quality(place, snapshot)
        arn = watch(account, environment, watched, analyzer, found, MODEL if of_model else DATA)
    typer.echo(f"watched: {arn}")


@monitor.command("truth")
def truth(
    made: MadeOption,
    watched: EndpointOption,
    type_name: TypeOption,
    day: Annotated[str, typer.Option(help="Day of which requests are told of (UTC).", metavar="YYYY-MM-DD")],
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Write what fault reports say of the readings that an endpoint was asked about on a day, for Model Monitor."""
    from ..components.command import workplace
    from .aws.account import Account
    from .aws.ground_truth import day_of, write_day
    from .aws.made import read_made

    environment, which = read_made(made), day_of(day)
    with workplace(data) as place, Account(region) as account:
        ((type_id, _),) = place.types(type_name)
        told = write_day(account, environment, place, type_id, watched, which)
    left = f", {told.untold} left out: unreadable, or of devices that aren't known" if told.untold else ""
    typer.echo(f"{watched}, {day}: {told.told} requests told of{left}")


@monitor.command("violations")
def show_violations(
    watched: EndpointOption,
    of_model: ModelFlag = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
    region: RegionOption = None,
) -> None:
    """Show what the last comparison of an endpoint found; exit code 3 where it found something."""
    import msgspec

    from .aws.account import Account
    from .aws.comparisons import violations
    from .aws.monitoring import DATA, MODEL

    with Account(region) as account:
        found = violations(account, watched, MODEL if of_model else DATA)
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        for violation in found:
            typer.echo(violation.sentence)
    if found:
        raise typer.Exit(3)


@monitor.command("alert")
def alert(
    watched: EndpointOption,
    of_model: ModelFlag = False,
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Tell operators what the last comparison of an endpoint found, and end what an earlier one found.

    For a timer, a while after each comparison. What was told already isn't told again; one that is under way changes
    nothing.
    """
    from ..components.command import now_ms, workplace
    from .aws.account import Account
    from .aws.comparisons import last_of
    from .aws.monitor_alerts import settle
    from .aws.monitoring import DATA, MODEL

    quality = MODEL if of_model else DATA
    with workplace(data) as place, Account(region) as account:
        last = last_of(account, watched, quality)
        there = account.client("sagemaker").meta.region_name
        what = settle(place.engine, there, watched, quality, last, now_ms())
    typer.echo(f"{watched}: {last.state or 'not compared yet'}, {what}")


def _evidence(place: "Workplace", type_name: str) -> "tuple[Artifact, Artifact]":
    """The newest snapshot and the newest model of a type."""
    from ..components.command import newest_of

    ((type_id, _),) = place.types(type_name)
    made = newest_of(place, type_id, "data_ingestion", "model_trainer")
    return made["data_ingestion"], made["model_trainer"]
