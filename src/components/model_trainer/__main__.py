"""`python -m src.components.model_trainer`: fit the detector on the newest transformed rows."""

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, newest_of, now_ms


def model_trainer(data: DataOption = None, type_name: TypeOption = None) -> None:
    """Fit the anomaly detector of a type; evaluate and push it to have it served."""
    from . import TrainerConfig, run

    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            TrainerConfig(),
            newest_of(place, type_id, "data_transformation"),
            place,
            type_id,
            now_ms(),
        ),
    )


if __name__ == "__main__":
    run_command(model_trainer)
