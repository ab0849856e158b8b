"""`faultwatch serve` as a process of its own, and a small fleet that sends to it."""

import json
import os
import re
import resource
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from ...fleet import device_types, owners, tokens, users
from ...fleet.database import connect, migrate, writing
from ...settings import Settings
from ...telemetry.schema import DeviceType, Sensor
from ..checkout import ROOT

PUMP = DeviceType(
    name="pump",
    sensors=(Sensor(name="pressure", unit="bar", low=0.0, high=16.0), Sensor(name="flow", unit="l/min", low=0.0)),
)
Wanted = Callable[[], object]
START_LIMIT_S = 90.0
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Fleet:
    """An owner with a type, an admin's account, and tokens by scope."""

    owner_id: int
    type_id: int
    tokens: Mapping[str, str]


def fleet_in(data: Path) -> Fleet:
    """Make the database of a data folder with a fleet in it."""
    data.mkdir(parents=True, exist_ok=True)
    engine = connect(Settings(data=data).database_url)
    migrate(engine)
    now_ms = time.time_ns() // 1_000_000
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour Water", now_ms)
        type_id, _ = device_types.add(session, None, PUMP, now_ms)
        made = {
            "write": tokens.create(session, owner_id, "pumps", now_ms, scope="write"),
            "read": tokens.create(session, owner_id, "script", now_ms, scope="read"),
            "metrics": tokens.create(session, owner_id, "prometheus", now_ms, scope="metrics"),
        }
    users.create(engine, "admin@example.com", "Admin", PASSWORD, "admin", None, now_ms)
    engine.dispose()
    return Fleet(owner_id, type_id, made)


class Service:
    """A running `faultwatch serve` on a free port of the loopback; its log is `log`."""

    def __init__(
        self, data: Path, *options: str, env: Mapping[str, str] | None = None, certificate: Path | None = None
    ) -> None:
        self.data = data
        self.trusted = True if certificate is None else ssl.create_default_context(cafile=certificate)
        self.url = ""
        self._log = data.parent / f"{data.name}-{time.monotonic_ns()}.log"
        self._command = [sys.executable, "-m", "src", "serve", "--data", str(data), "--port", "0", *options]
        self._env = {**os.environ, "FAULTWATCH_LOG_FORMAT": "json", **(env or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if found := re.search(
                r"(https?://[^\s/]+:\d+)(?:/setup/\S+)?(?:  \(|\n)", self.log.partition("is ready")[2]
            ):
                self.url = found[1]
                return self
            assert self._process.poll() is None, f"the service ended:\n{self.log}"
            time.sleep(0.02)
        self.kill()
        raise AssertionError(f"the service did not start:\n{self.log}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it as systemd does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut does."""
        self._end(signal.SIGKILL)

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """Let none of its files grow: what a full disk is to a process."""
        before = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (1, before[1]))
        try:
            yield
        finally:
            resource.prlimit(self.pid, resource.RLIMIT_FSIZE, before)

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Ask; underscores in names of headers become hyphens."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.get(f"{self.url}{path}", headers=sent, timeout=30, verify=self.trusted)

    def send(self, token: str, rows: Sequence[Mapping[str, object]], type_name: str = "pump") -> dict[str, int]:
        """Send rows; the counts they were answered with."""
        answer = self._post(token, rows, type_name)
        assert answer.status_code == 200, answer.text
        counts: dict[str, int] = answer.json()
        return counts

    def try_to_send(self, token: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Send rows that may be refused; the status of the answer."""
        return self._post(token, rows, "pump").status_code

    def until_ready(self, within_s: float = 20.0) -> dict[str, object]:
        """Wait until it says that it is ready."""
        return self.until(lambda: (found := self.get("/readyz")).status_code == 200 and found.json(), within_s)

    def until(self, wanted: Wanted, within_s: float = 20.0) -> dict[str, object]:
        """Wait until something is so; what it then gave."""
        deadline = time.monotonic() + within_s
        while not (found := wanted()):
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {self.get('/readyz').text}"
            time.sleep(0.05)
        assert isinstance(found, dict)
        return found

    def _post(self, token: str, rows: Sequence[Mapping[str, object]], type_name: str) -> httpx.Response:
        return httpx.post(
            f"{self.url}/api/v1/readings",
            content=json.dumps({"type": type_name, "rows": list(rows)}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
            timeout=30,
            verify=self.trusted,
        )

    def _end(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            self._process.wait(timeout=30)


def rows_at(now_ms: int, devices: Sequence[str], pressure: float = 2.5) -> list[dict[str, object]]:
    """A row of each device at a time."""
    return [
        {"device_id": device, "timestamp": now_ms / 1000, "values": {"pressure": pressure, "flow": 10.0 + place}}
        for place, device in enumerate(devices)
    ]


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def figures_of(text: str) -> dict[str, float]:
    """The samples of a page of metrics, by name with labels."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}
