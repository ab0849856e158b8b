"""News for open pages, in an order that a page can come back to."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import delete, event, func, insert, select, text
from sqlalchemy.orm import Session

from . import models
from .models import Json

_ORDER_LOCK = 7_305_291_164_002
"""Key of PostgreSQL's advisory lock for ids of events; any number that nothing else uses."""


_WAITING = "faultwatch_news"


class News(msgspec.Struct, frozen=True, kw_only=True):
    """Something that open pages of an owner, or of operators alone (`owner_id` None), want to know at once."""

    owner_id: int | None
    kind: str
    device_key: int | None = None
    alert_id: int | None = None
    payload: dict[str, Json] = {}


class EventEntry(msgspec.Struct, frozen=True):
    """News with its number and time."""

    id: int
    at_ms: int
    owner_id: int | None
    kind: str
    device_key: int | None
    alert_id: int | None
    payload: dict[str, Json]


def publish(session: Session, news: Sequence[News], now_ms: int) -> None:
    """Add news when the session commits, after everything else it does.

    A page asks for all after the last id it saw, so ids have to become visible in their order: on PostgreSQL,
    where transactions overlap, one that has taken an id holds others back until it has committed. That it happens
    last keeps this short, and two transactions from waiting for each other.
    """
    waiting: list[dict[str, object]] = session.info.setdefault(_WAITING, [])
    if not waiting and news:
        event.listen(session, "before_commit", _write, once=True)
    waiting += [{"at_ms": now_ms, **msgspec.structs.asdict(item)} for item in news]


def _write(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
    session.execute(insert(models.Event), session.info.pop(_WAITING))


def after(session: Session, last_id: int, limit: int = 1000, owner_id: int | None = None) -> list[EventEntry]:
    """Events after an id, oldest first; of one owner, or of all where `owner_id` is None."""
    query = select(
        models.Event.id,
        models.Event.at_ms,
        models.Event.owner_id,
        models.Event.kind,
        models.Event.device_key,
        models.Event.alert_id,
        models.Event.payload,
    ).where(models.Event.id > last_id)
    if owner_id is not None:
        query = query.where(models.Event.owner_id == owner_id)
    return [EventEntry(*row) for row in session.execute(query.order_by(models.Event.id).limit(limit))]


def last_id(session: Session) -> int:
    """The id of the newest event, 0 where there is none."""
    return session.scalar(select(func.max(models.Event.id))) or 0


def oldest_id(session: Session) -> int:
    """The id of the oldest event kept, 0 where there is none: a page that was away for longer loads anew."""
    return session.scalar(select(func.min(models.Event.id))) or 0


def forget_before(session: Session, at_ms: int) -> None:
    """Delete events older than a time."""
    session.execute(delete(models.Event).where(models.Event.at_ms < at_ms))
