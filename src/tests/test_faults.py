"""What breaks around a real server under load: nothing acknowledged is lost or doubled, and it goes on by itself."""

import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from sqlalchemy import make_url

from ..settings import Settings
from .service import gate, nursery, serving
from .service.fleet_of import PUMP
from .service.loops import until
from .service.nursery import Child, Nursery
from .service.receivers import receiver
from .service.requests_of import ARROW, JSON
from .service.serving import Fleet, Sender
from .systems.disks import fill, mounted

pytestmark = pytest.mark.timeout(300)

QUICK: dict[str, Any] = {
    "lake_commit_s": 0.4,
    "checkpoint_s": 0.8,
    "learn_device_readings": 30,
    "log_segment_bytes": 65_536,
    "notify_private_networks": "127.0.0.1",
}
HOUR_MS = 3_600_000
WITHIN_S = 60.0
"""How long something that takes a second or two may take on a machine that is busy with other things."""


@pytest.fixture(scope="module")
def children() -> Iterator[Nursery]:
    """Servers that start at once."""
    with nursery.opened() as opened:
        yield opened


@dataclass
class Scene:
    """A server under load, and what is done to it."""

    fleet: Fleet
    sender: Sender
    server: Child
    settings: Settings

    def goes_on(self, minutes: int = 30) -> float:
        """Wait until so many more minutes are acknowledged and the server is ready; how long that took, in s."""
        began, wanted = time.monotonic(), self.sender.acknowledged + minutes
        until(lambda: self.sender.acknowledged >= wanted, WITHIN_S)
        until(lambda: not self.faults(), WITHIN_S)
        return time.monotonic() - began

    def faults(self) -> dict[str, str]:
        """What the server says is wrong, by the name of the check."""
        try:
            checks: dict[str, str] = httpx.get(f"{self.settings.base_url}/readyz", timeout=30).json()["checks"]
        except httpx.TransportError as error:
            return {"server": str(error)}
        return {name: said for name, said in checks.items() if said != "ok"}

    def says(self, check: str, words: str = "") -> None:
        """Wait until the server says of a check what is wrong, in words that hold these."""
        until(lambda: words in self.faults().get(check, "ok") != "ok", WITHIN_S)


@contextmanager
def scene(children: Nursery, folder: Path, target: Callable[..., None] = serving.serve, **more: Any) -> Iterator[Scene]:
    """A server under load. After the test has done its worst, all that was acknowledged is compared with the truth."""
    now_ms = time.time_ns() // 1_000_000
    settings = Settings(data=folder / "data", port=serving.free_port(), **{**QUICK, **more})
    with receiver() as hook:
        fleet = serving.found(settings, now_ms, hook.url)
        with serving.served(children, settings, folder, target) as server:
            until(lambda: serving.is_ready(settings))
            with serving.sending(fleet, settings.base_url) as sender:
                found = Scene(fleet, sender, server, settings)
                found.goes_on()
                yield found
                sender.end()
            serving.await_notices(settings)
            os.kill(found.server.process_id, signal.SIGTERM)
            assert found.server.wait() == 0
        delivered = Counter(got.headers["Idempotency-Key"] for got in hook.got)
    assert "Traceback" not in (folder / "output").read_text()
    _compare(found, folder, delivered, now_ms)


def _compare(found: Scene, folder: Path, delivered: Counter[str], now_ms: int) -> None:
    """What was kept and told is what an undisturbed life makes of all that was acknowledged."""
    told = Settings(data=folder / "undisturbed", **QUICK)
    undisturbed = serving.found(told, now_ms, "http://127.0.0.1:9/")
    serving.replay(undisturbed, found.sender.acknowledged, now_ms)
    rows = serving.rows_of(found.settings)
    assert rows.equals(serving.rows_of(told)) and len(rows) == found.sender.acknowledged * len(serving.DEVICES)
    assert serving.alerts_of(found.settings) == serving.alerts_of(told) != []
    notices = serving.notices_of(found.settings)
    assert sorted(notice[2:] for notice in notices) == sorted(notice[2:] for notice in serving.notices_of(told))
    assert set(delivered) == {notice[0] for notice in notices} and max(delivered.values()) <= 2
    print(f"acknowledged {len(rows):,} rows, read back {len(rows):,}; {len(notices)} notices, {delivered.total()} sent")


def serve_by_another_clock(settings: Settings, ready: Path) -> None:
    """Be a server whose wall clock is so many ms ahead as the file `clock` beside its data says."""
    ahead = os.open(settings.data.parent / "clock", os.O_RDONLY)
    real_ns = time.time_ns

    def now_ns() -> int:
        return real_ns() + int(os.pread(ahead, 20, 0)) * 1_000_000

    setattr(time, "time_ns", now_ns)
    setattr(time, "time", lambda: now_ns() / 1e9)
    serving.serve(settings, ready)


def test_a_clock_that_jumps_an_hour_both_ways_changes_nothing(children: Nursery, tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text(f"{0:<20}")
    with scene(children, tmp_path, serve_by_another_clock) as here:
        for ahead_ms in (HOUR_MS, 0, -HOUR_MS, 0):
            with clock.open("r+") as file:
                file.write(f"{ahead_ms:<20}")  # never shorter: the server reads it all the time
            print(f"clock {ahead_ms / HOUR_MS:+.0f} h: 30 more minutes taken after {here.goes_on():.1f} s")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 128 MB; its tests skip, by name, where nothing can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "size=128m"):
        yield disk


def test_a_full_disk_is_said_and_all_goes_on_once_there_is_room(children: Nursery, small_disk: Path) -> None:
    with scene(children, small_disk) as here:
        ballast = fill(small_disk)
        here.says("log", "ree space on that disk")
        stood_at = here.sender.acknowledged
        ballast.unlink()
        print(f"full at minute {stood_at}; taken in and ready again after {here.goes_on():.1f} s")


def test_a_lake_that_may_only_be_read_is_waited_for(children: Nursery, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    lake.mkdir()
    with mounted(lake, "size=256m"), scene(children, tmp_path, lake_url=str(lake)) as here:
        until(lambda: _remounted(lake, "ro"), WITHIN_S)
        here.says("lake", str(lake))
        until(lambda: _remounted(lake, "rw"))
        print(f"writable again: {here.goes_on():.1f} s")


def _remounted(folder: Path, how: str) -> bool:
    """Whether a disk could be mounted anew; it can't while a file on it is open for writing."""
    return subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], capture_output=True).returncode == 0


def test_a_lake_whose_folder_goes_and_comes_back_is_waited_for(children: Nursery, tmp_path: Path) -> None:
    with scene(children, tmp_path) as here:
        lake = tmp_path / "data" / "lake"
        away = lake.rename(tmp_path / "away")
        here.says("lake", str(lake))
        if lake.exists():  # made anew by a write that was under way, and empty
            lake.rename(tmp_path / "empty")
        away.rename(lake)
        print(f"lake back: {here.goes_on():.1f} s")


def test_a_database_that_another_program_holds_is_waited_for(children: Nursery, tmp_path: Path) -> None:
    with scene(children, tmp_path) as here:
        with closing(sqlite3.connect(tmp_path / "data" / "faultwatch.db", isolation_level=None, timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            here.says("database")
            other.execute("ROLLBACK")
        print(f"let go of: {here.goes_on():.1f} s")


def test_a_database_that_goes_and_comes_back_is_waited_for(children: Nursery, tmp_path: Path, postgresql: str) -> None:
    url = make_url(postgresql)
    assert url.port is not None
    with gate.before(url.port) as way:
        through = url.set(port=way.port).render_as_string(hide_password=False)
        with scene(children, tmp_path, database_url=through) as here:
            way.shut()
            here.says("database")
            way.open()
            print(f"database back: {here.goes_on():.1f} s")


def test_sigterm_while_it_commits_saves_all(children: Nursery, tmp_path: Path) -> None:
    with scene(children, tmp_path, lake_commit_s=0.01, checkpoint_s=0.01) as here:
        for number in range(4):
            os.kill(here.server.process_id, signal.SIGTERM)
            assert here.server.wait() == 0
            (tmp_path / "ready").unlink()
            here.server = children.start(serving.serve, here.settings, tmp_path / "ready", log=tmp_path / "output")
            print(f"SIGTERM {number + 1}: served again after {here.goes_on():.1f} s")


def test_half_requests_and_a_slow_one_hold_nobody_up(children: Nursery, tmp_path: Path) -> None:
    with scene(children, tmp_path) as here:
        body = serving.body_of(here.fleet.minute(serving.MOST_MINUTES - 1))
        head = (
            f"POST /api/v1/readings HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {here.fleet.token}\r\n"
            f"Content-Type: {JSON}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        slow = _connection(here)
        slow.sendall(head + body[:20])
        for cut in (0, 1, len(body) // 2, len(body) - 1):
            with _connection(here) as gone:
                gone.sendall(head + body[:cut])
        print(f"beside a slow sender: {here.goes_on():.1f} s")
        slow.close()


def _connection(here: Scene) -> socket.socket:
    return socket.create_connection(("127.0.0.1", here.settings.port), timeout=30)


def test_a_log_that_is_damaged_at_its_end_is_cut_and_in_its_middle_refused(children: Nursery, tmp_path: Path) -> None:
    with scene(children, tmp_path, checkpoint_s=300.0, log_segment_bytes=4096) as here:
        here.goes_on(60)
        here.server.kill()
        here.server.wait()
        segments = sorted((tmp_path / "data" / "log" / "shard-0").glob("*.log"))
        assert len(segments) > 2
        with segments[-1].open("ab") as end:
            end.write(segments[-1].read_bytes()[-300:-100])  # part of a record, as a power cut leaves it
        middle = segments[len(segments) // 2]
        whole = middle.read_bytes()
        middle.write_bytes(
            whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 1]) + whole[len(whole) // 2 + 1 :]
        )
        refused = children.start(serving.serve, here.settings, tmp_path / "ready", log=tmp_path / "refused")
        assert refused.wait() == 1
        said = (tmp_path / "refused").read_text()
        assert f"{middle.name} is damaged at byte " in said and "Restore this file from a copy" in said
        middle.write_bytes(whole)
        here.server = children.start(serving.serve, here.settings, tmp_path / "ready", log=tmp_path / "output")
        print(f"mended: {here.goes_on():.1f} s")


@pytest.mark.verify
@pytest.mark.timeout(1800)
def test_a_million_devices_in_one_request_are_taken_whole_and_one_more_is_refused(
    children: Nursery, tmp_path: Path
) -> None:
    n, now_ms = 1_000_000, time.time_ns() // 1_000_000
    settings = Settings(data=tmp_path / "data", port=serving.free_port())
    fleet = serving.found(settings, now_ms, "http://127.0.0.1:9/")
    with serving.served(children, settings, tmp_path) as server, httpx.Client(base_url=settings.base_url) as client:
        began, tries = time.monotonic(), 1
        while (answer := _send_all(client, fleet, n, now_ms)).status_code != 200:
            assert answer.status_code == 503 and answer.headers["Retry-After"], answer.text
            print(answer.json()["detail"])
            tries += 1
            assert tries < 20
        told = answer.json()
        print(f"{n:,} new devices in one request: answered after {time.monotonic() - began:.0f} s, {tries} tries")
        assert (told["accepted"], told["duplicate"], told["rejected"]) == (n, 0, 0)
        refused = _send_all(client, fleet, n + 1, now_ms)
        assert refused.status_code == 413
        assert refused.json()["detail"] == (
            "the stream has 1,000,001 rows; at most 1,000,000 are taken: send fewer in a request"
        )
        os.kill(server.process_id, signal.SIGTERM)
        assert server.wait(timeout_s=600) == 0
    rows = serving.rows_of(settings)
    assert (len(rows), rows["device_key"].n_unique()) == (n, n)


def _send_all(client: httpx.Client, fleet: Fleet, n: int, now_ms: int) -> httpx.Response:
    """Send a reading of each of n devices, in one request, under one key."""
    places = pl.int_range(n, eager=True)
    frame = pl.DataFrame(
        {
            "device_id": "unit-" + places.cast(pl.String).str.zfill(7),
            "timestamp": pl.repeat(now_ms, n, eager=True).cast(pl.Datetime("ms", "UTC")),
            PUMP.sensor_names[0]: places % 7 + 1.0,
        }
    )
    content = BytesIO()
    frame.write_ipc_stream(content, compat_level=pl.CompatLevel.oldest())
    headers = {"Authorization": f"Bearer {fleet.token}", "Content-Type": ARROW, "Idempotency-Key": f"all-{n}"}
    address = f"/api/v1/readings?type={PUMP.name}"
    return client.post(address, content=content.getvalue(), headers=headers, timeout=600)
