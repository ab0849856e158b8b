"""What people said of alerts, counted: labels of the model that raised them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import models


class Said(msgspec.Struct, frozen=True):
    """Anomaly alerts of a type that opened since a time: how many, confirmed, and dismissed."""

    opened: int
    confirmed: int
    dismissed: int


def of_type(session: Session, type_id: int, since_ms: int) -> Said:
    """Count the anomaly alerts of a type's devices that opened since `since_ms`, and what was said of them."""
    alert, history = models.Alert, models.AlertHistory
    mine = (
        select(alert.id, alert.confirmed_ms)
        .join(models.Device, models.Device.id == alert.device_key)
        .where(models.Device.type_id == type_id, alert.kind == "anomaly", alert.fired_ms >= since_ms)
        .subquery()
    )
    opened, confirmed = session.execute(select(func.count(), func.count(mine.c.confirmed_ms)).select_from(mine)).one()
    dismissed = session.scalar(
        select(func.count(func.distinct(history.alert_id)))
        .join(mine, mine.c.id == history.alert_id)
        .where(history.what == "dismissed")
    )
    return Said(int(opened), int(confirmed), int(dismissed or 0))


def labels_since(session: Session, type_id: int, since_ms: int) -> int:
    """How many fault reports on a type's devices were made since a time."""
    query = select(func.count()).select_from(models.FaultReport)
    query = query.join(models.Device, models.Device.id == models.FaultReport.device_key)
    made = models.FaultReport.created_ms >= since_ms
    return int(session.scalar(query.where(models.Device.type_id == type_id, made)) or 0)


def kinds_told(session: Session, since_ms: int, besides: Sequence[str]) -> int:
    """How many fault reports on devices of all types were made after a time, with a kind other than `besides`."""
    report = models.FaultReport
    query = select(func.count()).select_from(report).where(report.created_ms > since_ms, report.kind.not_in(besides))
    return int(session.scalar(query) or 0)
