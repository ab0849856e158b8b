"""A served fleet, for tests that kill the server: its folder, a sender that knows what was taken, and the truth."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import polars as pl
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select

from ...fleet import channels, commands, device_types, models, owners, tokens
from ...fleet.channels import Target
from ...fleet.database import connect, migrate, reading, writing
from ...fleet.registry import Registry
from ...fleet.secrets import open_secrets
from ...service.intake import Intake
from ...service.model_store import ModelStore
from ...service.shard import Shard
from ...settings import Settings
from ...telemetry import records
from ...telemetry.lake import Lake
from ...telemetry.readings import Readings, concat
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS
from .nursery import Child, Nursery
from .requests_of import JSON, json_rows

DEVICES = range(1, 9)
HEALTHY_MINUTES = 60
MOST_MINUTES = 40 * 60
"""Readings begin so long ago: within the two days that a live reading may be old."""


@dataclass(frozen=True)
class Fleet:
    """Eight pumps of one owner, their model, a token and a channel, in a data folder."""

    settings: Settings
    token: str
    begin_ms: int

    def minute(self, number: int) -> Readings:
        """What all pumps send in a minute; each is faulty for a while, one after the other."""
        after = number - HEALTHY_MINUTES
        faulty = [device for device in DEVICES if after >= 0 and (after - 6 * device) % 48 < 7]
        rows = fleet_of.readings(1, DEVICES, range(number, number + 1), faulty=faulty)
        return Readings(1, rows.keys, rows.ts - START_MS + self.begin_ms, rows.values)


def found(settings: Settings, now_ms: int, channel_url: str) -> Fleet:
    """Make a fleet."""
    settings.data.mkdir(parents=True)
    engine = connect(settings.database_url)
    migrate(engine)
    secrets = open_secrets(settings.secret_key_file)
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", now_ms)
        type_id, _ = device_types.add(session, None, PUMP, now_ms)
        token = tokens.create(session, owner_id, "gateway", now_ms)
        channels.add(
            session, secrets, owner_id, "hook", Target("webhook", channel_url, "s3"), now_ms, min_severity="info"
        )
    kept = ModelStore(settings.data / "models", engine).keep(type_id, fleet_of.detector(), now_ms, "test")
    with writing(engine) as session:
        swap: dict[str, Any] = {"type_id": type_id, "folder": kept.model, "version": kept.version}
        commands.add(session, "model_swap", None, swap, None, now_ms)
    Registry(engine).register(owner_id, [(f"pump-{device:03d}", type_id, None) for device in DEVICES], now_ms)
    engine.dispose()
    return Fleet(settings, token, (now_ms // MINUTE_MS - MOST_MINUTES) * MINUTE_MS)


def serve(settings: Settings, ready: Path) -> None:
    """Be the server, in a process of its own; its address appears in a file once it answers."""
    from ...logs import configure
    from ...serve import run

    def tell(address: str, _link: str | None) -> None:
        ready.write_text(address)

    configure(settings)
    run(settings, ready=tell)


def serve_with_a_bug(settings: Settings, ready: Path) -> None:
    """Be a server whose scorer meets a bug at its first record."""

    def broken(*_: object) -> None:
        raise RuntimeError("a bug of the test's own")

    setattr(Intake, "scored", broken)
    serve(settings, ready)


@dataclass
class Sender:
    """Sends minute after minute; what is not acknowledged it sends again, under the same key."""

    fleet: Fleet
    url: str
    acknowledged: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Send until `end`, or until the readings would be of the future."""
        headers = {"Authorization": f"Bearer {self.fleet.token}", "Content-Type": JSON}
        with httpx.Client(headers=headers, timeout=10) as client:
            while not self._ended.is_set() and self.acknowledged < MOST_MINUTES:
                if self._send(client, self.acknowledged):
                    self.acknowledged += 1
                self._ended.wait(0.01)

    def end(self) -> None:
        """Send no more."""
        self._ended.set()

    def _send(self, client: httpx.Client, minute: int) -> bool:
        try:
            answer = client.post(
                f"{self.url}/api/v1/readings",
                content=body_of(self.fleet.minute(minute)),
                headers={"Idempotency-Key": f"minute-{minute}"},
            )
        except httpx.TransportError:
            return False
        if answer.status_code != 200:
            assert answer.status_code in (429, 503), answer.text
            return False
        told = answer.json()
        assert told["accepted"] + told["duplicate"] == len(DEVICES), told
        return True


@contextmanager
def sending(fleet: Fleet, url: str) -> Iterator[Sender]:
    """A sender at work."""
    sender = Sender(fleet, url)
    thread = threading.Thread(target=sender.run)
    thread.start()
    try:
        yield sender
    finally:
        sender.end()
        thread.join()


def body_of(readings: Readings) -> bytes:
    """Readings as JSON."""
    names = PUMP.sensor_names
    return json_rows(
        [
            (f"pump-{device:03d}", ts / 1000, dict(zip(names, values, strict=True)))
            for device, ts, values in zip(
                readings.keys.tolist(), readings.ts.tolist(), readings.values.tolist(), strict=True
            )
        ]
    )


def replay(fleet: Fleet, minutes: int, now_ms: int) -> None:
    """Take the same minutes into the folder of another fleet, without a server and undisturbed."""
    engine = connect(fleet.settings.database_url)
    with Shard(fleet.settings, engine, Lake(fleet.settings.lake_url), now_ms=now_ms) as shard:
        model, version = shard.models.champion(1) or ("", 0)
        shard.append_and_apply([records.ModelSwap(now_ms=now_ms, type_id=1, model=model, version=version)])
        for first in range(0, minutes, 50):
            rows = concat([fleet.minute(number) for number in range(first, min(first + 50, minutes))])
            shard.append_and_apply([records.Rows.of(now_ms, rows)])
        shard.save()
    engine.dispose()


def rows_of(settings: Settings) -> pl.DataFrame:
    """What the lake holds; no row is there twice."""
    lake = Lake(settings.lake_url)
    state = lake.table(1).state()
    assert state is not None
    stored = lake.table(1).collect(lake.table(1).scan(state))
    assert stored.select("device_key", "timestamp").is_duplicated().sum() == 0, "a row is in the lake twice"
    return lake.read(1).drop("ingest_seq", "arrived")


def alerts_of(settings: Settings) -> list[tuple[Any, ...]]:
    """The alerts, by what doesn't depend on the hour at which they came."""
    engine = connect(settings.database_url)
    columns = ("device_key", "kind", "first_signs_ms", "state", "score", "peak_score", "sentence", "blame")
    with reading(engine) as session:
        rows = session.execute(select(*(getattr(models.Alert, name) for name in columns))).all()
    engine.dispose()
    return sorted(map(tuple, rows), key=repr)


def is_ready(settings: Settings) -> bool:
    """Whether the loop has taken up the model."""
    engine = connect(settings.database_url)
    with reading(engine) as session:
        waiting = commands.pending(session)
    engine.dispose()
    return not waiting


def notices_of(settings: Settings) -> list[tuple[str, str, str, str]]:
    """Each notice: its key, its state, what happened, and since when."""
    engine = connect(settings.database_url)
    with reading(engine) as session:
        rows = session.scalars(select(models.Outbox).order_by(models.Outbox.id)).all()
        told: list[Any] = [(row.idempotency_key, row.state, row.payload) for row in rows]
    engine.dispose()
    return [(key, state, what["event"], what["alert"]["first_signs"]) for key, state, what in told]


def wait_for(path: Path, patience_s: float = 60.0) -> str:
    """What a file says, once it is there and says something."""
    deadline = time.monotonic() + patience_s
    while not path.exists() or not path.read_text():
        assert time.monotonic() < deadline, f"{path} did not appear within {patience_s:g} s"
        time.sleep(0.01)
    return path.read_text()


def counted(keys: Sequence[str]) -> dict[str, int]:
    """How often each key came."""
    return {key: keys.count(key) for key in keys}


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def served(children: Nursery, settings: Settings, folder: Path, target: object = serve) -> Iterator[Child]:
    """A server that answers, killed in the end if it is still there."""
    assert callable(target)
    ready = folder / "ready"
    ready.unlink(missing_ok=True)
    server = children.start(target, settings, ready, log=folder / "output")
    try:
        wait_for(ready)
        yield server
    finally:
        if server.is_alive():
            server.kill()
            server.wait()


def await_notices(settings: Settings) -> None:
    """Wait until the server has judged all that is in its log, and the outbox is empty."""
    deadline = time.monotonic() + 60
    quiet = 0  # looks in a row: what was judged just now may have its notice yet to be written
    while quiet < 5:
        assert time.monotonic() < deadline, notices_of(settings)
        waits = _unjudged(settings) or any(notice[1] == "pending" for notice in notices_of(settings))
        quiet = 0 if waits else quiet + 1
        time.sleep(0.1)


def _unjudged(settings: Settings) -> int:
    """Rows and records that the scorer has yet to take up."""
    found = {
        sample.labels.get("step", sample.name): int(sample.value)
        for family in text_string_to_metric_families(httpx.get(f"{settings.base_url}/metrics", timeout=30).text)
        for sample in family.samples
        if sample.name in ("faultwatch_rows_waiting", "faultwatch_record")
    }
    return found["faultwatch_rows_waiting"] + found["logged"] - found["scored"]
