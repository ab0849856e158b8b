"""What people do about alerts and devices: who may, what it changes, and where it is written down.

Acknowledging and silencing are marks on an alert. What changes a device's status or score (confirm, repaired,
dismiss, maintenance) is a word for the live loop as well: it goes to `commands`, from there to the log. Every act
is in the alert's history, in the audit log and in the news; done twice it changes nothing more.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from ..alerts.sentences import filled
from ..exceptions import AccessError, ConfigError, ConflictError
from . import audit, commands, events, models, outbox
from .database import may_write
from .models import Json
from .principal import Principal
from .views import AlertView

DismissReason = Literal["normal_operation", "sensor_problem", "maintenance", "new_normal"]
REASONS: Mapping[DismissReason, str] = {
    "normal_operation": "normal operation",
    "sensor_problem": "sensor problem",
    "maintenance": "maintenance",
    "new_normal": "this is the new normal",
}
MAX_TEXT = 500
MAX_SILENCE_MS = 30 * 86_400_000
MAX_AHEAD_MS = 3653 * 86_400_000


class Acts:
    """What `principal` does at `now_ms`, in a session of `database.writing`.

    Raises AccessError with 404 for what is another owner's, with 403 for viewers; ConflictError for an alert that
    is over, or an act that doesn't fit it; ConfigError for arguments that make no sense.
    """

    def __init__(self, session: Session, principal: Principal, now_ms: int) -> None:
        if not may_write(session):
            raise RuntimeError("acts need a session of database.writing")
        self._session = session
        self._principal = principal
        self._now_ms = now_ms

    def acknowledge(self, alert_id: int) -> None:
        """Someone has seen the alert and looks after it."""
        alert = self._open_alert(alert_id, "acknowledge")
        if alert.acknowledged_ms is None:
            alert.acknowledged_ms, alert.acknowledged_by = self._now_ms, self._principal.user_id
            self._tell(alert, "acknowledged")

    def silence(self, alert_id: int, until_ms: int) -> None:
        """Nobody is notified of the alert, or of the next about the same, until a time at most 30 days ahead."""
        alert = self._open_alert(alert_id, "silence")
        if not self._now_ms < until_ms <= self._now_ms + MAX_SILENCE_MS:
            raise ConfigError("an alert can be silenced from now until a time within the next 30 days")
        if alert.silenced_until_ms != until_ms:
            alert.silenced_until_ms, alert.silenced_by = until_ms, self._principal.user_id
            self._tell(alert, "silenced", outbox.time_text(until_ms))

    def end_silence(self, alert_id: int) -> None:
        """Notices of the alert go out again, those that waited first."""
        alert = self._open_alert(alert_id, "end the silence of")
        if alert.silenced_until_ms is not None and alert.silenced_until_ms > self._now_ms:
            alert.silenced_until_ms, alert.silenced_by = None, None
            self._tell(alert, "silence ended")

    def confirm(self, alert_id: int, kind: str) -> None:
        """The device is faulty, in this way: an open fault report, until it is repaired."""
        alert = self._open_alert(alert_id, "confirm")
        device_key = self._device_of(alert, "confirm")
        kind = clean_text("kind of fault", kind)
        if alert.confirmed_kind == kind:
            return
        alert.confirmed_ms, alert.confirmed_by, alert.confirmed_kind = self._now_ms, self._principal.user_id, kind
        self._report(alert, device_key, kind)
        self._say("confirm", device_key, {**_about(alert), "fault_kind": kind})
        self._tell(alert, "confirmed", kind)

    def dismiss(self, alert_id: int, reason: DismissReason, note: str = "") -> None:
        """The alert is no fault, for a reason; `new_normal` also lets the baseline move to where the device is now."""
        alert = self._open_alert(alert_id, "dismiss")
        device_key = self._device_of(alert, "dismiss")
        if reason not in get_args(DismissReason):
            raise ConfigError(f"reason {reason!r}: expected one of {', '.join(get_args(DismissReason))}")
        note = clean_text("note", note, may_be_empty=True)
        self._take_back_reports(alert.id)
        self._say("dismiss", device_key, {**_about(alert), "reason": reason, "note": note})
        said = f"dismissed: {REASONS[reason]}" + (f" ({note})" if note else "")
        self._close(alert, said)
        self._tell(alert, "dismissed", said.removeprefix("dismissed: "))

    def repaired(self, device_key: int) -> None:
        """The device works again: its alerts and fault reports end, its baseline may relearn."""
        device = self._device(device_key)
        alerts = self._alerts_of(device_key)
        reports = self._end_reports(device_key)
        if not alerts and not reports:
            return
        self._say("repaired", device_key, {"device_id": device.device_id})
        for alert in alerts:
            self._close(alert, "repaired")
        self._tell_of_device(device, "repaired", "", alerts)

    def maintenance(self, device_key: int, from_ms: int, until_ms: int | None, reason: str = "") -> int:
        """Nobody is told about the device in this window, without end where `until_ms` is None; return its id."""
        device = self._device(device_key)
        if until_ms is not None and until_ms <= max(from_ms, self._now_ms):
            raise ConfigError("maintenance has to end after it begins, and in the future")
        if max(abs(from_ms - self._now_ms), abs((until_ms or from_ms) - self._now_ms)) > MAX_AHEAD_MS:
            raise ConfigError("maintenance has to begin and end within ten years")
        reason = clean_text("reason", reason, may_be_empty=True)
        window = {"device_key": device_key, "from_ms": from_ms, "until_ms": until_ms, "reason": reason}
        same = select(models.Maintenance.id).where(
            *(getattr(models.Maintenance, name).is_not_distinct_from(value) for name, value in window.items())
        )
        known = self._session.scalars(same).first()
        if known is not None:
            return known
        made = insert(models.Maintenance).values(who=self._who, **window).returning(models.Maintenance.id)
        window_id = self._session.execute(made).scalar_one()
        payload: dict[str, Json] = {"from_ms": from_ms, "until_ms": until_ms, "reason": reason}
        self._say("maintenance", device_key, {"maintenance_id": window_id, **payload})
        self._tell_of_device(device, "maintenance", reason, [])
        return window_id

    def end_maintenance(self, device_key: int) -> None:
        """The device is back: windows that are open end now, those to come are taken back."""
        device = self._device(device_key)
        window = models.Maintenance
        coming = window.until_ms.is_(None) | (window.until_ms > self._now_ms)
        open_now = self._session.scalars(select(window).where(window.device_key == device_key, coming)).all()
        if not open_now:
            return
        for row in open_now:
            if row.from_ms < self._now_ms:
                row.until_ms = self._now_ms
            else:
                self._session.delete(row)
        self._say("maintenance_end", device_key, {})
        self._tell_of_device(device, "maintenance ended", "", [])

    # How

    @property
    def _who(self) -> str:
        return self._principal.called

    def _open_alert(self, alert_id: int, verb: str) -> models.Alert:
        """The alert, held until the transaction ends, so that the loop can't change it meanwhile."""
        query = select(models.Alert).where(models.Alert.id == alert_id).with_for_update()
        alert = self._session.scalar(query)
        if alert is None or self._principal.only_owner not in (None, alert.owner_id):
            raise AccessError(f"there is no alert {alert_id}", 404)
        self._principal.must_act()
        if alert.state == "resolved":
            ended = f" ({alert.resolution})" if alert.resolution else ""
            raise ConflictError(f"alert {alert_id} is over{ended}; there is nothing to {verb}")
        return alert

    def _device(self, device_key: int) -> models.Device:
        device = self._session.get(models.Device, device_key)
        if device is None or self._principal.only_owner not in (None, device.owner_id):
            raise AccessError(f"there is no device with the key {device_key}", 404)
        self._principal.must_act()
        return device

    def _device_of(self, alert: models.Alert, verb: str) -> int:
        if alert.device_key is None:
            raise ConflictError(f"{ends_by_itself(alert)}; to {verb} is for the alerts of devices")
        return alert.device_key

    def _alerts_of(self, device_key: int) -> list[models.Alert]:
        query = select(models.Alert).where(models.Alert.device_key == device_key, models.Alert.state == "firing")
        return list(self._session.scalars(query.order_by(models.Alert.id).with_for_update()))

    def _report(self, alert: models.Alert, device_key: int, kind: str) -> None:
        report = models.FaultReport
        changed = self._session.execute(
            update(report)
            .where(report.alert_id == alert.id, report.end_ms.is_(None))
            .values(kind=kind, said_by=self._who)
            .returning(report.id)
        ).all()
        if not changed:
            start_ms = alert.fired_ms if alert.first_signs_ms is None else alert.first_signs_ms
            self._session.execute(
                insert(report).values(
                    device_key=device_key,
                    start_ms=start_ms,
                    kind=kind,
                    source="operator",
                    said_by=self._who,
                    alert_id=alert.id,
                    created_ms=self._now_ms,
                )
            )

    def _take_back_reports(self, alert_id: int) -> None:
        """An alert that was confirmed and then dismissed is no fault: what its confirmation said is no label."""
        reports = self._session.scalars(select(models.FaultReport).where(models.FaultReport.alert_id == alert_id)).all()
        take_back(self._session, reports, self._principal.user_id, self._now_ms)

    def _end_reports(self, device_key: int) -> bool:
        """End a device's open fault reports; say whether there was one."""
        report = models.FaultReport
        query = update(report).where(report.device_key == device_key, report.end_ms.is_(None))
        return bool(self._session.execute(query.values(end_ms=self._now_ms).returning(report.id)).all())

    def _close(self, alert: models.Alert, resolution: str) -> None:
        alert.state, alert.resolved_ms, alert.resolution = "resolved", self._now_ms, resolution
        self._session.flush()
        if not alert.historic:
            outbox.queue(self._session, [outbox.of_alert(alert, "resolved", self._now_ms)], self._now_ms)

    def _say(self, kind: str, device_key: int, payload: Mapping[str, Json]) -> None:
        commands.add(self._session, kind, device_key, payload, self._principal.user_id, self._now_ms)

    def _tell(self, alert: models.Alert, what: str, text: str = "") -> None:
        self._session.flush()
        self._write_down(alert, what, text)
        self._audit(what, f"alert {alert.id}", text)
        events.publish(self._session, [self._news(alert, what)], self._now_ms)

    def _tell_of_device(self, device: models.Device, what: str, text: str, alerts: list[models.Alert]) -> None:
        self._session.flush()
        for alert in alerts:
            self._write_down(alert, what, text)
        self._audit(what, f"device {device.id} ({device.device_id})", text)
        news = [self._news(alert, what) for alert in alerts]
        news.append(events.News(owner_id=device.owner_id, kind="device", device_key=device.id, payload={"what": what}))
        events.publish(self._session, news, self._now_ms)

    def _write_down(self, alert: models.Alert, what: str, text: str) -> None:
        row: dict[str, Any] = {
            "alert_id": alert.id,
            "at_ms": self._now_ms,
            "what": what,
            "who": self._who,
            "text": text,
        }
        self._session.execute(insert(models.AlertHistory).values(row))

    def _audit(self, what: str, subject: str, detail: str) -> None:
        audit.write(self._session, self._who, what, subject, detail, self._now_ms)

    def _news(self, alert: models.Alert, what: str) -> events.News:
        return events.News(
            owner_id=alert.owner_id,
            kind="alert",
            device_key=alert.device_key,
            alert_id=alert.id,
            payload={
                "what": what,
                "state": alert.state,
                "kind": alert.kind,
                "severity": alert.severity,
                "sentence": filled(alert.sentence, self._now_ms - (alert.first_signs_ms or alert.fired_ms)),
            },
        )


def ends_by_itself(alert: models.Alert | AlertView) -> str:
    """Why an alert that is about no device is not ended by hand."""
    if alert.kind == "model":
        return f"alert {alert.id} is about a model: it ends by itself with the next good run"
    return f"alert {alert.id} is about a site: it ends by itself when the site's devices recover"


def _about(alert: models.Alert) -> dict[str, Json]:
    return {"alert_id": alert.id, "alert_kind": alert.kind, "rule": alert.rule}


def take_back(session: Session, reports: Sequence[models.FaultReport], user_id: int | None, now_ms: int) -> None:
    """Delete fault reports, and have the loop know of devices of which no open one is left.

    The alert whose confirmation made a report no longer counts as confirmed.
    """
    unsaid = {"confirmed_ms": None, "confirmed_by": None, "confirmed_kind": None}
    for report in reports:
        report_id, device_key, was_open = report.id, report.device_key, report.end_ms is None
        session.execute(update(models.Alert).where(models.Alert.id == report.alert_id).values(unsaid))
        session.execute(delete(models.FaultReport).where(models.FaultReport.id == report_id))
        left = select(models.FaultReport.id).where(models.FaultReport.device_key == device_key)
        if was_open and session.scalars(left.where(models.FaultReport.end_ms.is_(None)).limit(1)).first() is None:
            commands.add(session, "not_faulty", device_key, {}, user_id, now_ms)


def clean_text(what: str, given: str, may_be_empty: bool = False) -> str:
    """Text of one line, as people wrote it. Raises ConfigError where it is empty, too long or can't be printed."""
    clean = " ".join(given.split())
    if len(clean) > MAX_TEXT or not (clean or may_be_empty) or not clean.isprintable():
        raise ConfigError(f"{what}: expected {'at most' if may_be_empty else '1 to'} {MAX_TEXT} printable characters")
    return clean
