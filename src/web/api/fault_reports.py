"""Fault reports, the labels that fault models learn from: read them, make one, send many, take one back."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request

from ...fleet import fault_report_files
from ...fleet.access import Access
from ...fleet.database import writing
from ...fleet.fault_reports import FaultReports
from ..identity import Acting, Reading, access_of
from ..ids import Id
from ..parts import parts
from ..ranges import parse_time
from . import models, shown

router = APIRouter(tags=["fault reports"])


@router.get("/fault-reports", summary="Fault reports", responses=models.PROBLEMS)
def fault_reports(
    request: Request,
    visitor: Reading,
    device: Annotated[str | None, Query(description="a device's id")] = None,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> models.FaultReports:
    """The fault reports you see, those made last first, a page at a time."""
    with access_of(parts(request), visitor) as access:
        key = None if device is None else access.device(device, owner).key
        page = access.reported_faults(cursor, limit, key)
    return models.FaultReports(items=[shown.fault_report(view) for view in page.items], next=page.next)


@router.post("/fault-reports", summary="Report faults from a file", responses=models.ACT_PROBLEMS)
def send_file(request: Request, visitor: Acting, file: models.FaultReportFile) -> models.TakenFile:
    """Take all lines of a CSV file, or none; the answer names each line that can't be taken, and why."""
    web = parts(request)
    with writing(web.engine) as session:
        taken = fault_report_files.take(session, visitor.principal, file.csv, web.now_ms())
    return models.TakenFile(reports=taken.reports, new=taken.new, changed=taken.changed)


@router.post("/fault-reports/{report_id}/take-back", summary="Take a report back", responses=models.ACT_PROBLEMS)
def take_back(request: Request, visitor: Acting, report_id: Id) -> models.FaultReport:
    """Say that the report was wrong: it is no label any more, and the device isn't faulty for it."""
    web = parts(request)
    with writing(web.engine) as session:
        view = Access(session, visitor.principal).reported_fault(report_id)
        FaultReports(session, visitor.principal, web.now_ms()).take_back(report_id)
    return shown.fault_report(view)


@router.post("/devices/{device_id:path}/fault-reports", summary="Report a fault", responses=models.ACT_PROBLEMS)
def report(
    request: Request,
    visitor: Acting,
    device_id: str,
    told: models.NewFaultReport,
    owner: Annotated[str | None, Query(description="the owner's name, where several have a device of that id")] = None,
) -> models.FaultReport:
    """Say that a device was faulty, or is; the same report again changes nothing, with an end it has that end."""
    web = parts(request)
    with writing(web.engine) as session:
        access = Access(session, visitor.principal)
        view = access.device(device_id, owner)
        until_ms = None if told.until is None else parse_time("until", told.until)
        made = FaultReports(session, visitor.principal, web.now_ms()).add(
            view.key, told.kind, parse_time("from", told.start), until_ms
        )
        return shown.fault_report(access.reported_fault(made.report_id))
