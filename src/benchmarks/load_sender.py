"""Senders of a load test: a process with some connections, each sending the bodies of its own file in turn.

HTTP by hand on asyncio's streams: on a machine with two cores, what a client library does for a request would be
taken from the server.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from ..exceptions import IngestError
from .load_bodies import read_bodies

PATH = "/api/v1/readings"


@dataclass
class Sent:
    """What became of all requests of a sender; latencies in seconds."""

    requests: int = 0
    rows: int = 0
    accepted: int = 0
    latencies: list[float] = field(default_factory=list)


class _Counts(msgspec.Struct):
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0


def send(host: str, port: int, token: str, content_type: str, files: Sequence[Path], type_name: str) -> Sent:
    """Send all files, each over a connection of its own. Raises IngestError on an answer that is no success."""
    return asyncio.run(_send(host, port, token, content_type, files, type_name))


async def _send(host: str, port: int, token: str, content_type: str, files: Sequence[Path], type_name: str) -> Sent:
    head = (
        f"POST {PATH}?type={type_name} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: "
    ).encode()
    sent = Sent()
    await asyncio.gather(*(_one_file(host, port, head, path, sent) for path in files))
    return sent


async def _one_file(host: str, port: int, head: bytes, path: Path, sent: Sent) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=1 << 20)
    try:
        for body, rows in read_bodies(path):
            accepted, seconds = await _one_request(reader, writer, head, body)
            sent.requests += 1
            sent.rows += rows
            sent.accepted += accepted
            sent.latencies.append(seconds)
    finally:
        writer.close()


async def _one_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, body: bytes
) -> tuple[int, float]:
    """Rows accepted and seconds to the answer; waits and sends again where the server says that it is behind."""
    while True:
        begun = time.perf_counter()
        writer.write(head + str(len(body)).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        status, headers, answer = await _answer(reader)
        seconds = time.perf_counter() - begun
        if status == 200:
            return msgspec.json.decode(answer, type=_Counts).accepted, seconds
        if status not in (429, 503):
            raise IngestError(f"the server answered {status}: {answer[:300]!r}")
        await asyncio.sleep(float(headers.get("retry-after", "1")))


async def _answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(lines[0].split(" ")[1]), headers, content
