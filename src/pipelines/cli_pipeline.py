"""`faultwatch pipeline`: how runs went."""

import json
from typing import Annotated

import typer

from ..components.command import DataOption, TypeOption, now_ms, workplace

pipeline = typer.Typer(no_args_is_help=True, help="Look at the runs of pipelines.")


@pipeline.command("status")
def status(
    data: DataOption = None,
    type_name: TypeOption = None,
    last: Annotated[int, typer.Option(help="Show so many runs.", min=1)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """Show the last runs: what fired them, how far they are, how long each step took."""
    import msgspec

    from .operating import told
    from .runs import Runs

    with workplace(data) as place:
        type_id = None if type_name is None else place.types(type_name)[0][0]
        runs = Runs(place.data)
        found = runs.all(type_id=type_id)[:last]
        if as_json:
            typer.echo(json.dumps(msgspec.to_builtins(found), indent=2))
            return
        for run in found:
            killed = run.state == "running" and not runs.is_held(run)
            trigger = f"{run.trigger.kind} by {run.trigger.who}" + (f" ({run.trigger.why})" if run.trigger.why else "")
            first, *rest = told(place, run)
            typer.echo(f"{first}, {trigger}")
            for line in rest:
                typer.echo(line)
            if killed:
                again = "`faultwatch train` goes on with it" if run.pipeline == "training" else "run its command again"
                typer.echo(f"  its process was killed; {again}")
    if not found:
        typer.echo("no run yet: `faultwatch train` makes one")


@pipeline.command("monitor")
def monitor(
    data: DataOption = None,
    type_name: TypeOption = None,
    act: Annotated[
        bool, typer.Option("--act/--look", help="Train where a trigger fires, or only say that it would.")
    ] = True,
) -> None:
    """Look at the models that serve and are watched, and train again what is due.

    The service does this every `monitor_hours`. A model that is trained here is watched for `shadow_hours` before it
    serves.
    """
    from ..settings import load_settings
    from .watching import watch

    settings = load_settings(data=data)
    with workplace(data) as place:
        for type_id, _ in place.types(type_name):
            for line in watch(place, type_id, settings, now_ms, act=act):
                typer.echo(line)
