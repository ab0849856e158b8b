"""What one sender may ask of the web: how often, how often wrongly, how large; and the headers of every answer."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import httpx
import pytest

from ...settings import Settings
from ...web.limits import BODY_BYTES, Bucket
from ...web.security import HEADERS
from .conftest import Running, serving
from .world import PASSWORD, World


class Clock:
    """Seconds that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def limited(world: World, **settings: object) -> Iterator[Running]:
    """A server with other settings."""
    changed = Settings.model_validate({"data": world.settings.data, **settings})
    with serving(replace(world, settings=changed)) as running:
        yield running


def test_a_bucket_gives_so_many_at_once_and_then_so_many_a_minute() -> None:
    clock = Clock()
    bucket = Bucket(3, clock)
    for _ in range(3):
        assert bucket.wait_s("a") == 0
        bucket.take("a")
    assert bucket.wait_s("a") == 20 and bucket.wait_s("b") == 0
    clock.now = 19.0
    assert bucket.wait_s("a") == 1
    clock.now = 20.0
    assert bucket.wait_s("a") == 0
    clock.now = 1000.0
    for _ in range(3):
        bucket.take("a")
    assert bucket.wait_s("a") == 20, "who waits for long saves no more than a minute's worth"


def test_an_address_that_is_refused_too_often_waits_whatever_account_it_tries(world: World) -> None:
    with limited(world, sign_in_refusals_per_minute=4) as server:
        for number in range(4):
            sent = {"email": f"someone-{number}@example.com", "password": "guess guess guess"}
            assert httpx.post(f"{server.url}/sign-in", data=sent).status_code == 401
        sent = {"email": "owner@example.com", "password": PASSWORD}
        answer = httpx.post(f"{server.url}/sign-in", data=sent)
        assert answer.status_code == 429 and 1 <= int(answer.headers["Retry-After"]) <= 15
        assert "set-cookie" not in answer.headers
        looked = httpx.post(f"{server.url}/sign-in", data=sent, headers={"Accept": "text/html"})
        assert looked.status_code == 429 and "Retry-After" in looked.headers
        assert "Too many requests from here; try again in" in looked.text and "<h1>" in looked.text


def test_signing_in_rightly_costs_nothing(world: World) -> None:
    with limited(world, sign_in_refusals_per_minute=2) as server:
        for _ in range(4):
            server.sign_in("owner").close()


def test_the_api_has_a_limit_for_each_sender(world: World) -> None:
    with limited(world, api_requests_per_minute=5) as server:
        token = {"Authorization": f"Bearer {world.tokens['read']}"}
        with httpx.Client(base_url=server.url, headers=token) as client:
            assert [client.get("/api/v1/alerts").status_code for _ in range(6)] == [200] * 5 + [429]
            answer = client.get("/api/v1/alerts")
            assert answer.headers["content-type"] == "application/problem+json"
            assert "try again in" in answer.json()["detail"] and int(answer.headers["Retry-After"]) > 0
            assert client.get("/healthz").status_code == 200
        other = {"Authorization": f"Bearer {world.tokens['other']}"}
        assert httpx.get(f"{server.url}/api/v1/alerts", headers=other).status_code == 200


def test_made_up_credentials_gain_nothing(world: World) -> None:
    with limited(world, api_requests_per_minute=5) as server:
        statuses = [
            httpx.get(f"{server.url}/api/v1/alerts", headers={"Authorization": f"Bearer fw_{number}"}).status_code
            for number in range(7)
        ]
    assert statuses == [401] * 5 + [429] * 2


def test_a_body_is_bounded_whether_it_says_its_length_or_not(calm_server: Running) -> None:
    large = b"email=" + b"x" * BODY_BYTES
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    said = httpx.post(f"{calm_server.url}/sign-in", content=large, headers=form)
    unsaid = httpx.post(f"{calm_server.url}/sign-in", content=iter([large[:1000], large[1000:]]), headers=form)
    assert (said.status_code, unsaid.status_code) == (413, 413)
    assert "1,048,576 bytes" in said.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sign-in", 200),
        ("GET", "/", 303),
        ("GET", "/nowhere", 404),
        ("GET", "/api/v1/alerts", 401),
        ("GET", "/api/v1/openapi.json", 200),
        ("GET", "/static/none.js", 404),
        ("PUT", "/sign-in", 405),
        ("GET", "/healthz", 200),
    ],
)
def test_every_answer_carries_the_headers(calm_server: Running, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, f"{calm_server.url}{path}")
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert answer.headers["Cache-Control"] == "no-store"
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers


def test_a_dashboard_that_is_reached_by_https_stays_there(world: World) -> None:
    with limited(world, base_url="https://faults.example.com") as server:
        answer = httpx.get(f"{server.url}/sign-in")
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        sent = {"email": "owner@example.com", "password": PASSWORD}
        cookie = httpx.post(f"{server.url}/sign-in", data=sent).headers["set-cookie"]
        assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Secure"))


def test_an_id_that_no_database_can_count_is_no_bug(calm_server: Running) -> None:
    with closing(calm_server.sign_in("admin")) as client:
        token = client.headers["X-CSRF-Token"]
        for path in (f"/api/v1/alerts/{2**70}", f"/api/v1/rules/{2**40}", f"/alerts?chosen={2**70}"):
            assert client.get(path).status_code == 422, path
        for path in (f"/alerts/{2**70}/acknowledge", f"/settings/channels/{2**40}/test"):
            assert client.post(path, data={"csrf_token": token}).status_code == 422, path
        bulk = {"csrf_token": token, "act": "acknowledge", "ids": str(2**70)}
        assert client.post("/alerts/bulk", data=bulk).status_code == 422
