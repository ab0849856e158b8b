"""The dashboard and the JSON API as one ASGI application."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .. import __version__
from ..exceptions import FaultwatchError
from ..fleet.tokens import Tokens
from ..settings import Settings
from ..telemetry.lake import Lake
from ..telemetry.published import PublishedReader
from .api import alerts, devices, events, fault_reports, fleet, quality, readings, rules
from .assets import FOLDER, Assets, fingerprint
from .feed import Feed
from .identity import SignInNeeded
from .limits import Bucket, Limits
from .pages import acting, entry
from .pages import fault_reports as fault_report_pages
from .pages import looking, models
from .pages import settings as settings_pages
from .parts import Parts
from .problems import problem
from .render import environment, page
from .roster import Rosters
from .security import SecurityHeaders
from .words import Reader

log = structlog.get_logger(__name__)
API = "/api/v1"


def create_app(settings: Settings, engine: Engine, lake: Lake, published: Sequence[PublishedReader]) -> FastAPI:
    """Make the application; `published`: one reader per shard.

    Its lifespan runs the news feed. Whoever serves it sets `app.state.shutdown` (an asyncio.Event of the server's
    loop) when the server is told to stop: event streams then end at once instead of holding it up.
    """
    shutdown = asyncio.Event()
    rosters = Rosters(engine, published)
    feed = Feed(engine, rosters, shutdown)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(feed.run())
        try:
            yield
        finally:
            shutdown.set()
            await task

    app = FastAPI(
        title="faultwatch",
        version=__version__,
        description="Which devices of a fleet are faulty or behave strangely, since when, and why.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{API}/openapi.json",
    )
    version = fingerprint()
    app.state.shutdown = shutdown
    app.state.parts = Parts(settings, engine, lake, published, rosters, feed, Tokens(engine))
    app.state.templates = environment(f"/static/{version}")
    app.mount(f"/static/{version}", Assets(directory=FOLDER), name="static")
    app.add_api_route("/healthz", healthz, methods=["GET"], tags=["health"], summary="Whether the web answers")
    # Readings before devices: a device's id may hold a slash, so its route takes what is left.
    for api in (
        readings.router,
        devices.router,
        alerts.router,
        rules.router,
        fault_reports.router,
        quality.router,
        fleet.router,
        events.router,
    ):
        app.include_router(api, prefix=API)
    for pages in (
        entry.router,
        acting.router,
        fault_report_pages.router,
        models.router,
        settings_pages.router,
        looking.router,
    ):
        app.include_router(pages)
    app.add_exception_handler(FaultwatchError, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _misread)
    app.add_exception_handler(Exception, _bug)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(
        Limits,
        api=API,
        requests=Bucket(settings.api_requests_per_minute),
        refusals=Bucket(settings.sign_in_refusals_per_minute),
        refuse=_answer,
    )
    app.add_middleware(SecurityHeaders, https=settings.base_url.startswith("https:"))
    return app


def healthz() -> dict[str, str]:
    """The process is up and answers."""
    return {"status": "ok", "version": __version__}


async def _refused(request: Request, error: Exception) -> Response:
    """What faultwatch refuses, in words: problem+json, or a page for somebody who looks."""
    if isinstance(error, SignInNeeded):
        return _to_sign_in(request)
    if isinstance(error, HTTPException):
        detail = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not for this address"}
        return _answer(request, error.status_code, detail.get(error.status_code, str(error.detail)), error.headers)
    assert isinstance(error, FaultwatchError)
    if error.status >= 500:
        log.error("web.failed", path=request.url.path, reason=str(error))
    return _answer(request, error.status, str(error))


async def _misread(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = [
        {"name": ".".join(str(part) for part in fault["loc"][1:]) or "body", "reason": str(fault["msg"])}
        for fault in error.errors()
    ]
    detail = "; ".join(f"{fault['name']}: {fault['reason']}" for fault in faults)
    return _answer(request, 422, detail, errors=faults)


async def _bug(request: Request, error: Exception) -> Response:
    log.error("web.bug", path=request.url.path, exc_info=error)
    return _answer(request, 500, "something went wrong here; the log of faultwatch has the particulars")


def _answer(
    request: Request,
    status: int,
    detail: str,
    headers: object = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    wants_page = (
        not request.url.path.startswith((API, "/static"))
        and "text/html" in request.headers.get("accept", "")
        and "hx-request" not in request.headers
    )
    if not wants_page:
        return problem(status, detail, errors=errors, headers=headers if isinstance(headers, dict) else None)
    words = f"{detail[:1].upper()}{detail[1:]}."
    titles = {404: "There is no such page", 403: "You may not do that", 409: "That can't be done now"}
    context = {
        "title": titles.get(status, HTTPStatus(status).phrase),
        "detail": words,
        "way_out": "/",
        "way_out_words": "To the fleet",
    }
    state = request.app.state
    answer = page(request, "error.html", Reader.of(request.cookies, state.parts.now_ms()), context, status)
    if isinstance(headers, dict):
        answer.headers.update(headers)
    return answer


def _to_sign_in(request: Request) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if "hx-request" in request.headers:  # a part of a page can't be a sign-in form: the whole page goes there
        return Response(status_code=401, headers={"HX-Redirect": "/sign-in"})
    target = f"/sign-in?next={quote(here, safe='')}" if request.method == "GET" and here != "/" else "/sign-in"
    return RedirectResponse(target, 303)
