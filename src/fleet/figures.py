"""How much of everything there is in the database, for those who run faultwatch: all owners together."""

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import models
from .channels import OPERATORS


class Notices(msgspec.Struct, frozen=True):
    """Notices to channels: how many are pending and dead, and since when (ms) the oldest that is due has waited."""

    pending: int
    dead: int
    oldest_due_ms: int | None


def open_alerts(session: Session) -> dict[tuple[str, str], int]:
    """How many alerts are open, by kind and severity."""
    query = select(models.Alert.kind, models.Alert.severity, func.count()).where(models.Alert.state == "firing")
    return {(kind, severity): n for kind, severity, n in session.execute(query.group_by("kind", "severity"))}


def channels(session: Session) -> list[tuple[str, str, str, str | None]]:
    """Name, kind, and encrypted address and secret of every channel."""
    query = select(models.Channel.name, models.Channel.kind, models.Channel.address, models.Channel.secret)
    return [(name, kind, address, secret) for name, kind, address, secret in session.execute(query)]


def enabled_channels(session: Session) -> list[tuple[int | None, str, str]]:
    """Owner's id and name, and the channel's name, of every channel that is told; None is the owner of operators'."""
    query = (
        select(models.Channel.owner_id, models.Owner.name, models.Channel.name)
        .outerjoin(models.Owner, models.Owner.id == models.Channel.owner_id)
        .where(models.Channel.disabled.is_(False))
        .order_by(models.Channel.id)
    )
    return [(owner_id, owner or OPERATORS, name) for owner_id, owner, name in session.execute(query)]


def champions(session: Session) -> list[tuple[int, str, str | None, int | None]]:
    """Id and name of every type, with folder and version of the model that serves it, None where it is learning."""
    serving = select(models.TrainedModel).where(models.TrainedModel.champion).subquery()
    query = (
        select(models.DeviceType.id, models.DeviceType.name, serving.c.folder, serving.c.version)
        .outerjoin(serving, serving.c.type_id == models.DeviceType.id)
        .order_by(models.DeviceType.id)
    )
    return [(type_id, name, folder, version) for type_id, name, folder, version in session.execute(query)]


def notices(session: Session, now_ms: int) -> Notices:
    """How it stands with the outbox."""
    states = select(models.Outbox.state, func.count()).where(models.Outbox.state != "sent")
    counts = {state: n for state, n in session.execute(states.group_by(models.Outbox.state))}
    oldest = session.scalar(
        select(func.min(models.Outbox.next_attempt_ms)).where(
            models.Outbox.state == "pending", models.Outbox.next_attempt_ms <= now_ms
        )
    )
    return Notices(counts.get("pending", 0), counts.get("dead", 0), oldest)
