"""`faultwatch benchmark pages`: how soon pages answer while the loop, a process of its own, takes in all it can."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np

from ..exceptions import StorageError
from ..fleet import users
from ..fleet.database import connect
from ..settings import Settings
from .load_sender import Sent
from .made_fleet import BROKEN, MINUTE_MS, MadeFleet
from .throughput import Load, RunningServer, in_a_child, prepare, quantile, send_all, server_on, write_all

COOKIE = "fw_session"
LEAST_LOOKS = 20
"""Each page is asked for until the senders are done, and at least this often."""


def measure(load: Load, folder: Path) -> dict[str, object]:
    """Load a loop below `folder`, look at pages of another process meanwhile; milliseconds to the whole answer.

    The first look at each page stands apart: it reads the fleet. Raises StorageError where a page does not answer.
    """
    start_ms = time.time_ns() // 1_000_000 // MINUTE_MS * MINUTE_MS - load.minutes * MINUTE_MS
    fleet, data = MadeFleet(load.devices, load.sensors, start_ms), folder / "data"
    prepared = in_a_child(prepare, data, fleet)
    files = in_a_child(write_all, folder, fleet, load)
    paths = {
        "fleet": "/",
        "devices": "/devices",
        "device": f"/devices/{fleet.device_id(min(BROKEN, load.devices - 1))}",
        "alerts": "/alerts",
    }
    with (
        server_on(data, "--role", "loop") as loop,
        server_on(data, "--role", "web") as web,
        _visitor(data, web) as pages,
    ):
        first = {name: _look(pages, path) for name, path in paths.items()}
        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send_all, loop.url, prepared.token, load, files, fleet.device_type.name)
            seen: dict[str, list[float]] = {name: [] for name in paths}
            while not sending.done() or len(seen["fleet"]) < LEAST_LOOKS:
                for name, path in paths.items():
                    seen[name].append(_look(pages, path))
            sent: Sent = sending.result()
    return {
        "benchmark": "pages",
        "devices": load.devices,
        "device_rows_per_s": round(sent.rows / sent.seconds),
        "rows_accepted": sent.accepted,
        "looks": len(seen["fleet"]),
        "first_ms": {name: round(ms, 1) for name, ms in first.items()},
        "page_ms": _quantiles(seen),
    }


def _quantiles(seen: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    return {
        name: {"p50": quantile(np.array(looks), 0.5), "p95": quantile(np.array(looks), 0.95)}
        for name, looks in seen.items()
    }


@contextmanager
def _visitor(data: Path, web: RunningServer) -> Iterator[httpx.Client]:
    """Somebody who is signed in and may see everything."""
    engine, now_ms = connect(Settings(data=data).database_url), time.time_ns() // 1_000_000
    users.create(engine, "visitor@example.com", "Visitor", "a password for once", "operator", None, now_ms)
    signed_in = users.sign_in(engine, "visitor@example.com", "a password for once", now_ms)
    engine.dispose()
    with httpx.Client(base_url=web.url, cookies={COOKIE: signed_in.cookie}, timeout=60) as client:
        yield client


def _look(pages: httpx.Client, path: str) -> float:
    begun = time.perf_counter()
    answer = pages.get(path)
    if answer.status_code != 200:
        raise StorageError(f"{path} answered {answer.status_code}; expected a page")
    return (time.perf_counter() - begun) * 1000
