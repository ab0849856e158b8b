"""`/healthz`, `/readyz` and `/metrics`: the same in every role of the service, in front of gateway and pages.

Anyone may ask whether it is ready. What is wrong in words, and figures, may tell of folders and of the whole fleet:
those are for this machine itself (a loopback address, not by way of a proxy) and for tokens of scope `metrics`.
"""

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import __version__
from ..checks import Checks
from ..exceptions import FaultwatchError
from ..metrics import Metrics
from ..web.problems import problem

log = structlog.get_logger(__name__)

PATHS = ("/healthz", "/readyz", "/metrics")
FORWARDED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")
"""Headers that a proxy adds. With one of them a request didn't begin on this machine, whoever brought it."""
METRICS_MEDIA = "text/plain; version=0.0.4; charset=utf-8"
FIGURES_WITHIN_S = 5.0

Figures = Callable[[Metrics], None]
"""Sets figures that are looked up; may block, and may raise a FaultwatchError where some can't be had."""


class Endpoints:
    """The ASGI application of `PATHS`. `opens` says whether a bearer token is one of scope `metrics`; it may block."""

    def __init__(
        self, role: str, metrics: Metrics, checks: Checks, figures: Sequence[Figures], opens: Callable[[str], bool]
    ) -> None:
        self._role = role
        self._metrics = metrics
        self._checks = checks
        self._figures = figures
        self._opens = opens
        self._looking: asyncio.Future[None] | None = None
        metrics.info.labels(__version__, role).set(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope)
        answer = await self._answer(request)
        answer.headers["Cache-Control"] = "no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _problem(405, f"{request.url.path} takes GET, not {request.method}", {"Allow": "GET, HEAD"})
        given: dict[str, Callable[[Request], Awaitable[Response]]] = {
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._show_metrics,
        }
        return await given[request.url.path](request)

    async def _healthz(self, _request: Request) -> Response:
        return _json(200, {"status": "ok", "version": __version__})

    async def _readyz(self, request: Request) -> Response:
        faults = await self._checks.run()
        for name, fault in faults.items():
            self._metrics.check.labels(name).set(fault is None)
        in_words = is_local(request) or await self._has_token(request)
        told = {name: "ok" if fault is None else fault if in_words else "fail" for name, fault in faults.items()}
        ready = not any(faults.values())
        return _json(200 if ready else 503, {"ready": ready, "role": self._role, "checks": told})

    async def _show_metrics(self, request: Request) -> Response:
        if not is_local(request) and not await self._has_token(request):
            return _problem(
                401,
                "figures are for this machine itself, or for a token as `Authorization: Bearer …`; `faultwatch tokens"
                " create --scope metrics` makes one",
                {"WWW-Authenticate": "Bearer"},
            )
        faults, _ = await asyncio.gather(self._checks.run(), self._look())
        for name, fault in faults.items():
            self._metrics.check.labels(name).set(fault is None)
        return Response(await asyncio.to_thread(self._metrics.text), media_type=METRICS_MEDIA)

    async def _look(self) -> None:
        """Look the figures up, within bounds of time: those that can't be had stay what they were."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(asyncio.to_thread(self._look_up))
        try:
            await asyncio.wait_for(asyncio.shield(self._looking), FIGURES_WITHIN_S)
        except TimeoutError:
            log.warning("metrics.figures_late", within_s=FIGURES_WITHIN_S)

    def _look_up(self) -> None:
        for figures in self._figures:
            try:
                figures(self._metrics)
            except FaultwatchError as error:
                log.warning("metrics.figures_missing", reason=str(error))

    async def _has_token(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return False
        try:
            return await asyncio.wait_for(asyncio.to_thread(self._opens, token.strip()), FIGURES_WITHIN_S)
        except (FaultwatchError, TimeoutError):
            return False  # without the database nobody is known; this machine itself still is let in


def is_local(request: Request) -> bool:
    """Whether a request began on this machine: from a loopback address, and no proxy says it brought it."""
    if request.client is None or any(name in request.headers for name in FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _json(status: int, content: object) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def _problem(status: int, detail: str, headers: dict[str, str]) -> Response:
    return problem(status, detail, headers=headers)
