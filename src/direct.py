"""Small requests with readings, taken off the socket by the gateway itself; all else is uvicorn's, on the same port.

A task, two futures and a dictionary of scope for each request cost several times what its reading does. So a request
that arrives whole, in one piece or a few, with a head of the usual kind, goes to `Gateway.take`, and its answer is
written when intake gives it. Anything unusual (packed or chunked bodies, senders that aren't known yet, bodies that
keep us waiting, other paths) is handed to uvicorn with every byte that came, as if nobody had looked.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from .server import Protocol
from .service.answers import Answer, headers_of
from .service.gateway import Gateway
from .service.heads import END

log = structlog.get_logger(__name__)

MOST_HEAD = 16_384
"""A head of more bytes is not waited for here."""

MOST_HELD = 65_536
"""Bytes that may wait behind a request under way; more are left in the socket."""

REST_S = 0.1
"""How long the rest of a request is waited for before it is uvicorn's, which knows how to wait."""


class Direct(Protocol):
    """A connection. Requests on it are answered in their order, whoever takes them."""

    def __init__(self, gateway: Gateway, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]
        self._gateway = gateway
        self._held = b""
        self._asking = self._ending = self._for_uvicorn = False
        self._rest: asyncio.TimerHandle | None = None
        self._answered_s = 0.0
        self._reading = 0

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if not self._asking and self._is_uvicorns():
            return super().data_received(data)
        self._held = self._held + data if self._held else data
        if not self._asking:
            self._go_on()
        elif len(self._held) > MOST_HELD:
            self.flow.pause_reading()
        return None

    def _is_uvicorns(self) -> bool:
        """Whether uvicorn is in the midst of a request."""
        unanswered = self.cycle is not None and not self.cycle.response_complete  # type: ignore[redundant-expr]
        return unanswered or self._for_uvicorn or self._reading > 0 or bool(self.pipeline)

    def _go_on(self) -> None:
        """Take what is held, or wait for the rest of it, or hand it to uvicorn."""
        data, heads = self._held, self._gateway.heads
        if not heads.may_begin(data):
            return self._hand_over()
        end = data.find(END, 0, MOST_HEAD)
        if end < 0:
            return self._await_rest() if len(data) < MOST_HEAD else self._hand_over()
        start = end + len(END)
        head = heads.read(data[:start])
        if head is None:
            return self._hand_over()
        after = start + head.length
        if len(data) < after:
            return self._await_rest()
        self._stop_waiting()
        if not self._gateway.take(head, data[start:after], self._tell):
            return self._hand_over()
        self._asking, self._held = True, data[after:]
        return None

    def _await_rest(self) -> None:
        if self._rest is None:
            self._rest = self.loop.call_later(REST_S, self._hand_over)

    def _stop_waiting(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def _hand_over(self) -> None:
        """What is held is uvicorn's."""
        self._stop_waiting()
        held, self._held = self._held, b""
        super().data_received(held)

    def _tell(self, answer: Answer) -> None:
        """The answer to what was asked."""
        self._asking = False
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        try:
            self.gathering.write_whole(self._written(answer))
        except (OSError, RuntimeError) as error:
            log.info("gateway.sender_gone", status=answer.status, reason=str(error))
            return
        if self._ending:
            self.transport.close()
            return
        self._answered_s = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._watch(self.timeout_keep_alive)
        self.flow.resume_reading()
        if self._held:
            self._go_on()

    def _written(self, answer: Answer) -> bytes:
        headers = [*self.server_state.default_headers, *headers_of(answer)]
        if self._ending:
            headers.append((b"connection", b"close"))
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        return b"%b%b\r\n%b" % (STATUS_LINE[answer.status], lines, answer.body)

    def _watch(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection where nothing came for a while: one timer looks after many requests."""
        left = self._answered_s + self.timeout_keep_alive - self.loop.time()
        if self._asking or self._held:
            self._watch(self.timeout_keep_alive)
        elif left > 0:
            self._watch(left)
        else:
            super().timeout_keep_alive_handler()

    def on_message_begin(self) -> None:
        """uvicorn reads a request."""
        self._reading += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """uvicorn has read a head."""
        # What follows a change of protocol is no request.
        self._for_uvicorn |= self.parser.should_upgrade()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """uvicorn has read a request."""
        self._reading -= 1
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server ends: this connection does once what is under way is answered."""
        if self._asking:
            self._ending = True
            return
        if self._held:
            self._hand_over()
        super().shutdown()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._stop_waiting()
        self._held = b""
        super().connection_lost(exc)


def directly(gateway: Gateway) -> Callable[..., Direct]:
    """What makes the connections of a server whose small requests go to `gateway`."""
    return partial(Direct, gateway)
