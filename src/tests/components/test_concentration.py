"""A rate says how many false alerts there are; this says whose they are."""

import numpy as np
import pytest

from ...components.model_evaluation.concentration import of_the_worst


@pytest.mark.parametrize(
    ("alerts", "said"),
    [
        ([0, 0, 0, 8, 0, 0, 0, 0, 0, 0], (1, 1.0)),
        ([1] * 10, (10, 0.1)),
        ([4, 0, 2, 2], (3, 0.5)),
        ([0] * 10, (0, 0.0)),
        ([], (0, 0.0)),
    ],
)
def test_devices_that_gave_alerts_and_the_part_of_the_worst_tenth(alerts: list[int], said: tuple[int, float]) -> None:
    assert of_the_worst(np.array(alerts, np.float64)) == said
