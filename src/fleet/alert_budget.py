"""The budget of false alerts against what was: anomaly alerts of a type that nobody confirmed, by owner."""

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import models

DAY_MS = 86_400_000


class Spent(msgspec.Struct, frozen=True):
    """An owner's budget for a type over some days: `allowed` false alerts; `opened` alerts, `confirmed` among them."""

    owner_id: int
    owner: str
    devices: int
    allowed: float
    opened: int
    confirmed: int

    @property
    def unconfirmed(self) -> int:
        """Alerts that count against the budget."""
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

    `per_device_month` and `most_a_day` as the settings have them, and as `faultwatch backtest` reckons with. Alerts
    found in backfilled history were told to nobody and don't count.
    """
    device, alert = models.Device, models.Alert
    count = select(models.Owner.id, models.Owner.name, func.count())
    count = count.join(device, device.owner_id == models.Owner.id).where(device.type_id == type_id)
    since_ms = until_ms - round(days * DAY_MS)
    opened = (
        select(alert.owner_id, func.count(), func.count(alert.confirmed_ms))
        .join(device, device.id == alert.device_key)
        .where(device.type_id == type_id, alert.kind == "anomaly", alert.historic.is_(False))
        .where(alert.fired_ms >= since_ms, alert.fired_ms < until_ms)
    )
    if owner_id is not None:
        count, opened = count.where(models.Owner.id == owner_id), opened.where(alert.owner_id == owner_id)
    found = {owner: (n, sure) for owner, n, sure in session.execute(opened.group_by(alert.owner_id))}
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
