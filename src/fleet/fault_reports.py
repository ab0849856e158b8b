"""Fault reports that people make: this device was faulty, from then to then, in this way.

A report may come long after the fault; it counts for what is trained from then on. Reports that overlap or contradict
each other all stand; `faults.reports` says what they come to. A report that was wrong is taken back: it is gone, and
the audit log tells of it.
"""

from typing import Literal

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError
from . import audit, commands, events, models
from .acts import Acts, clean_text, take_back
from .database import may_write
from .principal import Principal

MAX_AGE_MS = 3653 * 86_400_000
AHEAD_MS = 300_000
"""Clocks differ a little; nobody reports what is to come."""


class Made(msgspec.Struct, frozen=True):
    """A report that there is now, and whether it is new, has another end than before, or was known as it is."""

    report_id: int
    what: Literal["new", "changed", "known"]


class FaultReports:
    """What `principal` reports at `now_ms`, in a session of `database.writing`.

    Raises AccessError with 404 for what is another owner's, with 403 for viewers; ConfigError for reports that make
    no sense.
    """

    def __init__(self, session: Session, principal: Principal, now_ms: int) -> None:
        if not may_write(session):
            raise RuntimeError("reports need a session of database.writing")
        self._session = session
        self._principal = principal
        self._now_ms = now_ms

    def add(
        self, device_key: int, kind: str, start_ms: int, end_ms: int | None, source: models.ReportSource = "operator"
    ) -> Made:
        """Report a fault; without an end it lasts, and the device is faulty until it is repaired.

        The same report again (device, kind, start) changes nothing; with an end, or another one, it has that end from
        then on. One that has an end doesn't open again when it comes without.
        """
        device = self._device(device_key)
        kind = clean_text("kind of fault", kind)
        self._check_times(start_ms, end_ms)
        report = models.FaultReport
        same = select(report).where(report.device_key == device_key, report.kind == kind, report.start_ms == start_ms)
        known = self._session.scalars(same.order_by(report.id)).first()
        if known is not None:
            if end_ms is None or known.end_ms == end_ms:
                return Made(known.id, "known")
            self._end(known, end_ms)
            self._tell(device, "end of a fault reported", kind)
            return Made(known.id, "changed")
        values = {"device_key": device_key, "kind": kind, "start_ms": start_ms, "end_ms": end_ms, "source": source}
        made = insert(report).values(said_by=self._principal.called, created_ms=self._now_ms, **values)
        report_id = self._session.execute(made.returning(report.id)).scalar_one()
        if end_ms is None:
            self._say("confirm", device_key, {"report_id": report_id, "fault_kind": kind})
        self._tell(device, "fault reported", kind)
        return Made(report_id, "new")

    def take_back(self, report_id: int) -> None:
        """The report was wrong: it is no label, and the device no longer counts as faulty for it."""
        report = self._session.get(models.FaultReport, report_id)
        device = None if report is None else self._session.get(models.Device, report.device_key)
        if report is None or device is None or self._principal.only_owner not in (None, device.owner_id):
            raise AccessError(f"there is no fault report {report_id}", 404)
        self._principal.must_act()
        take_back(self._session, [report], self._principal.user_id, self._now_ms)
        self._tell(device, "fault report taken back", report.kind)

    def _device(self, device_key: int) -> models.Device:
        device = self._session.get(models.Device, device_key)
        if device is None or self._principal.only_owner not in (None, device.owner_id):
            raise AccessError(f"there is no device with the key {device_key}", 404)
        self._principal.must_act()
        return device

    def _check_times(self, start_ms: int, end_ms: int | None) -> None:
        if end_ms is not None and end_ms <= start_ms:
            raise ConfigError("the fault ends before it begins; give an end after its start, or none while it lasts")
        if max(start_ms, end_ms or start_ms) > self._now_ms + AHEAD_MS:
            raise ConfigError("the fault lies ahead; report what was, or is")
        if start_ms < self._now_ms - MAX_AGE_MS:
            raise ConfigError("the fault began more than ten years ago; check the year")

    def _end(self, report: models.FaultReport, end_ms: int) -> None:
        """The last open report that ends is a repair; it ended when they say, not when they said it."""
        open_ones = select(models.FaultReport.id).where(
            models.FaultReport.device_key == report.device_key,
            models.FaultReport.end_ms.is_(None),
            models.FaultReport.id != report.id,
        )
        if report.end_ms is None and self._session.scalars(open_ones.limit(1)).first() is None:
            Acts(self._session, self._principal, self._now_ms).repaired(report.device_key)
            self._session.refresh(report)
        report.end_ms = end_ms
        self._session.flush()

    def _say(self, kind: str, device_key: int, payload: dict[str, models.Json]) -> None:
        commands.add(self._session, kind, device_key, payload, self._principal.user_id, self._now_ms)

    def _tell(self, device: models.Device, what: str, kind: str) -> None:
        self._session.flush()
        subject = f"device {device.id} ({device.device_id})"
        audit.write(self._session, self._principal.called, what, subject, kind, self._now_ms)
        news = events.News(owner_id=device.owner_id, kind="device", device_key=device.id, payload={"what": what})
        events.publish(self._session, [news], self._now_ms)
