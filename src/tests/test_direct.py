"""Small requests are taken off the socket at once, and are answered, byte for byte, as uvicorn answers them."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ..service.gateway import PATH
from ..service.heads import Heads
from .service.intakes import ISO, way_in
from .service.requests_of import json_rows
from .service.test_gateway import LIMITS, Server, head

BODY = json_rows([("pump-1", ISO, {"pressure": 2.5}), ("pump-2", ISO, {"pressure": 99.0})])
WHOLE = head(len(BODY)) + BODY
REQUESTS = {
    "taken": WHOLE,
    "key": head(len(BODY), "Idempotency-Key: k") + BODY,
    "long key": head(len(BODY), "Idempotency-Key: " + "k" * 201) + BODY,
    "other media": head(len(BODY), "Content-Type: text/csv") + BODY,
    "unreadable": head(1) + b"{",
    "chunked": head(None) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    "expects": head(len(BODY), "Expect: 100-continue") + BODY,
    "too large": head(20_001) + b" " * 20_001,
    "empty": head(0),
    "two lengths": head(len(BODY), "Content-Length: 3") + BODY,
    "length and chunks": head(len(BODY), "Transfer-Encoding: chunked") + BODY,
    "unknown sender": WHOLE.replace(b"fw_good", b"fw_bad"),
    "no head": b"POST /api/v1/readings?type=pump BUT NOT HTTP\r\n\r\n",
    "another path": WHOLE.replace(b"/readings", b"/readings/more"),
    "get": f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
    "last": head(len(BODY), "Connection: close") + BODY,
    "of old": WHOLE.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "upgrade": head(len(BODY), "Connection: upgrade", "Upgrade: other") + BODY,
    "named": WHOLE.replace(b"/readings ", b"/readings?type=pump "),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with way_in(tmp_path) as way, Server(way, LIMITS, direct=True) as running:
        yield running


def everything(connection: socket.socket, answers: int) -> bytes:
    """So many answers, and what comes right after them, without the line that tells the time."""
    data, deadline = b"", time.monotonic() + 10
    connection.settimeout(0.15)
    while time.monotonic() < deadline and data.count(b"HTTP/1.1 ") - data.count(b"100 Continue") < answers + 1:
        try:
            got = connection.recv(65_536)
        except TimeoutError:
            if data.count(b"HTTP/1.1 ") - data.count(b"100 Continue") >= answers:
                break
            continue
        if not got:
            data += b"(closed)"
            break
        data += got
    return re.sub(rb"date: [^\r]+\r\n", b"", data)


@pytest.mark.parametrize("name", REQUESTS)
def test_answers_are_the_same_byte_for_byte(tmp_path: Path, name: str) -> None:
    found = []
    for direct in (False, True):
        with way_in(tmp_path / str(direct)) as way, Server(way, LIMITS, direct=direct) as server:
            assert server.post(BODY, path=f"{PATH}?type=pump").status_code == 200
            with server.connection() as connection:
                connection.sendall(REQUESTS[name])
                first = everything(connection, 1)
            with server.connection() as connection:
                connection.sendall(WHOLE)
                second = everything(connection, 1)
            found.append((first, second, repr(way.rows()), way.bad_rows()))
    assert found[0] == found[1]
    assert found[0][0].startswith(b"HTTP/1.1 ")


def test_a_known_sender_is_not_asked_for_by_another_thread_and_needs_no_task(server: Server) -> None:
    assert server.post(BODY).status_code == 200
    with server.connection() as connection:
        connection.sendall(WHOLE)
        everything(connection, 1)
        tasks = len(server.connections)
        assert [each.cycle for each in server.connections] == [None] * tasks
    assert tasks == 1


def test_a_request_may_come_in_pieces_and_several_at_once(server: Server) -> None:
    assert server.post(BODY).status_code == 200
    with server.connection() as connection:
        for at in range(0, len(WHOLE), 40):
            connection.sendall(WHOLE[at : at + 40])
            time.sleep(0.002)
        assert everything(connection, 1).count(b"HTTP/1.1 200") == 1
        connection.sendall(WHOLE * 2 + REQUESTS["chunked"] + WHOLE + REQUESTS["unreadable"] + WHOLE)
        told = re.findall(rb"HTTP/1.1 (\d+)", everything(connection, 6))
    assert told == [b"200", b"200", b"200", b"200", b"400", b"200"]


def test_the_rest_of_a_request_is_waited_for_as_long_as_by_uvicorn(server: Server) -> None:
    assert server.post(BODY).status_code == 200
    with server.connection() as connection:
        connection.sendall(WHOLE[:-10])
        time.sleep(0.4)
        connection.sendall(WHOLE[-10:])
        assert everything(connection, 1).startswith(b"HTTP/1.1 200")
        connection.sendall(WHOLE[:-10])
        told = everything(connection, 1)
    assert told.startswith(b"HTTP/1.1 408")


def test_an_idle_connection_is_closed(server: Server) -> None:
    assert server.post(BODY).status_code == 200
    server.config.timeout_keep_alive = 1
    with server.connection() as connection:
        for _ in range(3):
            time.sleep(0.5)
            connection.sendall(WHOLE)
            assert everything(connection, 1).startswith(b"HTTP/1.1 200")
        connection.settimeout(10)
        assert connection.recv(10) == b""


def test_what_is_under_way_is_answered_when_the_server_ends(tmp_path: Path) -> None:
    with way_in(tmp_path, group_commit_ms=500) as way, Server(way, LIMITS, direct=True) as server:
        assert server.post(BODY).status_code == 200
        with server.connection() as connection:
            connection.sendall(WHOLE)
            time.sleep(0.1)
            ending = threading.Thread(target=server.stop)
            ending.start()
            time.sleep(0.3)
            answer = everything(connection, 1)
            ending.join()
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert answer.endswith(b"(closed)")


def test_heads_are_remembered_and_none_that_is_unusual() -> None:
    heads = Heads(PATH, 1000)
    plain = head(10)
    said = heads.read(plain)
    assert said is not None
    assert (said.authorization, said.length, said.key) == ("Bearer fw_good", 10, "")
    assert heads.read(plain) is said
    keyed = head(10, "Idempotency-Key: k")
    first, again = heads.read(keyed), heads.read(keyed)
    assert first == again
    assert first is not again
    for odd in (
        head(0),
        head(1001),
        head(None),
        plain[:-4] + b"\r\nX: y\n\nbody\r\n\r\n",
        head(10, "Content-Encoding: gzip"),
    ):
        assert heads.read(odd) is None
    assert heads.may_begin(b"POST /api")
    assert not heads.may_begin(b"GET ")
