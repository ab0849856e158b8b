"""The models page, and what operators do there: have a version serve, or the one before."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from ...components.workplace import FAULT_KINDS
from ...exceptions import AccessError, ConflictError, ModelError
from ...fleet import kind_versions, model_versions
from ...fleet.access import Access
from ...fleet.database import writing
from ..identity import Looking, access_of
from ..ids import Id
from ..kinds_view import TITLE
from ..models_view import models_page
from ..parts import parts
from ..render import see_other
from ..words import Reader
from .acting import Sent, SentForm
from .frame import first_reading, framed
from .looking import as_id

router = APIRouter(include_in_schema=False)


@router.get("/models")
def models(request: Request, visitor: Looking, type: str = "", version: str = "") -> Response:
    """Which version judges each type of device, what wants to, how it did, and how runs went."""
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    with access_of(web, visitor) as access:
        of_kinds = type == FAULT_KINDS
        if of_kinds and not visitor.principal.sees_all:
            raise AccessError("there is no such model", 404)
        wanted = (None if of_kinds else as_id("type", type), as_id("version", version))
        shown = models_page(web, access, visitor.principal, reader, *wanted, of_kinds=of_kinds)
        context = {"view": shown, **(first_reading(request, access, reader.now_ms) if not shown.types else {})}
        return framed(request, "models.html", visitor, access, reader, "models", context)


@router.post(f"/models/{FAULT_KINDS}/promote")
def promote_kinds(request: Request, form: Sent, version: Annotated[int, Form(ge=1, lt=2**31)]) -> Response:
    """Have a version name kinds of fault, from the next look at the alerts on."""

    def act(session: Session, who: str, now_ms: int) -> int:
        found = kind_versions.get(session, version)
        if found.champion:
            raise ConflictError(f"version {version} serves already")
        kind_versions.promote(session, found, who, now_ms)
        return version

    return _acted_on_kinds(request, form, act, "version {} names kinds from now on.")


@router.post(f"/models/{FAULT_KINDS}/rollback")
def roll_back_kinds(request: Request, form: Sent) -> Response:
    """Have the version name kinds of fault that did before."""

    def act(session: Session, who: str, now_ms: int) -> int:
        found = kind_versions.before(session)
        kind_versions.promote(session, found, who, now_ms)
        return found.version

    return _acted_on_kinds(request, form, act, "rolled back, version {} names kinds again.")


@router.post("/models/{type_id}/promote")
def promote(request: Request, form: Sent, type_id: Id, version: Annotated[int, Form(ge=1, lt=2**31)]) -> Response:
    """Have a version serve, at once, with what devices have learnt so far."""

    def act(session: Session, who: str, now_ms: int) -> int:
        found = model_versions.get(session, type_id, version)
        if model_versions.promote(session, found, who, now_ms) is None:
            raise ConflictError(f"version {version} serves already")
        return version

    return _acted(request, form, type_id, act, "version {} serves from now on.")


@router.post("/models/{type_id}/rollback")
def roll_back(request: Request, form: Sent, type_id: Id) -> Response:
    """Have the version serve that served before."""

    def act(session: Session, who: str, now_ms: int) -> int:
        return model_versions.roll_back(session, type_id, who, now_ms).version

    return _acted(request, form, type_id, act, "rolled back, version {} serves again.")


def _acted(
    request: Request, form: SentForm, type_id: int, act: Callable[[Session, str, int], int], said: str
) -> Response:
    web, principal = parts(request), form.visitor.principal
    with writing(web.engine) as session:
        title = Access(session, principal).type(type_id).device_type.title
        principal.must_operate()
        try:
            version = act(session, principal.called, web.now_ms())
        except ModelError as error:
            raise ConflictError(str(error)) from error
    return see_other(f"/models?type={type_id}", f"{title}: {said.format(version)}")


def _acted_on_kinds(request: Request, form: SentForm, act: Callable[[Session, str, int], int], said: str) -> Response:
    web, principal = parts(request), form.visitor.principal
    with writing(web.engine) as session:
        principal.must_operate()
        try:
            version = act(session, principal.called, web.now_ms())
        except ModelError as error:
            raise ConflictError(str(error)) from error
    return see_other(f"/models?type={FAULT_KINDS}", f"{TITLE}: {said.format(version)}")
