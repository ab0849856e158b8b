"""`faultwatch serve` as people run it: from the first start to any way it may end."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from ..settings import Settings
from ..telemetry.lake import Lake
from ..telemetry.schema import encode_type
from .checkout import ROOT, run, run_python
from .service import fleet_of, nursery, serving
from .service.loops import until
from .service.nursery import Nursery
from .service.receivers import receiver
from .service.requests_of import JSON, json_rows

KILLED = -signal.SIGKILL


@pytest.fixture(scope="module")
def children() -> Iterator[Nursery]:
    """Servers that start at once."""
    with nursery.opened() as opened:
        yield opened


@dataclass
class Command:
    """`faultwatch serve` as a process of its own."""

    process: "subprocess.Popen[str]"
    said: Path

    def welcome(self) -> str:
        """What it says once it answers."""
        deadline = time.monotonic() + 60
        while "faultwatch is ready" not in self.said.read_text():
            assert self.process.poll() is None and time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)
        return self.said.read_text()[self.said.read_text().index("faultwatch is ready") :]

    def end(self) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextmanager
def command(data: Path, *arguments: str) -> Iterator[Command]:
    """Run `faultwatch serve`."""
    said = data.parent / f"said-{time.monotonic_ns()}"
    with said.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "src", "serve", "--data", str(data), *arguments],
            cwd=ROOT,
            stderr=output,
            text=True,
        )
        try:
            yield Command(process, said)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_from_the_first_start_to_a_clean_end_and_the_next_start(tmp_path: Path) -> None:
    data, spec = tmp_path / "data", tmp_path / "pump.json"
    spec.write_bytes(encode_type(fleet_of.PUMP))
    with command(data, "--port", "0") as first:
        link = re.search(r"Make the first account, once, at:\n  (\S+)\n", first.welcome())
        assert link is not None
        assert "Harbour" not in httpx.get(link[1], follow_redirects=True).raise_for_status().text
        url = link[1].partition("/setup/")[0]
        run_python("-m", "src", "types", "add", spec, "--data", data)
        token = run_python("-m", "src", "tokens", "create", "--owner", "Harbour Water", "--data", data).strip()
        rows = [(f"pump-{n}", _now_ms() / 1000 - 60 * n, {"flow": 1.0, "load": 2.0}) for n in range(5)]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": JSON}
        sent = httpx.post(f"{url}/api/v1/readings", content=json_rows(rows), headers=headers)
        assert sent.json()["accepted"] == 5, sent.text
        assert first.end() == 0
    assert len(Lake(str(data / "lake")).read(1)) == 5, "the end has put all into the lake"
    assert list((data / "state" / "shard-0").glob("*.state")), "and kept the state"
    with command(data, "--port", "0") as second:
        url = second.welcome().partition("/setup/")[0].split()[-1]
        again = httpx.post(f"{url}/api/v1/readings", content=json_rows(rows), headers=headers)
        assert again.json()["accepted"] + again.json()["duplicate"] == 5
        assert second.end() == 0
    assert len(Lake(str(data / "lake")).read(1)) == 5


def test_a_port_that_is_taken_is_one_line_and_2(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = run([sys.executable, "-m", "src", "serve", "--data", tmp_path / "data", "--port", str(port)])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: can't listen on 127.0.0.1:{port}: Address already in use;"
        " choose another with --port (0 takes a free one)\n"
    )


def test_ctrl_c_twice_ends_it_once(tmp_path: Path) -> None:
    with command(tmp_path / "data", "--port", "0") as server:
        server.welcome()
        for _ in range(2):
            server.process.send_signal(signal.SIGINT)
        assert server.process.wait(timeout=30) == 130
        said = server.said.read_text()
    assert "Traceback" not in said
    assert said.count("already stopping") <= 1  # none, where both came as one


def test_a_second_service_on_the_same_folder_is_told_who_has_it(children: Nursery, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=serving.free_port())
    with serving.served(children, settings, tmp_path) as server:
        done = run([sys.executable, "-m", "src", "serve", "--data", settings.data, "--port", "0"])
        assert done.returncode == 2
        last = done.stderr.splitlines()[-1]
        assert last.startswith("error: the log in ") and f"in use by process {server.process_id} on " in last
        assert settings.base_url in last


def test_pages_work_while_the_loop_is_started_again(children: Nursery, tmp_path: Path) -> None:
    loop = Settings(data=tmp_path / "data", role="loop", port=serving.free_port(), lake_commit_s=0.5)
    web = Settings(data=tmp_path / "data", role="web", port=serving.free_port())
    with receiver() as hook:
        fleet = serving.found(loop, _now_ms(), hook.url)
    looker = run_python(
        "-m", "src", "tokens", "create", "--owner", "Harbour Water", "--scope", "read", "--data", loop.data
    ).strip()
    for name in ("loop", "web"):
        (tmp_path / name).mkdir()
    headers = {"Authorization": f"Bearer {looker}"}
    with (
        httpx.Client(base_url=web.base_url, headers=headers) as pages,
        serving.served(children, web, tmp_path / "web") as server,
    ):
        assert pages.get("/api/v1/devices").raise_for_status().json()["items"][0]["last_reading"] is None
        for minute in range(2):
            with serving.served(children, loop, tmp_path / "loop") as running:
                send = {"Authorization": f"Bearer {fleet.token}", "Content-Type": JSON}
                body = serving.body_of(fleet.minute(minute))
                assert httpx.post(f"{loop.base_url}/api/v1/readings", content=body, headers=send).status_code == 200
                assert httpx.get(f"{loop.base_url}/").status_code == 404, "the loop has no pages"
                _await_reading(pages, fleet.begin_ms + minute * fleet_of.MINUTE_MS)
                running.kill() if minute == 0 else os.kill(running.process_id, signal.SIGTERM)
                assert running.wait() == (KILLED if minute == 0 else 0)
            assert pages.get("/sign-in").status_code == 200
            _await_reading(pages, fleet.begin_ms + minute * fleet_of.MINUTE_MS)
            since = {"from": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fleet.begin_ms / 1000))}
            rows = pages.get("/api/v1/devices/pump-001/readings", params=since).raise_for_status().json()
            assert len(rows["timestamp"]) == minute + 1
        os.kill(server.process_id, signal.SIGTERM)
        assert server.wait() == 0


def _await_reading(pages: httpx.Client, ts_ms: int) -> None:
    """Wait until a page tells of a reading."""
    expected = time.strftime("%Y-%m-%dT%H:%M", time.gmtime(ts_ms / 1000))
    deadline = time.monotonic() + 20
    while True:
        found = pages.get("/api/v1/devices/pump-001").raise_for_status().json()["last_reading"]
        if found is not None and found.startswith(expected):
            return
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def test_a_loop_that_died_of_a_bug_ends_the_service_with_1(children: Nursery, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", port=serving.free_port(), notifications=False)
    fleet = serving.found(settings, _now_ms(), "http://127.0.0.1:9/")
    server = children.start(serving.serve_with_a_bug, settings, tmp_path / "ready", log=tmp_path / "output")
    assert server.wait() == 1
    assert "a bug of the test's own" in (tmp_path / "output").read_text()
    assert fleet.token not in (tmp_path / "output").read_text()


@pytest.mark.parametrize("kills", [20, pytest.param(100, marks=[pytest.mark.verify, pytest.mark.timeout(900)])])
def test_killed_at_any_moment_under_load_it_loses_nothing_and_doubles_nothing(
    children: Nursery, tmp_path: Path, kills: int
) -> None:
    now_ms, port, chance = _now_ms(), serving.free_port(), random.Random(kills)
    quick: dict[str, Any] = {
        "lake_commit_s": 0.4,
        "checkpoint_s": 0.8,
        "learn_device_readings": 30,
        "log_segment_bytes": 65_536,
        "notify_private_networks": "127.0.0.1",
    }
    settings = Settings(data=tmp_path / "data", port=port, **quick)
    with receiver() as hook:
        fleet = serving.found(settings, now_ms, hook.url)
        with serving.served(children, settings, tmp_path) as server:
            until(lambda: serving.is_ready(settings))
            server.kill()
            server.wait()
        with serving.sending(fleet, settings.base_url) as sender:
            for _ in range(kills):
                server = children.start(serving.serve, settings, tmp_path / "ready", log=tmp_path / "output")
                time.sleep(chance.uniform(0.3, 2.3))
                server.kill()
                assert server.wait() == KILLED, (tmp_path / "output").read_text()[-4000:]
            with serving.served(children, settings, tmp_path) as server:
                time.sleep(1)
                sender.end()
                serving.await_notices(settings)
                os.kill(server.process_id, signal.SIGTERM)
                assert server.wait() == 0
        delivered = Counter(got.headers["Idempotency-Key"] for got in hook.got)
    assert "Traceback" not in (tmp_path / "output").read_text()

    undisturbed = serving.found(Settings(data=tmp_path / "undisturbed", **quick), now_ms, "http://127.0.0.1:9/")
    serving.replay(undisturbed, sender.acknowledged, now_ms)
    found = serving.rows_of(settings)
    assert sender.acknowledged > 10 * kills, "it was under load"
    assert found.equals(serving.rows_of(undisturbed.settings))
    assert serving.alerts_of(settings) == serving.alerts_of(undisturbed.settings) != []
    notices = serving.notices_of(settings)
    assert sorted(notice[2:] for notice in notices) == sorted(
        notice[2:] for notice in serving.notices_of(undisturbed.settings)
    )
    assert set(delivered) == {notice[0] for notice in notices}, "each was sent"
    assert delivered.total() <= len(delivered) + kills, "and at most once more for each crash"
