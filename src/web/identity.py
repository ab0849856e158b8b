"""Who asks: a signed-in browser by its cookie, or a script by its read token."""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from ..exceptions import AccessError
from ..fleet import users
from ..fleet.access import Access, Principal
from ..fleet.database import reading
from .parts import Parts, parts

COOKIE = "fw_session"
ROLE_WORDS = {
    "admin": "Administrator",
    "operator": "Operator, all owners",
    "owner": "Owner",
    "viewer": "Viewer: may look, not act",
}


class SignInNeeded(AccessError):
    """A page was asked for by nobody who is signed in."""

    def __init__(self) -> None:
        super().__init__("sign in first", 401)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, and what their pages show of them; `csrf_token` is empty for a script."""

    principal: Principal
    csrf_token: str

    @property
    def name(self) -> str:
        """What the account menu calls them."""
        return self.principal.name

    @property
    def initials(self) -> str:
        """Two letters for the account's button."""
        words = [word for word in self.name.replace("@", " ").split() if word]
        return "".join(word[0] for word in words[:2]) or "?"

    @property
    def role_words(self) -> str:
        """What they may do, in words."""
        return ROLE_WORDS[self.principal.role]

    @property
    def may_act(self) -> bool:
        """Whether they may acknowledge, silence, confirm and so on."""
        return self.principal.role != "viewer"


@contextmanager
def access_of(web: Parts, visitor: Visitor) -> Iterator[Access]:
    """The fleet database as this visitor sees it, all from one moment."""
    with reading(web.engine) as session:
        yield Access(session, visitor.principal)


def of_browser(request: Request) -> Visitor | None:
    """The signed-in person whose cookie came with the request."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    web = parts(request)
    found = users.session(web.engine, cookie, web.now_ms())
    return None if found is None else Visitor(found.principal, found.csrf_token)


def of_api(request: Request) -> Visitor:
    """Who may read the API: a read token, else a signed-in person. Raises AccessError (401, 403)."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return _of_token(parts(request), token.strip())
    visitor = of_browser(request)
    if visitor is None:
        raise AccessError(
            "sign in, or send a read token as `Authorization: Bearer …`; `faultwatch tokens create --scope read`"
            " makes one",
            401,
        )
    return visitor


def _of_token(web: Parts, token: str) -> Visitor:
    info = web.tokens.authenticate(token, "read")
    if info is None:
        if web.tokens.authenticate(token, "write") is not None:
            raise AccessError(
                "this token may only write readings; `faultwatch tokens create --scope read` makes one that reads", 403
            )
        raise AccessError("this token is unknown or revoked", 401)
    return Visitor(Principal(None, "viewer", info.owner_id, f"token {info.token_id}"), "")


def of_api_to_act(request: Request) -> Visitor:
    """Who may act through the API: a signed-in person who sends their CSRF token as X-CSRF-Token."""
    visitor = of_api(request)
    if visitor.csrf_token:
        must_match(request.headers.get("x-csrf-token", ""), visitor)
    return visitor


def of_page(request: Request) -> Visitor:
    """Who looks at a page. Raises SignInNeeded, which leads to the sign-in page."""
    visitor = of_browser(request)
    if visitor is None:
        raise SignInNeeded
    return visitor


def must_match(token: str, visitor: Visitor) -> None:
    """Raise AccessError (403) where a form didn't come from a page of this session."""
    if not visitor.csrf_token or not hmac.compare_digest(token.encode(), visitor.csrf_token.encode()):
        raise AccessError(
            "this did not come from a page of your session; load the page again (scripts that act by a session send"
            " its token as X-CSRF-Token)"
        )


def must_be_same_site(request: Request) -> None:
    """Raise AccessError (403) where a form that needs no session was sent from another site."""
    came_from = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if came_from in ("cross-site", "same-site") or (
        came_from is None and origin not in (None, "null") and origin.partition("://")[2] != request.url.netloc
    ):
        raise AccessError("this form was sent from another site; open the sign-in page here and try again")


Reading = Annotated[Visitor, Depends(of_api)]
Acting = Annotated[Visitor, Depends(of_api_to_act)]
Looking = Annotated[Visitor, Depends(of_page)]
