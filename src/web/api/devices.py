"""GET /api/v1/devices and one device; POST of its maintenance."""

from typing import Annotated

import polars as pl
from fastapi import APIRouter, Query
from starlette.requests import Request

from ...alerts.status import Status
from ...exceptions import AccessError
from ...fleet.access import Access
from ...fleet.acts import Acts
from ...fleet.database import writing
from ...fleet.views import DeviceQuery
from ..identity import Acting, Reading, Visitor, access_of
from ..parts import Parts, parts
from ..ranges import parse_time
from . import models, shown

router = APIRouter(tags=["devices"])


@router.get("/devices", summary="Devices", responses=models.PROBLEMS)
def devices(
    request: Request,
    visitor: Reading,
    q: Annotated[str, Query(description="part of an id or name")] = "",
    type_name: Annotated[str | None, Query(alias="type", description="name of a device type")] = None,
    site: Annotated[str | None, Query(description="slug or name of a site")] = None,
    status: Annotated[models.Status | None, Query(description="only devices of this status")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> models.Devices:
    """The devices you see, by id, a page at a time."""
    web = parts(request)
    roster = web.rosters.now()
    with access_of(web, visitor) as access:
        query = DeviceQuery(
            search=q,
            type_id=None if type_name is None else _type_id(access, type_name),
            site_id=None if site is None else _site_id(access, site),
            keys=None if status is None else keys_of_status(web, visitor, status),
            cursor=cursor,
            limit=limit,
        )
        page = access.devices(query)
    return models.Devices(items=[shown.device(view, roster) for view in page.items], next=page.next)


@router.get("/devices/{device_id:path}", summary="A device", responses=models.PROBLEMS)
def device(
    request: Request,
    visitor: Reading,
    device_id: str,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
) -> models.Device:
    """One device with its status and newest reading."""
    web = parts(request)
    with access_of(web, visitor) as access:
        return shown.device(access.device(device_id, owner), web.rosters.now())


@router.post("/devices/{device_id:path}/maintenance", summary="Maintenance of a device", responses=models.ACT_PROBLEMS)
def maintenance(
    request: Request,
    visitor: Acting,
    device_id: str,
    window: models.Maintenance,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
) -> models.Device:
    """Begin or plan maintenance, or end it."""
    web = parts(request)
    now_ms = web.now_ms()
    with writing(web.engine) as session:
        view = Access(session, visitor.principal).device(device_id, owner)
        acts = Acts(session, visitor.principal, now_ms)
        if window.end:
            acts.end_maintenance(view.key)
        else:
            start = now_ms if window.start is None else parse_time("from", window.start)
            until = None if window.until is None else parse_time("until", window.until)
            acts.maintenance(view.key, start, until, window.reason)
    return shown.device(view, web.rosters.now())


@router.post("/devices/{device_id:path}/repaired", summary="A device works again", responses=models.ACT_PROBLEMS)
def repaired(
    request: Request,
    visitor: Acting,
    device_id: str,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
) -> models.Device:
    """End the device's alerts and fault reports; its baseline may relearn."""
    web = parts(request)
    with writing(web.engine) as session:
        view = Access(session, visitor.principal).device(device_id, owner)
        Acts(session, visitor.principal, web.now_ms()).repaired(view.key)
    return shown.device(view, web.rosters.now())


def keys_of_status(web: Parts, visitor: Visitor, status: str) -> list[int]:
    """The device keys, of those the visitor sees, that have a status now."""
    mine = web.rosters.now().of(visitor.principal.only_owner)
    return mine.filter(pl.col("status") == int(Status[status.upper()]))["device_key"].to_list()


def _type_id(access: Access, name: str) -> int:
    found = [entry for entry in access.types() if entry.device_type.name == name]
    if not found:
        names = ", ".join(sorted({entry.device_type.name for entry in access.types()})) or "none yet"
        raise AccessError(f"there is no device type {name!r}; there are: {names}", 404)
    return max(found, key=lambda entry: entry.owner_id or 0).type_id


def _site_id(access: Access, name: str) -> int:
    for entry in access.sites():
        if name in (entry.slug, entry.name):
            return entry.id
    raise AccessError(f"there is no site {name!r}", 404)
