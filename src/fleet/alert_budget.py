"""The budget of false alerts against what was: anomalies of a type that nobody confirmed, by owner."""

import msgspec
from sqlalchemy import ColumnElement, Subquery, and_, case, func, or_, select
from sqlalchemy.orm import Session

from ..alerts.state import EngineConfig
from . import models

DAY_MS = 86_400_000
REPEAT_MS = EngineConfig().repeat_ms
"""So soon after its device's last one an alert is no new event."""


class Spent(msgspec.Struct, frozen=True):
    """An owner's budget for a type over some days: `allowed` false events; `opened` ones, `confirmed` among them."""

    owner_id: int
    owner: str
    devices: int
    allowed: float
    opened: int
    confirmed: int

    @property
    def unconfirmed(self) -> int:
        """Events that count against the budget."""
        return self.opened - self.confirmed


def of_type(
    session: Session,
    type_id: int,
    until_ms: int,
    days: float,
    per_device_month: float,
    most_a_day: float,
    owner_id: int | None = None,
) -> list[Spent]:
    """What each owner (or one) of devices of a type was allowed over the `days` before a time, and what opened.

    `per_device_month` and `most_a_day` as the settings have them, and as `faultwatch backtest` reckons with.
    """
    device = models.Device
    count = select(models.Owner.id, models.Owner.name, func.count())
    count = count.join(device, device.owner_id == models.Owner.id).where(device.type_id == type_id)
    since_ms = until_ms - round(days * DAY_MS)
    if owner_id is not None:
        count = count.where(models.Owner.id == owner_id)
    found = opened(session, type_id, since_ms, until_ms, owner_id)
    return [
        Spent(
            owner,
            name,
            devices,
            min(devices * per_device_month / 30, most_a_day) * days,
            *found.get(owner, (0, 0)),
        )
        for owner, name, devices in session.execute(
            count.group_by(models.Owner.id, models.Owner.name).order_by(models.Owner.name)
        )
    ]


def opened(
    session: Session, type_id: int, since_ms: int, until_ms: int, owner_id: int | None = None
) -> dict[int, tuple[int, int]]:
    """Anomaly events of a type that began in a span of time, and how many of them people confirmed, by owner's id.

    An event is an alert with all that repeat it, each less than a day after the end of the one before it, as the
    alert engine charges them to the budget. Alerts found in backfilled history were told to nobody and don't count.
    """
    alerts = _in_turn(type_id, since_ms, until_ms, owner_id)
    begins: ColumnElement[int] = case((alerts.c.again, 0), else_=1)
    number = func.sum(begins).over(partition_by=alerts.c.device_key, order_by=(alerts.c.fired_ms, alerts.c.id))
    numbered = select(alerts, number.label("event")).subquery()
    events = (
        select(numbered.c.owner_id, func.max(numbered.c.confirmed_ms).label("confirmed_ms"))
        .group_by(numbered.c.owner_id, numbered.c.device_key, numbered.c.event)
        .having(and_(func.min(numbered.c.fired_ms) >= since_ms, func.sum(case((numbered.c.again, 0), else_=1)) > 0))
        .subquery()
    )
    counts = select(events.c.owner_id, func.count(), func.count(events.c.confirmed_ms)).group_by(events.c.owner_id)
    return {owner: (n, sure) for owner, n, sure in session.execute(counts)}


def _in_turn(type_id: int, since_ms: int, until_ms: int, owner_id: int | None) -> Subquery:
    """Alerts of the time, those just before it, and whether each comes `again` soon after its device's last one."""
    device, alert = models.Device, models.Alert
    over_ms = case((alert.resolution == "repaired", None), else_=alert.resolved_ms)  # a new life begins
    last_ms = func.lag(over_ms).over(partition_by=alert.device_key, order_by=(alert.fired_ms, alert.id))
    query = (
        select(
            alert.id,
            alert.owner_id,
            alert.device_key,
            alert.fired_ms,
            alert.confirmed_ms,
            func.coalesce(alert.fired_ms - last_ms < REPEAT_MS, False).label("again"),
        )
        .join(device, device.id == alert.device_key)
        .where(device.type_id == type_id, alert.kind == "anomaly", alert.historic.is_(False))
        .where(alert.fired_ms < until_ms)
        .where(or_(alert.fired_ms >= since_ms, alert.resolved_ms > since_ms - REPEAT_MS))
    )
    if owner_id is not None:
        query = query.where(alert.owner_id == owner_id)
    return query.subquery()
