"""A real HTTP receiver on the loopback, for channels: it takes, refuses, or hangs, as the test says."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Got:
    """One request; `at_s` is when it was read, by the monotonic clock."""

    path: str
    headers: Message
    body: bytes
    at_s: float = 0.0


@dataclass
class Receiver:
    """What came in; `answers` are the status codes to give by path, first to last, then 200 for ever."""

    url: str = ""
    got: list[Got] = field(default_factory=list)
    answers: dict[str, list[int]] = field(default_factory=dict)
    hanging: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def paths(self) -> list[str]:
        """Where requests went, in their order."""
        return [request.path for request in self.got]

    def wait_for(self, count: int, timeout_s: float = 10.0) -> None:
        """Wait until so many requests have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.got) >= count, timeout_s), f"{len(self.got)} of {count}"


@contextmanager
def receiver() -> Iterator[Receiver]:
    """A receiver that runs; requests to /hang wait until `hanging` is set."""
    state = Receiver()

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            with state.arrived:
                state.got.append(Got(self.path, self.headers, body, time.monotonic()))
                state.arrived.notify_all()
            if self.path == "/hang":
                state.hanging.wait(20)
            statuses = state.answers.get(self.path, [])
            status = statuses.pop(0) if statuses else 200
            said = b"" if status == 200 else b"  out of\norder " + b"!" * 2000
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{state.url}/elsewhere")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            try:
                self.wfile.write(said)
            except (BrokenPipeError, ConnectionResetError):
                pass  # who asked has read enough, or has given up

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `got`, not a log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield state
    finally:
        state.hanging.set()
        server.shutdown()
        thread.join()
        server.server_close()
