"""People's words on their way to the log: the web writes them here, the live loop copies each at most once."""

from collections.abc import Iterable, Mapping

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from . import models
from .database import among
from .models import Json


class Command(msgspec.Struct, frozen=True):
    """One word: `kind` as in `telemetry.records.Word`, with its device, or `type_version`, without one."""

    id: int
    kind: str
    device_key: int | None
    payload: dict[str, Json]
    user_id: int | None
    created_ms: int


def add(
    session: Session,
    kind: str,
    device_key: int | None,
    payload: Mapping[str, Json],
    user_id: int | None,
    now_ms: int,
) -> int:
    """Queue a word; return its id, which no other word ever had."""
    return session.execute(
        insert(models.Command)
        .values(kind=kind, device_key=device_key, payload=dict(payload), user_id=user_id, created_ms=now_ms)
        .returning(models.Command.id)
    ).scalar_one()


def pending(session: Session, limit: int = 1000) -> list[Command]:
    """Words not yet applied, oldest first; some may be in the log already, which the loop knows by their ids."""
    rows = session.execute(
        select(
            models.Command.id,
            models.Command.kind,
            models.Command.device_key,
            models.Command.payload,
            models.Command.user_id,
            models.Command.created_ms,
        )
        .where(models.Command.done_ms.is_(None))
        .order_by(models.Command.id)
        .limit(limit)
    )
    return [Command(*row) for row in rows]


def mark_done(session: Session, ids: Iterable[int], seq: int, now_ms: int) -> None:
    """Mark words as applied by record `seq`, in the transaction that holds their effects."""
    done = list(ids)
    if not done:
        return
    session.execute(
        update(models.Command)
        .where(among(session, models.Command.id, done), models.Command.done_ms.is_(None))
        .values(done_ms=now_ms, seq=seq)
    )
