"""Bounds of what one sender may ask of the web: how often, how often wrongly, and how large a body."""

import hashlib
import ipaddress
import math
import threading
import time
from collections.abc import Callable

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

BODY_BYTES = 1 << 20
"""The largest body of a form or of a request to the API; readings have bounds of their own."""

TOO_LARGE = f"the body has more than {BODY_BYTES:,} bytes, which is the most for this address; send less"
MOST_SENDERS = 100_000
Refuse = Callable[[Request, int, str, dict[str, str]], Response]
_ENTRIES = ("/sign-in", "/setup/")


class Bucket:
    """So many a minute for each sender, all at once if need be; any thread may ask. `clock` in seconds."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, sender: str) -> int:
        """Seconds until the sender has one left, 0 where it has one now."""
        with self._lock:
            left = self._now(sender)
        return 0 if left >= 1 else math.ceil(round((1 - left) * 60 / self._per_minute, 3))

    def take(self, sender: str) -> None:
        """Count one of the sender's."""
        with self._lock:
            left = max(0.0, self._now(sender) - 1)
            if len(self._left) >= MOST_SENDERS and sender not in self._left:
                self._forget()
            self._left[sender] = (left, self._clock())

    def _now(self, sender: str) -> float:
        left, at = self._left.get(sender, (float(self._per_minute), self._clock()))
        return min(float(self._per_minute), left + (self._clock() - at) * self._per_minute / 60)

    def _forget(self) -> None:
        """Drop those that are full again; all, where none is."""
        self._left = {sender: kept for sender, kept in self._left.items() if self._now(sender) < self._per_minute}
        if len(self._left) >= MOST_SENDERS:
            self._left = {}


class Limits:
    """ASGI middleware: answers 429 to who asks too often or is refused too often, 413 to a body that is too large.

    `requests` is for the API, by address and credential; what is refused with 401 counts for the address as well,
    so that made-up credentials gain nothing. `refusals` is for signing in, by address. `refuse` makes the answer, for
    people or for programs, from (request, status, detail, headers).
    """

    def __init__(self, app: ASGIApp, *, api: str, requests: Bucket, refusals: Bucket, refuse: Refuse) -> None:
        self.app = app
        self._refuse = refuse
        self._api = api
        self._requests = requests
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        address = sender_of(request)
        bucket, senders = self._rule(request, address)
        if bucket is not None:
            wait_s = max(bucket.wait_s(sender) for sender in senders)
            if wait_s:
                log.warning("web.too_often", path=scope["path"])
                detail = f"too many requests from here; try again in {wait_s} seconds"
                await self._refuse(request, 429, detail, {"Retry-After": str(wait_s)})(scope, receive, send)
                return
            if bucket is self._requests:
                bucket.take(senders[-1])
        body = _Body(receive, send, bucket, address)
        if body.is_declared_too_large(request):
            await self._refuse(request, 413, TOO_LARGE, {"Connection": "close"})(scope, receive, send)
            return
        try:
            await self.app(scope, body.receive, body.send)
        except _TooLarge:
            pass  # what read the body may as well have turned this into an answer of its own
        if body.is_too_large and not body.is_answered:
            await self._refuse(request, 413, TOO_LARGE, {"Connection": "close"})(scope, receive, send)

    def _rule(self, request: Request, address: str) -> tuple[Bucket | None, list[str]]:
        path = request.scope["path"]
        if path.startswith(f"{self._api}/"):
            return self._requests, [address, f"{address} {_credential(request)}"]
        if request.method == "POST" and path.startswith(_ENTRIES):
            return self._refusals, [address]
        return None, []


class _TooLarge(Exception):
    """The body went past its bound."""


class _Body:
    """The way of one request: counts the bytes that come in, and a refusal that goes out."""

    def __init__(self, receive: Receive, send: Send, bucket: Bucket | None, address: str) -> None:
        self._receive = receive
        self._send = send
        self._bucket = bucket
        self._address = address
        self._bytes = 0
        self.is_too_large = self.is_answered = False

    @staticmethod
    def is_declared_too_large(request: Request) -> bool:
        """Whether the sender says so itself."""
        declared = request.headers.get("content-length", "0")
        return declared.isdecimal() and int(declared) > BODY_BYTES

    async def receive(self) -> Message:
        """The next part of the body. Raises _TooLarge."""
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > BODY_BYTES:
            self.is_too_large = True
            raise _TooLarge
        return message

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, unless the body was too large to be answered like that."""
        if self.is_too_large and not self.is_answered:
            return
        if message["type"] == "http.response.start":
            self.is_answered = True
            if message["status"] == 401 and self._bucket is not None:
                self._bucket.take(self._address)
        await self._send(message)


def sender_of(request: Request) -> str:
    """Where a request comes from; of IPv6 the network that one customer has."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


def _credential(request: Request) -> str:
    shown = request.headers.get("authorization", "") or request.headers.get("cookie", "")
    return hashlib.blake2b(shown.encode(), digest_size=12).hexdigest() if shown else ""
