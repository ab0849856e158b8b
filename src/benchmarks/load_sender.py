"""Senders of a load test: a process with some connections, each sending the bodies of its own file in turn.

HTTP by hand: on a machine with two cores, what a client library does for a request would be taken from the server.
"""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from ..exceptions import IngestError
from .load_bodies import read_bodies

PATH = "/api/v1/readings"


@dataclass
class Sent:
    """What became of all requests of a sender; latencies in seconds, begin and end by the machine's monotonic clock."""

    requests: int = 0
    rows: int = 0
    accepted: int = 0
    latencies: list[float] = field(default_factory=list)
    begun_s: float = math.inf
    ended_s: float = -math.inf

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return self.ended_s - self.begun_s

    def add(self, other: "Sent") -> None:
        """Count what another sender sent meanwhile."""
        self.requests += other.requests
        self.rows += other.rows
        self.accepted += other.accepted
        self.latencies += other.latencies
        self.begun_s, self.ended_s = min(self.begun_s, other.begun_s), max(self.ended_s, other.ended_s)


class _Counts(msgspec.Struct):
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0


_counts = msgspec.json.Decoder(_Counts)


def send(host: str, port: int, token: str, content_type: str, files: Sequence[Path], type_name: str) -> Sent:
    """Send all files, each over a connection of its own. Raises IngestError on an answer that is no success."""
    head = (
        f"POST {PATH}?type={type_name} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: "
    ).encode()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_send(host, port, head, files))


async def _send(host: str, port: int, head: bytes, files: Sequence[Path]) -> Sent:
    sent, loop = Sent(), asyncio.get_running_loop()
    connections = [_Connection(head, read_bodies(path), sent, loop) for path in files]
    sent.begun_s = time.monotonic()
    for connection in connections:
        await loop.create_connection(partial(_same, connection), host, port)
    await asyncio.gather(*(connection.done for connection in connections))
    sent.ended_s = time.monotonic()
    return sent


def _same(connection: "_Connection") -> "_Connection":
    return connection


class _Connection(asyncio.Protocol):
    """Sends one body after the other, each once the one before is answered; again where the server is behind."""

    def __init__(
        self, head: bytes, bodies: Iterator[tuple[bytes, int]], sent: Sent, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.done: asyncio.Future[None] = loop.create_future()
        self._head = head
        self._bodies = bodies
        self._sent = sent
        self._loop = loop
        self._request, self._rows, self._begun, self._got = b"", 0, 0.0, b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        self._transport = transport
        self._next()

    def _next(self) -> None:
        try:
            body, self._rows = next(self._bodies)
        except StopIteration:
            self._transport.close()
            self.done.set_result(None)
            return
        self._request = self._head + str(len(body)).encode() + b"\r\n\r\n" + body
        self._write()

    def _write(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """An answer, or a piece of one."""
        self._got = self._got + data if self._got else data
        head, end, body = self._got.partition(b"\r\n\r\n")
        length = head.lower().rpartition(b"content-length:")[2].partition(b"\r")[0]
        if end and len(body) >= int(length):
            self._got = b""
            self._answered(int(head[9:12]), head, body)

    def _answered(self, status: int, head: bytes, body: bytes) -> None:
        if status == 200:
            self._sent.latencies.append(time.perf_counter() - self._begun)
            self._sent.requests += 1
            self._sent.rows += self._rows
            self._sent.accepted += _counts.decode(body).accepted
            self._next()
        elif status in (429, 503):
            wait_s = head.lower().rpartition(b"retry-after:")[2].partition(b"\r")[0]
            self._loop.call_later(float(wait_s), self._write)
        else:
            self.done.set_exception(IngestError(f"the server answered {status}: {body[:300]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, or too early."""
        if not self.done.done():
            self.done.set_exception(IngestError(f"the server closed the connection: {exc or 'no reason given'}"))
