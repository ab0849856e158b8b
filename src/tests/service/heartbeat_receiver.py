"""A real receiver of heartbeats on the loopback: it answers with what it is told to, or hangs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

PATH = "/ping/0123-secret"


@dataclass
class Receiver:
    """What was asked of it; it answers with `status`, once `answering` is set."""

    url: str = ""
    status: int = 200
    asked: list[str] = field(default_factory=list)
    answering: Event = field(default_factory=Event)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that runs."""
    state = Receiver()
    state.answering.set()

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            state.answering.wait(20)
            self.send_response(state.status)
            if state.status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests want no lines of access."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as http:
        http.daemon_threads = True
        state.url = f"http://127.0.0.1:{http.server_address[1]}{PATH}"
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield state
        state.answering.set()
        http.shutdown()
        thread.join()
