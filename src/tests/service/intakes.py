"""A way in on real parts, for tests: database, log, intake; and what was logged."""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ...exceptions import StorageError
from ...fleet import device_types, owners
from ...fleet.database import connect, migrate, writing
from ...fleet.registry import Registry
from ...fleet.tokens import TokenInfo
from ...service.answers import Answer
from ...service.decoded import Decoded
from ...service.intake import Intake, Request
from ...settings import Settings
from ...telemetry.log import LogWriter
from ...telemetry.records import BadRow, DeviceEntry, Devices, Quarantined, Receipt, Record, Rows
from ...telemetry.schema import DeviceType, Sensor
from .requests_of import Sent, decoded, json_rows

NOW = 1_767_268_800_000
ISO = "2026-01-01T12:00:00Z"
PUMP = DeviceType(
    name="pump",
    sensors=(Sensor(name="pressure", unit="bar", low=0.0, high=16.0), Sensor(name="flow", unit="l/min", low=0.0)),
)
FRIDGE = DeviceType(name="fridge", sensors=(Sensor(name="temperature", unit="°C"),))


@dataclass
class FullDisk:
    """A log that can be made to fail."""

    log: LogWriter
    full: bool = False

    def append(self, records: Sequence[Record]) -> list[int]:
        """Write, or fail as a full disk does."""
        if self.full and records:
            raise StorageError("the log can't be written: no space left on device; free some")
        return self.log.append(records)


@dataclass
class WayIn:
    """Two owners with a type each shared, an intake over a log, and tokens to send with."""

    intake: Intake
    registry: Registry
    log: FullDisk
    owner: int
    other: int
    pump: int
    fridge: int
    now: list[int]
    logged: list[tuple[int, Record]] = field(default_factory=list)

    def token(self, owner: int = 0, *, may_register: bool = True, devices: Iterable[str] | None = None) -> TokenInfo:
        """A token of an owner."""
        allowed = None if devices is None else frozenset(devices)
        return TokenInfo(1, owner or self.owner, may_register, allowed)

    def ask(self, request: Decoded, token: TokenInfo | None = None, key: str | None = None) -> Answer:
        """Send a request and wait for its answer."""
        return self.ask_all([(request, token, key)])[0]

    def ask_all(self, requests: Sequence[tuple[Decoded, TokenInfo | None, str | None]]) -> list[Answer]:
        """Send requests at once and wait for their answers."""
        answers: dict[int, Answer] = {}
        done = threading.Semaphore(0)

        def replier(number: int) -> Callable[[Answer], None]:
            def reply(answer: Answer) -> None:
                assert number not in answers, "a request is answered once"
                answers[number] = answer
                done.release()

            return reply

        for number, (request, token, key) in enumerate(requests):
            self.intake.offer(Request(token or self.token(), request, replier(number), key))
        for _ in requests:
            assert done.acquire(timeout=20)
        return [answers[number] for number in range(len(requests))]

    def send(self, rows: Sequence[Sent], type_name: str | None = "pump", token: TokenInfo | None = None) -> "Told":
        """Send rows as JSON; what was answered."""
        return told(self.ask(decoded(json_rows(rows, type_name)), token))

    def rows(self) -> list[tuple[str, int, list[float]]]:
        """All logged rows: device, ms, values."""
        names = {entry.key: entry.device_id for entry in self.devices()}
        found = []
        for _, record in self.logged:
            if isinstance(record, Rows):
                readings = record.readings()
                for key, ts, values in zip(readings.keys, readings.ts, readings.values, strict=True):
                    found.append((names.get(int(key), str(key)), int(ts), values.tolist()))
        return found

    def devices(self) -> list[DeviceEntry]:
        """All logged devices."""
        return [entry for _, record in self.logged if isinstance(record, Devices) for entry in record.devices]

    def bad_rows(self) -> list[BadRow]:
        """All rows in quarantine."""
        return [row for _, record in self.logged if isinstance(record, Quarantined) for row in record.rows]


@dataclass(frozen=True)
class Told:
    """An answer with status 200."""

    accepted: int
    duplicate: int
    rejected: int
    unchecked: int
    reasons: dict[str, int]
    examples: list[dict[str, object]]

    @property
    def counts(self) -> tuple[int, int, int]:
        """Accepted, duplicate, rejected."""
        return self.accepted, self.duplicate, self.rejected

    @property
    def why(self) -> tuple[str, str]:
        """Reason and message of the first example."""
        return str(self.examples[0]["reason"]), str(self.examples[0]["message"])


def told(answer: Answer) -> Told:
    """Read an answer."""
    assert answer.status == 200, answer.body
    return Told(**json.loads(answer.body))


@contextmanager
def way_in(
    folder: Path,
    *,
    newest: Mapping[int, int] | None = None,
    receipts: Iterable[Receipt] = (),
    recent: Iterable[Rows] = (),
    started: bool = True,
    max_queue_rows: int = 1_000_000,
    group_commit_ms: float = 1,
) -> Iterator[WayIn]:
    """A way in with its database and log in `folder`; opened again it goes on."""
    folder.mkdir(exist_ok=True)
    settings = Settings(data=folder, group_commit_ms=group_commit_ms, max_queue_rows=max_queue_rows)
    engine = connect(f"sqlite:///{folder / 'fleet.sqlite'}")
    migrate(engine)
    with writing(engine) as session:
        owner = owners.add(session, "Waterworks", NOW)
        other = owners.add(session, "Dairy", NOW)
        pump, _ = device_types.add(session, None, PUMP, NOW)
        fridge, _ = device_types.add(session, None, FRIDGE, NOW)
    registry = Registry(engine)
    seen = np.full(max(newest or {0: 0}) + 1, np.iinfo(np.int64).min)
    for key, ts in (newest or {}).items():
        seen[key] = ts
    with LogWriter(folder / "log") as log:
        now = [NOW]
        logged: list[tuple[int, Record]] = []
        disk = FullDisk(log)
        intake = Intake(
            settings,
            log=disk,
            registry=registry,
            sink=lambda number, record: logged.append((number, record)),
            newest=seen,
            receipts=receipts,
            recent=recent,
            clock=lambda: now[0],
        )
        way = WayIn(intake, registry, disk, owner, other, pump, fridge, now, logged)
        if started:
            intake.start()
        try:
            yield way
        finally:
            if started:
                intake.stop()
            engine.dispose()
