"""A private PostgreSQL server: own data folder, own port on the loopback, gone when the tests end."""

import ctypes
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

USER = "faultwatch"
RUNS_AS = "postgres"
START_LIMIT_S = 60.0
SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=60",
    "shared_buffers=32MB",
    "listen_addresses=127.0.0.1",
)
"""A server that lives for one test run needs no care for power cuts."""


@dataclass(frozen=True)
class Server:
    """A running server that hands out empty databases."""

    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1), repr=False)

    @contextmanager
    def database(self) -> Iterator[str]:
        """An empty database, as an SQLAlchemy URL; dropped afterwards, open connections or not."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'")
        try:
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        with psycopg.connect(_address(self.port), autocommit=True) as connection:
            connection.execute(statement)


def why_absent() -> str | None:
    """None when a server can be started here, else what is missing."""
    if _binaries() is None:
        return "no initdb in /usr/lib/postgresql/*/bin or on the PATH; install the system package postgresql"
    if os.geteuid() == 0 and RUNS_AS not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"PostgreSQL refuses to run as root, and there is no user {RUNS_AS!r} to run it as"
    return None


@contextmanager
def running_server() -> Iterator[Server]:
    """A server of this process's own; every xdist worker has one, so they never meet."""
    binaries = _binaries()
    if binaries is None:
        raise RuntimeError(why_absent())
    folder = Path(tempfile.mkdtemp(prefix="faultwatch-pg-"))
    try:
        _give_away(folder)
        _initialise(binaries, folder / "data")
        process, port = _start(binaries, folder)
        try:
            yield Server(port)
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries() -> Path | None:
    """The folder of the newest server's programs (Debian keeps them off the PATH)."""
    versions = [p for p in Path("/usr/lib/postgresql").glob("*/bin") if (p / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: [int(n) for n in re.findall(r"\d+", path.parent.name)])
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _start(binaries: Path, folder: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server; another process may take the free port first, so three ports are tried."""
    log = folder / "log"
    for _ in range(3):
        port = _free_port()
        options = [f"port={port}", f"unix_socket_directories={folder}", *SETTINGS]
        arguments = [str(binaries / "postgres"), "-D", str(folder / "data")]
        arguments += [part for option in options for part in ("-c", option)]
        with log.open("ab") as output:
            process = subprocess.Popen(
                arguments, stdout=output, stderr=output, cwd="/", user=_user(), group=_group(), preexec_fn=_die_with_me
            )
        if _answers(process, port):
            return process, port
        process.kill()
        process.wait()
    raise RuntimeError(f"PostgreSQL did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    deadline = time.monotonic() + START_LIMIT_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            psycopg.connect(_address(port), connect_timeout=2).close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return True
    return False


def _address(port: int) -> str:
    return f"host=127.0.0.1 port={port} user={USER} dbname=postgres"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_me() -> None:
    """Ask Linux to end the server when the tests are killed and can't."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, int(signal.SIGQUIT))


def _user() -> str | None:
    return RUNS_AS if os.geteuid() == 0 else None


def _group() -> int | None:
    return pwd.getpwnam(RUNS_AS).pw_gid if os.geteuid() == 0 else None


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, RUNS_AS, _group())


def _initialise(binaries: Path, data: Path) -> None:
    command = [str(binaries / "initdb"), "--pgdata", str(data), "--username", USER, "--auth", "trust"]
    command += ["--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", user=_user(), group=_group(), timeout=120)
    if done.returncode:
        raise RuntimeError(f"initdb failed with exit code {done.returncode}: {done.stderr.strip()[-2000:]}")
