"""What people say, and the files they bring, go into the log: each once, in their order, whatever fails meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from ...exceptions import StorageError
from ...fleet import backfill_jobs, commands, device_types
from ...fleet.backfill_jobs import Job
from ...fleet.database import applying, connect, reading, writing
from ...service import backfill
from ...service.commands import CHUNKS_AHEAD, Listener
from ...service.model_store import ModelStore
from ...settings import Settings
from ...telemetry import records
from ...telemetry.records import Backfill, Devices, ModelSwap, TypeVersion, Word
from ...telemetry.schema import DeviceType, Sensor, decode_type
from . import fleet_of
from .intakes import NOW, PUMP, WayIn, way_in

ROWS, CHUNK_ROWS = 100, 20


@dataclass
class Listening:
    """A listener over a real way into a log, and what was logged."""

    listener: Listener
    way: WayIn
    engine: Engine
    settings: Settings

    def poll(self) -> None:
        """Let it look once."""
        self.listener.poll(threading.Event())

    def again(self, seen: Sequence[int] = ()) -> Listener:
        """A listener of the next process."""
        return Listener(self.engine, self.settings, self.way.intake, seen, lambda: self.way.now[0])

    def say(self, kind: str, device_key: int | None = None, **payload: Any) -> int:
        """Say something; its id."""
        with writing(self.engine) as session:
            return commands.add(session, kind, device_key, payload, None, NOW)

    def logged(self, *kinds: type[records.Record]) -> list[records.Record]:
        """What is in the log, of some kinds."""
        return [record for _, record in self.way.logged if isinstance(record, kinds)]

    def file(self, name: str = "a") -> Job:
        """Bring a file of two pumps."""
        rows = fleet_of.readings(self.way.pump, [1, 2], range(ROWS // 2))
        return backfill.spool_job(
            self.settings.data,
            self.engine,
            file_name=f"{name}.csv",
            file_hash=name,
            owner_id=self.way.owner,
            readings=rows,
            learn=0,
            now_ms=NOW,
        )

    def applied(self, job: Job, rows: int) -> None:
        """The scorer has applied rows of a file."""
        with applying(self.engine) as session:
            backfill_jobs.advance(session, job.id, rows, rows, 0)

    def chunks(self) -> list[tuple[int, int]]:
        """(job, chunk) of the log."""
        return [(record.job_id, record.chunk) for record in self.logged(Backfill) if isinstance(record, Backfill)]


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    """A listener that has taken note of the types; there are two pumps, 1 and 2."""
    monkeypatch.setattr(backfill, "CHUNK_ROWS", CHUNK_ROWS)
    folder = tmp_path / "data"
    settings = Settings(data=folder, database_url=f"sqlite:///{folder / 'fleet.sqlite'}")
    with way_in(folder) as way:
        way.registry.register(way.owner, [(f"p{number}", way.pump, None) for number in (1, 2)], NOW)
        engine = connect(settings.database_url)
        listener = Listener(engine, settings, way.intake, (), lambda: way.now[0])
        listening = Listening(listener, way, engine, settings)
        listening.poll()
        way.logged.clear()
        yield listening
        engine.dispose()


def test_words_are_logged_in_their_order_and_once(listening: Listening) -> None:
    first = listening.say("repaired", 1, device_id="p1")
    second = listening.say("maintenance", 2, from_ms=1, until_ms=None)
    listening.poll()
    listening.way.now[0] += 1000
    third = listening.say("maintenance_end", 2)
    listening.poll()
    listening.poll()
    expected = [
        Word(now_ms=NOW, command_id=first, kind="repaired", device_key=1, payload=b'{"device_id":"p1"}'),
        Word(now_ms=NOW, command_id=second, kind="maintenance", device_key=2, payload=b'{"from_ms":1,"until_ms":null}'),
        Word(now_ms=NOW + 1000, command_id=third, kind="maintenance_end", device_key=2, payload=b"{}"),
    ]
    assert listening.logged(Word) == expected


def test_a_word_that_the_log_has_and_the_database_has_not_heard_of_is_not_logged_again(listening: Listening) -> None:
    word = listening.say("repaired", 1)
    listening.again([word]).poll(threading.Event())
    assert listening.logged(Word) == []


def test_a_word_that_could_not_be_logged_is_logged_later(listening: Listening) -> None:
    listening.say("repaired", 1)
    listening.way.log.full = True
    with pytest.raises(StorageError, match="no space"):
        listening.poll()
    listening.way.log.full = False
    listening.poll()
    assert len(listening.logged(Word)) == 1


def test_a_type_version_is_logged_as_it_is_now(listening: Listening) -> None:
    wider = DeviceType(name="pump", sensors=(*PUMP.sensors, Sensor(name="noise")))
    with writing(listening.engine) as session:
        device_types.add(session, None, wider, NOW)
    listening.poll()
    (record,) = listening.logged(TypeVersion)
    assert isinstance(record, TypeVersion) and record.command_id
    assert (record.type_id, decode_type(record.spec).version) == (listening.way.pump, 2)


def test_a_model_is_swapped_where_it_can_be_loaded(listening: Listening) -> None:
    store = ModelStore(listening.settings.data / "models", listening.engine)
    kept = store.keep(listening.way.pump, fleet_of.detector(minutes=400), NOW, "test")
    swap = listening.say("model_swap", type_id=listening.way.pump, folder=kept.model, version=kept.version)
    gone = listening.say("model_swap", type_id=listening.way.pump, folder="0123456789ab", version=9)
    with capture_logs() as said:
        listening.poll()
        listening.poll()
    assert listening.logged(ModelSwap) == [
        ModelSwap(now_ms=NOW, type_id=listening.way.pump, model=kept.model, version=1, command_id=swap)
    ]
    assert [(entry["event"], entry["command"]) for entry in said] == [("model.refused", gone)]


def test_a_word_of_a_later_version_is_left_alone(listening: Listening) -> None:
    word = listening.say("teleport", 1)
    with capture_logs() as said:
        listening.poll()
        listening.poll()
    assert [(entry["event"], entry["id"]) for entry in said] == [("command.unknown", word)]
    assert listening.way.logged == []


def test_a_file_is_logged_no_faster_than_it_is_applied(listening: Listening) -> None:
    job = listening.file()
    listening.poll()
    listening.poll()
    ahead = [(job.id, chunk) for chunk in range(CHUNKS_AHEAD + 1)]
    assert listening.chunks() == ahead
    listening.say("repaired", 1)
    listening.applied(job, CHUNK_ROWS)
    listening.poll()
    assert listening.chunks() == [*ahead, (job.id, CHUNKS_AHEAD + 1)]
    assert len(listening.logged(Word)) == 1, "words don't wait for a file"
    assert len(listening.logged(Devices)) == 1, "its devices were made known once, before its rows"
    assert isinstance(listening.way.logged[0][1], Devices)
    for _ in range(6):
        listening.applied(job, CHUNK_ROWS)
        listening.poll()
    assert listening.chunks() == [(job.id, chunk) for chunk in range(ROWS // CHUNK_ROWS)]


def test_files_are_taken_one_after_the_other(listening: Listening) -> None:
    first, second = listening.file("a"), listening.file("b")
    for _ in range(2 * ROWS // CHUNK_ROWS):
        listening.poll()
        done = next((job for job in (first, second) if _rows_done(listening, job) < ROWS), second)
        listening.applied(done, CHUNK_ROWS)
    assert listening.chunks() == [(job.id, chunk) for job in (first, second) for chunk in range(ROWS // CHUNK_ROWS)]


def _rows_done(listening: Listening, job: Job) -> int:
    with reading(listening.engine) as session:
        return backfill_jobs.get(session, job.id).rows_done


def test_a_chunk_that_was_logged_and_not_yet_applied_is_not_logged_again(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, append = listening.file(), listening.way.log.append

    def full_after_the_first_chunk(batch: Sequence[records.Record]) -> list[int]:
        listening.way.log.full = listening.chunks() != []
        return append(batch)

    monkeypatch.setattr(listening.way.log, "append", full_after_the_first_chunk)
    with pytest.raises(StorageError):
        listening.poll()
    assert listening.chunks() == [(job.id, 0)]
    monkeypatch.setattr(listening.way.log, "append", append)
    listening.way.log.full = False
    for _ in range(3):
        listening.poll()  # the scorer is behind, or the database doesn't hear of it: nothing is counted yet
    assert listening.chunks() == [(job.id, chunk) for chunk in range(CHUNKS_AHEAD + 1)]


def test_the_next_process_goes_on_behind_what_was_applied(listening: Listening) -> None:
    job = listening.file()
    listening.poll()
    listening.applied(job, (CHUNKS_AHEAD + 1) * CHUNK_ROWS)  # as the replay of the log does
    listening.way.logged.clear()
    listening.again().poll(threading.Event())
    assert listening.chunks() == [(job.id, 3), (job.id, 4)]


def test_a_file_whose_rows_are_gone_has_failed_and_says_what_to_do(listening: Listening) -> None:
    job, other = listening.file("a"), listening.file("b")
    backfill.forget_job(listening.settings.data, job.id)
    listening.poll()
    with reading(listening.engine) as session:
        failed = backfill_jobs.get(session, job.id)
    assert failed.state == "failed" and "ingest the file again" in failed.message
    assert {job_id for job_id, _ in listening.chunks()} == {other.id}


def test_a_loop_that_stops_leaves_the_rest_of_a_file_for_later(listening: Listening) -> None:
    listening.file()
    stopping = threading.Event()
    stopping.set()
    listening.listener.poll(stopping)
    assert listening.chunks() == []
