"""`python -m src.components.data_ingestion`: fix what training reads."""

from typing import Annotated

import typer

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, now_ms


def data_ingestion(
    data: DataOption = None,
    type_name: TypeOption = None,
    days: Annotated[float, typer.Option(help="How many days back to read from the newest reading.", min=0.001)] = 60.0,
) -> None:
    """Fix a snapshot of the lake and split it: the rows to learn from, the devices and days to keep unseen."""
    from . import IngestionConfig, run

    config = IngestionConfig(days=days)
    each_type(data, type_name, lambda place, type_id, _: run(config, {}, place, type_id, now_ms()))


if __name__ == "__main__":
    run_command(data_ingestion)
