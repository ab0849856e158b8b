"""A shard's life in rounds, for tests that kill it: what it is sent, the steps it takes, and what is left of it."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from pydantic import ByteSize
from sqlalchemy import Engine, insert, select

from ...fleet import alerts, backfill_jobs, commands, device_types, models, owners, watermarks
from ...fleet.database import connect, migrate, reading, writing
from ...fleet.registry import Registry
from ...service import backfill, spool
from ...service.model_store import ModelStore
from ...service.shard import Shard
from ...service.shard_state import ShardState
from ...settings import Settings
from ...telemetry import checkpoint, records
from ...telemetry.lake import Lake
from ...telemetry.lake_table import LakeTable
from ...telemetry.log import LogWriter
from ...telemetry.published import Publisher
from ...telemetry.readings import Readings
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, PUMP_PARTS, START_MS

ROWS_DEVICES, PARTS_DEVICES = range(1, 9), range(9, 15)
FIRST_HISTORY_DEVICE = 15
HEALTHY_MINUTES = 60
"""Sent in the first round: as many as teach the type that has no model."""
MINUTES = 3
"""Sent in each later round."""
HISTORY_ROWS, CHUNK_ROWS = 60, 30
HISTORY_EVERY = 2
SAVED_EVERY = 2

Row = dict[str, object]


@dataclass(frozen=True)
class Place:
    """Where a shard lives, and for how many rounds."""

    data: Path
    database_url: str
    lake_url: str
    rounds: int
    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        """Its settings: small segments, quick learners."""
        return Settings(
            data=self.data,
            database_url=self.database_url,
            lake_url=self.lake_url,
            log_segment_bytes=ByteSize(4096),
            learn_readings=len(PARTS_DEVICES) * (HEALTHY_MINUTES - 5),
            learn_device_readings=30,
            max_alerts_a_day=1000,
        )

    @property
    def acknowledged(self) -> int:
        """How many rounds the sender got an answer for."""
        path = self.data / "acknowledged"
        return int(path.read_text()) if path.exists() else 0


@dataclass(frozen=True)
class Death:
    """When a shard is killed: after a step was taken for the `nth` time, while it opens or once it lives."""

    step: str
    nth: int = 1
    opening: bool = False


def found(place: Place) -> None:
    """Make the fleet, its history in files, and what people will say."""
    place.data.mkdir(parents=True, exist_ok=True)
    engine = connect(place.database_url)
    migrate(engine)
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", START_MS)
        type_ids = [device_types.add(session, None, spec, START_MS)[0] for spec in (PUMP, PUMP_PARTS)]
        session.execute(
            insert(models.Channel).values(
                owner_id=owner_id, name="pager", kind="webhook", address="-", min_severity="info", created_ms=START_MS
            )
        )
    _register(engine, owner_id, type_ids, place.rounds)
    kept = ModelStore(place.data / "models", engine).keep(type_ids[0], fleet_of.detector(), START_MS, "test")
    with writing(engine) as session:
        swap: dict[str, Any] = {"type_id": type_ids[0], "folder": kept.model, "version": kept.version}
        commands.add(session, "model_swap", None, swap, None, START_MS)
        for number in range(1, place.rounds):
            kind, device, payload = _word(number)
            commands.add(session, kind, device, payload, None, _round_ms(number))
    for number in range(HISTORY_EVERY, place.rounds, HISTORY_EVERY):
        _spool_history(place, engine, owner_id, type_ids[0], number)
    engine.dispose()


def live(place: Place, death: Death | None) -> None:
    """Open the shard and go on with its life, to its end or to its death."""
    os.environ.update(place.environment)
    fate = _Fate(death)
    fate.bind()
    engine = connect(place.database_url)
    with Shard(place.settings, engine, Lake(place.lake_url), now_ms=_round_ms(place.acknowledged)) as shard:
        fate.opening = False
        life = _Life(place, engine, shard)
        life.finish_round(place.acknowledged - 1)
        for number in range(place.acknowledged, place.rounds):
            life.take_in(number)
            life.finish_round(number)
        for minute in (1, 2):
            shard.append_and_apply([records.Tick(now_ms=_round_ms(place.rounds) + minute)])
            shard.save()
    engine.dispose()


def remains(place: Place) -> dict[str, object]:
    """What must be equal however often the shard was killed; what must be so after any life is checked on the way."""
    engine, lake = connect(place.database_url), Lake(place.lake_url)
    with reading(engine) as session:
        marks = watermarks.read(session, 0)
        alert_rows = [dict(row._mapping) for row in session.execute(select(models.Alert.__table__))]
        outbox = session.execute(select(models.Outbox.alert_id, models.Outbox.payload)).all()
        undone = commands.pending(session)
        jobs = list(session.scalars(select(models.BackfillJob)))
        trained = session.execute(select(models.TrainedModel.type_id, models.TrainedModel.folder)).all()
        done = session.scalars(select(models.Command.seq)).all()
    engine.dispose()
    segments = sorted((place.data / "log" / "shard-0").glob("*.log"))
    assert marks.applied_seq == marks.lake_seq == marks.state_seq, "each of the three holds everything"
    assert len(segments) == 1, "what all three hold has gone from the log"
    assert list((place.data / "spool").glob("*.arrow")) == [], "and so have the chunks of files"
    assert not undone and len(set(done)) == len(done), "each word was taken once"
    names = {row["id"]: (row["device_key"], row["kind"], row["rule"], row["fired_ms"]) for row in alert_rows}
    assert len(set(names.values())) == len(names), "no alert was opened twice"
    return {
        "rows": {type_id: _rows(lake, type_id) for type_id in (1, 2)},
        "alerts": sorted(({**row, "id": None} for row in alert_rows), key=repr),
        "outbox": sorted((names[alert], told["event"], told["at"]) for alert, told in outbox),
        "jobs": sorted((job.file_hash, job.state, job.rows_done, job.scored, job.alerts) for job in jobs),
        "models": sorted(map(tuple, trained)),
        "quarantine": _quarantine(lake),
        "words": _words(lake),
    }


def _rows(lake: Lake, type_id: int) -> list[Row]:
    state = lake.table(type_id).state()
    assert state is not None
    stored = lake.table(type_id).collect(lake.table(type_id).scan(state))
    assert stored.select("device_key", "timestamp").is_duplicated().sum() == 0, "a row is in the lake twice"
    return lake.read(type_id).drop("ingest_seq").to_dicts()


def _quarantine(lake: Lake) -> list[tuple[str, str]]:
    rows = lake.read_quarantine()
    assert rows.select("ingest_seq", "message", "raw").is_duplicated().sum() == 0, "a bad row is in the lake twice"
    return sorted(set(rows.select("reason", "raw").iter_rows()))


def _words(lake: Lake) -> list[tuple[int, str]]:
    kept = lake.read_events()
    assert max(Counter(seq for seq, _ in kept).values()) == 1, "a record is in the lake twice"
    return [(record.command_id, record.kind) for _, record in kept if isinstance(record, records.Word)]


class _Life:
    """Takes rounds. What a round consists of depends on its number alone."""

    def __init__(self, place: Place, engine: Engine, shard: Shard) -> None:
        self._place = place
        self._engine = engine
        self._shard = shard

    def take_in(self, number: int) -> None:
        """The sender's part: rows are acknowledged once they are logged; else they are sent again."""
        if number == 0:
            self._say(START_MS)
        self._shard.append_and_apply(list(_sent(number)))
        (self._place.data / "acknowledged").write_text(str(number + 1))

    def finish_round(self, number: int) -> None:
        """What people say, a file, the lake, a checkpoint, and the pages; done again where it was cut short."""
        if number < 0:
            return
        self._say(_round_ms(number))
        self._go_on_with_files(number)
        self._shard.publish(_round_ms(number))
        self._shard.commit(self._shard.cut())
        if number % SAVED_EVERY == 0:
            self._shard.checkpoint(self._shard.state.freeze())
            self._shard.trim()

    def _say(self, now_ms: int) -> None:
        with reading(self._engine) as session:
            said = [word for word in commands.pending(session) if word.created_ms <= now_ms]
        for word in said:
            if word.id not in self._shard.commands_seen:
                self._shard.append_and_apply([_record_of(word)])

    def _go_on_with_files(self, number: int) -> None:
        with reading(self._engine) as session:
            due = [job for job in backfill_jobs.unfinished(session) if int(job.file_hash) <= number]
        for job in due:
            manifest = backfill.read_manifest(self._place.data, job.id)
            for batch in backfill.batches(self._place.data, manifest, job, _round_ms(number)):
                self._shard.append_and_apply(batch)


class _Fate:
    """Kills the process after the step that was chosen."""

    def __init__(self, death: Death | None) -> None:
        self.opening = True
        self._death = death
        self._taken = 0

    def bind(self) -> None:
        """Let the steps of a shard and of what it works with be counted."""
        self._follow(LogWriter, "append", lambda *_, **__: "append")
        self._follow(ShardState, "apply", lambda *_, **__: "apply")
        self._follow(ModelStore, "keep", lambda *_, **__: "keep model")
        self._follow(alerts, "record", lambda *_, **__: "before effects are committed")
        self._follow(Shard, "write_effects", _step_of_effects)
        self._follow(Shard, "hold", lambda *_, **__: "hold")
        self._follow(Shard, "cut", lambda *_, **__: "cut")
        self._follow(LakeTable, "_write_appended", lambda *_, **__: "before a commit to the lake")
        self._follow(LakeTable, "append", _step_of_commit)
        self._follow(backfill_jobs, "finish", lambda *_, **__: "finish job")
        self._follow(Shard, "_advance", _step_of_watermark)
        self._follow(Publisher, "drop_tail_through", lambda *_, **__: "drop tail")
        self._follow(checkpoint, "draft", lambda *_, **__: "draft of a checkpoint")
        self._follow(checkpoint, "settle", lambda *_, **__: "checkpoint")
        self._follow(spool, "delete", lambda *_, **__: "delete chunk")
        self._follow(LogWriter, "delete_through", lambda *_, **__: "delete segments")
        self._follow(Publisher, "publish_tail", lambda *_, **__: "publish tail")
        self._follow(Publisher, "publish", lambda *_, **__: "publish")

    def _follow(self, owner: Any, name: str, step_of: Callable[..., str | None]) -> None:
        original = getattr(owner, name)

        @wraps(original)
        def followed(*arguments: Any, **named: Any) -> Any:
            given = original(*arguments, **named)
            self._take(step_of(*arguments, **named))
            return given

        setattr(owner, name, followed)

    def _take(self, step: str | None) -> None:
        death = self._death
        if death is not None and step == death.step and self.opening == death.opening:
            self._taken += 1
            if self._taken == death.nth:
                os.kill(os.getpid(), signal.SIGKILL)


STEPS = (
    "append",
    "apply",
    "before effects are committed",
    "effects",
    "hold",
    "publish tail",
    "publish",
    "cut",
    "before a commit to the lake",
    "commit of a file's chunk",
    "finish job",
    "commit of conflicts",
    "commit of type-1",
    "commit of type-2",
    "commit of quarantine",
    "commit of events",
    "watermark of the lake",
    "drop tail",
    "draft of a checkpoint",
    "checkpoint",
    "watermark of the state",
    "delete chunk",
    "delete segments",
)
"""Every step of a shard, in the order in which a round takes them."""

OPENING_STEPS = ("watermark at the start", "apply", "before effects are committed", "effects", "append")


def _step_of_effects(_shard: Shard, outcome: Any) -> str | None:
    return "effects" if outcome.changes or outcome.done or outcome.backfill is not None else None


def _step_of_commit(table: LakeTable, *_: object, app_id: str, **__: object) -> str:
    if "/" in app_id:
        return "commit of conflicts"
    return "commit of a file's chunk" if app_id.startswith("backfill") else f"commit of {table.url.rpartition('/')[2]}"


def _step_of_watermark(*_: object, lake_seq: int = 0, state_seq: int = 0, **__: object) -> str:
    if lake_seq:
        return "watermark of the lake"
    return "watermark of the state" if state_seq else "watermark at the start"


def _round_ms(number: int) -> int:
    """When a round is over."""
    return START_MS + (HEALTHY_MINUTES + MINUTES * number) * MINUTE_MS + 20_000


def _minutes(number: int) -> range:
    """The minutes of a round."""
    if number == 0:
        return range(HEALTHY_MINUTES)
    return range(HEALTHY_MINUTES + MINUTES * (number - 1), HEALTHY_MINUTES + MINUTES * number)


def _faulty(devices: range, minute: int) -> list[int]:
    """Each device is faulty for a while, one after the other."""
    after = minute - HEALTHY_MINUTES
    return [device for device in devices if after >= 0 and (after - 6 * device) % 48 < 7]


def _sent(number: int) -> Iterator[records.Record]:
    """All that senders send in a round, and the ticks of its minutes."""
    for minute in _minutes(number):
        now_ms = START_MS + minute * MINUTE_MS + 2_000
        for type_id, devices in ((1, ROWS_DEVICES), (2, PARTS_DEVICES)):
            span = range(minute, minute + 1)
            rows = fleet_of.readings(type_id, devices, span, faulty=_faulty(devices, minute))
            for part in (rows,) if type_id == 1 else _parts(rows):
                yield records.Rows.of(now_ms, part)
        yield records.Tick(now_ms=START_MS + (minute + 1) * MINUTE_MS + 15_000)
    now_ms = _round_ms(number)
    yield records.Rows.of(now_ms, _late(number))
    bad = records.BadRow(1, 1, "pump-001", "unparsable", "not a number", f"bad row of round {number}")
    yield records.Quarantined(now_ms=now_ms, rows=(bad,))


def _parts(rows: Readings) -> Iterator[Readings]:
    for sensor in range(rows.n_sensors):
        values = np.full_like(rows.values, np.nan)
        values[:, sensor] = rows.values[:, sensor]
        yield Readings(rows.type_id, rows.keys, rows.ts, values)


def _late(number: int) -> Readings:
    """A row of between the minutes, a repetition of one that is known, and one that contradicts it."""
    minute = _minutes(number)[-1]
    known = fleet_of.readings(1, [2], range(minute, minute + 1), faulty=_faulty(ROWS_DEVICES, minute))
    ts = np.array([known.ts[0] - 30_000, known.ts[0], known.ts[0]])
    values = np.repeat(known.values, 3, axis=0)
    values[2] += 0.5
    return Readings(1, np.full(3, 2), ts, values)


def _word(number: int) -> tuple[str, int, dict[str, Any]]:
    device = number % len(ROWS_DEVICES) + 1
    window = {"from_ms": _round_ms(number), "until_ms": _round_ms(number) + 2 * MINUTE_MS, "reason": "oil"}
    words: list[tuple[str, dict[str, Any]]] = [
        ("dismiss", {"alert_kind": "anomaly", "rule": -1, "reason": "normal_operation"}),
        ("maintenance", window),
        ("confirm", {"alert_kind": "anomaly", "rule": -1, "fault_kind": "leak"}),
        ("repaired", {}),
        ("new_normal", {}),
        ("not_faulty", {}),
    ]
    kind, payload = words[number % len(words)]
    return kind, device, payload


def _record_of(word: commands.Command) -> records.Record:
    if word.kind == "model_swap":
        folder, version = str(word.payload["folder"]), int(str(word.payload["version"]))
        return records.ModelSwap(now_ms=word.created_ms, type_id=1, model=folder, version=version, command_id=word.id)
    if word.kind == "type_version":
        spec = PUMP if word.payload["type_id"] == 1 else PUMP_PARTS
        type_id = int(str(word.payload["type_id"]))
        return records.TypeVersion(
            now_ms=word.created_ms,
            type_id=type_id,
            owner_id=None,
            spec=msgspec.json.encode(msgspec.structs.replace(spec, version=1)),
            command_id=word.id,
        )
    return records.Word(
        now_ms=word.created_ms,
        command_id=word.id,
        kind=word.kind,  # type: ignore[arg-type]
        device_key=word.device_key or 0,
        payload=msgspec.json.encode(word.payload),
    )


def _register(engine: Engine, owner_id: int, type_ids: list[int], rounds: int) -> None:
    """Devices whose keys are their numbers."""
    last = FIRST_HISTORY_DEVICE + rounds
    items = [
        (f"pump-{device:03d}", type_ids[device in PARTS_DEVICES], f"Site {fleet_of.site_of(device)}")
        for device in range(1, last)
    ]
    made = Registry(engine).register(owner_id, items, START_MS)
    assert [entry.key for entry in made] == list(range(1, last))


def _spool_history(place: Place, engine: Engine, owner_id: int, type_id: int, number: int) -> None:
    """A file of one device that was faulty at its end, due in round `number`."""
    device = FIRST_HISTORY_DEVICE + number
    minutes = range(HISTORY_ROWS)
    whole = fleet_of.readings(type_id, [device], minutes)
    whole.values[HISTORY_ROWS - 12 :, 2] += 8.0
    chunk_rows, backfill.CHUNK_ROWS = backfill.CHUNK_ROWS, CHUNK_ROWS
    try:
        backfill.spool_job(
            place.data,
            engine,
            file_name=f"pump-{device}.csv",
            file_hash=f"{number:03d}",
            owner_id=owner_id,
            readings=whole,
            learn=0,
            now_ms=START_MS,
        )
    finally:
        backfill.CHUNK_ROWS = chunk_rows
