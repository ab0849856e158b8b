"""Pages to look at: fleet, devices, a device, alerts, data quality."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from ...exceptions import IngestError
from ...fleet.views import AlertTab
from ..device_view import Asked, device_page
from ..devices_view import Filters, devices_page
from ..fleet_view import fleet_view
from ..identity import Looking, access_of
from ..ids import ChosenAlert
from ..inbox_view import inbox
from ..parts import parts
from ..quality_view import quality_page
from ..words import Reader
from .frame import first_reading, framed

router = APIRouter(include_in_schema=False)


@router.get("/")
def fleet(request: Request, visitor: Looking, view: str = "grid") -> Response:
    """The fleet: what needs the reader, every device, the last day."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    roster = web.rosters.now()
    with access_of(web, visitor) as access:
        shown = fleet_view(web, access, visitor.principal.only_owner, roster, reader.now_ms, view == "map")
        context = {"view": shown, **(first_reading(request, access, reader.now_ms) if not shown.devices else {})}
        return framed(request, "fleet.html", visitor, access, reader, "fleet", context)


@router.get("/devices")
def devices(
    request: Request,
    visitor: Looking,
    q: str = "",
    type_id: Annotated[str, Query(alias="type")] = "",
    site: str = "",
    status: str = "",
    cursor: str | None = None,
) -> Response:
    """Every device, filtered and paged on the server."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    with access_of(web, visitor) as access:
        filters = Filters(q.strip(), as_id("type", type_id), as_id("site", site), status, cursor)
        shown = devices_page(web, access, visitor, filters)
        empty = not shown.rows and not shown.filtered
        context = {"view": shown, **(first_reading(request, access, reader.now_ms) if empty else {})}
        return framed(request, "devices.html", visitor, access, reader, "devices", context)


@router.get("/devices/{device_id:path}")
def device(
    request: Request,
    visitor: Looking,
    device_id: str,
    owner: str | None = None,
    range: str | None = None,
    start: Annotated[str | None, Query(alias="from")] = None,
    end: Annotated[str | None, Query(alias="to")] = None,
) -> Response:
    """One device: status, why, charts."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    with access_of(web, visitor) as access:
        found = access.device(device_id, owner)
        shown = device_page(web, access, found, reader, Asked(range, start, end), visitor.principal.sees_all)
        return framed(request, "device.html", visitor, access, reader, "devices", {"view": shown})


@router.get("/alerts")
def alerts(
    request: Request,
    visitor: Looking,
    tab: AlertTab | None = None,
    chosen: ChosenAlert = None,
    cursor: str | None = None,
) -> Response:
    """The inbox, and the chosen alert beside it."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    principal = visitor.principal
    with access_of(web, visitor) as access:
        roster = web.rosters.now()
        shown = inbox(access, roster, principal.only_owner, reader, tab, chosen, cursor, principal.sees_all)
        return framed(request, "alerts.html", visitor, access, reader, "alerts", {"view": shown})


@router.get("/quality")
def quality(request: Request, visitor: Looking, owner: str = "") -> Response:
    """What is wrong with the data: rows set aside, silent devices, sensors in trouble, readings that come late."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    with access_of(web, visitor) as access:
        shown = quality_page(web, access, visitor.principal, reader.now_ms, owner or None)
        return framed(request, "quality.html", visitor, access, reader, "quality", {"view": shown})


def as_id(name: str, text: str) -> int | None:
    """A number of an address, None where it is empty. Raises IngestError (400) for anything else."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise IngestError(f"{name}={text!r}: expected a number")
    return int(text)
