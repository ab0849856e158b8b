"""`python -m src.components.data_validation`: say whether the newest snapshot is fit to learn from."""

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, now_ms


def data_validation(data: DataOption = None, type_name: TypeOption = None) -> None:
    """Check the newest snapshot and write a report: JSON, and HTML to read."""
    from ..artifact import newest
    from . import ValidationConfig, run

    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            ValidationConfig(),
            {"data_ingestion": newest(place.artifacts("data_ingestion", type_id))},
            place,
            type_id,
            now_ms(),
        ),
    )


if __name__ == "__main__":
    run_command(data_validation)
