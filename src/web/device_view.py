"""What a device's page shows, from database, roster and lake."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import polars as pl

from ..exceptions import IngestError
from ..fleet.access import Access
from ..fleet.views import AlertQuery, AlertView, DeviceView, FaultReportView, MaintenanceView
from ..telemetry.schema import DeviceType
from . import alert_words
from .fleet_view import device_href, worst_first
from .inbox_view import Chosen, chosen_alert
from .parts import Parts
from .ranges import DAY_MS, TimeRange, parse_range
from .roster import STATUS_NAMES
from .rows import device_rows
from .words import Reader, iso, number, plural

HOUR_MS = round(timedelta(hours=1).total_seconds() * 1000)
RANGES = {"6h": 6, "24h": 24, "7d": 168, "30d": 720}
MOST_PAST = 8
MOST_MARKS = 200
SIGNS_MS = 60_000
"""First signs are told where they came at least this long before the status."""


@dataclass(frozen=True, slots=True)
class Past:
    """One line of the device's alerts and maintenance."""

    id: int | None
    tab: str
    status: str
    words: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class DevicePage:
    """The device page."""

    key: int
    name: str
    href: str
    path: str
    query: str
    api: str
    csv: str
    site: str | None
    site_id: int | None
    status: str
    since_ms: int | None
    first_signs_ms: int | None
    onset_ms: int | None
    sentence: str
    under: str
    others: str
    blame: list[alert_words.Share]
    likely: alert_words.Likely | None
    alert: Chosen | None
    maintenance: MaintenanceView | None
    repairable: bool
    reports: list[FaultReportView]
    last_ms: int | None
    from_ms: int
    to_ms: int
    hours: int | None
    sensors: list[str]
    marks: list[dict[str, Any]]
    past: list[Past]
    about: list[tuple[str, str]]
    quality: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The part of the address that says which time to show."""

    range: str | None
    start: str | None
    end: str | None


def device_page(
    parts: Parts, access: Access, device: DeviceView, reader: Reader, asked: Asked, across: bool
) -> DevicePage:
    """Put the page together; `across`: the reader sees several owners, so addresses name this one."""
    now = parts.rosters.now().device(device.key)
    device_type = access.type(device.type_id).device_type
    status = STATUS_NAMES[_int(now["status"]) or 0]
    last_ms = _int(now["last_ts"])
    span, hours = _span(parts, device, asked, last_ms, reader.now_ms)
    history = access.alerts(AlertQuery(tab="all", device_key=device.key, limit=MOST_MARKS), reader.now_ms).items
    opened = worst_first([alert for alert in history if alert.state == "firing"])
    windows = access.maintenance(device.key)
    current = next((w for w in windows if _holds(w, reader.now_ms)), None)
    reported = access.fault_reports(device.key)
    reports = [report for report in reported if report.end_ms is None]
    worst = opened[0] if opened else None
    since_ms = _int(now["status_since_ms"])
    signs = worst.first_signs_ms if worst and status in ("suspect", "faulty") else None
    owner = device.owner if across else None
    query = f"?owner={quote(device.owner, safe='')}" if across else ""
    path = f"/devices/{quote(device.device_id, safe='')}"
    day = _day(parts, device, device_type, reader.now_ms)
    return DevicePage(
        key=device.key,
        name=device.name,
        href=device_href(device.device_id, owner),
        path=path,
        query=query,
        api=f"/api/v1{path}",
        csv=_csv(path, owner, span),
        site=device.site,
        site_id=device.site_id,
        status=status,
        since_ms=since_ms if last_ms is not None else None,
        first_signs_ms=signs if signs and since_ms and signs < since_ms - SIGNS_MS else None,
        onset_ms=(worst.first_signs_ms or worst.fired_ms) if worst else None,
        sentence=_sentence(status, worst, current, reports[0].kind if reports else None, device_type, reader, now),
        under=alert_words.under(worst) if worst else "",
        others=_others(opened[1:]),
        blame=alert_words.blame(worst, len(device_type.sensors)) if worst else [],
        likely=_likely(access, history, reader) if current is None else None,
        alert=chosen_alert(worst, reader) if worst else None,
        maintenance=current,
        repairable=bool(reports),
        reports=reported[:MOST_PAST],
        last_ms=last_ms,
        from_ms=span.start_ms,
        to_ms=span.end_ms,
        hours=hours,
        sensors=[sensor.name for sensor in device_type.sensors if not sensor.retired],
        marks=[{"at_ms": a.fired_ms, "kind": _mark_kind(a), "historic": a.historic} for a in history],
        past=_past(history, windows, reader),
        about=_about(device, device_type, day, reader),
        quality=_quality(parts, device, device_type, day, reader.now_ms),
    )


def _span(
    parts: Parts, device: DeviceView, asked: Asked, last_ms: int | None, now_ms: int
) -> tuple[TimeRange, int | None]:
    """What time to show: as asked, else the last 24 hours, else the day of a device's last reading."""
    if asked.start is not None or asked.end is not None:
        return parse_range(asked.start, asked.end, now_ms), None
    if asked.range is not None and asked.range not in RANGES:
        raise IngestError(f"range={asked.range!r}: expected one of {', '.join(RANGES)}")
    hours = RANGES[asked.range or "24h"]
    if last_ms is None or last_ms > now_ms - DAY_MS:
        return TimeRange(now_ms - hours * HOUR_MS, now_ms), hours
    span = TimeRange(last_ms - hours * HOUR_MS, last_ms + 1)
    if asked.range is None:  # a recording that was taken in: show all of its last day, and no more
        rows = device_rows(parts, device.type_id, [device.key], span, [])
        if rows.height > 1:
            first_ms: int = rows["timestamp"].dt.epoch("ms")[0]
            return TimeRange(first_ms, span.end_ms), None
    return span, hours


def _holds(window: MaintenanceView, now_ms: int) -> bool:
    return window.from_ms <= now_ms and (window.until_ms is None or window.until_ms > now_ms)


def _sentence(
    status: str,
    worst: AlertView | None,
    window: MaintenanceView | None,
    reported: str | None,
    device_type: DeviceType,
    reader: Reader,
    now: dict[str, object],
) -> str:
    if window is not None:
        until = f"until {reader.text(window.until_ms)}" if window.until_ms else "until someone ends it"
        return f"In maintenance {until}{': ' + window.reason if window.reason else ''}. No alert fires meanwhile."
    if worst is not None:
        return worst.said(reader.now_ms)
    if reported is not None:
        label = alert_words.fault_label(reported).lower()
        return f"Somebody confirmed a fault: {label}. It counts as faulty until someone says that it is repaired."
    if _int(now["last_ts"]) is None:
        return "No reading has come in yet."
    count = len([sensor for sensor in device_type.sensors if not sensor.retired])
    match status:
        case "healthy":
            every = "Its sensor is" if count == 1 else f"All {count} sensors are"
            return f"{every} within what is normal for this device."
        case "learning":
            return "It is learning what is normal; alerts begin when it knows."
        case "silent":
            return "It has stopped sending readings."
        case "maintenance":
            return "It is in maintenance. No alert fires meanwhile."
    return "It behaves unlike itself; the charts show where."


def _likely(access: Access, history: list[AlertView], reader: Reader) -> alert_words.Likely | None:
    """Of the newest anomaly that is open, or has ended within the day."""
    told = [alert for alert in history if alert.kind == "anomaly"][:1]
    if not told or (told[0].resolved_ms or reader.now_ms) < reader.now_ms - DAY_MS:
        return None
    return alert_words.likely(told[0], access.likely_kinds([told[0].id]).get(told[0].id))


def _others(alerts: list[AlertView]) -> str:
    if not alerts:
        return ""
    return "Also open: " + "; ".join(alert_words.headline(alert) for alert in alerts[:3]) + "."


def _mark_kind(alert: AlertView) -> str:
    return "confirmed" if alert.confirmed_kind else alert.kind


def _past(history: list[AlertView], windows: list[MaintenanceView], reader: Reader) -> list[Past]:
    lines = []
    for alert in history[:MOST_PAST]:
        words = alert_words.headline(alert)
        words = words[:1].upper() + words[1:].replace(", ", ": ", 1) if ", " in words else words.capitalize()
        if alert.state == "resolved":
            words += f", {alert_words.length(alert, reader.now_ms)}, resolved"
        lines.append(
            Past(alert.id, alert_words.tab(alert, reader.now_ms), alert_words.mark(alert), words, alert.fired_ms)
        )
    for window in windows[:3]:
        if window.from_ms <= reader.now_ms:
            lines.append(Past(None, "", "maintenance", window.reason or "Maintenance", window.from_ms))
    return sorted(lines, key=lambda line: -line.at_ms)[:MOST_PAST]


@dataclass(frozen=True, slots=True)
class _Day:
    received: int
    late: int
    missing: int
    first_ms: int | None
    model: int | None


def _day(parts: Parts, device: DeviceView, device_type: DeviceType, now_ms: int) -> _Day:
    names = [sensor.name for sensor in device_type.sensors if not sensor.retired]
    span = TimeRange(now_ms - DAY_MS, now_ms + 1)
    rows = device_rows(parts, device.type_id, [device.key], span, ["late", "model_version", *names])
    if not rows.height:
        return _Day(0, 0, 0, None, None)
    missing = rows.select(pl.sum_horizontal(pl.col(name).is_null().sum() for name in names)).item()
    model = rows["model_version"].drop_nulls()
    first = rows["timestamp"].dt.epoch("ms")[0]
    return _Day(rows.height, int(rows["late"].sum()), int(missing), first, model[-1] if len(model) else None)


def _about(device: DeviceView, device_type: DeviceType, day: _Day, reader: Reader) -> list[tuple[str, str]]:
    sensors = plural(len([sensor for sensor in device_type.sensors if not sensor.retired]), "sensor")
    lines = [("Type", f"{device_type.title}, {sensors}"), ("Owner", device.owner)]
    if device.name != device.device_id:
        lines.append(("Id", device.device_id))
    if day.model is not None:
        lines.append(("Model", f"version {day.model}"))
    if device.tags:
        lines += [(name, value) for name, value in sorted(device.tags.items())]
    lines.append(("Registered", reader.day(device.registered_ms)))
    return lines


def _quality(
    parts: Parts, device: DeviceView, device_type: DeviceType, day: _Day, now_ms: int
) -> list[tuple[str, str]]:
    if day.first_ms is None:
        return []
    expected = max(day.received, round((now_ms - day.first_ms) / device_type.interval_ms))
    refused = parts.lake.read_quarantine(owner_id=device.owner_id, start_ms=now_ms - DAY_MS, end_ms=now_ms + 1)
    mine = refused.filter(pl.col("device_id") == device.device_id).height if refused.width else 0
    return [
        ("Received", f"{number(day.received)} of {number(expected)}"),
        ("Late", number(day.late)),
        ("Values missing", number(day.missing)),
        ("Refused", number(mine)),
    ]


def _csv(path: str, owner: str | None, span: TimeRange) -> str:
    query = {"format": "csv", "from": iso(span.start_ms), "to": iso(span.end_ms)}
    return f"/api/v1{path}/readings?{urlencode(query | ({'owner': owner} if owner else {}))}"


def _int(value: object) -> int | None:
    return value if isinstance(value, int) else None
