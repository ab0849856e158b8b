"""A live loop on real parts, for tests: what it is sent, and what becomes of it."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy import Engine, insert, select
from sqlalchemy.orm import Session

from ...fleet import commands, device_types, models, owners, watermarks
from ...fleet.database import connect, migrate, reading, writing
from ...fleet.tokens import TokenInfo
from ...service.answers import Answer
from ...service.intake import Request
from ...service.live import Live
from ...service.model_store import ModelStore
from ...settings import Settings
from ...telemetry.lake import Lake
from ...telemetry.readings import Readings
from ...telemetry.schema import DeviceType
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS
from .intakes import Told, told
from .requests_of import decoded, json_rows

NOW_MS = START_MS + 120 * MINUTE_MS
PATIENCE_S = 30.0


@dataclass
class Loop:
    """A running loop; device number n is `pump-00n`."""

    live: Live
    engine: Engine
    lake: Lake
    owner_id: int
    type_id: int

    def ask(self, readings: Readings, key: str | None = None) -> Answer:
        """Send readings and wait for the answer."""
        answers: list[Answer] = []
        answered = threading.Event()

        def reply(answer: Answer) -> None:
            answers.append(answer)
            answered.set()

        names = PUMP.sensor_names
        rows = [
            (f"pump-{device:03d}", ts / 1000, dict(zip(names, values, strict=True)))
            for device, ts, values in zip(
                readings.keys.tolist(), readings.ts.tolist(), readings.values.tolist(), strict=True
            )
        ]
        token = TokenInfo(1, self.owner_id, True, None)
        self.live.intake.offer(Request(token, decoded(json_rows(rows), max_rows=100_000), reply, key))
        assert answered.wait(PATIENCE_S), "no answer"
        return answers[0]

    def send(self, devices: Sequence[int], minutes: range, *, faulty: bool = False) -> Told:
        """Send the readings of some devices and minutes, which are taken."""
        return told(self.ask(fleet_of.readings(self.type_id, devices, minutes, faulty=devices if faulty else ())))

    def rows(self) -> pl.DataFrame:
        """What the lake holds."""
        return self.lake.read(self.type_id)

    def idle(self) -> bool:
        """Whether the lake holds what every record of the log brought."""
        with reading(self.engine) as session:
            return watermarks.read(session, 0).lake_seq == self.live.shard.log.last_seq

    def firing(self) -> list[int | None]:
        """The devices of which an anomaly is firing."""
        return [alert["device_key"] for alert in self.alerts() if alert["state"] == "firing"]

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts."""
        with reading(self.engine) as session:
            return [dict(row._mapping) for row in session.execute(select(models.Alert.__table__))]

    def notices(self) -> list[str]:
        """The events in the outbox."""
        with reading(self.engine) as session:
            return [str(payload["event"]) for payload in session.scalars(select(models.Outbox.payload))]

    def say(self, kind: str, device_key: int | None, payload: Mapping[str, Any]) -> int:
        """Let an operator say something; the command's id."""
        with writing(self.engine) as session:
            return commands.add(session, kind, device_key, payload, None, NOW_MS)

    def done(self, command_id: int) -> bool:
        """Whether a command was carried out."""
        with reading(self.engine) as session:
            return command_id not in {command.id for command in commands.pending(session)}


def settings_of(folder: Path, **more: Any) -> Settings:
    """Settings of a loop that is quick to commit, and of a type that is quick to learn."""
    quick: dict[str, Any] = {
        "group_commit_ms": 1,
        "lake_commit_s": 0.3,
        "checkpoint_s": 0.6,
        "learn_device_readings": 30,
        "log_segment_bytes": 4096,
    }
    return Settings(data=folder, **{**quick, **more})


@contextmanager
def running(
    settings: Settings, *, trained: bool = True, spec: DeviceType = PUMP, clock: Callable[[], int] = lambda: NOW_MS
) -> Iterator[Loop]:
    """A loop over a data folder; opened again it goes on. Its type has a model where it is `trained`."""
    settings.data.mkdir(parents=True, exist_ok=True)
    engine, lake = connect(settings.database_url), Lake(settings.lake_url)
    migrate(engine)
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", START_MS)
        type_id, _ = device_types.add(session, None, spec, START_MS)
        _add_pager(session, owner_id)
    store = ModelStore(settings.data / "models", engine)
    with Live(settings, engine, lake, clock=clock) as live:
        loop = Loop(live, engine, lake, owner_id, type_id)
        if trained and store.champion(type_id) is None:
            kept = store.keep(type_id, fleet_of.detector(), START_MS, "test")
            swap = {"type_id": type_id, "folder": kept.model, "version": kept.version}
            command = loop.say("model_swap", None, swap)
            until(lambda: loop.done(command))
        yield loop
    engine.dispose()


def until(holds: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {patience_s:g} s"
        time.sleep(0.05)


def _add_pager(session: Session, owner_id: int) -> None:
    """A channel, so that there is somebody to tell; nothing is sent here."""
    row = {"name": "pager", "kind": "webhook", "address": "-", "min_severity": "info", "created_ms": START_MS}
    if not session.scalars(select(models.Channel.id)).all():
        session.execute(insert(models.Channel).values(owner_id=owner_id, **row))
