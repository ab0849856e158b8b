"""Values of the fleet database as the API shows them."""

from math import isfinite

from ...fleet.likely_kinds import Found
from ...fleet.views import AlertView, DeviceView, ReportedFault, RuleView
from ..roster import STATUS_NAMES, Roster
from ..words import iso
from .models import Alert, Device, FaultReport, LikelyFault, LikelyKind, Rule


def optional_iso(ms: object) -> str | None:
    """RFC 3339, or null."""
    return iso(ms) if isinstance(ms, int) else None


def device(view: DeviceView, roster: Roster) -> Device:
    """A device with what the roster knows of it."""
    now = roster.device(view.key)
    return Device(
        device_id=view.device_id,
        name=view.name,
        owner=view.owner,
        type=view.type_name,
        site=view.site,
        latitude=view.latitude,
        longitude=view.longitude,
        tags=view.tags or {},
        registered=iso(view.registered_ms),
        status=STATUS_NAMES[_whole(now["status"])],  # type: ignore[arg-type]
        status_since=optional_iso(now["status_since_ms"]),
        last_reading=optional_iso(now["last_ts"]),
        score=_number(now["score"]),
        threshold=_number(now["threshold"]),
    )


def alert(view: AlertView, now_ms: int, found: Found | None = None) -> Alert:
    """An alert, its sentence as it is now, and the kind of fault it is likely to be."""
    return Alert(
        id=view.id,
        owner=view.owner,
        device_id=view.device_id,
        site=view.site,
        kind=view.kind,
        sensor=view.sensor,
        state=view.state,
        severity=view.severity,
        sentence=view.said(now_ms),
        first_signs=optional_iso(view.first_signs_ms),
        pending=optional_iso(view.pending_ms),
        fired=iso(view.fired_ms),
        resolved=optional_iso(view.resolved_ms),
        resolution=view.resolution,
        score=view.score,
        peak_score=view.peak_score,
        blame=list(view.blame or []),
        model_version=view.model_version,
        historic=view.historic,
        acknowledged=optional_iso(view.acknowledged_ms),
        acknowledged_by=view.acknowledged_by,
        silenced_until=optional_iso(view.silenced_until_ms),
        confirmed=optional_iso(view.confirmed_ms),
        confirmed_kind=view.confirmed_kind,
        cause=view.cause,
        subject=view.subject,
        link=view.link,
        likely_fault=_likely(found),
    )


def _likely(found: Found | None) -> LikelyFault | None:
    if found is None or not found.is_said:
        return None
    first, *others = found.kinds
    return LikelyFault(
        kind=first.kind,
        probability=first.probability,
        others=[LikelyKind(kind=one.kind, probability=one.probability) for one in others],
        signs=list(found.signs),
        until=iso(found.until_ms),
        model_version=found.model_version,
    )


def rule(view: RuleView) -> Rule:
    """A rule of an owner."""
    return Rule(
        id=view.id,
        owner=view.owner,
        type=view.type_name,
        device_id=view.device_id,
        sensor=view.sensor,
        comparison=view.comparison,
        value=view.value,
        back=view.back,
        for_s=view.hold_ms / 1000,
        severity=view.severity,
        words=view.words,
        created=iso(view.created_ms),
        created_by=view.created_by,
    )


def fault_report(view: ReportedFault) -> FaultReport:
    """A fault report as the API shows it."""
    return FaultReport(
        id=view.id,
        device_id=view.device_id,
        owner=view.owner,
        kind=view.kind,
        start=iso(view.start_ms),
        end=optional_iso(view.end_ms),
        source=view.source,
        said_by=view.said_by,
        alert_id=view.alert_id,
        reported=iso(view.created_ms),
    )


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _number(value: object) -> float | None:
    return round(float(value), 3) if isinstance(value, int | float) and isfinite(value) else None
