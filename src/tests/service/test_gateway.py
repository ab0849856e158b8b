"""The gateway over a real socket: formats, limits, and senders that are slow, rude or gone."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import zstandard

from ...direct import directly
from ...fleet.tokens import TokenInfo
from ...service.gateway import PATH, Gateway, GatewayLimits
from .intakes import ISO, WayIn, way_in
from .requests_of import ARROW, FORMATS, JSON, Sent, arrow, json_rows, row

ROWS: list[Sent] = [("pump-1", ISO, {"pressure": 2.5}), ("pump-2", ISO, {"pressure": 99.0})]
LIMITS = GatewayLimits(body_bytes=20_000, unpacked_bytes=1 << 20, rows=100, body_s=1.0)
TOKEN = {"Authorization": "Bearer fw_good"}


class Server:
    """A gateway on a free port of the loopback."""

    def __init__(self, way: WayIn, limits: GatewayLimits, *, direct: bool = False) -> None:
        self.way = way
        self.asked: list[str] = []
        self.now = 0.0
        self.tokens: dict[str, TokenInfo] = {"fw_good": way.token()}
        gateway = Gateway(way.intake, self._authenticate, limits, remember_s=2.0, clock=lambda: self.now)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        http: Any = directly(gateway) if direct else "httptools"
        self.config = uvicorn.Config(gateway, http=http, log_config=None, access_log=False, lifespan="off")
        self._server = uvicorn.Server(self.config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self.socket]})

    def _authenticate(self, token: str) -> TokenInfo | None:
        self.asked.append(token)
        return self.tokens.get(token)

    def __enter__(self) -> "Server":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.socket.close()

    def stop(self) -> None:
        """Tell it to end, and wait until it has."""
        self._server.should_exit = True
        self._thread.join()

    @property
    def connections(self) -> list[Any]:
        """The connections that are open."""
        return list(self._server.server_state.connections)

    def post(self, content: bytes, path: str = PATH, **headers: str) -> httpx.Response:
        """Post a body with a good token."""
        sent = {**TOKEN, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return httpx.post(f"http://127.0.0.1:{self.port}{path}", content=content, headers=sent, timeout=20)

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """A bare connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            yield connection


@pytest.fixture(params=["uvicorn", "direct"])
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with way_in(tmp_path) as way, Server(way, LIMITS, direct=request.param == "direct") as running:
        yield running


def head(length: int | None, *more: str) -> bytes:
    """The head of a request; length None is chunked."""
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = [f"POST {PATH} HTTP/1.1", "Host: x", "Authorization: Bearer fw_good", size, *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def answer_on(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and body of the next answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = connection.recv(65536)
        assert got, "the server closed the connection without an answer"
        data += got
    headers, _, body = data.partition(b"\r\n\r\n")
    (length,) = [
        int(line.split(b":")[1]) for line in headers.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    while len(body) < length:
        body += connection.recv(65536)
    return int(headers.split()[1]), json.loads(body)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_answered_with_its_counts(server: Server, name: str) -> None:
    content_type, write = FORMATS[name]
    response = server.post(write(ROWS), content_type=content_type)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {
        "accepted": 1,
        "duplicate": 0,
        "rejected": 1,
        "unchecked": 0,
        "reasons": {"out_of_range": 1},
        "examples": [
            {
                "row": 1,
                "device_id": "pump-2",
                "reason": "out_of_range",
                "message": "pressure is 99 bar; its valid range is 0 to 16 bar",
            }
        ],
    }


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_may_be_packed(server: Server, name: str, encoding: str) -> None:
    content_type, write = FORMATS[name]
    body = write(ROWS)
    packed = gzip.compress(body) if encoding == "gzip" else zstandard.compress(body)
    response = server.post(packed, content_type=content_type, content_encoding=encoding)
    assert (response.status_code, response.json()["accepted"]) == (200, 1)


def test_the_address_may_name_the_type(server: Server) -> None:
    body = json.dumps([row("pump-1", ISO, {"flow": 1.0})]).encode()
    assert server.post(body).json()["reasons"] == {"unknown_device": 1}
    assert server.post(body, path=f"{PATH}?type=pump").json()["accepted"] == 1


@pytest.mark.parametrize(
    ("headers", "status", "detail"),
    [
        ({}, 401, "expected the header Authorization: Bearer TOKEN, with a token of this server"),
        ({"Authorization": "Basic fw_good"}, 401, "expected the header Authorization: Bearer TOKEN"),
        ({"Authorization": "Bearer"}, 401, "expected the header Authorization: Bearer TOKEN"),
        ({"Authorization": "Bearer fw_bad"}, 401, "this token is unknown or revoked, or not made for writing"),
        ({"Authorization": "Bearer " + "x" * 5000}, 401, "expected the header Authorization: Bearer TOKEN"),
        ({**TOKEN, "Content-Type": "text/csv"}, 415, "Content-Type is 'text/csv'; expected application/json"),
        ({**TOKEN, "Content-Encoding": "br"}, 415, "Content-Encoding is 'br'; expected gzip, zstd or none"),
        ({**TOKEN, "Content-Encoding": "gzip"}, 400, "Content-Encoding says gzip, but the body is not"),
        ({**TOKEN, "Idempotency-Key": "k" * 201}, 400, "Idempotency-Key has 201 characters; expected 1 to 200"),
        ({**TOKEN, "Content-Type": ARROW}, 400, "the body is no Arrow IPC stream, or is cut off"),
    ],
)
def test_a_request_that_is_not_taken_is_told_why(
    server: Server, headers: dict[str, str], status: int, detail: str
) -> None:
    response = httpx.post(f"http://127.0.0.1:{server.port}{PATH}", content=json_rows(ROWS), headers=headers)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["detail"].startswith(detail)
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert not server.way.logged


def test_other_paths_and_methods_are_told_where_readings_go(server: Server) -> None:
    response = server.post(b"", path="/api/v1/other")
    assert (response.status_code, response.json()["detail"]) == (
        404,
        "there is no /api/v1/other; readings go to /api/v1/readings",
    )
    response = httpx.get(f"http://127.0.0.1:{server.port}{PATH}", headers=TOKEN)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_a_token_is_asked_for_once_in_a_while_and_ends_when_revoked(server: Server) -> None:
    for _ in range(3):
        assert server.post(json_rows(ROWS)).status_code == 200
    del server.tokens["fw_good"]
    server.now = 1.9
    assert server.post(json_rows(ROWS)).status_code == 200
    assert server.asked == ["fw_good"]
    server.now = 2.0
    assert server.post(json_rows(ROWS)).status_code == 401
    assert server.asked == ["fw_good"] * 2


def test_a_key_that_is_repeated_gets_the_same_answer(server: Server) -> None:
    first = server.post(json_rows(ROWS), idempotency_key="k")
    again = server.post(json_rows(ROWS), idempotency_key="k")
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"


def test_too_many_bytes_rows_or_unpacked_bytes_are_413(server: Server) -> None:
    many: list[Sent] = [("pump-1", ISO, {"flow": 1.0})] * 101
    assert server.post(json_rows(many)).json()["detail"] == (
        "the body has 101 rows; at most 100 are taken: send fewer in a request"
    )
    response = server.post(arrow(many), content_type=ARROW)
    assert (response.status_code, "101 rows" in response.json()["detail"]) == (413, True)
    response = server.post(b" " * 20_001)
    assert (response.status_code, "Too Large" in response.json()["title"]) == (413, True)
    assert response.json()["detail"] == (
        "the body has more than 20,000 bytes: send fewer rows in a request, or pack them"
    )
    for encoding, pack in (("gzip", gzip.compress), ("zstd", zstandard.compress)):
        response = server.post(pack(bytes(8 << 20)), content_encoding=encoding)
        assert response.status_code == 413
        assert (
            response.json()["detail"] == "the body unpacks to more than 1,048,576 bytes: send fewer rows in a request"
        )


def test_a_body_may_come_in_chunks_and_is_bounded_all_the_same(server: Server) -> None:
    def chunks(size: int) -> Iterator[bytes]:
        body = json_rows(ROWS).ljust(size)
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    url = f"http://127.0.0.1:{server.port}{PATH}"
    assert httpx.post(url, content=chunks(5000), headers=TOKEN).json()["accepted"] == 1
    assert httpx.post(url, content=chunks(21_000), headers=TOKEN).status_code == 413


def test_a_connection_goes_on_after_a_refusal(server: Server) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", headers=TOKEN) as client:
        assert client.post(PATH, content=b" " * 20_001).status_code == 413
        assert client.post(PATH, content=b"{").status_code == 400
        assert client.post(PATH, content=json_rows(ROWS)).status_code == 200


def test_a_slow_body_is_given_up_and_hurts_nobody(server: Server) -> None:
    with server.connection() as slow:
        slow.sendall(head(100) + b'{"rows":')
        started = time.monotonic()
        assert server.post(json_rows(ROWS)).status_code == 200
        assert time.monotonic() - started < 0.9
        status, problem = answer_on(slow)
    assert status == 408
    assert problem["detail"] == "the body did not arrive within 1 s: send less at a time"


def test_half_a_request_leaves_nothing_behind(server: Server) -> None:
    body = json_rows(ROWS)
    assert server.post(b"{").status_code == 400  # asking who sends takes longer than the sender stays
    for cut in (0, 10, len(body) - 1):
        with server.connection() as gone:
            gone.sendall(head(len(body)) + body[:cut])
    with server.connection() as gone:
        gone.sendall(head(None) + b"%x\r\n" % len(body) + body[:5])
    with server.connection() as gone:
        gone.sendall(head(len(body)) + body)  # whole, but the sender does not wait for the answer
    deadline = time.monotonic() + 10
    while not server.way.rows() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [device for device, _, _ in server.way.rows()] == ["pump-1"]
    assert server.post(json_rows(ROWS)).json()["duplicate"] == 1


def test_requests_behind_each_other_on_a_connection_are_answered_in_order(server: Server) -> None:
    bodies = [json_rows([(f"pump-{i}", ISO, {"pressure": 1.0})] * (i + 1)) for i in range(5)]
    with server.connection() as connection:
        for body in bodies:
            connection.sendall(head(len(body)) + body)
            status, answer = answer_on(connection)
            assert (status, answer["accepted"]) == (200, 1)


def test_many_senders_at_once_each_get_their_own_answer(server: Server) -> None:
    async def send(client: httpx.AsyncClient, number: int) -> bool:
        rows: list[Sent] = [(f"pump-{number}", ISO, {"flow": float(i)}) for i in range(number % 5 + 1)]
        answer = (await client.post(PATH, content=json_rows(rows))).json()
        return bool(answer["accepted"] == 1 and answer["rejected"] == number % 5)

    async def send_all() -> list[bool]:
        url = f"http://127.0.0.1:{server.port}"
        async with httpx.AsyncClient(base_url=url, headers=TOKEN, timeout=20) as client:
            return await asyncio.gather(*(send(client, number) for number in range(100)))

    assert all(asyncio.run(send_all()))


def test_bodies_are_bounded_all_together(tmp_path: Path) -> None:
    with way_in(tmp_path) as way, Server(way, replace(LIMITS, waiting_bytes=15_000, body_s=20.0)) as server:
        with server.connection() as first:
            first.sendall(head(20_000) + b" " * 10_000)
            time.sleep(0.3)
            response = server.post(b" " * 10_000)
            assert (response.status_code, response.headers["retry-after"]) == (429, "5")
            assert response.json()["detail"] == "too many bodies are being read at once: send it again"
        deadline = time.monotonic() + 10
        while server.post(b" " * 10_000).status_code == 429 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.post(json_rows(ROWS).ljust(10_000)).status_code == 200


def test_senders_wait_while_the_scorer_is_behind(tmp_path: Path) -> None:
    with way_in(tmp_path, max_queue_rows=1) as way, Server(way, LIMITS) as server:
        two: list[Sent] = [("pump-1", ISO, {"flow": 1.0}), ("pump-2", ISO, {"flow": 1.0})]
        assert server.post(json_rows(two)).status_code == 200
        response = server.post(json_rows(two))
        assert (response.status_code, response.headers["retry-after"]) == (429, "5")


def test_a_full_disk_is_503_and_an_answer_that_does_not_come_too(tmp_path: Path) -> None:
    with way_in(tmp_path) as way, Server(way, LIMITS) as server:
        way.log.full = True
        response = server.post(json_rows(ROWS), content_type=JSON)
        assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    with way_in(tmp_path / "idle", started=False) as way, Server(way, replace(LIMITS, answer_s=0.3)) as server:
        response = server.post(json_rows(ROWS))
        assert response.status_code == 503
        assert response.json()["detail"].startswith("the log did not take the readings within 0.3 s;")
