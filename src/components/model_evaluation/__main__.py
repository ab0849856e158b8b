"""`python -m src.components.model_evaluation`: judge the newest trained model beside the champion."""

from typing import Annotated

import typer

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, newest_of, now_ms


def model_evaluation(
    data: DataOption = None,
    type_name: TypeOption = None,
    probes: Annotated[int, typer.Option(help="Put faults into copies of so many unseen devices.", min=0)] = 50,
) -> None:
    """Judge the newest trained model on devices and times it hasn't seen, beside the champion."""
    from . import EvaluationConfig, run

    config = EvaluationConfig(most_probes=probes)
    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            config, newest_of(place, type_id, "data_ingestion", "model_trainer"), place, type_id, now_ms()
        ),
    )


if __name__ == "__main__":
    run_command(model_evaluation)
