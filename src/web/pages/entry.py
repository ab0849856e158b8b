"""Coming in and going out: sign-in, the one-time set-up of a first start, sign-out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ...exceptions import AccessError, ConfigError
from ...fleet import users
from ..identity import COOKIE, must_be_same_site, must_match, of_browser
from ..parts import parts
from ..render import local, page, see_other
from ..words import Reader

router = APIRouter(include_in_schema=False)
SameSite = Depends(must_be_same_site)


@router.get("/sign-in")
def sign_in_page(request: Request, next: str = "/") -> Response:
    """The form; who is signed in already goes on."""
    if of_browser(request) is not None:
        return RedirectResponse(local(next), 303)
    return _sign_in(request, next, "", "")


@router.post("/sign-in", dependencies=[SameSite])
def sign_in(
    request: Request,
    email: Annotated[str, Form()],
    password: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Open a session, or say what is wrong."""
    web = parts(request)
    try:
        signed_in = users.sign_in(web.engine, email, password, web.now_ms(), _lasts_ms(request))
    except AccessError as error:
        wrong = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return _sign_in(request, next, email, wrong, error.status)
    return _enter(request, RedirectResponse(local(next), 303), signed_in.cookie)


@router.get("/setup/{token}")
def set_up_page(request: Request, token: str) -> Response:
    """The form of a first start. Raises AccessError (404) where the link doesn't hold."""
    web = parts(request)
    if not users.setup_link_holds(web.engine, token, web.now_ms()):
        raise AccessError("this set-up link was used or has expired; start faultwatch again to be given a new one", 404)
    return _set_up(request, token, "", "", "")


@router.post("/setup/{token}", dependencies=[SameSite])
def set_up(
    request: Request,
    token: str,
    email: Annotated[str, Form()],
    password: Annotated[str, Form()],
    name: Annotated[str, Form()] = "",
) -> Response:
    """Make the first account and sign it in."""
    web = parts(request)
    try:
        users.use_setup_link(web.engine, token, email, name, password, web.now_ms())
    except ConfigError as error:
        return _set_up(request, token, email, name, f"{str(error)[:1].upper()}{str(error)[1:]}.", 422)
    signed_in = users.sign_in(web.engine, email, password, web.now_ms(), _lasts_ms(request))
    return _enter(request, see_other("/", "Welcome. This account may do everything."), signed_in.cookie)


@router.post("/sign-out")
def sign_out(request: Request, csrf_token: Annotated[str, Form()] = "") -> Response:
    """End the session."""
    visitor = of_browser(request)
    if visitor is not None:
        must_match(csrf_token, visitor)
        users.sign_out(parts(request).engine, request.cookies[COOKIE])
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
    return response


def _lasts_ms(request: Request) -> int:
    return round(parts(request).settings.session_hours * 3_600_000)


def _enter(request: Request, response: Response, cookie: str) -> Response:
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=_lasts_ms(request) // 1000,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https" or parts(request).settings.base_url.startswith("https:"),
    )
    return response


def _sign_in(request: Request, next: str, email: str, wrong: str, status: int = 200) -> Response:
    reader = Reader.of(request.cookies, parts(request).now_ms())
    return page(request, "sign_in.html", reader, {"next": local(next), "email": email, "wrong": wrong}, status)


def _set_up(request: Request, token: str, email: str, name: str, wrong: str, status: int = 200) -> Response:
    reader = Reader.of(request.cookies, parts(request).now_ms())
    context = {"token": token, "email": email, "name": name, "wrong": wrong}
    return page(request, "set_up.html", reader, context, status)
