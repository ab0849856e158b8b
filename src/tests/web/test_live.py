"""News as they come: one stream for all tabs, catching up, and a server that goes when it is told to."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import polars as pl
import pytest
from playwright.sync_api import Browser, expect

from ...fleet.acts import Acts
from ...fleet.alerts import AlertChange, record
from ...fleet.database import applying, writing
from ...fleet.principal import Principal
from ...telemetry.published import Clock, PublishedReader, Publisher
from .conftest import Opener, Running
from .world import World

OWNER = Principal(3, "owner", 1, "Owner Person")


def fire(world: World, name: str, seq: int, sentence: str = "Flow is odd.") -> None:
    """Let an alert of a device fire, as the live loop does."""
    change = AlertChange(
        owner_id=world.owner_id,
        device_key=world.keys[name],
        site_id=None,
        kind="anomaly",
        to_state="firing",
        at_ms=time.time_ns() // 1_000_000,
        sentence=sentence,
    )
    with applying(world.engine) as session:
        record(session, 0, seq, [change], change.at_ms)


def lines(answer: httpx.Response) -> Iterator[tuple[str, str, dict[str, object]]]:
    """(id, event, data) of a stream."""
    event_id, kind = "", ""
    for line in answer.iter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            event_id = value
        elif field == "event":
            kind = value
        elif field == "data":
            yield event_id, kind, json.loads(value)
            event_id = ""


def until(stream: Iterator[tuple[str, str, dict[str, object]]], kind: str) -> tuple[str, dict[str, object]]:
    """The next event of a kind."""
    for event_id, found, data in stream:
        if found == kind:
            return event_id, data
    raise AssertionError(f"the stream ended without {kind}")


def streams(server: Running) -> int:
    """How many event streams the server has open."""
    found: int = server.app.state.parts.feed.streams
    return found


def wait_for_streams(server: Running, count: int) -> None:
    """Wait until so many are open, at most 5 s."""
    for _ in range(100):
        if streams(server) == count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{streams(server)} streams open, expected {count}")


@pytest.mark.parametrize("shared_worker", [True, False], ids=["shared worker", "election"])
def test_eight_tabs_share_one_stream(server: Running, browser: Browser, open_page: Opener, shared_worker: bool) -> None:
    first = open_page(server)
    context = first.context
    if not shared_worker:
        context.add_init_script("delete window.SharedWorker")
        first.reload()
    tabs = [first] + [context.new_page() for _ in range(7)]
    for page in tabs[1:]:
        page.goto("/alerts")
    for page in tabs:
        expect(page.locator("#live")).to_have_attribute("data-state", "live", timeout=15_000)
    wait_for_streams(server, 1)
    fire(server.world, server.world.spare, 100)
    for page in tabs:
        expect(page.locator("#open-alerts")).to_have_text("5", timeout=10_000)
    # The tab that came first may be the one that streams; another takes over.
    first.close()
    fire(server.world, server.world.inverter, 101, "Something else.")
    wait_for_streams(server, 1)
    with writing(server.world.engine) as session:
        Acts(session, OWNER, time.time_ns() // 1_000_000).acknowledge(server.world.alerts["suspect"])
    for page in tabs[1:]:
        expect(page.locator("#open-alerts")).to_have_text("4", timeout=15_000)


def test_an_alert_reaches_an_open_page_within_a_second(server: Running, open_page: Opener) -> None:
    page = open_page(server)
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    fired = time.monotonic()
    fire(server.world, server.world.spare, 100, "Flow is 4 m³/h below what is normal.")
    expect(page.locator("#news")).to_contain_text("Flow is 4 m³/h below")
    assert time.monotonic() - fired < 1.5
    expect(page.locator("h1")).to_have_text("4 devices and 1 site need you now.")
    expect(page.locator("#needs li")).to_have_count(5)


def test_the_header_says_when_the_page_is_not_live_and_catches_up(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/alerts")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    for stream in list(server.app.state.parts.feed._streams):
        server.loop.call_soon_threadsafe(stream.end)
    wait_for_streams(server, 0)
    fire(server.world, server.world.spare, 100)
    wait_for_streams(server, 1)
    expect(page.locator("#inbox li.row")).to_have_count(5, timeout=10_000)


def test_a_reader_that_comes_back_gets_what_it_missed(server: Running) -> None:
    with closing(server.sign_in("owner")) as client:
        with client.stream("GET", "/api/v1/events") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            last, _ = until(lines(answer), "hello")
        fire(server.world, server.world.spare, 100, "While away.")
        with client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": last}) as answer:
            event_id, data = until(lines(answer), "alert")
        assert data["sentence"] == "While away." and int(event_id) > int(last)
        with client.stream("GET", f"/api/v1/events?after={event_id}") as answer:
            kinds = [kind for _, kind, _ in (next(stream) for stream in [lines(answer)] for _ in range(2))]
        assert kinds == ["hello", "fleet"]


def test_another_owners_news_do_not_come(server: Running) -> None:
    with closing(server.sign_in("other")) as client, client.stream("GET", "/api/v1/events") as answer:
        stream = lines(answer)
        _, fleet = until(stream, "fleet")
        assert fleet["devices"] == 2
        fire(server.world, server.world.spare, 100, "Not theirs.")
        mine = AlertChange(
            owner_id=server.world.other_id,
            device_key=server.world.keys["other/pump-001"],
            site_id=None,
            kind="silent",
            to_state="firing",
            at_ms=server.world.now_ms,
            sentence="Theirs.",
        )
        with applying(server.world.engine) as session:
            record(session, 0, 101, [mine], server.world.now_ms)
        _, data = until(stream, "alert")
        assert data["sentence"] == "Theirs."


def test_a_status_that_changes_is_told(server: Running) -> None:
    folder = server.world.settings.data / "published" / "shard-0"
    reader = PublishedReader(folder)
    type_id = server.world.types["pump_station"]
    frame = reader.devices(type_id)
    clock = reader.clock()
    assert clock is not None
    key = server.world.keys[server.world.spare]
    with closing(server.sign_in("owner")) as client, client.stream("GET", "/api/v1/events") as answer:
        stream = lines(answer)
        until(stream, "fleet")
        time.sleep(0.7)  # the feed has seen the roster before the change
        frame = frame.with_columns(
            pl.when(pl.col("device_key") == key).then(pl.lit(1, pl.UInt8)).otherwise(pl.col("status")).alias("status"),
            pl.col("n_readings") + 2,
        )
        later = clock.published_ms + 60_000
        Publisher(folder).publish(
            Clock(now_ms=later, published_ms=later, last_seq=9, applied_seq=9, lake_seq=9), {type_id: frame}
        )
        _, data = until(stream, "fleet")
    assert data["changed"] == [[key, 1]]
    assert data["readings_per_min"] == 2 * frame.filter(pl.col("device_key").is_not_null()).height


def test_a_server_with_fifty_streams_ends_within_five_seconds_of_sigterm(world: World, tmp_path: Path) -> None:
    package = __package__.partition(".")[0]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["-m", package, "serve", "--role", "web", "--data", str(world.settings.data), "--port", str(port)]
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=tmp_path if package == "faultwatch" else Path(__file__).parents[3],
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    headers = {"Authorization": f"Bearer {world.tokens['read']}"}
    limits = httpx.Limits(max_connections=60)
    try:
        with httpx.Client(base_url=url, headers=headers, limits=limits, timeout=20) as client:
            for _ in range(200):
                try:
                    if client.get("/healthz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.1)
            opened = [client.send(client.build_request("GET", "/api/v1/events"), stream=True) for _ in range(50)]
            assert all(answer.status_code == 200 for answer in opened)
            for answer in opened:
                next(answer.iter_lines())
            process.send_signal(signal.SIGTERM)
            told = time.monotonic()
            process.wait(10)
            took = time.monotonic() - told
            for answer in opened:
                answer.close()
    finally:
        process.kill()
        complaints = process.communicate()[1].decode()
    assert took < 5, f"it took {took:.1f} s"
    assert "Traceback" not in complaints, complaints
