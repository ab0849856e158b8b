"""What pages say of themselves: they are ready while the loop publishes."""

import time
from pathlib import Path

import pytest

from ...checks import fault_of
from ...fleet.database import connect, migrate
from ...metrics import Metrics
from ...telemetry.published import Clock, PublishedReader, Publisher
from ...web.health import PagesHealth


@pytest.fixture
def health(tmp_path: Path) -> PagesHealth:
    engine = connect(f"sqlite:///{tmp_path / 'fleet.db'}")
    migrate(engine)
    return PagesHealth(engine, [PublishedReader(tmp_path / "published")])


def publish(folder: Path, seconds_ago: float) -> None:
    """Publish a snapshot of a time."""
    at_ms = round((time.time() - seconds_ago) * 1000)
    clock = Clock(now_ms=at_ms, published_ms=at_ms, last_seq=1, applied_seq=1, lake_seq=1)
    Publisher(folder / "published").publish(clock, {})


def faults(health: PagesHealth) -> dict[str, str | None]:
    """What each probe finds."""
    return {name: fault_of(probe) for name, probe in health.probes().items()}


def test_pages_without_a_loop_say_which_command_is_missing(health: PagesHealth) -> None:
    fault = faults(health)["published"]
    assert fault is not None and "start `faultwatch serve --role loop`" in fault


def test_pages_are_ready_while_the_snapshot_is_fresh(health: PagesHealth, tmp_path: Path) -> None:
    publish(tmp_path, seconds_ago=100)
    assert faults(health) == {"database": None, "published": None}
    metrics = Metrics()
    health.look(metrics)
    assert b"faultwatch_published_age_seconds 100." in metrics.text()


def test_a_snapshot_of_the_past_is_told(health: PagesHealth, tmp_path: Path) -> None:
    publish(tmp_path, seconds_ago=130)
    fault = faults(health)["published"]
    assert fault is not None and fault.startswith("the loop published last 130 s ago; expected less than 120")
