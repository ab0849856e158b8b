"""uvicorn's server, which says when it answers and ends event streams as soon as it is told to stop."""

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn


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
