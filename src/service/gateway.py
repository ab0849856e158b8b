"""`POST /api/v1/readings`: the hot endpoint, plain ASGI.

It knows the sender, bounds and unpacks the body, decodes it, hands it to intake and waits for the answer. It
holds no lock and does no work that is not this request's own, so a slow sender holds only itself.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qs

import structlog
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from ..exceptions import FaultwatchError, IngestError
from ..fleet.tokens import TokenInfo
from ..metrics import Metrics
from ..settings import Settings
from .answers import RETRY_AFTER_S, Answer, headers_of, problem, problem_of
from .decode import decode
from .decode_body import TooLargeError, unpack
from .decoded import Decoded
from .heads import Head, Heads
from .intake import Intake, Request
from .replies import Replies, Tell

log = structlog.get_logger(__name__)

PATH = "/api/v1/readings"

KEY_LENGTH = 200
"""The longest Idempotency-Key, in characters."""

SMALL_BODY = 32_768
"""Bytes up to which a plain body is decoded at once; larger and packed ones are decoded in a thread."""

DRAIN_S = 1.0
"""How long the rest of a refused body is read, so that its sender gets to read the answer."""


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """What a request, and all requests together, may take.

    Bytes as they arrive, bytes unpacked, rows; seconds for the body to arrive and for the answer to be
    found; bytes of all bodies that are being read; how many large bodies are decoded side by side.
    """

    body_bytes: int = 64 << 20
    unpacked_bytes: int = 512 << 20
    rows: int = 1_000_000
    body_s: float = 30.0
    answer_s: float = 60.0
    waiting_bytes: int = 512 << 20
    large_at_once: int = 2

    @classmethod
    def of(cls, settings: Settings) -> "GatewayLimits":
        """The limits that the settings give."""
        return cls(
            body_bytes=int(settings.max_body_bytes),
            unpacked_bytes=int(settings.max_decompressed_bytes),
            rows=settings.max_rows_per_request,
            waiting_bytes=max(512 << 20, 2 * int(settings.max_body_bytes)),
        )


class _Gone(Exception):
    """The sender closed the connection."""


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Gateway:
    """The ASGI application of `PATH`; anything else it answers with 404 or 405.

    `authenticate` gives what a bearer token allows, None for an unknown one; it may take its time (it is
    called in a thread), and what it says is believed for `remember_s` seconds.
    """

    def __init__(
        self,
        intake: Intake,
        authenticate: Callable[[str], TokenInfo | None],
        limits: GatewayLimits = GatewayLimits(),
        remember_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._by_status: dict[int, Counter] = {}
        self._intake = intake
        self._limits = limits
        self._senders = _Senders(authenticate, remember_s, clock)
        self._large = asyncio.Semaphore(limits.large_at_once)
        self._replies = Replies(limits.answer_s, _not_in_time(limits.answer_s))
        self._budget = _Budget(limits.waiting_bytes)
        self.heads = Heads(PATH, min(SMALL_BODY, limits.body_bytes))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            raise RuntimeError(f"the gateway speaks HTTP only, not {scope['type']}")
        began = time.perf_counter()
        body = _Body(receive, self._limits, self._budget)
        close = False
        try:
            answer = await self._answer(scope, body)
        except _Gone:
            return
        except _Refused as refused:
            answer = refused.answer
            close = not await body.drain()
        except FaultwatchError as error:
            answer = problem_of(error)
            close = not await body.drain()
        self._count(answer, began)
        await _send(send, answer, close)

    def take(self, head: Head, body: bytes, tell: Tell) -> bool:
        """Take a request that has arrived whole and was read by `heads`; `tell` gets its answer in the event loop.

        False where its sender isn't known yet: ask as an ASGI application then. The answers are the same.
        """
        token = self._senders.known(head.authorization)
        if token is None:
            return False
        reply = self._replies.expect(partial(self._tell, tell, time.perf_counter()))
        try:
            key = _idempotency_key(head.key)
            decoded = self._decode_small(body, head.content_type, head.type_name)
        except FaultwatchError as error:
            reply(problem_of(error))
        else:
            self._intake.offer(Request(token, decoded, reply, key))
        return True

    def _tell(self, tell: Tell, began: float, answer: Answer) -> None:
        self._count(answer, began)
        tell(answer)

    def _count(self, answer: Answer, began: float) -> None:
        if answer.status not in self._by_status:
            self._by_status[answer.status] = self._metrics.requests.labels(str(answer.status))
        self._by_status[answer.status].inc()
        self._metrics.request_seconds.observe(time.perf_counter() - began)

    async def _answer(self, scope: Scope, body: "_Body") -> Answer:
        path = scope["path"].rstrip("/")
        if path not in (PATH, scope.get("root_path", "") + PATH):
            raise _Refused(problem(404, f"there is no {scope['path']}; readings go to {PATH}"))
        if scope["method"] != "POST":
            raise _Refused(problem(405, f"{PATH} takes POST, not {scope['method']}"))
        headers = _Headers(dict(scope["headers"]))
        token = await self._senders.authenticate(headers.get("authorization"))
        key = _idempotency_key(headers.get("idempotency-key"))
        _check_length(headers, self._limits.body_bytes)
        try:
            decoded = await self._decode(await body.read(), headers, scope["query_string"])
        finally:
            body.release()
        return await self._ask(token, decoded, key)

    async def _decode(self, content: bytes, headers: "_Headers", query: bytes) -> Decoded:
        encoding = headers.get("content-encoding")
        media = headers.get("content-type")
        named = parse_qs(query.decode("latin-1")).get("type", [None])[0] if query else None

        if len(content) <= SMALL_BODY and not encoding:
            return self._decode_small(content, media, named)

        def decoded() -> Decoded:
            with self._metrics.stages.measure("parse"):
                return decode(unpack(content, encoding, self._limits.unpacked_bytes), media, named, self._limits.rows)

        async with self._large:
            return await asyncio.to_thread(decoded)

    def _decode_small(self, content: bytes, media: str, named: str | None) -> Decoded:
        began = time.perf_counter()
        try:
            return decode(content, media, named, self._limits.rows)
        finally:
            self._metrics.stages.brief("parse", time.perf_counter() - began)

    async def _ask(self, token: TokenInfo, decoded: Decoded, key: str | None) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def tell(found: Answer) -> None:
            if not answer.done():
                answer.set_result(found)

        self._intake.offer(Request(token, decoded, self._replies.expect(tell), key))
        return await answer


@dataclass(frozen=True, slots=True)
class _Headers:
    """Headers by their lower-case name; of those sent twice the last."""

    sent: Mapping[bytes, bytes]

    def get(self, name: str) -> str:
        """A header's value, empty where it was not sent."""
        return self.sent.get(name.encode("ascii"), b"").decode("latin-1")


class _Senders:
    """Who sends: what tokens allow, remembered for seconds so that the database isn't asked for each request."""

    MOST = 100_000
    LONGEST = 200

    def __init__(
        self, authenticate: Callable[[str], TokenInfo | None], remember_s: float, clock: Callable[[], float]
    ) -> None:
        self._ask = authenticate
        self._remember_s = remember_s
        self._clock = clock
        self._known: dict[str, tuple[float, TokenInfo | None]] = {}

    def known(self, header: str) -> TokenInfo | None:
        """The sender by the Authorization header, where it was asked for lately and may send."""
        scheme, _, token = header.partition(" ")
        until, info = self._known.get(token, (0.0, None))
        return info if scheme.lower() == "bearer" and until > self._clock() else None

    async def authenticate(self, header: str) -> TokenInfo:
        """The sender by the Authorization header. Raises _Refused (401)."""
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not 1 <= len(token.strip()) <= self.LONGEST:
            raise _Refused(problem(401, "expected the header Authorization: Bearer TOKEN, with a token of this server"))
        until, info = self._known.get(token, (0.0, None))
        if until <= self._clock():
            info = await asyncio.to_thread(self._ask, token.strip())
            if len(self._known) >= self.MOST:
                self._known.clear()
            self._known[token] = (self._clock() + self._remember_s, info)
        if info is None:
            raise _Refused(
                problem(401, "this token is unknown or revoked, or not made for writing: `faultwatch tokens create`")
            )
        return info


@dataclass(slots=True)
class _Budget:
    """How many bytes of bodies are held by all requests together, and how many may be."""

    most: int
    held: int = 0


class _Body:
    """The body of a request, read within bounds of size and time."""

    def __init__(self, receive: Receive, limits: GatewayLimits, budget: "_Budget") -> None:
        self._receive = receive
        self._limits = limits
        self._budget = budget
        self._held = 0
        self._complete = False

    async def read(self) -> bytes:
        """All of it, held against the budget until `release`.

        Raises _Gone where the sender left, TooLargeError where it is too large, _Refused where it is too slow
        or too many are being read.
        """
        chunks: list[bytes] = []
        try:
            async with asyncio.timeout(self._limits.body_s):
                while not self._complete:
                    chunk = await self._next()
                    self._hold(len(chunk))
                    chunks.append(chunk)
        except TimeoutError:
            detail = f"the body did not arrive within {self._limits.body_s:g} s: send less at a time"
            raise _Refused(problem(408, detail)) from None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _hold(self, size: int) -> None:
        self._held += size
        self._budget.held += size
        if self._held > self._limits.body_bytes:
            raise _too_large(self._limits.body_bytes)
        if self._budget.held > self._budget.most:
            raise _Refused(problem(429, "too many bodies are being read at once: send it again", RETRY_AFTER_S))

    def release(self) -> None:
        """The bytes are no longer held."""
        self._budget.held -= self._held
        self._held = 0

    async def drain(self) -> bool:
        """Read and drop what is left, for a while; whether that was all."""
        size = 0
        try:
            async with asyncio.timeout(DRAIN_S):
                while not self._complete and size <= self._limits.body_bytes:
                    size += len(await self._next())
        except (TimeoutError, _Gone):
            return False
        return self._complete

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        self._complete = not message.get("more_body", False)
        chunk: bytes = message.get("body", b"")
        return chunk


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"the body has more than {limit:,} bytes: send fewer rows in a request, or pack them")


def _check_length(headers: _Headers, limit: int) -> None:
    declared = headers.get("content-length") or "0"
    if not declared.isdecimal():
        raise IngestError(f"Content-Length is {declared[:40]!r}; expected a number of bytes")
    if int(declared) > limit:
        raise _too_large(limit)


def _not_in_time(within_s: float) -> Answer:
    detail = (
        f"the log did not take the readings within {within_s:g} s; they may yet be taken:"
        " send them again, with the same Idempotency-Key if there was one"
    )
    return problem(503, detail, RETRY_AFTER_S)


def _idempotency_key(key: str) -> str | None:
    if len(key) > KEY_LENGTH:
        raise IngestError(f"Idempotency-Key has {len(key):,} characters; expected 1 to {KEY_LENGTH}")
    return key or None


async def _send(send: Send, answer: Answer, close: bool) -> None:
    headers = headers_of(answer)
    if close:
        headers.append((b"connection", b"close"))
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})
    except (OSError, RuntimeError) as error:
        # The sender left before its answer. uvloop says so by a RuntimeError.
        log.info("gateway.sender_gone", status=answer.status, reason=str(error))
