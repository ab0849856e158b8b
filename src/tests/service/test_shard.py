"""A shard may be killed between any two of its steps: nothing that was answered for is lost, nothing happens twice."""

import logging
import re
import shutil
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from ...exceptions import StorageError
from ...fleet import alerts, backfill_jobs
from ...fleet.database import applying, connect, reading
from ...service import backfill
from ...service.shard import Shard
from ...telemetry import records
from ...telemetry.lake import Lake
from ...telemetry.segments import FRAME_MAGIC
from ..systems.s3 import Bucket
from . import fleet_of, nursery, shard_life
from .nursery import Nursery
from .shard_life import OPENING_STEPS, STEPS, Death, Place

DEATHS = (
    Death("keep model"),
    *(Death(step) for step in STEPS),
    Death("before effects are committed"),
    *(Death(step, opening=True) for step in OPENING_STEPS),
)
"""One after the other, in one life; those while it opens find effects that are yet to be written."""

DEATHS_BY_THE_LAKE = (
    Death("before a commit to the lake"),
    *(Death(step) for step in STEPS if step.startswith("commit")),
    Death("watermark of the lake"),
    Death("watermark of the state"),
)
DEATHS_BY_THE_DATABASE = (
    *(Death(step) for step in ("keep model", "finish job", "effects", "before effects are committed")),
    *(Death(step, opening=True) for step in OPENING_STEPS if step != "apply"),
    *(Death(step) for step in STEPS if step.startswith("watermark")),
)
"""Those beside steps that are taken there: what `make test` tries on the dearer systems."""

Remains = dict[str, object]


@pytest.fixture(scope="module")
def children() -> Iterator[Nursery]:
    """Processes to kill."""
    with nursery.opened() as opened:
        yield opened


@pytest.fixture(scope="module")
def undisturbed(children: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Remains]:
    """What is left of a life of so many rounds that nobody cut short."""

    @cache
    def lived(rounds: int) -> Remains:
        place = _place(tmp_path_factory.mktemp("undisturbed"), rounds)
        shard_life.found(place)
        assert _live(children, place, None) == 0
        return shard_life.remains(place)

    return lived


@pytest.fixture
def bucket(moto_server: Bucket, caplog: pytest.LogCaptureFixture) -> Bucket:
    """An empty bucket, of a server that keeps its requests to itself: a life makes thousands."""
    caplog.set_level(logging.WARNING, "werkzeug")
    return moto_server


def _place(folder: Path, rounds: int, database_url: str | None = None, bucket: Bucket | None = None) -> Place:
    return Place(
        folder / "data",
        database_url or f"sqlite:///{folder / 'fleet.sqlite'}",
        str(folder / "lake") if bucket is None else f"{bucket.url}/lake",
        rounds,
        {} if bucket is None else bucket.environment,
    )


def _live(children: Nursery, place: Place, death: Death | None) -> int:
    ended = children.run(shard_life.live, place, death, log=place.data / "output")
    said = (place.data / "output").read_text()
    assert "Traceback" not in said, said[-4000:]
    return ended


def _die(children: Nursery, place: Place, deaths: Sequence[Death], expected: Remains) -> None:
    """Live, die these deaths one after the other, and end as who lived undisturbed."""
    shard_life.found(place)
    for death in deaths:
        assert _live(children, place, death) == -signal.SIGKILL, f"{death} did not come before the end"
    assert _live(children, place, None) == 0
    found = shard_life.remains(place)
    for part in expected:
        assert found[part] == expected[part], f"{part} differ"


def test_killed_between_every_two_steps_it_loses_nothing_and_doubles_nothing(
    children: Nursery, undisturbed: Callable[[int], Remains], tmp_path: Path
) -> None:
    rounds = len(DEATHS) + 8  # some deaths take two rounds to come
    _die(children, _place(tmp_path, rounds), DEATHS, undisturbed(rounds))


def test_on_postgresql_it_may_be_killed_as_well(
    children: Nursery, undisturbed: Callable[[int], Remains], postgresql: str, tmp_path: Path
) -> None:
    rounds = len(DEATHS_BY_THE_DATABASE) + 4
    _die(children, _place(tmp_path, rounds, postgresql), DEATHS_BY_THE_DATABASE, undisturbed(rounds))


def test_with_its_lake_in_s3_it_may_be_killed_as_well(
    children: Nursery, undisturbed: Callable[[int], Remains], bucket: Bucket, tmp_path: Path
) -> None:
    rounds = len(DEATHS_BY_THE_LAKE) + 4
    _die(children, _place(tmp_path, rounds, bucket=bucket), DEATHS_BY_THE_LAKE, undisturbed(rounds))


@pytest.mark.verify
def test_on_postgresql_and_s3_it_may_be_killed_between_every_two_steps(
    children: Nursery, undisturbed: Callable[[int], Remains], postgresql: str, bucket: Bucket, tmp_path: Path
) -> None:
    rounds = len(DEATHS) + 8
    _die(children, _place(tmp_path, rounds, postgresql, bucket), DEATHS, undisturbed(rounds))


SHORT = 8
"""Rounds of the life that the following tests go on with."""


@pytest.fixture(scope="module")
def cut_short(children: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shard that was killed while its lake was given the rows of a round."""
    folder = tmp_path_factory.mktemp("cut_short")
    place = _place(folder, SHORT)
    shard_life.found(place)
    assert _live(children, place, Death("commit of type-1", nth=7)) == -signal.SIGKILL
    assert place.acknowledged == SHORT - 1
    return folder


def _copied(folder: Path, to: Path) -> Place:
    shutil.copytree(folder, to, dirs_exist_ok=True)
    return _place(to, SHORT)


def _segments(place: Place) -> list[Path]:
    return sorted((place.data / "log" / "shard-0").glob("*.log"))


@contextmanager
def _opened(place: Place) -> Iterator[Shard]:
    engine = connect(place.database_url)
    try:
        with Shard(place.settings, engine, Lake(place.lake_url), now_ms=fleet_of.START_MS) as shard:
            yield shard
    finally:
        engine.dispose()


def _refusal(place: Place) -> str:
    with pytest.raises(StorageError) as refused, _opened(place):
        pass
    return str(refused.value)


def test_the_torn_end_of_the_log_is_cut_off(
    children: Nursery, undisturbed: Callable[[int], Remains], cut_short: Path, tmp_path: Path
) -> None:
    place = _copied(cut_short, tmp_path)
    with _segments(place)[-1].open("ab") as file:
        file.write(FRAME_MAGIC + bytes(100))
    assert _live(children, place, None) == 0
    assert "log.tail_cut" in (place.data / "output").read_text()
    assert shard_life.remains(place) == undisturbed(SHORT)


def test_a_log_that_went_bad_in_its_middle_is_refused_and_what_is_advised_helps(
    cut_short: Path, tmp_path: Path
) -> None:
    place, away = _copied(cut_short, tmp_path / "it"), tmp_path / "away"
    away.mkdir()
    first, bad, *_ = _segments(place)
    content = bytearray(bad.read_bytes())
    content[len(content) // 2] ^= 1
    bad.write_bytes(content)
    refusal = _refusal(place)
    assert re.match(rf"{bad} is damaged at byte \d+: ", refusal)
    assert "Restore this file from a copy" in refusal and "move the file and all later ones away" in refusal

    for path in _segments(place)[1:]:
        path.rename(away / path.name)
    assert "or move it away to start a new log" in _refusal(place)

    first.rename(away / first.name)
    rows = fleet_of.readings(1, [1, 2], range(200, 205))
    with _opened(place) as shard:
        shard.append_and_apply([records.Rows.of(fleet_of.START_MS, rows)])
    with _opened(place) as shard:  # whatever became of it meanwhile
        shard.save()
    found = Lake(place.lake_url).read(1, start_ms=int(rows.ts[0]))
    assert found["device_key"].to_list() == [1] * 5 + [2] * 5
    assert found["score"].null_count() == 0, "it goes on with the state of its checkpoint"


def test_a_damaged_checkpoint_costs_nothing_because_the_one_before_it_has_its_log(
    children: Nursery, undisturbed: Callable[[int], Remains], cut_short: Path, tmp_path: Path
) -> None:
    place = _copied(cut_short, tmp_path)
    newest = max((place.data / "state" / "shard-0").glob("*.state"))
    newest.write_bytes(newest.read_bytes()[:-100])
    assert _live(children, place, None) == 0
    assert "checkpoint.damaged" in (place.data / "output").read_text()
    assert shard_life.remains(place) == undisturbed(SHORT)


def test_effects_whose_commit_was_not_heard_of_are_not_counted_again(tmp_path: Path) -> None:
    place = _place(tmp_path, 3)
    shard_life.found(place)
    engine = connect(place.database_url)
    with Shard(place.settings, engine, Lake(place.lake_url), now_ms=fleet_of.START_MS) as shard:
        with reading(engine) as session:
            (job,) = backfill_jobs.unfinished(session)
        (chunk,), _ = backfill.batches(place.data, backfill.read_manifest(place.data, job.id), job, fleet_of.START_MS)
        (seq,) = shard.log.append([chunk])
        outcome = shard.state.apply(seq, chunk)
        with applying(engine) as session:  # what the transaction did whose end never came back
            backfill_jobs.advance(session, job.id, outcome.backfill.rows if outcome.backfill else 0, outcome.scored, 0)
            alerts.record(session, 0, seq, outcome.changes, outcome.now_ms)
        shard.write_effects(outcome)
        with reading(engine) as session:
            assert backfill_jobs.get(session, job.id).rows_done == shard_life.CHUNK_ROWS
    engine.dispose()


def test_the_answers_given_under_keys_are_known_after_a_clean_end(tmp_path: Path) -> None:
    place = _place(tmp_path, 1)
    shard_life.found(place)
    receipt = records.Receipt(1, "k", b"{}")
    rows = fleet_of.readings(1, [1], range(1))
    with _opened(place) as shard:
        shard.append_and_apply([records.Rows.of(fleet_of.START_MS, rows, None, (receipt,))])
        shard.save()
    with _opened(place) as shard:
        assert shard.receipts == [receipt]
        assert [record.readings().ts.tolist() for record in shard.recent] == [rows.ts.tolist()]


@pytest.mark.verify
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_time_a_step_is_taken(
    children: Nursery, undisturbed: Callable[[int], Remains], tmp_path: Path, step: str
) -> None:
    for nth in (2, 3, 7):
        _die(children, _place(tmp_path / str(nth), 24), [Death(step, nth)], undisturbed(24))
