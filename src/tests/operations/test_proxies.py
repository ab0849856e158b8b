"""Behind a real nginx, by the example of the documentation; and whose word about a sender counts."""

import gzip
import io
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from ...settings import Settings
from ..checkout import ROOT
from . import certificates
from .service import PASSWORD, Fleet, Service, fleet_in, now_ms

EXAMPLE = ROOT / "docs" / "deploy" / "nginx.conf"
NAME = "faults.example.com"
ARROW = "application/vnd.apache.arrow.stream"
FORM = {"email": "admin@example.com", "password": PASSWORD}


def free_port() -> int:
    """A port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Behind:
    """A service behind nginx."""

    service: Service
    fleet: Fleet
    client: httpx.Client
    plain: str


@contextmanager
def running_nginx(nginx: Path, folder: Path, service_port: int) -> Iterator[tuple[int, int, Path]]:
    """nginx with the example, but for its ports and the place of its certificate: ports of http and https."""
    made = certificates.make(folder / "tls", NAME)
    http, https = free_port(), free_port()
    text = EXAMPLE.read_text(encoding="utf-8")
    text = re.sub(r"listen \[::\]:.*\n", "", text)
    for old, new in (
        ("listen 80;", f"listen 127.0.0.1:{http};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{https} ssl"),
        ("server 127.0.0.1:8765;", f"server 127.0.0.1:{service_port};"),
        ("/etc/ssl/faultwatch/fullchain.pem", str(made.cert)),
        ("/etc/ssl/faultwatch/privkey.pem", str(made.key)),
    ):
        assert old in text, f"the example has no {old}"
        text = text.replace(old, new)
    (folder / "faultwatch.conf").write_text(text, encoding="utf-8")
    places = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; user root;\n"
        f"events {{}}\nhttp {{ access_log off; {places}\ninclude {folder}/faultwatch.conf; }}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen([nginx, "-e", folder / "error.log", "-c", folder / "nginx.conf"])
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", https), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, (folder / "error.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield http, https, made.cert
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def behind(nginx: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """A ready service that trusts the loopback, and nginx before it."""
    folder = tmp_path_factory.mktemp("behind")
    fleet = fleet_in(folder / "data")
    env = {"FAULTWATCH_TRUSTED_PROXIES": "127.0.0.1"}
    with Service(folder / "data", env=env) as service:
        service.until_ready()
        port = int(service.url.rpartition(":")[2])
        with running_nginx(nginx, folder, port) as (http, https, cert):
            service_of = Service(folder / "none", certificate=cert)
            with httpx.Client(base_url=f"https://127.0.0.1:{https}", verify=service_of.trusted, timeout=30) as client:
                yield Behind(service, fleet, client, f"http://127.0.0.1:{http}")


def test_pages_come_through_and_cookies_are_for_tls_only(behind: Behind) -> None:
    assert behind.client.get("/sign-in").status_code == 200
    answer = behind.client.post("/sign-in", data=FORM)
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_plain_http_is_sent_to_tls(behind: Behind) -> None:
    answer = httpx.post(f"{behind.plain}/api/v1/readings?x=1")
    assert answer.status_code == 308, "so that what is posted is posted again"
    assert answer.headers["location"] == "https://127.0.0.1/api/v1/readings?x=1"


def test_a_packed_arrow_body_passes_as_it_is(behind: Behind) -> None:
    n = 60_000
    start = now_ms() - 60_000 * 1440
    frame = pl.DataFrame(
        {
            "device_id": [f"arrow-{i % 50}" for i in range(n)],
            "timestamp": [start + 60_000 * (i // 50) for i in range(n)],
            "pressure": np.random.default_rng(1).uniform(1.0, 15.0, n),
        }
    ).with_columns(pl.lit("pump").alias("type"), pl.col("timestamp").cast(pl.Datetime("ms", "UTC")))
    stream = io.BytesIO()
    frame.write_ipc_stream(stream)
    body = gzip.compress(stream.getvalue())
    assert len(body) > 200_000, "larger than what nginx holds in memory"
    token = {"Authorization": f"Bearer {behind.fleet.tokens['write']}"}
    answer = behind.client.post(
        "/api/v1/readings", content=body, headers={**token, "Content-Type": ARROW, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["accepted"] == n


def test_a_body_past_the_limit_is_refused(behind: Behind) -> None:
    token = {"Authorization": f"Bearer {behind.fleet.tokens['write']}"}
    try:
        answer = behind.client.post("/api/v1/readings", content=b" " * (65 << 20), headers=token)
    except httpx.WriteError:
        return  # nginx closes the connection on who goes on sending
    assert answer.status_code == 413


def test_news_come_through_as_they_happen(behind: Behind) -> None:
    token = {"Authorization": f"Bearer {behind.fleet.tokens['read']}"}
    with behind.client.stream("GET", "/api/v1/events", headers=token) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        began = time.monotonic()
        seen = [next(lines) for _ in range(3)]
        assert seen[0] == "retry: 1000"
        for line in lines:
            if line == "event: fleet":
                break
        assert time.monotonic() - began < 5, "a few hundred bytes don't wait in a buffer"
        news = sum(1 for _, line in zip(range(60), lines, strict=False) if line == "event: fleet")
        assert news >= 2, "and neither does what the loop publishes each second"
        assert time.monotonic() - began < 40


def test_what_came_through_the_proxy_is_not_of_this_machine(behind: Behind) -> None:
    assert behind.client.get("/healthz").status_code == 200
    assert behind.client.get("/metrics").status_code == 401
    assert behind.client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
    token = {"Authorization": f"Bearer {behind.fleet.tokens['metrics']}"}
    assert behind.client.get("/metrics", headers=token).status_code == 200


def secure(service: Service, **headers: str) -> bool:
    """Whether a sign-in with these headers is given a cookie for TLS only."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = httpx.post(f"{service.url}/sign-in", data=FORM, headers=sent, timeout=30)
    assert answer.status_code == 303, answer.text
    return "secure" in answer.headers["set-cookie"].lower()


def test_nobody_is_believed_unless_named(running: tuple[Service, Fleet]) -> None:
    assert not secure(running[0], X_Forwarded_Proto="https")


def test_only_who_is_named_is_believed(tmp_path: Path) -> None:
    fleet_in(tmp_path / "data")
    with Service(tmp_path / "data", env={"FAULTWATCH_TRUSTED_PROXIES": "10.0.0.0/8, 127.0.0.1"}) as service:
        assert secure(service, X_Forwarded_Proto="https")
        assert not secure(service)
    with Service(tmp_path / "data", env={"FAULTWATCH_TRUSTED_PROXIES": "10.0.0.0/8"}) as service:
        assert not secure(service, X_Forwarded_Proto="https", X_Forwarded_For="10.1.2.3")


def test_proxies_are_named_by_address_or_network() -> None:
    settings = Settings(trusted_proxies=" 127.0.0.1,10.1.2.3/8 , ::1")
    assert settings.trusted_proxies == "127.0.0.1, 10.0.0.0/8, ::1"
    for wrong in ("*", "proxy.example.com", "10.0.0.0/99"):
        with pytest.raises(ValueError, match="trusted_proxies"):
            Settings(trusted_proxies=wrong)
