"""What judging a row costs, on a few devices."""

import pytest

from ...benchmarks.cost import judging, starts


def test_each_number_of_devices_has_its_figures() -> None:
    found = judging(rows=3_000, fleets=(50, 1_500))
    by_devices = found["by_devices"]
    assert isinstance(by_devices, dict)
    assert {name: figures["rows"] for name, figures in by_devices.items()} == {"50": 3_000, "1500": 3_000}
    sizes = {figures["bytes_per_device"] for figures in by_devices.values()}
    assert len(sizes) == 1 and sizes.pop() <= 512
    assert all(figures["rows_per_s"] > 1_000 for figures in by_devices.values())
    replay = found["replay_s"]
    assert isinstance(replay, float) and 0 < replay < 10


@pytest.mark.verify
def test_a_second_start_finds_what_the_first_compiled() -> None:
    found = starts()
    assert found["start_s"] < found["first_start_s"] / 2
