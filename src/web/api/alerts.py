"""GET /api/v1/alerts and one alert; POST of what people do about it."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.requests import Request

from ...exceptions import ConflictError
from ...fleet.access import Access
from ...fleet.acts import Acts, ends_by_itself
from ...fleet.database import writing
from ...fleet.models import Severity
from ...fleet.views import AlertQuery, AlertTab
from ..identity import Acting, Reading, Visitor, access_of
from ..ids import AlertId
from ..parts import parts
from ..ranges import parse_time
from ..words import iso
from . import models, shown

router = APIRouter(tags=["alerts"])


@router.get("/alerts", summary="Alerts", responses=models.PROBLEMS)
def alerts(
    request: Request,
    visitor: Reading,
    state: Annotated[AlertTab, Query(description="which alerts")] = "all",
    kind: str | None = None,
    severity: Severity | None = None,
    device: Annotated[str | None, Query(description="a device's id")] = None,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
    start: Annotated[str | None, Query(alias="from", description="RFC 3339: open at some time from then on")] = None,
    end: Annotated[str | None, Query(alias="to", description="RFC 3339: fired before")] = None,
    historic: Annotated[
        bool | None, Query(description="only those found in backfilled history, or only the others")
    ] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> models.Alerts:
    """The alerts you see, the newest first, a page at a time."""
    web = parts(request)
    with access_of(web, visitor) as access:
        query = AlertQuery(
            tab=state,
            kind=kind,
            severity=severity,
            device_key=None if device is None else access.device(device, owner).key,
            from_ms=None if start is None else parse_time("from", start),
            until_ms=None if end is None else parse_time("to", end),
            historic=historic,
            cursor=cursor,
            limit=limit,
        )
        now_ms = web.now_ms()
        page = access.alerts(query, now_ms)
        likely = access.likely_kinds([view.id for view in page.items])
    items = [shown.alert(view, now_ms, likely.get(view.id)) for view in page.items]
    return models.Alerts(items=items, next=page.next)


@router.get("/alerts/{alert_id}", summary="An alert", responses=models.PROBLEMS)
def alert(request: Request, visitor: Reading, alert_id: AlertId) -> models.AlertDetail:
    """One alert with what happened to it."""
    with access_of(parts(request), visitor) as access:
        return _detail(request, access, alert_id)


@router.post("/alerts/{alert_id}/acknowledge", summary="Acknowledge", responses=models.ACT_PROBLEMS)
def acknowledge(request: Request, visitor: Acting, alert_id: AlertId) -> models.AlertDetail:
    """Say that somebody looks after it."""
    with writing(parts(request).engine) as session:
        _acts(request, session, visitor).acknowledge(alert_id)
        return _detail(request, Access(session, visitor.principal), alert_id)


@router.post("/alerts/{alert_id}/silence", summary="Silence", responses=models.ACT_PROBLEMS)
def silence(request: Request, visitor: Acting, alert_id: AlertId, told: models.Silence) -> models.AlertDetail:
    """Notify nobody of it until a time."""
    with writing(parts(request).engine) as session:
        _acts(request, session, visitor).silence(alert_id, parse_time("until", told.until))
        return _detail(request, Access(session, visitor.principal), alert_id)


@router.post("/alerts/{alert_id}/confirm", summary="Confirm a fault", responses=models.ACT_PROBLEMS)
def confirm(request: Request, visitor: Acting, alert_id: AlertId, told: models.Confirm) -> models.AlertDetail:
    """Say that the device is faulty, and how; it stays so until repaired."""
    with writing(parts(request).engine) as session:
        _acts(request, session, visitor).confirm(alert_id, told.kind)
        return _detail(request, Access(session, visitor.principal), alert_id)


@router.post("/alerts/{alert_id}/repaired", summary="Repaired", responses=models.ACT_PROBLEMS)
def repaired(request: Request, visitor: Acting, alert_id: AlertId) -> models.AlertDetail:
    """Say that the alert's device works again: ends its alerts and fault reports, and lets its baseline relearn."""
    with writing(parts(request).engine) as session:
        access = Access(session, visitor.principal)
        view = access.alert(alert_id)
        if view.device_key is None:
            visitor.principal.must_act()
            raise ConflictError(ends_by_itself(view))
        _acts(request, session, visitor).repaired(view.device_key)
        return _detail(request, access, alert_id)


@router.post("/alerts/{alert_id}/dismiss", summary="Dismiss", responses=models.ACT_PROBLEMS)
def dismiss(request: Request, visitor: Acting, alert_id: AlertId, told: models.Dismiss) -> models.AlertDetail:
    """Say that it is no fault, and why."""
    with writing(parts(request).engine) as session:
        _acts(request, session, visitor).dismiss(alert_id, told.reason, told.note)
        return _detail(request, Access(session, visitor.principal), alert_id)


def _acts(request: Request, session: Session, visitor: Visitor) -> Acts:
    return Acts(session, visitor.principal, parts(request).now_ms())


def _detail(request: Request, access: Access, alert_id: int) -> models.AlertDetail:
    history = [
        models.Happened(at=iso(entry.at_ms), what=entry.what, who=entry.who, text=entry.text)
        for entry in access.alert_history(alert_id)
    ]
    found = access.likely_kinds([alert_id]).get(alert_id)
    return models.AlertDetail(
        **shown.alert(access.alert(alert_id), parts(request).now_ms(), found).model_dump(), history=history
    )
