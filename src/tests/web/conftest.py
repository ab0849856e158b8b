"""A small world behind a real server, and a browser that fails the test on anything it complains of."""

import asyncio
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, sync_playwright

from ...fleet.database import connect
from ...server import Server
from ...settings import Settings
from ...telemetry.lake import Lake
from ...telemetry.published import PublishedReader
from ...web.app import create_app
from ..systems.chromium import Chromium
from .world import PASSWORD, World, build


def app_of(world: World) -> FastAPI:
    """The application on a world's data folder."""
    published = [PublishedReader(world.settings.data / "published" / "shard-0")]
    return create_app(world.settings, world.engine, Lake(world.settings.lake_url), published)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world as it was made; tests get copies."""
    return build(tmp_path_factory.mktemp("template") / "data", devices=60, days=2)


def copy_of(world: World, folder: Path) -> World:
    """A copy of a world that a test may change."""
    world.engine.dispose()
    shutil.copytree(world.settings.data, folder)
    settings = Settings(data=folder)
    return replace(world, settings=settings, engine=connect(settings.database_url))


@pytest.fixture
def world(template: World, tmp_path: Path) -> Iterator[World]:
    """A world of the test's own."""
    mine = copy_of(template, tmp_path / "data")
    yield mine
    mine.engine.dispose()


@dataclass
class Running:
    """A running server: its address, its application, and the world behind it."""

    url: str
    app: FastAPI
    world: World
    loop: asyncio.AbstractEventLoop

    def sign_in(self, who: str) -> httpx.Client:
        """A client with that person's session; it sends the CSRF token with what it posts."""
        client = httpx.Client(base_url=self.url, follow_redirects=False, timeout=20)
        answer = client.post("/sign-in", data={"email": f"{who}@example.com", "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        page = client.get("/").text
        client.headers["X-CSRF-Token"] = page.split('name="csrf_token" value="')[1].split('"')[0]
        return client


@contextmanager
def serving(world: World) -> Iterator[Running]:
    """Run the application on a free port of the loopback, in a thread of this process."""
    app = app_of(world)
    loops: list[asyncio.AbstractEventLoop] = []
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(
        uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=3),
        on_start=lambda: loops.append(asyncio.get_running_loop()),
        shutdown=app.state.shutdown,
    )
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    for _ in range(500):
        if loops:
            break
        time.sleep(0.01)
    yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", app, world, loops[0])
    server.should_exit = True
    thread.join(10)
    listener.close()
    assert not thread.is_alive(), "the server did not stop"


@pytest.fixture
def server(world: World) -> Iterator[Running]:
    """A server on a world of the test's own."""
    with serving(world) as running:
        yield running


@pytest.fixture(scope="module")
def calm_server(template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that the tests of a module share: they only look."""
    mine = copy_of(template, tmp_path_factory.mktemp("calm") / "data")
    with serving(mine) as running:
        yield running
    mine.engine.dispose()


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """The system's Chromium."""
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium.executable, args=list(chromium.arguments))
        yield found
        found.close()


Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opener]:
    """Opens signed-in pages: `open_page(server, "/alerts", who="owner", theme="dark", width=390)`.

    At the test's end, fails on everything a page complained of: errors and warnings of the console (a breach of
    the Content-Security-Policy is one), exceptions, failed requests, answers of 400 and more.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_(server: Running, path: str = "/", who: str = "owner", theme: str = "light", width: int = 1440) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 960 if width > 600 else 844},
            color_scheme="dark" if theme == "dark" else "light",
            timezone_id="Europe/Amsterdam",
            locale="en-GB",
            base_url=server.url,
        )
        contexts.append(context)
        listen(context, complaints)
        with closing(server.sign_in(who)) as client:
            cookie = client.cookies["fw_session"]
        context.add_cookies([{"name": "fw_session", "value": cookie, "url": server.url}])
        page = context.new_page()
        page.goto(path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


def listen(context: BrowserContext, complaints: list[str]) -> None:
    """Write down everything the pages of a context complain of."""

    def console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"console {message.type}: {message.text}")

    def failed(request: Request) -> None:
        # A shared worker's script is fetched by the worker; what its page began is given up. And a page that is
        # left gives up what it was loading.
        if "live-worker.js" not in request.url and request.failure != "net::ERR_ABORTED":
            complaints.append(f"failed: {request.url} {request.failure}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            complaints.append(f"{response.status}: {response.url}")

    context.on("console", console)
    context.on("weberror", lambda error: complaints.append(f"exception: {error.error}"))
    context.on("requestfailed", failed)
    context.on("response", answered)
