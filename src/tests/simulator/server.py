"""A real HTTP server on the loopback that answers as it is told, for tests of senders."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from threading import Thread

import msgspec
import polars as pl

Reply = tuple[int, dict[str, str], bytes]


REJECTING: Reply = (
    200,
    {},
    b"""{"accepted": 1, "duplicate": 2, "rejected": 7, "unchecked": 0, "reasons": {"future": 7},
    "examples": [{"row": 0, "device_id": "pump-001", "reason": "future", "message": "too far ahead"}]}""",
)
"""What faultwatch says of a request of ten rows of which seven were not taken."""


@dataclass
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    content: bytes

    @property
    def frame(self) -> pl.DataFrame:
        """The rows of an Arrow body."""
        return pl.read_ipc_stream(BytesIO(self.content))


@dataclass
class Server:
    """What a server has received; `replies` are given first, then every row is accepted."""

    url: str = ""
    replies: list[Reply] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)


def problem(status: int, detail: str, **headers: str) -> Reply:
    """A refusal as problem+json; underscores in names of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, named, msgspec.json.encode({"title": "refused", "detail": detail})


def taken(content_type: str, content: bytes) -> Reply:
    """The answer to a request whose rows are all accepted."""
    rows = (
        len(msgspec.json.decode(content)["rows"])
        if content_type == "application/json"
        else pl.read_ipc_stream(BytesIO(content)).height
    )
    return 200, {}, msgspec.json.encode({"accepted": rows, "duplicate": 0, "rejected": 0, "more": "later"})


@contextmanager
def running(port: int = 0) -> Iterator[Server]:
    """A server on 127.0.0.1, on a free port unless one is given."""
    state = Server()

    class Replying(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet, or the client waits 40 ms for the second

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            state.received.append(Received(self.path, dict(self.headers), content))
            reply = state.replies.pop(0) if state.replies else taken(self.headers["Content-Type"], content)
            status, headers, body = reply
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Tests want no lines of access."""

    with ThreadingHTTPServer(("127.0.0.1", port), Replying) as http:
        http.daemon_threads = True
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            http.shutdown()
            thread.join()
