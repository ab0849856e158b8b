"""Pages from templates: escaped, with times in the reader's zone."""

import re
from collections.abc import Mapping
from importlib.resources import files
from urllib.parse import quote, unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse

from .words import Reader, iso, number

SAID = "fw_said"
"""Cookie that carries one sentence from an act to the page that follows it."""


def environment(static_root: str) -> Environment:
    """The templates of this package; `static('css/app.css')` gives an asset's address."""
    env = Environment(
        loader=FileSystemLoader(str(files(__package__).joinpath("templates"))),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.globals["static"] = lambda name: f"{static_root}/{name}"
    env.filters["iso"] = iso
    env.filters["number"] = number
    env.filters["moment"] = _moment
    env.filters["exact"] = _exact
    return env


@pass_context
def _moment(context: Context, ms: int, form: str = "moment") -> str:
    return _reader(context).text(ms, form)


@pass_context
def _exact(context: Context, ms: int) -> str:
    return _reader(context).exact(ms)


def _reader(context: Context) -> Reader:
    found = context["reader"]
    assert isinstance(found, Reader)
    return found


def page(
    request: Request, template: str, reader: Reader, context: Mapping[str, object], status: int = 200
) -> HTMLResponse:
    """Render a template; a sentence that an act left behind is shown once."""
    env = request.app.state.templates
    assert isinstance(env, Environment)
    wish = request.cookies.get("fw_theme", "")
    said = unquote(request.cookies.get(SAID, ""))[:300]
    body = env.get_template(template).render(
        {**context, "reader": reader, "theme": wish if wish in ("light", "dark") else "", "said": said}
    )
    response = HTMLResponse(body, status)
    if said:
        response.delete_cookie(SAID, path="/", samesite="lax")
    return response


def see_other(back: str, said: str = "") -> RedirectResponse:
    """Go on to a page of this site, with a sentence for it to show."""
    response = RedirectResponse(local(back), 303)
    if said:
        response.set_cookie(SAID, quote(said), max_age=60, path="/", httponly=True, samesite="lax")
    return response


def local(address: str) -> str:
    """The address if it is one of this site, else the fleet's."""
    return address if re.match(r"/(?![/\\])", address) and address.isprintable() else "/"
