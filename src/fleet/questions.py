"""What `Access` asks of the database, without saying of whom, and rows as the views that it answers with.

Putting a question together takes longer than its answer, so each is put together once.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Select, and_, bindparam, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased

from ..exceptions import ConfigError
from . import models
from .device_types import TypeEntry
from .owners import SiteEntry
from .rules import in_words
from .views import AlertCounts, AlertTab, AlertView, DeadNotice, DeviceView, RuleView


@cache
def reported() -> Select[Any]:
    """Fault reports with their devices and owners."""
    report, device = models.FaultReport, models.Device
    names = ("id", "start_ms", "end_ms", "kind", "source", "said_by", "alert_id", "created_ms")
    return (
        select(
            *(getattr(report, name) for name in names),
            device.owner_id,
            device.device_id,
            device.name.label("device_name"),
            models.Owner.name.label("owner"),
        )
        .join(device, device.id == report.device_key)
        .join(models.Owner, models.Owner.id == device.owner_id)
    )


@cache
def devices() -> Select[Any]:
    """Devices with their owners, types and sites."""
    device = models.Device
    names = ("owner_id", "device_id", "name", "type_id", "site_id", "latitude", "longitude", "tags", "registered_ms")
    return (
        select(
            device.id.label("key"),
            models.Owner.name.label("owner"),
            models.DeviceType.name.label("type_name"),
            models.Site.name.label("site"),
            models.Site.time_zone,
            *(getattr(device, name) for name in names),
        )
        .join(models.Owner, models.Owner.id == device.owner_id)
        .join(models.DeviceType, models.DeviceType.id == device.type_id)
        .outerjoin(models.Site, models.Site.id == device.site_id)
    )


def dead(notice: models.Outbox, channel: str, owner_id: int | None) -> DeadNotice:
    """A notice that was given up, as a view."""
    told, device = notice.payload.get("alert"), notice.payload.get("device")
    subject = device.get("name") if isinstance(device, dict) else notice.payload.get("site")
    if subject is None and isinstance(told, dict):
        subject = told.get("subject")
    return DeadNotice(
        id=notice.id,
        owner_id=owner_id,
        channel=channel,
        news=str(notice.payload.get("event")),
        sentence=str(told.get("sentence")) if isinstance(told, dict) else "",
        subject=str(subject or ""),
        attempts=notice.attempts,
        created_ms=notice.created_ms,
        last_error=notice.last_error,
    )


@cache
def sites() -> Select[Any]:
    """Sites."""
    return select(*(getattr(models.Site, name) for name in SiteEntry.__struct_fields__))


@cache
def alert_counts() -> Select[*tuple[Any, ...]]:
    """At the time of the parameter `now_ms`."""
    counted = [
        func.count().filter(in_tab(tab, bindparam("now_ms"))).label(tab) for tab in AlertCounts.__struct_fields__
    ]
    return select(*counted).select_from(models.Alert).outerjoin(models.Device)


@cache
def rules() -> Select[Any]:
    """Rules that are in force, with owner, type and device."""
    rule = models.Rule
    return (
        select(
            *(getattr(rule, name) for name in RuleView.__struct_fields__ if hasattr(rule, name)),
            models.Owner.name.label("owner"),
            models.DeviceType.name.label("type_name"),
            models.Device.device_id,
        )
        .join(models.Owner, models.Owner.id == rule.owner_id)
        .join(models.DeviceType, models.DeviceType.id == rule.type_id)
        .outerjoin(models.Device, models.Device.id == rule.device_key)
        .where(rule.removed_ms.is_(None))
    )


def rule(row: Mapping[str, Any], types: Mapping[int, TypeEntry]) -> RuleView:
    """A row of `rules` as a view; `types` by id."""
    sensors = {sensor.name: sensor for sensor in types[row["type_id"]].device_type.sensors}
    sensor = sensors[row["sensor"]]
    words = in_words(sensor, row["comparison"], row["value"], row["back"], row["hold_ms"])
    known = {name: value for name, value in row.items() if name in RuleView.__struct_fields__}
    return RuleView(**known, sensor_title=sensor.title, words=words)


@cache
def alerts() -> Select[Any]:
    """Alerts with whom and what they are about, and who acted on them."""
    alert, device = models.Alert, models.Device
    acknowledged, silenced, confirmed = aliased(models.User), aliased(models.User), aliased(models.User)
    joined = {"owner", "device_id", "device_name", "type_id", "site_id", "site", "time_zone"}
    joined |= {"acknowledged_by", "silenced_by", "confirmed_by"}
    site_id = func.coalesce(alert.site_id, device.site_id)
    return (
        select(
            *(getattr(alert, name) for name in AlertView.__struct_fields__ if name not in joined),
            models.Owner.name.label("owner"),
            device.device_id,
            device.name.label("device_name"),
            device.type_id,
            site_id.label("site_id"),
            models.Site.name.label("site"),
            models.Site.time_zone,
            acknowledged.name.label("acknowledged_by"),
            silenced.name.label("silenced_by"),
            confirmed.name.label("confirmed_by"),
        )
        .outerjoin(models.Owner, models.Owner.id == alert.owner_id)
        .outerjoin(device, device.id == alert.device_key)
        .outerjoin(models.Site, models.Site.id == site_id)
        .outerjoin(acknowledged, acknowledged.id == alert.acknowledged_by)
        .outerjoin(silenced, silenced.id == alert.silenced_by)
        .outerjoin(confirmed, confirmed.id == alert.confirmed_by)
    )


def in_tab(tab: AlertTab | str, now_ms: int | BindParameter[int]) -> ColumnElement[bool]:
    """The alerts that a tab holds."""
    alert = models.Alert
    if tab == "resolved":
        return alert.state == "resolved"
    silenced = func.coalesce(alert.silenced_until_ms, 0) > now_ms
    if tab == "silenced":
        return and_(alert.state == "firing", silenced)
    marked = alert.acknowledged_ms.is_not(None) if tab == "acknowledged" else alert.acknowledged_ms.is_(None)
    return and_(alert.state == "firing", ~silenced, marked)


def contains(search: str, *columns: InstrumentedAttribute[str]) -> ColumnElement[bool]:
    """Rows in which one of the columns contains what is searched for, whatever its case."""
    wanted = search.strip().lower()
    return or_(*(func.lower(column).contains(wanted, autoescape=True) for column in columns))


def device(row: Any) -> DeviceView:
    """A row of `devices` as a view."""
    return DeviceView(**{name: row[name] for name in DeviceView.__struct_fields__})


def alert(row: Any) -> AlertView:
    """A row of `alerts` as a view."""
    return AlertView(**{name: row[name] for name in AlertView.__struct_fields__})


def write_cursor(first: str | int, second: int) -> str:
    """The cursor of a page that ended with these two values."""
    return base64.urlsafe_b64encode(json.dumps([first, second]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, order: tuple[Any, Any]) -> list[str | int]:
    """The two values a page ended with, of the kinds that its order has. Raises ConfigError."""
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        kinds = [column.type.python_type for column in order]
        if isinstance(values, list) and [type(value) for value in values] == kinds:
            if all(abs(value) < 2**63 for value in values if isinstance(value, int)):
                return values
    except (binascii.Error, ValueError):
        pass
    raise ConfigError(f"cursor {cursor!r}: expected the `next` of the page before, asked for in the same order")
