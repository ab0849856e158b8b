"""`python -m src.components.eda`: show what the readings of the newest snapshot are like."""

from ...console import run as run_command
from ..command import DataOption, TypeOption, each_type, now_ms


def eda(data: DataOption = None, type_name: TypeOption = None) -> None:
    """Write a page on the newest snapshot: profile, distributions, seasons, correlations, gaps, faults, drift.

    Where there is no snapshot yet, one is taken.
    """
    from . import EdaConfig, run
    from .source import newest_snapshot

    each_type(
        data,
        type_name,
        lambda place, type_id, _: run(
            EdaConfig(),
            {"data_ingestion": newest_snapshot(place, type_id, now_ms())},
            place,
            type_id,
            now_ms(),
        ),
    )


if __name__ == "__main__":
    run_command(eda)
