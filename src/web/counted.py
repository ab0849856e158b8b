"""Counts requests for pages and the API, and how long they took."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..metrics import Metrics

STREAM = b"text/event-stream"


class Counted:
    """ASGI middleware. A stream of events is counted, but not timed: it lasts as long as its page is open."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and look at what is answered."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def looking(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.page_requests.labels(str(message["status"])).inc()
                media = dict(message.get("headers", ())).get(b"content-type", b"")
                if not media.startswith(STREAM):
                    self._metrics.page_seconds.observe(time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, looking)
