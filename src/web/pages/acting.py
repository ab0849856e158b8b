"""Forms of the pages: what people do about alerts and devices. Each leads back to a page, which says what was done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.requests import Request
from starlette.responses import Response

from ...exceptions import ConfigError, ConflictError
from ...fleet.access import Access
from ...fleet.acts import REASONS, Acts, DismissReason, ends_by_itself
from ...fleet.database import writing
from ...fleet.views import AlertView
from .. import alert_words
from ..identity import Looking, Visitor, must_match
from ..ids import AlertId, AlertNumber
from ..parts import parts
from ..ranges import parse_time
from ..render import see_other
from ..words import Reader, duration, plural

router = APIRouter(include_in_schema=False)
MINUTE_MS = 60_000
MOST_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class SentForm:
    """A form that came from a page of this session: who sent it, and where to go on."""

    visitor: Visitor
    back: str


def _sent(visitor: Looking, csrf_token: Annotated[str, Form()] = "", back: Annotated[str, Form()] = "/") -> SentForm:
    must_match(csrf_token, visitor)
    return SentForm(visitor, back)


Sent = Annotated[SentForm, Depends(_sent)]


@contextmanager
def _acting(request: Request, form: SentForm) -> Iterator[tuple[Access, Acts, int]]:
    web = parts(request)
    now_ms = web.now_ms()
    with writing(web.engine) as session:
        yield Access(session, form.visitor.principal), Acts(session, form.visitor.principal, now_ms), now_ms


# Before the acts on one alert: `bulk` is no alert's id.
@router.post("/alerts/bulk")
def bulk(
    request: Request,
    form: Sent,
    act: Annotated[str, Form()],
    ids: Annotated[list[AlertNumber], Form()] = [],  # noqa: B006 - FastAPI copies it
    minutes: Annotated[int, Form()] = 60,
    reason: Annotated[str, Form()] = "normal_operation",
) -> Response:
    """Acknowledge, silence or dismiss several alerts; those that are over by now are left alone."""
    if len(ids) > MOST_AT_ONCE:
        raise ConfigError(f"{len(ids)} alerts at once: expected at most {MOST_AT_ONCE}")
    done = 0
    for alert_id in dict.fromkeys(ids):
        with _acting(request, form) as (access, acts, now_ms):
            alert = access.alert(alert_id)
            if alert.state == "resolved" or (act == "dismiss" and alert.device_key is None):
                form.visitor.principal.must_act()
                continue
            _bulk_act(acts, act, alert_id, now_ms + minutes * MINUTE_MS, reason)
            done += 1
    words = {"acknowledge": "acknowledged", "silence": "silenced", "dismiss": "dismissed"}[act] if done else "changed"
    left = len(ids) - done
    rest = f" {plural(left, 'alert')} left: over by now, or of no device." if left else ""
    return see_other(form.back, f"{plural(done, 'alert')} {words}.{rest}")


def _bulk_act(acts: Acts, act: str, alert_id: int, until_ms: int, reason: str) -> None:
    match act:
        case "acknowledge":
            acts.acknowledge(alert_id)
        case "silence":
            acts.silence(alert_id, until_ms)
        case "dismiss":
            acts.dismiss(alert_id, _reason(reason))
        case _:
            raise ConfigError(f"act {act!r}: expected acknowledge, silence or dismiss")


@router.post("/alerts/{alert_id}/acknowledge")
def acknowledge(request: Request, form: Sent, alert_id: AlertId) -> Response:
    """Somebody looks after it."""
    return _one(request, form, alert_id, lambda acts, _: acts.acknowledge(alert_id), "{}: acknowledged.")


@router.post("/alerts/{alert_id}/silence")
def silence(request: Request, form: Sent, alert_id: AlertId, minutes: Annotated[int, Form()] = 60) -> Response:
    """Nobody is notified for so many minutes."""
    said = f"{{}}: silenced for {duration(minutes * MINUTE_MS)}."
    return _one(request, form, alert_id, lambda acts, now: acts.silence(alert_id, now + minutes * MINUTE_MS), said)


@router.post("/alerts/{alert_id}/end-silence")
def end_silence(request: Request, form: Sent, alert_id: AlertId) -> Response:
    """Notices go out again."""
    return _one(request, form, alert_id, lambda acts, _: acts.end_silence(alert_id), "{}: no longer silenced.")


@router.post("/alerts/{alert_id}/confirm")
def confirm(request: Request, form: Sent, alert_id: AlertId, kind: Annotated[str, Form()]) -> Response:
    """The device is faulty, in this way."""
    said = f"{{}}: {alert_words.fault_label(kind).lower()} confirmed. It is faulty until repaired."
    return _one(request, form, alert_id, lambda acts, _: acts.confirm(alert_id, kind), said)


@router.post("/alerts/{alert_id}/dismiss")
def dismiss(request: Request, form: Sent, alert_id: AlertId, reason: Annotated[str, Form()]) -> Response:
    """It is no fault, for a reason."""
    chosen = _reason(reason)
    said = f"{{}}: dismissed, {REASONS[chosen]}."
    return _one(request, form, alert_id, lambda acts, _: acts.dismiss(alert_id, chosen), said)


@router.post("/alerts/{alert_id}/repaired")
def repaired(request: Request, form: Sent, alert_id: AlertId) -> Response:
    """The alert's device works again."""
    with _acting(request, form) as (access, acts, _):
        alert = access.alert(alert_id)
        if alert.device_key is None:
            form.visitor.principal.must_act()
            raise ConflictError(ends_by_itself(alert))
        acts.repaired(alert.device_key)
    return see_other(form.back, f"{alert_words.subject(alert)}: repaired. Its baseline relearns.")


@router.post("/devices/{device_id:path}/repaired")
def device_repaired(request: Request, form: Sent, device_id: str, owner: str | None = None) -> Response:
    """The device works again."""
    with _acting(request, form) as (access, acts, _):
        device = access.device(device_id, owner)
        acts.repaired(device.key)
    return see_other(form.back, f"{device.name}: repaired. Its baseline relearns.")


@router.post("/devices/{device_id:path}/maintenance")
def maintenance(
    request: Request,
    form: Sent,
    device_id: str,
    owner: str | None = None,
    start: Annotated[str, Form(alias="from")] = "",
    until: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
    end: Annotated[bool, Form()] = False,
) -> Response:
    """Begin or plan maintenance of a device, or end it."""
    with _acting(request, form) as (access, acts, now_ms):
        device = access.device(device_id, owner)
        if end:
            acts.end_maintenance(device.key)
            return see_other(form.back, f"{device.name}: maintenance ended.")
        until_ms = parse_time("until", until) if until else None
        acts.maintenance(device.key, parse_time("from", start) if start else now_ms, until_ms, reason)
    reader = Reader.of(request.cookies, now_ms)
    rest = f" until {reader.text(until_ms)}" if until_ms is not None else ""
    return see_other(form.back, f"{device.name}: in maintenance{rest}.")


def _one(request: Request, form: SentForm, alert_id: int, act: Callable[[Acts, int], None], said: str) -> Response:
    with _acting(request, form) as (access, acts, now_ms):
        alert: AlertView = access.alert(alert_id)
        act(acts, now_ms)
    return see_other(form.back, said.format(alert_words.subject(alert)))


def _reason(text: str) -> DismissReason:
    for reason in REASONS:
        if reason == text:
            return reason
    raise ConfigError(f"reason {text!r}: expected one of {', '.join(REASONS)}")
