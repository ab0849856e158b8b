"""`faultwatch cloud monitor`: have an endpoint's readings and answers compared with what training saw."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..components.command import DataOption
from .options import MadeOption, RegionOption

if TYPE_CHECKING:
    from ..components.artifact import Artifact
    from ..components.workplace import Workplace

monitor = typer.Typer(no_args_is_help=True, help="Have an endpoint's readings compared with what training saw.")
EndpointOption = Annotated[str, typer.Option("--endpoint", help="Name of the endpoint.", metavar="NAME")]


@monitor.command("baseline")
def baseline(
    out: Annotated[Path, typer.Option(help="Folder to write to.", metavar="DIR")],
    type_name: Annotated[str, typer.Option("--type", help="The device type.", metavar="NAME")],
    data: DataOption = None,
) -> None:
    """Write statistics.json and constraints.json of the newest snapshot and evaluation, for Model Monitor."""
    from ..components.command import workplace
    from .aws.baselines import data_quality, model_quality

    with workplace(data) as place:
        snapshot, evaluation = _evidence(place, type_name)
        data_quality(place, snapshot).write(out / "data")
        model_quality(evaluation).write(out / "model")
    typer.echo(f"written: {out / 'data'}, {out / 'model'}")


@monitor.command("start")
def start_monitoring(
    made: MadeOption,
    watched: EndpointOption,
    analyzer: Annotated[str, typer.Option(help="AWS's image of Model Monitor in your region.", metavar="IMAGE")],
    type_name: Annotated[str, typer.Option("--type", help="The device type.", metavar="NAME")],
    data: DataOption = None,
    region: RegionOption = None,
) -> None:
    """Compare what an endpoint is sent with what training saw, every hour."""
    from ..components.command import workplace
    from .aws.account import Account
    from .aws.baselines import data_quality
    from .aws.made import read_made
    from .aws.monitoring import watch

    environment = read_made(made)
    with workplace(data) as place, Account(region) as account:
        snapshot, _ = _evidence(place, type_name)
        arn = watch(account, environment, watched, analyzer, data_quality(place, snapshot))
    typer.echo(f"watched: {arn}")


@monitor.command("violations")
def show_violations(
    watched: EndpointOption,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
    region: RegionOption = None,
) -> None:
    """Show what the last comparison of an endpoint found; exit code 3 where it found something."""
    import msgspec

    from .aws.account import Account
    from .aws.comparisons import violations

    with Account(region) as account:
        found = violations(account, watched)
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
    from .aws.monitoring import DATA

    with workplace(data) as place, Account(region) as account:
        last = last_of(account, watched)
        there = account.client("sagemaker").meta.region_name
        what = settle(place.engine, there, watched, DATA, last, now_ms())
    typer.echo(f"{watched}: {last.state or 'not compared yet'}, {what}")


def _evidence(place: "Workplace", type_name: str) -> "tuple[Artifact, Artifact]":
    """The newest snapshot and the newest evaluation of a type."""
    from ..components.command import newest_of

    ((type_id, _),) = place.types(type_name)
    made = newest_of(place, type_id, "data_ingestion", "model_evaluation")
    return made["data_ingestion"], made["model_evaluation"]
