"""`python -m src.components.model_pusher`: have the newest model that passed the gate served."""

from typing import Annotated

import typer

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, newest_of, now_ms


def model_pusher(
    data: DataOption = None,
    type_name: TypeOption = None,
    shadow: Annotated[float, typer.Option(help="Watch it as challenger for so many hours first.", min=0)] = 0.0,
) -> None:
    """Give the newest model that passed the gate a version, and have it served or watched."""
    from . import PusherConfig, run

    config = PusherConfig(shadow_hours=shadow)
    needed = ("data_ingestion", "model_trainer", "model_evaluation")
    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(config, newest_of(place, type_id, *needed), place, type_id, now_ms()),
    )


if __name__ == "__main__":
    run_command(model_pusher)
