"""The page of fault reports, and its forms: report one on a device's page, send many as a file, take one back."""

from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from ...exceptions import ConfigError, FaultwatchError
from ...fleet import fault_report_files
from ...fleet.access import Access
from ...fleet.database import writing
from ...fleet.fault_reports import FaultReports
from .. import alert_words
from ..identity import Looking, Visitor, access_of
from ..ids import Id
from ..parts import parts
from ..ranges import parse_time
from ..render import see_other
from ..words import Reader, plural
from .acting import Sent
from .frame import framed

router = APIRouter(include_in_schema=False)
HERE = "/fault-reports"


@router.get("/fault-reports")
def fault_reports(request: Request, visitor: Looking, cursor: str | None = None) -> Response:
    """Every fault report, and where to send many at once."""
    return _page(request, visitor, cursor)


@router.post("/fault-reports")
def send_file(request: Request, form: Sent, file: Annotated[UploadFile, File()]) -> Response:
    """Take a CSV file; one that can't be taken comes back with what is wrong, line by line."""
    web = parts(request)
    form.visitor.principal.must_act()
    try:
        text = _text(file.file.read())
        with writing(web.engine) as session:
            taken = fault_report_files.take(session, form.visitor.principal, text, web.now_ms())
    except FaultwatchError as error:
        if error.status != ConfigError.status:
            raise
        return _page(request, form.visitor, None, str(error).splitlines())
    known = taken.reports - taken.new - taken.changed
    changed = f" {plural(taken.changed, 'report')} with another end." if taken.changed else ""
    rest = f" {plural(known, 'report')} there already." if known else ""
    return see_other(HERE, f"{plural(taken.new, 'fault report')} taken.{changed}{rest}")


@router.post("/fault-reports/{report_id}/take-back")
def take_back(request: Request, form: Sent, report_id: Id) -> Response:
    """The report was wrong."""
    web = parts(request)
    with writing(web.engine) as session:
        view = Access(session, form.visitor.principal).reported_fault(report_id)
        FaultReports(session, form.visitor.principal, web.now_ms()).take_back(report_id)
    said = f"{view.device_name}: report of {alert_words.fault_label(view.kind).lower()} taken back."
    return see_other(form.back, said)


@router.post("/devices/{device_id:path}/fault-reports")
def report(
    request: Request,
    form: Sent,
    device_id: str,
    kind: Annotated[str, Form()],
    owner: str | None = None,
    start: Annotated[str, Form(alias="from")] = "",
    until: Annotated[str, Form()] = "",
) -> Response:
    """A fault of this device: it lasts where no end is given."""
    web = parts(request)
    now_ms = web.now_ms()
    with writing(web.engine) as session:
        device = Access(session, form.visitor.principal).device(device_id, owner)
        start_ms = parse_time("from", start) if start else now_ms
        until_ms = parse_time("until", until) if until else None
        FaultReports(session, form.visitor.principal, now_ms).add(device.key, kind, start_ms, until_ms)
    label = alert_words.fault_label(kind).lower()
    rest = "It is faulty until repaired." if until_ms is None else f"It was over {_when(request, now_ms, until_ms)}."
    return see_other(form.back, f"{device.name}: {label} reported. {rest}")


def _page(request: Request, visitor: Visitor, cursor: str | None, wrong: list[str] | None = None) -> Response:
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    with access_of(web, visitor) as access:
        page = access.reported_faults(cursor, 50)
        context = {"reports": page.items, "next": page.next, "first": cursor is None, "wrong": wrong or []}
        context |= {"across": visitor.principal.sees_all}
        answer = framed(request, "fault_reports.html", visitor, access, reader, "devices", context)
    answer.status_code = 422 if wrong else 200
    return answer


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"byte {error.start} of the file is no UTF-8; save it as CSV in UTF-8, with commas between cells"
        ) from error


def _when(request: Request, now_ms: int, ms: int) -> str:
    return Reader.of(request.cookies, now_ms).text(ms)
