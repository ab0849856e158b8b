"""A sender gets its readings through, waits when told, comes back by itself, and says what is wrong."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import AccessError, ConfigError, FaultwatchError, IngestError
from ...simulator import sending
from ...simulator.sending import CONTENT_TYPES, Answer, Pauses, Sender, encode, requests_of, retry_after
from .server import REJECTING, Server, problem, running

NOW = datetime(2026, 11, 24, 4, tzinfo=UTC)
FRAME = pl.DataFrame(
    {
        "device_id": ["pump-001", "pump-002"],
        "timestamp": [NOW, NOW + timedelta(milliseconds=1500)],
        "type": ["pump_station"] * 2,
        "site": ["harbour-east"] * 2,
        "vibration": [2.9, None],
        "flow": [80.5, 79.0],
    },
    schema_overrides={"timestamp": pl.Datetime("us", "UTC")},
)


@dataclass
class Waiting:
    """Pauses that take no time and remember."""

    slept: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def pauses(self) -> Pauses:
        return Pauses(sleep=self.slept.append, now=lambda: NOW, tell=self.told.append)


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as state:
        yield state


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def send(url: str, waiting: Waiting, body: sending.Body = "arrow") -> Answer:
    with Sender(url, "secret", waiting.pauses) as sender:
        return sender.send(encode(FRAME, body), body, "key-1")


@pytest.mark.parametrize("body", ["arrow", "json"])
def test_readings_arrive_with_token_and_key(server: Server, waiting: Waiting, body: sending.Body) -> None:
    assert send(server.url + "/", waiting, body).accepted == 2
    (request,) = server.received
    assert request.path == "/api/v1/readings"
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["authorization"] == "Bearer secret"
    assert headers["idempotency-key"] == "key-1" and headers["content-type"] == CONTENT_TYPES[body]
    if body == "arrow":
        assert request.frame.equals(FRAME)
    else:
        assert msgspec.json.decode(request.content)["rows"] == [
            {
                "device_id": "pump-001",
                "timestamp": "2026-11-24T04:00:00.000Z",
                "type": "pump_station",
                "site": "harbour-east",
                "values": {"vibration": 2.9, "flow": 80.5},
            },
            {
                "device_id": "pump-002",
                "timestamp": "2026-11-24T04:00:01.500Z",
                "type": "pump_station",
                "site": "harbour-east",
                "values": {"flow": 79.0},
            },
        ]


def test_it_waits_as_long_as_it_is_told_and_sends_the_same_again(server: Server, waiting: Waiting) -> None:
    server.replies += [problem(429, "the log is behind", Retry_After="7"), problem(503, "starting")]
    assert send(server.url, waiting).accepted == 2
    assert waiting.slept == [7.0, 2.0]
    assert "answered 429: the log is behind; trying again in 7 s" in waiting.told[0]
    assert len({request.content for request in server.received}) == 1
    assert len({request.headers["Idempotency-Key"] for request in server.received}) == 1


def test_it_comes_back_when_the_server_does(waiting: Waiting) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    servers = running(port)

    def sleep(seconds: float) -> None:
        waiting.slept.append(seconds)
        if len(waiting.slept) == 6:
            servers.__enter__()

    pauses = Pauses(sleep=sleep, now=lambda: NOW, tell=waiting.told.append)
    try:
        with Sender(f"http://127.0.0.1:{port}", "secret", pauses) as sender:
            assert sender.send(encode(FRAME, "arrow"), "arrow", "k").accepted == 2
    finally:
        servers.__exit__(None, None, None)
    assert waiting.slept == [1, 2, 4, 8, 16, 30]
    assert "can't be reached" in waiting.told[0] and "trying again in 1 s" in waiting.told[0]


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (401, AccessError, "answered 401: no such token; pass a token that may write by --token"),
        (403, AccessError, "answered 403: no such token; pass a token that may write by --token"),
        (413, IngestError, "answered 413: no such token"),
        (404, IngestError, "answered 404: no such token"),
        (307, IngestError, "answered 307: no such token"),
    ],
)
def test_a_refusal_is_said_in_the_servers_words(
    server: Server, waiting: Waiting, status: int, error: type[FaultwatchError], said: str
) -> None:
    server.replies.append(problem(status, "no such token"))
    with pytest.raises(error, match=said):
        send(server.url, waiting)
    assert waiting.slept == []


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{}", b'{"accepted": "all"}', b"\xff"])
def test_a_stranger_who_answers_is_noticed(server: Server, waiting: Waiting, body: bytes) -> None:
    server.replies.append((200, {}, body))
    with pytest.raises(IngestError, match="an answer that is none of faultwatch's"):
        send(server.url, waiting)


def test_an_answer_has_counts_and_examples(server: Server, waiting: Waiting) -> None:
    server.replies.append(REJECTING)
    answer = send(server.url, waiting)
    assert (answer.accepted, answer.duplicate, answer.rejected) == (1, 2, 7)
    assert [(example.device_id, example.message) for example in answer.examples] == [("pump-001", "too far ahead")]


@pytest.mark.parametrize("url", ["", "localhost:8765", "ftp://example.org", "http://", "http://[", "/api"])
def test_an_address_that_is_none_is_refused(url: str, waiting: Waiting) -> None:
    with pytest.raises(ConfigError, match="expected one such as http://127.0.0.1:8765"):
        Sender(url, "secret", waiting.pauses)


def test_a_token_that_can_be_none_is_refused(waiting: Waiting) -> None:
    with pytest.raises(ConfigError, match="copy it once more"):
        Sender("http://127.0.0.1:1", "t\u00f6ken\u2026", waiting.pauses)


@given(st.text(max_size=40))
def test_any_retry_after_is_read_or_ignored(header: str) -> None:
    found = retry_after(header, NOW)
    assert found is None or 0 <= found <= 3600


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("12", 12.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("999999", 3600.0),
        ("nan", None),
        ("soon", None),
        ("", None),
        ("Tue, 24 Nov 2026 04:01:30 GMT", 90.0),
        ("Tue, 24 Nov 2026 03:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds


def test_parts_are_one_sensor_each_and_nothing_is_lost() -> None:
    parts = list(requests_of(FRAME, parts=True))
    assert [part.columns[4:] for part in parts] == [["vibration"], ["flow"]]
    assert [part.height for part in parts] == [1, 2]


def test_large_frames_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAX_ROWS", 1)
    assert [part.height for part in requests_of(FRAME, parts=False)] == [1, 1]
