"""uvicorn's server, which says when it answers, sends answers whole, and ends event streams once it is told to stop."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Gathering:
    """A transport that sends what is written in one turn of the loop at once; all else is the transport's own.

    uvicorn writes the head of an answer and its body apart: with small answers, half of a server's time went into that.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send this, with what is written until the loop's next turn."""
        if not self._written:
            self._loop.call_soon(self.flush)
        self._written.append(data)

    def flush(self) -> None:
        """Send what was written, now."""
        if self._written:
            written, self._written = self._written, []
            self._transport.write(b"".join(written))

    def write_whole(self, data: bytes) -> None:
        """Send this, after what was written; nothing follows it in this turn."""
        self.flush()
        self._transport.write(data)

    def close(self) -> None:
        """Send what was written, and close."""
        self.flush()
        self._transport.close()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP by httptools, on a transport that gathers."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there."""
        self.gathering = Gathering(transport, self.loop)
        super().connection_made(self.gathering)  # type: ignore[arg-type]


class Server(uvicorn.Server):
    """`on_start` is called once the server answers; `shutdown` is set when it is told to stop.

    Without that an open event stream would keep the server from ending (it waits for requests under way). `on_repeat`
    is called when it is told once more: uvicorn would then drop what is under way, with a traceback.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        on_start: Callable[[], None],
        shutdown: asyncio.Event | None,
        on_repeat: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._shutdown = shutdown
        self._on_repeat = on_repeat

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self.should_exit:
            self._on_repeat()
        else:
            super().handle_exit(sig, frame)
            self._end_streams()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End."""
        self._end_streams()
        await super().shutdown(sockets)

    def _end_streams(self) -> None:
        if self._shutdown is not None:
            self._shutdown.set()
