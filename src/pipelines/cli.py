"""`faultwatch train`, `predict` and `backtest`: pipelines as commands."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..components.command import DataOption, TypeOption, now_ms, workplace

if TYPE_CHECKING:
    from ..components.artifact import Artifact
    from ..components.workplace import Workplace
    from .steps import Pipeline

VersionOption = Annotated[int | None, typer.Option(help="A version of the model. Default: the one that serves.")]


def train(
    data: DataOption = None,
    type_name: TypeOption = None,
    days: Annotated[
        float | None, typer.Option(help="How many days back to learn from. Default: 60.", min=0.001)
    ] = None,
    shadow: Annotated[
        float, typer.Option(help="Watch a model that passes for so many hours before it serves.", min=0)
    ] = 0.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, also where a run was killed half-way.")] = False,
    data_changed: Annotated[
        bool,
        typer.Option(
            "--data-changed",
            help="The data are meant to differ from what the model that serves learnt from, as by other units.",
        ),
    ] = False,
    faults: Annotated[
        bool,
        typer.Option(
            "--faults",
            help="Learn to name kinds of fault instead, from faults whose kind people told, of all types together.",
        ),
    ] = False,
) -> None:
    """Learn what is normal for each device type, compare it with the model that serves, and have the better one serve.

    A running service takes the new model up within seconds; the next start does where none runs. A run that was killed
    is gone on with. Exit code 3 where a model was trained and refused.
    """
    from ..components.workplace import EVERY_TYPE
    from ..exceptions import ConfigError
    from ..fleet import audit
    from . import operating
    from .faults import FAULTS
    from .progress import Bars
    from .runs import Trigger
    from .training import TRAINING

    if faults and (type_name is not None or days is not None or shadow or data_changed):
        raise ConfigError("--faults goes with --data and --fresh only: kinds are learnt of devices of all types")
    pipeline = (
        FAULTS
        if faults
        else TRAINING.configured(
            data_ingestion={} if days is None else {"days": days},
            data_validation={"compare": not data_changed},
            model_pusher={"shadow_hours": shadow},
        )
    )
    refused = False
    with workplace(data) as place:
        for type_id in [EVERY_TYPE] if faults else [type_id for type_id, _ in place.types(type_name)]:
            with Bars() as bars:
                run = operating.run_and_record(
                    pipeline,
                    place,
                    type_id,
                    Trigger("on demand", audit.COMMAND_LINE),
                    clock=now_ms,
                    fresh=fresh,
                    watcher=bars,
                )
            for line in operating.told(place, run):
                typer.echo(line)
            refused = refused or run.state == "stopped"
    if refused:
        raise typer.Exit(3)


def predict(
    data: DataOption = None,
    type_name: TypeOption = None,
    days: Annotated[float, typer.Option(help="Score so many days back from the newest reading.", min=0.001)] = 1.0,
    settle: Annotated[float, typer.Option(help="Let devices settle for so many days before.", min=0)] = 14.0,
    version: VersionOption = None,
    out: Annotated[Path | None, typer.Option(help="Copy the scores to this folder, as Parquet.", metavar="DIR")] = None,
) -> None:
    """Score the last days of every device in one go, with the model that serves or another version."""
    from .prediction import PREDICTION

    pipeline = PREDICTION.configured(
        data_ingestion={"days": days + settle}, batch_scoring={"days": days, "version": version}
    )
    for _, made in _each(pipeline, data, type_name):
        scored = made["batch_scoring"]
        files = sorted(scored.path.glob("*.parquet"))
        folder = scored.path
        if out is not None:
            folder = out / scored.subject
            folder.mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copy(file, folder / file.name)
        rows, odd = scored.summary["rows"], scored.summary["odd"]
        typer.echo(
            f"{scored.subject}: {rows:,} readings scored by version {scored.summary['version']}, {odd:,} odd: {folder}"
        )


def backtest(
    data: DataOption = None,
    type_name: TypeOption = None,
    days: Annotated[float, typer.Option(help="Judge so many days back from the newest reading.", min=0.001)] = 30.0,
    settle: Annotated[float, typer.Option(help="Let devices settle for so many days before.", min=0)] = 14.0,
    version: VersionOption = None,
    budget: Annotated[
        float | None,
        typer.Option(help="False alerts allowed a device and month. Default: as the settings say.", min=0.0001),
    ] = None,
    devices: Annotated[int, typer.Option(help="Replay at most so many devices of a type.", min=1)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """Show the alert budget against what was, and what other budgets would have alerted on.

    For each owner, and for owners of 1, 200 and 10,000 devices of this kind.
    """
    import msgspec

    from ..settings import load_settings
    from .backtest_table import table
    from .prediction import BACKTEST, read_backtest

    settings = load_settings(data=data)
    pipeline = BACKTEST.configured(
        data_ingestion={"days": days + settle},
        backtest={
            "days": days,
            "version": version,
            "devices": devices,
            "per_device_month": budget or settings.false_alerts_per_device_month,
            "most_a_day": settings.max_alerts_a_day,
        },
    )
    found = {made["backtest"].subject: read_backtest(made["backtest"]) for _, made in _each(pipeline, data, type_name)}
    if as_json:
        typer.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for name, replayed in found.items():
        typer.echo(table(name, replayed))


def _each(
    pipeline: "Pipeline", data: Path | None, type_name: str | None
) -> "Iterator[tuple[Workplace, dict[str, Artifact]]]":
    """Run a pipeline for each type meant; what its steps made."""
    from ..fleet import audit
    from .progress import Bars
    from .runner import execute
    from .runs import Trigger

    with workplace(data) as place:
        for type_id, _ in place.types(type_name):
            with Bars() as bars:
                trigger = Trigger("on demand", audit.COMMAND_LINE)
                _, made = execute(pipeline, place, type_id, trigger, clock=now_ms, fresh=True, watcher=bars)
            yield place, made
