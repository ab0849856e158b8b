"""Child processes that tests may kill: forked from one that has imported everything, so that each starts at once."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True)
class _Start:
    """A function that a new child runs."""

    target: Callable[..., None]
    arguments: tuple[object, ...]
    log: Path


@dataclass(frozen=True)
class _Wait:
    """For the end of a child."""

    process_id: int
    timeout_s: float


Line = Connection
"""Carries a `_Start`, answered by a process id, or a `_Wait`, answered by how the child ended."""


@dataclass(frozen=True)
class Child:
    """A process of the nursery's; `process_id` is what signals go to."""

    process_id: int
    _line: "Line[_Start | _Wait, int | None]"

    def kill(self) -> None:
        """End it as a power cut does, as far as this process is concerned."""
        os.kill(self.process_id, signal.SIGKILL)

    def is_alive(self) -> bool:
        """Whether it has yet to end, or nobody has waited for its end."""
        return Path(f"/proc/{self.process_id}").exists()

    def wait(self, timeout_s: float = 60.0) -> int:
        """How it ended: its exit code, or the negative number of the signal that killed it."""
        self._line.send(_Wait(self.process_id, timeout_s))
        ended = self._line.recv()
        assert ended is not None, f"process {self.process_id} did not end within {timeout_s:g} s"
        return ended


class Nursery:
    """Starts children; one test at a time."""

    def __init__(self, line: "Line[_Start | _Wait, int | None]") -> None:
        self._line = line

    def start(self, target: Callable[..., None], *arguments: object, log: Path) -> Child:
        """Run a function of some module in a process of its own; what it prints goes to `log`."""
        self._line.send(_Start(target, arguments, log))
        process_id = self._line.recv()
        assert process_id is not None
        return Child(process_id, self._line)

    def run(self, target: Callable[..., None], *arguments: object, log: Path) -> int:
        """Start a child and wait for its end."""
        return self.start(target, *arguments, log=log).wait(timeout_s=600)


@contextmanager
def opened() -> Iterator[Nursery]:
    """A nursery, which ends with its children."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_rear, args=(there,), name="nursery")
    process.start()
    there.close()
    try:
        yield Nursery(here)
    finally:
        here.close()
        process.join()


def _rear(line: "Line[int | None, _Start | _Wait]") -> None:
    """Import what children need, then fork one for each request, and tell how it ended to who asks."""
    _warm_up()
    children: set[int] = set()
    try:
        while True:
            request = line.recv()
            if isinstance(request, _Wait):
                ended = _await(request)
                children -= set() if ended is None else {request.process_id}
                line.send(ended)
            else:
                child = os.fork()
                if child == 0:
                    _live(request)
                children.add(child)
                line.send(child)
    except EOFError:
        for process_id in children:
            os.kill(process_id, signal.SIGKILL)


def _await(request: _Wait) -> int | None:
    deadline = time.monotonic() + request.timeout_s
    while time.monotonic() < deadline:
        found, status = os.waitpid(request.process_id, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def _live(request: _Start) -> NoReturn:
    """Be the child."""
    code = 1
    try:
        descriptor = os.open(request.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        request.target(*request.arguments)
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _warm_up() -> None:
    """Import all of the service and load its machine code; start no thread, which a fork would lose."""
    import deltalake
    import psycopg

    from ... import serve, server
    from ...alerts import engine
    from ...service import backfill, gateway, live, notifier
    from ...web import app
    from . import fleet_of

    fleet_of.detector()
    state = engine.EngineState.new(0, engine.EngineConfig())
    devices = engine.Devices.of([0], interval_ms=60_000, silent_after_ms=300_000)
    rows = engine.Rows.of([0], 0, 0.0, enter=1.0, leave=1.0, present=1)
    engine.step(state, engine.Observations(started=True, devices=devices, rows=rows, tick=True), 0)
    assert all((deltalake, psycopg, serve, server, backfill, gateway, live, notifier, app))
