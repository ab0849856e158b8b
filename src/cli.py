"""The command line: `faultwatch COMMAND`, the list of commands, and what all of them share."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .console import Lazy, LazyGroup, run


class Commands(LazyGroup):
    """Every command of faultwatch. To add one, write it beside what it does and name it here."""

    registry = {
        "backtest": Lazy("pipelines.cli:backtest", "Show the alert budget against what was, and other budgets."),
        "benchmark": Lazy(
            "benchmarks.cli:benchmark", "Measure faultwatch: what load costs, how well faults are found."
        ),
        "backup": Lazy("operations.backup:backup", "Copy everything faultwatch keeps, while it runs."),
        "channels": Lazy("service.channels_cli:channels", "Say where owners are told of alerts, and try it."),
        "cloud": Lazy("cloud.cli:cloud", "Train, serve and watch models on AWS SageMaker."),
        "demo": Lazy("demo:demo", "Watch a simulated fleet: two weeks of history, judged, then live."),
        "doctor": Lazy("operations.doctor:doctor", "Look at everything faultwatch needs, and say what to do."),
        "export": Lazy("fleet.cli_export:export", "Write readings, scores and expected ranges to a file."),
        "ingest": Lazy("service.ingest_cli:ingest", "Take in files of readings, whatever their age, and judge them."),
        "lineage": Lazy("pipelines.cli_models:lineage", "Print the way from a model to its data."),
        "migrate": Lazy("fleet.cli:migrate", "Bring the database to this version's tables."),
        "mlflow": Lazy("pipelines.cli_models:mlflow", "Open MLflow's pages on this data folder."),
        "models": Lazy("pipelines.cli_models:models", "List, show, promote and roll back models."),
        "owners": Lazy("fleet.cli:owners", "List and add the organisations that own devices."),
        "pipeline": Lazy("pipelines.cli_pipeline:pipeline", "Look at the runs of pipelines."),
        "predict": Lazy("pipelines.cli:predict", "Score the last days of every device in one go."),
        "reproduce": Lazy("pipelines.cli_models:reproduce", "Train a run's model again and compare the bytes."),
        "restore": Lazy("operations.restore:restore", "Make a data folder of a backup."),
        "rules": Lazy("fleet.cli_rules:rules", "Say past which values owners want an alert."),
        "send": Lazy("operations.send:send", "Send files of readings to a running service, as devices do."),
        "serve": Lazy("serve:serve", "Take in readings, judge them, and show the dashboard."),
        "settings": Lazy("cli:settings", "Show every setting, its value and where it came from."),
        "simulate": Lazy(
            "simulator.cli:simulate", "Simulate a fleet with faults, as files or sent to a running server."
        ),
        "status": Lazy("operations.status:status", "Show what the running service says of itself."),
        "tokens": Lazy("fleet.cli:tokens", "Make, list and revoke the tokens of devices and scripts."),
        "train": Lazy("pipelines.cli:train", "Learn what is normal, compare, and have the better model serve."),
        "types": Lazy("fleet.cli_types:types", "Add, list and show device types."),
        "users": Lazy("fleet.cli:users", "List and add the people who sign in."),
        "version": Lazy("cli:version", "Show the version."),
    }


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)


def main() -> None:
    """What the installed command `faultwatch` runs."""
    run(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option(help="Read this faultwatch.toml, as FAULTWATCH_CONFIG does.", metavar="FILE")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="Log from this level on: debug, info, warning, error.", metavar="LEVEL")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """faultwatch: which devices of a fleet are faulty or behave strangely, since when, and why."""
    # The environment, because commands start child processes, which read their settings there.
    if config is not None:
        os.environ["FAULTWATCH_CONFIG"] = str(config)
    if log_level is not None:
        os.environ["FAULTWATCH_LOG_LEVEL"] = log_level


def version() -> None:
    """Show the version."""
    print(f"faultwatch {__version__}")


def settings(
    data: Annotated[Path | None, typer.Option(help="The data folder.", metavar="DIR")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """Show every setting, its value and where it came from."""
    from .settings import explain, load_settings, unknown_variables

    found = load_settings(data=data)
    lines = explain(found)
    if as_json:
        fields = ("value", "source", "unit", "default", "variable", "expected", "description")
        print(json.dumps({line.name: {field: getattr(line, field) for field in fields} for line in lines}, indent=2))
    else:
        print(f"# {found.file or 'no faultwatch.toml found'}")
        for line in lines:
            unit = f" {line.unit}" if line.unit and line.value is not None else ""
            value = "not set" if line.value in (None, {}) else json.dumps(line.value)
            print(f"{line.name} = {value}{unit}  [{line.source}]")
    for complaint in unknown_variables():
        typer.echo(f"warning: {complaint}", err=True)
