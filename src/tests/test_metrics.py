"""Metrics: time by stage, and names that stay."""

import threading
import time

from ..metrics import STAGES, Metrics, Stages


def test_time_inside_another_stage_is_counted_once() -> None:
    told: dict[str, float] = {}
    stages = Stages(lambda stage, wall_s, _cpu_s: told.__setitem__(stage, wall_s))
    with stages.measure("score"):
        time.sleep(0.02)
        with stages.measure("alert"):
            time.sleep(0.05)
    assert 0.05 <= told["alert"] < 0.1
    assert 0.02 <= told["score"] < 0.05


def test_a_stage_that_waits_takes_no_processor_time() -> None:
    told: dict[str, tuple[float, float]] = {}
    stages = Stages(lambda stage, wall_s, cpu_s: told.__setitem__(stage, (wall_s, cpu_s)))
    with stages.measure("log"):
        time.sleep(0.05)
    wall_s, cpu_s = told["log"]
    assert wall_s >= 0.05
    assert cpu_s < 0.02


def test_threads_measure_side_by_side() -> None:
    told: list[tuple[str, float]] = []
    stages = Stages(lambda stage, wall_s, _cpu_s: told.append((stage, wall_s)))

    def lake() -> None:
        with stages.measure("lake"):
            time.sleep(0.05)

    thread = threading.Thread(target=lake)
    with stages.measure("score"):
        thread.start()
        thread.join()
    assert sorted(stage for stage, _ in told) == ["lake", "score"]
    assert all(wall_s >= 0.05 for _, wall_s in told), "another thread's stage is not taken off this one's"


def test_every_stage_is_there_from_the_start() -> None:
    text = Metrics().text().decode()
    for stage in STAGES:
        assert f'faultwatch_stage_seconds_total{{stage="{stage}"}} 0.0' in text
    assert "_created" not in text
