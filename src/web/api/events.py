"""GET /api/v1/events: news as server-sent events."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from ...exceptions import IngestError
from ..identity import Reading
from ..ids import MOST
from ..parts import parts
from . import models

router = APIRouter(tags=["events"])


@router.get(
    "/events",
    summary="News as they come",
    response_class=StreamingResponse,
    responses={**models.PROBLEMS, 200: {"content": {"text/event-stream": {}}}},
)
async def events(
    request: Request,
    visitor: Reading,
    after: Annotated[
        int | None, Query(ge=0, le=MOST, description="id of the last event seen; or the header Last-Event-ID")
    ] = None,
) -> StreamingResponse:
    """Server-sent events: `alert` and `device` as they happen, `fleet` when the loop has published.

    Events with an id can be caught up with: what came after `after` is sent first.
    """
    given = request.headers.get("last-event-id")
    if given:
        if not (given.isascii() and given.isdigit() and len(given) < 19):
            raise IngestError(f"Last-Event-ID {given!r}: expected the id of an event, a whole number")
        after = int(given)
    stream = parts(request).feed.stream(visitor.principal.only_owner, after)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)
