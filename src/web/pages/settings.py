"""The settings page and its forms. A form that can't be taken shows the page again, with what is wrong and was sent."""

from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from ...exceptions import AccessError, ConfigError, ConflictError
from ...fleet import channels, users
from ...fleet.access import Access
from ...fleet.acts import Acts
from ...fleet.administration import Administration
from ...fleet.database import reading, writing
from ...fleet.models import SEVERITIES, Comparison, Role, Severity, TokenScope
from ...fleet.rules import NewRule
from ...fleet.secrets import open_secrets
from ..identity import Looking, Visitor
from ..ids import AlertId, Id
from ..parts import Parts, parts
from ..ranges import parse_time
from ..render import see_other
from ..settings_view import Section, sections_of, settings_page
from ..words import Reader
from .acting import Sent, SentForm
from .frame import framed

router = APIRouter(include_in_schema=False)
MINUTE_MS = 60_000

Text = Annotated[str, Form()]
Whole = Annotated[int, Form()]
Ticked = Annotated[bool, Form()]
Several = Annotated[list[str] | None, Form()]


@router.get("/settings")
def settings(request: Request, visitor: Looking, section: str = "", cursor: str | None = None) -> Response:
    """The settings, one section at a time; without one named, the first that the reader may see."""
    return _page(request, visitor, section or sections_of(visitor.principal)[0], cursor=cursor)


# People and owners


@router.post("/settings/people")
def add_user(
    request: Request,
    form: Sent,
    email: Text = "",
    name: Text = "",
    role: Text = "viewer",
    password: Text = "",
    owner: Text = "",
) -> Response:
    """Make an account."""

    def act(acts: Administration, secret: str) -> str:
        made = acts.add_user(email, name, secret, _role(role), _owner_of(acts, role, owner))
        return f"{made.email} may sign in now."

    given = {"email": email, "name": name, "role": role, "owner": owner}
    return _with_password(request, form, password, given, act)


@router.post("/settings/people/{user_id}/password")
def set_password(request: Request, form: Sent, user_id: Id, password: Text = "") -> Response:
    """Give an account another password."""
    return _with_password(
        request,
        form,
        password,
        {},
        lambda acts, secret: f"{acts.set_password(user_id, secret).email}: password changed.",
    )


@router.post("/settings/people/{user_id}/role")
def set_role(request: Request, form: Sent, user_id: Id, role: Text = "", owner: Text = "") -> Response:
    """Give an account another role."""

    def act(acts: Administration) -> str:
        user = acts.set_role(user_id, _role(role), _owner_of(acts, role, owner))
        return f"{user.email} is {user.role} now."

    return _acted(request, form, "people", {}, act)


@router.post("/settings/people/{user_id}/disable")
def disable_user(request: Request, form: Sent, user_id: Id) -> Response:
    """Let an account no longer sign in."""
    return _acted(
        request,
        form,
        "people",
        {},
        lambda acts: f"{acts.set_user_disabled(user_id, True).email} may no longer sign in.",
    )


@router.post("/settings/people/{user_id}/enable")
def enable_user(request: Request, form: Sent, user_id: Id) -> Response:
    """Let a disabled account sign in again."""
    return _acted(
        request, form, "people", {}, lambda acts: f"{acts.set_user_disabled(user_id, False).email} may sign in again."
    )


@router.post("/settings/owners")
def add_owner(request: Request, form: Sent, name: Text = "") -> Response:
    """Add an owner."""

    def act(acts: Administration) -> str:
        acts.add_owner(name)
        return f"Owner {' '.join(name.split())}: added."

    return _acted(request, form, "people", {}, act)


# Tokens


@router.post("/settings/tokens")
def add_token(
    request: Request,
    form: Sent,
    name: Text = "",
    scope: Text = "write",
    owner: Text = "",
    registers: Ticked = False,
    devices: Text = "",
) -> Response:
    """Make a token, and show it on the page that answers: nowhere else, and never again."""
    made: list[str] = []

    def act(acts: Administration) -> str:
        chosen: TokenScope = "read" if scope == "read" else "write"
        named = [part for part in devices.replace(",", " ").split() if part]
        made.append(
            acts.add_token(
                acts.owner_meant(owner or None), name, scope=chosen, may_register=registers, device_ids=named or None
            )
        )
        return ""

    given = {"name": name, "scope": scope, "owner": owner, "devices": devices}
    answer = _acted(request, form, "tokens", given, act)
    if not made:
        return answer
    return _page(request, form.visitor, "tokens", secret=("The new token", made[0]))


@router.post("/settings/tokens/{token_id}/revoke")
def revoke_token(request: Request, form: Sent, token_id: Id) -> Response:
    """End a token."""

    def act(acts: Administration) -> str:
        acts.revoke_token(token_id)
        return "The token is revoked: within seconds nothing more is taken by it."

    return _acted(request, form, "tokens", {}, act)


# Channels


@router.post("/settings/channels")
def add_channel(
    request: Request,
    form: Sent,
    name: Text = "",
    address: Text = "",
    min_severity: Text = "warning",
    kinds: Several = None,
    owner: Text = "",
    operators: Ticked = False,
) -> Response:
    """Add a channel of an owner, or of operators; a webhook's secret is shown on the page that answers, never again."""
    made: list[channels.Target] = []

    def act(acts: Administration) -> str:
        target = channels.target_of(address.strip())
        key = open_secrets(parts(request).settings.secret_key_file)
        severity = _severity(min_severity)
        owner_id = None if operators else acts.owner_meant(owner or None)
        acts.add_channel(owner_id, key, name, target, min_severity=severity, kinds=kinds)
        made.append(target)
        return f"{' '.join(name.split())}: added. Send a test to see that it arrives."

    given = {"name": name, "min_severity": min_severity, "owner": owner}
    answer = _acted(request, form, "channels", given, act)
    if not made or made[0].secret is None:
        return answer
    return _page(
        request, form.visitor, "channels", secret=("The secret that this webhook is signed with", made[0].secret)
    )


@router.post("/settings/channels/{channel_id}/remove")
def remove_channel(request: Request, form: Sent, channel_id: Id) -> Response:
    """Remove a channel and what was on its way to it."""
    return _said(request, form, "channels", lambda acts: acts.remove_channel(channel_id), "The channel is removed.")


@router.post("/settings/channels/{channel_id}/disable")
def disable_channel(request: Request, form: Sent, channel_id: Id) -> Response:
    """Let a channel rest."""
    words = "The channel rests: what is on its way waits, and nothing new is queued."
    return _said(request, form, "channels", lambda acts: acts.set_channel_disabled(channel_id, True), words)


@router.post("/settings/channels/{channel_id}/enable")
def enable_channel(request: Request, form: Sent, channel_id: Id) -> Response:
    """Let a channel be told again."""
    words = "The channel is told again."
    return _said(request, form, "channels", lambda acts: acts.set_channel_disabled(channel_id, False), words)


@router.post("/settings/channels/{channel_id}/test")
def try_channel(request: Request, form: Sent, channel_id: Id) -> Response:
    """Send a test message, on the way that alerts go."""
    words = "A test is on its way."
    return _said(request, form, "channels", lambda acts: acts.try_channel(channel_id), words)


@router.post("/settings/notices/{notice_id}/again")
def try_again(request: Request, form: Sent, notice_id: AlertId) -> Response:
    """Send a notice that was given up."""
    words = "The notice is on its way again."
    return _said(request, form, "channels", lambda acts: acts.try_again(notice_id), words)


# Types, rules, maintenance


@router.post("/settings/types/{type_id}/silence")
def set_silence(request: Request, form: Sent, type_id: Id, intervals: Whole = 0) -> Response:
    """Say when a device of a type counts as silent."""
    words = f"A device of this type is silent after {intervals} intervals without a reading."
    return _said(request, form, "types", lambda acts: acts.set_silent_after(type_id, intervals), words)


@router.post("/settings/rules")
def add_rule(
    request: Request,
    form: Sent,
    about: Text = "",
    comparison: Text = "above",
    value: Text = "",
    over: Text = "",
    minutes: Text = "",
    severity: Text = "warning",
    device: Text = "",
    owner: Text = "",
) -> Response:
    """Put a rule in force; `about` is a type's name, a full stop and a sensor's."""

    def act(acts: Administration) -> str:
        owner_id = acts.owner_meant(owner or None)
        type_name, _, sensor = about.partition(".")
        side: Comparison = "below" if comparison == "below" else "above"
        new = NewRule(
            sensor=sensor,
            comparison=side,
            value=_number("limit", value),
            back=_number("over at", over) if over.strip() else None,
            hold_ms=round(_number("minutes", minutes or "0") * MINUTE_MS),
            severity=_severity(severity),
            device_key=acts.device_key(owner_id, device.strip()) if device.strip() else None,
        )
        acts.add_rule(owner_id, type_name, new)
        return "The rule is in force."

    given = {"about": about, "comparison": comparison, "value": value, "over": over, "minutes": minutes}
    return _acted(request, form, "rules", given | {"severity": severity, "device": device, "owner": owner}, act)


@router.post("/settings/rules/{rule_id}/remove")
def remove_rule(request: Request, form: Sent, rule_id: Id) -> Response:
    """Take a rule back."""
    words = "The rule is taken back; its open alerts end."
    return _said(request, form, "rules", lambda acts: acts.remove_rule(rule_id), words)


@router.post("/settings/maintenance")
def plan_maintenance(
    request: Request,
    form: Sent,
    device: Text = "",
    start: Annotated[str, Form(alias="from")] = "",
    until: Text = "",
    reason: Text = "",
    owner: Text = "",
) -> Response:
    """Plan maintenance of a device."""
    web, given = parts(request), {"device": device, "reason": reason, "owner": owner}
    now_ms = web.now_ms()
    try:
        with writing(web.engine) as session:
            view = Access(session, form.visitor.principal).device(device.strip(), owner or None)
            acts = Acts(session, form.visitor.principal, now_ms)
            until_ms = parse_time("until", until) if until else None
            acts.maintenance(view.key, parse_time("from", start) if start else now_ms, until_ms, reason)
    except (ConfigError, ConflictError) as error:
        return _wrong(request, form, "maintenance", given, error)
    except AccessError as error:
        return _not_found(request, form, "maintenance", given, error)
    return see_other("/settings?section=maintenance", f"{view.name}: maintenance planned.")


# How


def _page(
    request: Request,
    visitor: Visitor,
    section: str,
    *,
    cursor: str | None = None,
    secret: tuple[str, str] | None = None,
    wrong: str = "",
    given: Mapping[str, str] | None = None,
    status: int = 200,
) -> HTMLResponse:
    web = parts(request)
    reader = Reader.of(request.cookies, web.now_ms())
    chosen = _section(visitor, section)
    with reading(web.engine) as session:
        access = Access(session, visitor.principal)
        shown = settings_page(access, visitor.principal, chosen, reader.now_ms, cursor)
        context = {"view": shown, "secret": secret, "wrong": wrong, "given": dict(given or {})}
        answer = framed(request, "settings.html", visitor, access, reader, "settings", context)
    answer.status_code = status
    return answer


def _section(visitor: Visitor, name: str) -> Section:
    for section in sections_of(visitor.principal):
        if section == name:
            return section
    raise AccessError(f"there is no section {name!r} of the settings for you", 404)


def _acted(
    request: Request,
    form: SentForm,
    section: Section,
    given: Mapping[str, str],
    act: Callable[[Administration], str],
) -> Response:
    web: Parts = parts(request)
    try:
        with writing(web.engine) as session:
            said = act(Administration(session, form.visitor.principal, web.now_ms()))
    except (ConfigError, ConflictError) as error:
        return _wrong(request, form, section, given, error)
    except AccessError as error:
        return _not_found(request, form, section, given, error)
    return see_other(f"/settings?section={section}", said)


def _said(
    request: Request, form: SentForm, section: Section, act: Callable[[Administration], object], said: str
) -> Response:
    def acted(acts: Administration) -> str:
        act(acts)
        return said

    return _acted(request, form, section, {}, acted)


def _with_password(
    request: Request,
    form: SentForm,
    password: str,
    given: Mapping[str, str],
    act: Callable[[Administration, str], str],
) -> Response:
    form.visitor.principal.must_administer()
    try:
        secret = users.hashed(password)
    except ConfigError as error:
        return _wrong(request, form, "people", given, error)
    return _acted(request, form, "people", given, lambda acts: act(acts, secret))


def _wrong(
    request: Request,
    form: SentForm,
    section: Section,
    given: Mapping[str, str],
    error: ConfigError | ConflictError | AccessError,
) -> Response:
    words = f"{str(error)[:1].upper()}{str(error)[1:]}."
    return _page(request, form.visitor, section, wrong=words, given=given, status=error.status)


def _not_found(
    request: Request, form: SentForm, section: Section, given: Mapping[str, str], error: AccessError
) -> Response:
    """A form that names what isn't there may be mended; what its reader may not do is refused."""
    if error.status != 404 or not given:
        raise error
    return _wrong(request, form, section, given, error)


def _owner_of(acts: Administration, role: str, owner: str) -> int | None:
    return acts.owner_meant(owner or None) if role in ("owner", "viewer") else None


def _role(text: str) -> Role:
    for role in users.ROLES:
        if role == text:
            return role
    raise ConfigError(f"role {text!r}: expected one of {', '.join(users.ROLES)}")


def _severity(text: str) -> Severity:
    for severity in SEVERITIES:
        if severity == text:
            return severity
    raise ConfigError(f"severity {text!r}: expected one of {', '.join(SEVERITIES)}")


def _number(what: str, text: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError as error:
        raise ConfigError(f"{what} {text[:40]!r}: expected a number") from error
