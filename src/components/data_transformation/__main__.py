"""`python -m src.components.data_transformation`: make of the newest snapshot what the detector learns from."""

from typing import Annotated

import typer

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, newest_of, now_ms


def data_transformation(
    data: DataOption = None,
    type_name: TypeOption = None,
    margin_hours: Annotated[
        float, typer.Option(help="Hours before a reported fault that are left out too.", min=0.0)
    ] = 6.0,
) -> None:
    """Read the newest snapshot, leave out reported faults, order its rows, and save them with the transform."""
    from . import TransformationConfig, run

    config = TransformationConfig(margin_hours=margin_hours)
    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            config,
            newest_of(place, type_id, "data_ingestion"),
            place,
            type_id,
            now_ms(),
        ),
    )


if __name__ == "__main__":
    run_command(data_transformation)
