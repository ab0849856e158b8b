"""`faultwatch train`: from the readings in the lake to a model that serves."""

from typing import Annotated

import typer

from ..components.command import DataOption, TypeOption, now_ms, workplace


def train(
    data: DataOption = None,
    type_name: TypeOption = None,
    days: Annotated[float, typer.Option(help="How many days back to learn from.", min=0.001)] = 60.0,
    shadow: Annotated[
        float, typer.Option(help="Watch a model that passes for so many hours before it serves.", min=0)
    ] = 0.0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, also where a run was killed half-way.")] = False,
) -> None:
    """Learn what is normal for each device type, compare it with the model that serves, and have the better one serve.

    A running service takes the new model up within seconds; the next start does where none runs. A run that was killed
    is gone on with. Exit code 3 where a model was trained and refused.
    """
    from ..fleet import audit
    from . import operating
    from .progress import Bars
    from .runs import Trigger
    from .training import TRAINING

    pipeline = TRAINING.configured(data_ingestion={"days": days}, model_pusher={"shadow_hours": shadow})
    refused = False
    with workplace(data) as place:
        for type_id, _ in place.types(type_name):
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
