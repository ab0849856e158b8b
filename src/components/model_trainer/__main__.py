"""`python -m src.components.model_trainer`: fit the detector on the newest transformed rows."""

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, now_ms


def model_trainer(data: DataOption = None, type_name: TypeOption = None) -> None:
    """Fit the anomaly detector of a type and hand it to the service."""
    from ..artifact import newest
    from . import TrainerConfig, run

    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            TrainerConfig(),
            {"data_transformation": newest(place.artifacts("data_transformation", type_id))},
            place,
            type_id,
            now_ms(),
        ),
    )


if __name__ == "__main__":
    run_command(model_trainer)
