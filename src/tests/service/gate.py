"""A way to a server on the loopback that can be shut and opened again, as when a database or a store goes away."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Gate:
    """Hands connections at `port` on to another port while it is open."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener: socket.socket | None = None
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self.port = 0
        self.open()

    def open(self) -> None:
        """Let connections through."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def shut(self) -> None:
        """Cut every connection, and refuse new ones."""
        assert self._listener is not None
        with self._lock:
            for end in (self._listener, *self._ends):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()
        self._listener, self._ends, self._threads = None, [], []

    @property
    def is_open(self) -> bool:
        """Whether connections go through."""
        return self._listener is not None

    def _start(self, job: object, *arguments: socket.socket) -> None:
        assert callable(job)
        thread = threading.Thread(target=job, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                here, _ = listener.accept()
            except OSError:
                return
            with suppress(OSError), self._lock:
                there = socket.create_connection(("127.0.0.1", self._to_port))
                self._ends += [here, there]
                self._start(self._pump, here, there)
                self._start(self._pump, there, here)

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(port: int) -> Iterator[Gate]:
    """A gate before a port, shut in the end."""
    gate = Gate(port)
    try:
        yield gate
    finally:
        if gate.is_open:
            gate.shut()
