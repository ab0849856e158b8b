"""What kind of fault alerts are taken for: which alerts are due to be looked at, and what was found."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from . import events, models
from .database import may_write
from .models import Json

Table = models.LikelyKinds

SAID_FROM = 0.5
"""From this probability on a kind is named: it is likelier than all others together."""

OVER_MS = 86_400_000
"""An alert is looked at once more when it is over, unless that is longer ago."""


class Likely(msgspec.Struct, frozen=True):
    """A kind of fault and how likely it is, 0 to 1."""

    kind: str
    probability: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What an alert is taken for; fields as in `models.LikelyKinds`."""

    alert_id: int
    at_ms: int
    until_ms: int
    next_ms: int | None
    model_version: int
    kinds: tuple[Likely, ...] = ()
    signs: tuple[str, ...] = ()
    why_not: str = ""

    @property
    def is_said(self) -> bool:
        """Whether a kind is likely enough to be named; below that nothing is said rather than guessed."""
        return bool(self.kinds) and self.kinds[0].probability >= SAID_FROM


class Due(msgspec.Struct, frozen=True, array_like=True):
    """An alert to look at: whose, about which device, from when to when (None: it goes on)."""

    alert_id: int
    owner_id: int
    device_key: int
    type_id: int
    onset_ms: int
    resolved_ms: int | None


def due(session: Session, model_version: int, now_ms: int, most: int) -> list[Due]:
    """Anomaly alerts of devices to look at now, at most `most`: those never looked at first, the newest of them first.

    Looked at is what is open and new, due again, or was named by another version; and once what has just ended.
    """
    alert = models.Alert
    onset = func.coalesce(alert.first_signs_ms, alert.fired_ms)
    again = or_(Table.next_ms <= now_ms, Table.model_version != model_version)
    ended = and_(alert.resolved_ms > now_ms - OVER_MS, or_(Table.alert_id.is_(None), Table.at_ms < alert.resolved_ms))
    query = (
        select(alert.id, alert.owner_id, alert.device_key, models.Device.type_id, onset, alert.resolved_ms)
        .join(models.Device, models.Device.id == alert.device_key)
        .outerjoin(Table, Table.alert_id == alert.id)
        .where(alert.kind == "anomaly", alert.owner_id.is_not(None))
        .where(or_(and_(alert.state == "firing", or_(Table.alert_id.is_(None), again)), ended))
        .order_by(Table.alert_id.is_not(None), Table.next_ms, alert.fired_ms.desc())
        .limit(most)
    )
    return [msgspec.convert(tuple(row), Due) for row in session.execute(query)]


def of_alerts(session: Session, alert_ids: Sequence[int]) -> dict[int, Found]:
    """What was found of alerts, by id; those that nobody has looked at are left out."""
    names = Found.__struct_fields__
    rows = session.execute(select(*(getattr(Table, name) for name in names)).where(Table.alert_id.in_(alert_ids)))
    return {row.alert_id: msgspec.convert(dict(row._mapping), Found) for row in rows}


def keep(session: Session, found: Found, owner_id: int, *, news: bool) -> None:
    """Write down what was found, in place of what was before; pages of the owner hear of it where it is `news`.

    An alert that is gone meanwhile is left alone.
    """
    if not may_write(session):
        raise RuntimeError("what was found needs a session of database.writing")
    alert = session.get(models.Alert, found.alert_id)
    if alert is None:
        return
    values: dict[str, Json] = msgspec.to_builtins(found)
    session.merge(Table(**values))
    session.flush()
    if news:
        told: dict[str, Json] = {"what": "changed", "state": alert.state, "kind": alert.kind}
        told |= {"severity": alert.severity, "sentence": alert.sentence}
        item = events.News(
            owner_id=owner_id, kind="alert", device_key=alert.device_key, alert_id=alert.id, payload=told
        )
        events.publish(session, [item], found.at_ms)
