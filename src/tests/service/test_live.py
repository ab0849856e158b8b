"""The live loop: what is answered for is scored, kept and told of, whatever goes away meanwhile."""

import os
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from structlog.testing import capture_logs

from ...exceptions import StorageError
from ...fleet import database
from ...service.live import Live
from ...telemetry import records
from ...telemetry.log import read_log
from ..systems.s3 import Bucket
from . import fleet_of, gate
from .fleet_of import START_MS
from .gate import Gate
from .loops import Loop, running, settings_of, until

HEALTHY, FAULTY = range(0, 60), range(60, 66)
PUMPS = range(1, 7)

Said = list[MutableMapping[str, Any]]


@pytest.fixture
def postgresql_gate(postgresql: str) -> Iterator[tuple[str, Gate]]:
    """The address of a database on PostgreSQL by way of a gate."""
    url = make_url(postgresql)
    assert url.port is not None
    with gate.before(url.port) as opened:
        yield url.set(port=opened.port).render_as_string(hide_password=False), opened


@pytest.fixture
def said() -> Iterator[Said]:
    """What the service logs meanwhile."""
    with capture_logs() as entries:
        yield entries


def _await(said: Said, event: str, what: str) -> None:
    until(lambda: any(entry["event"] == event and entry.get("what") == what for entry in list(said)))


def _meanwhile(*actions: Callable[[], object]) -> threading.Thread:
    """Do one after the other while the test goes on."""
    thread = threading.Thread(target=lambda: [action() for action in actions])
    thread.start()
    return thread


def _go_wrong(loop: Loop, device: int) -> None:
    """Let a device fail, and wait until it is known."""
    loop.send([device], FAULTY, faulty=True)
    until(lambda: loop.firing() == [device])


def test_rows_are_on_disk_when_they_are_answered_then_scored_kept_and_told_of(tmp_path: Path) -> None:
    with running(settings_of(tmp_path)) as loop:
        assert loop.send(PUMPS, HEALTHY).counts == (360, 0, 0)
        logged = [record for _, record in read_log(tmp_path / "log" / "shard-0", 0)]
        assert sum(len(record.readings()) for record in logged if isinstance(record, records.Rows)) == 360
        _go_wrong(loop, 3)
        until(lambda: len(loop.rows()) == 366)
        assert loop.rows()["score"].null_count() == 0
        assert [alert["kind"] for alert in loop.alerts()] == ["anomaly"]
        assert loop.notices()[0] == "firing"
        assert loop.send([3], FAULTY, faulty=True).counts == (0, 6, 0), "sent again, they are known"
    with running(settings_of(tmp_path)) as loop:
        assert loop.live.shard.log.last_seq - loop.live.shard.log.first_seq < 100, "the log was let go of"
        assert len(loop.rows()) == 366


def test_a_database_that_goes_away_and_comes_back_is_waited_for(
    tmp_path: Path, postgresql_gate: tuple[str, Gate], said: Said
) -> None:
    url, way = postgresql_gate
    with running(settings_of(tmp_path, database_url=url)) as loop:
        loop.send(PUMPS, HEALTHY)
        until(lambda: len(loop.rows()) == 360)
        way.shut()
        assert loop.send([3], FAULTY, faulty=True).accepted == 6, "the log takes rows without the database"
        _await(said, "live.waiting", "effects")
        way.open()
        until(lambda: loop.firing() == [3])
        until(lambda: len(loop.rows()) == 366)
        assert not loop.live.failed.is_set()
        assert loop.notices()[0] == "firing"


def test_a_type_that_has_learnt_while_the_database_is_away_waits_for_its_version(
    tmp_path: Path, postgresql_gate: tuple[str, Gate], said: Said
) -> None:
    url, way = postgresql_gate
    with running(settings_of(tmp_path, database_url=url, learn_readings=300), trained=False) as loop:
        loop.send(PUMPS, range(40))
        until(lambda: len(loop.rows()) == 240)
        way.shut()
        loop.send(PUMPS, range(40, 60))
        _await(said, "live.waiting", "model")
        way.open()
        until(lambda: len(loop.rows()) == 360)
        assert loop.rows().sort("timestamp")["model_version"].to_list() == [None] * 300 + [1] * 60


def test_what_the_database_was_not_told_when_the_loop_stopped_it_is_told_at_the_next_start(
    tmp_path: Path, postgresql_gate: tuple[str, Gate], said: Said
) -> None:
    url, way = postgresql_gate
    settings = settings_of(tmp_path, database_url=url)
    with running(settings) as loop:
        loop.send(PUMPS, HEALTHY)
        until(lambda: len(loop.rows()) == 360)
        way.shut()
        loop.send([3], FAULTY, faulty=True)
        loop.send([5], FAULTY, faulty=True)
        _await(said, "live.waiting", "effects")
        back = _meanwhile(lambda: _await(said, "live.left_undone", "effects"), way.open)
    back.join()
    with running(settings) as loop:
        until(lambda: loop.firing() == [3, 5])
        until(lambda: len(loop.rows()) == 372)
        assert loop.notices().count("firing") == 2


def test_what_the_lake_was_not_given_when_the_loop_stopped_it_is_given_at_the_next_start(
    tmp_path: Path, said: Said
) -> None:
    folder, away = tmp_path / "data" / "lake", tmp_path / "away"
    settings = settings_of(tmp_path / "data")
    with running(settings) as loop:
        loop.send(PUMPS, HEALTHY)
        until(loop.idle)
        folder.rename(away)
        loop.send(PUMPS, range(60, 70))
        _await(said, "live.waiting", "lake")
        loop.send(PUMPS, range(70, 80))  # for the cut after the one that waits
        back = _meanwhile(lambda: _await(said, "live.left_undone", "lake"), lambda: away.rename(folder))
    back.join()
    with running(settings) as loop:
        until(lambda: len(loop.rows()) == 480)


def test_a_database_that_another_program_holds_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 100)
    with running(settings_of(tmp_path)) as loop:
        loop.send(PUMPS, HEALTHY)
        other = sqlite3.connect(tmp_path / "faultwatch.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        loop.send([3], FAULTY, faulty=True)
        _await(said, "live.waiting", "effects")
        assert loop.firing() == []
        other.rollback()
        other.close()
        until(lambda: loop.firing() == [3])


def test_a_lake_folder_that_goes_away_and_comes_back_is_waited_for(tmp_path: Path, said: Said) -> None:
    folder, away = tmp_path / "data" / "lake", tmp_path / "away"
    with running(settings_of(tmp_path / "data")) as loop:
        loop.send(PUMPS, HEALTHY)
        until(lambda: len(loop.rows()) == 360)
        folder.rename(away)
        folder.write_text("not a folder")
        _go_wrong(loop, 3)
        loop.send(PUMPS, range(70, 80))
        _await(said, "live.waiting", "lake")
        assert not loop.live.failed.is_set()
        folder.unlink()
        away.rename(folder)
        until(lambda: len(loop.rows()) == 426)


def test_a_lake_that_is_not_mounted_any_more_is_not_begun_anew(tmp_path: Path, said: Said) -> None:
    folder, away = tmp_path / "data" / "lake", tmp_path / "away"
    settings = settings_of(tmp_path / "data")
    with running(settings) as loop:
        loop.send(PUMPS, HEALTHY)
        until(lambda: len(loop.rows()) == 360)
        folder.rename(away)
        folder.mkdir()
        loop.send(PUMPS, range(60, 70))
        _await(said, "live.waiting", "lake")
        with pytest.raises(StorageError, match="was there and is gone"):
            loop.rows()
    assert list(folder.iterdir()) == [], "what was written there would be hidden later"
    folder.rmdir()
    away.rename(folder)
    with running(settings) as loop:
        until(lambda: len(loop.rows()) == 420)


def test_a_store_that_goes_away_and_comes_back_is_waited_for(
    tmp_path: Path, moto_server: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gate.before(int(moto_server.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way.port}")
        with running(settings_of(tmp_path, lake_url=f"{moto_server.url}/lake")) as loop:
            loop.send(PUMPS, HEALTHY)
            until(lambda: len(loop.rows()) == 360)
            way.shut()
            _go_wrong(loop, 3)
            way.open()
            until(lambda: len(loop.rows()) == 366)


def test_a_loop_ends_soon_while_its_store_is_away_and_the_next_start_gives_it_the_rows(
    tmp_path: Path, moto_server: Bucket, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    settings = settings_of(tmp_path, lake_url=f"{moto_server.url}/lake")
    with gate.before(int(moto_server.endpoint.rpartition(":")[2])) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way.port}")
        with running(settings) as loop:
            loop.send(PUMPS, HEALTHY)
            until(lambda: len(loop.rows()) == 360)
            way.shut()
            loop.send(PUMPS, range(60, 70))
            time.sleep(1)  # what is asked of the store now is asked when the loop is told to end
            ending = time.monotonic()
        assert time.monotonic() - ending < 5
        assert "live.left_undone" in {event["event"] for event in said}
        way.open()
        with running(settings) as loop:
            until(lambda: len(loop.rows()) == 420)


def test_what_a_bug_ends_ends_the_whole_loop(tmp_path: Path) -> None:
    with running(settings_of(tmp_path / "scorer")) as loop:
        rows = fleet_of.readings(99, [1], range(1))
        loop.live.intake.submit([records.Rows.of(START_MS, rows)]).result(20)
        assert loop.live.failed.wait(20), "the log names a type that nobody made known"
        assert loop.ask(fleet_of.readings(1, [1], range(1))).status == 503
    with running(settings_of(tmp_path / "intake")) as loop:
        loop.live.intake.submit([object()])  # type: ignore[list-item]
        assert loop.live.failed.wait(20), "what is no record can't be logged"


def test_a_second_loop_on_the_same_folder_is_told_who_has_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with running(settings) as loop:
        holder = f"process {os.getpid()} on {socket.gethostname()}, {settings.base_url}"
        with pytest.raises(StorageError, match=f"is in use by {holder}; stop that faultwatch first"):
            Live(settings, loop.engine, loop.lake)
        assert loop.send([1], range(1)).accepted == 1


def test_what_operators_say_is_logged_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with running(settings) as loop:
        loop.send(PUMPS, HEALTHY)
        word = loop.say("maintenance", 2, {"from_ms": START_MS, "until_ms": None, "reason": "oil"})
        until(lambda: loop.done(word))
    with running(settings) as loop:
        later = loop.say("maintenance_end", 2, {})
        until(lambda: loop.done(later))
    kept = [record for _, record in loop.lake.read_events() if isinstance(record, records.Word)]
    assert [(record.command_id, record.kind) for record in kept] == [(word, "maintenance"), (later, "maintenance_end")]
