"""What a loop says of itself while it can't go on, and once it can."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine

from ...checks import fault_of
from ...fleet import commands as stored
from ...fleet.database import answers, connect, writing
from ...metrics import Metrics
from ...service.health import LoopHealth
from ...service.live import Live
from ...settings import Settings
from ...telemetry.lake import Lake
from .fleet_of import PUMP, database


@dataclass
class Looked:
    """A live loop, looked at from outside."""

    live: Live
    health: LoopHealth
    settings: Settings
    engine: Engine
    metrics: Metrics

    def faults(self) -> dict[str, str | None]:
        """What each probe finds."""
        return {name: fault_of(probe) for name, probe in self.health.probes().items()}

    def until(self, wanted: Callable[[], bool]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + 20
        while not wanted():
            assert time.monotonic() < deadline, self.faults()
            time.sleep(0.02)


@pytest.fixture
def looked(tmp_path: Path) -> Iterator[Looked]:
    settings = Settings(data=tmp_path / "data", lake_commit_s=0.2)
    settings.data.mkdir()
    engine, _ = database(settings, PUMP)
    lake = Lake(settings.lake_url)
    metrics = Metrics()
    with Live(settings, engine, lake, metrics=metrics) as live:
        yield Looked(live, LoopHealth(live, settings, engine, lake, behind_s=0.3), settings, engine, metrics)
    engine.dispose()


def test_a_loop_that_works_has_no_fault(looked: Looked) -> None:
    assert looked.faults() == {"log": None, "scorer": None, "database": None, "lake": None}
    looked.health.look(looked.metrics)
    text = looked.metrics.text().decode()
    assert 'faultwatch_record{step="logged"}' in text
    assert "faultwatch_rows_waiting_limit 4e+06" in text


def test_a_scorer_that_is_held_up_says_how_far_it_is_behind(looked: Looked) -> None:
    with writing(looked.engine) as session:
        stored.add(session, "repaired", None, {}, None, 0)
    path = looked.settings.data / "faultwatch.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        looked.until(lambda: looked.live.lag_s > 0.3)
        fault = looked.faults()["scorer"]
        assert fault is not None and "s behind; expected less than 0.3" in fault
        other.execute("ROLLBACK")
    looked.until(lambda: looked.faults() == {"log": None, "scorer": None, "database": None, "lake": None})
    assert looked.live.lag_s == 0.0


def test_a_lake_that_went_is_told_and_comes_back(looked: Looked) -> None:
    lake = looked.settings.data / "lake"
    looked.until(lambda: (lake / "events" / "_delta_log" / f"{1:020d}.json").exists())
    away = lake.rename(lake.with_name("away"))
    assert looked.faults()["lake"] == f"the lake's folder {lake} is gone: put it back, or mount its disk again"
    away.rename(lake)
    looked.until(lambda: looked.faults()["lake"] is None)


def test_a_thread_that_ended_is_told(looked: Looked) -> None:
    looked.live.failed.set()
    fault = looked.faults()["scorer"]
    assert fault is not None and "Start faultwatch again" in fault
    looked.live.failed.clear()


def test_storage_that_fails_is_counted_and_told_by_what_it_fails_at(looked: Looked) -> None:
    looked.until(lambda: (looked.settings.data / "lake" / "events" / "_delta_log").exists())
    database_file = looked.settings.data / "faultwatch.db"
    away = database_file.rename(database_file.with_name("away.db"))
    fault = looked.faults()["database"]
    assert fault is not None and "there is no database at" in fault and "from a backup" in fault
    away.rename(database_file)
    looked.until(lambda: looked.faults()["database"] is None)


def test_a_database_that_is_not_there_is_told_in_words(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'nowhere' / 'fleet.db'}")
    assert "there is no database at" in str(fault_of(lambda: answers(engine)))
    engine.dispose()
