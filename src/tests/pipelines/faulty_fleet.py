"""A data folder whose devices had faults of kinds that people told, and one device whose alert is open."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from ...components.workplace import Workplace
from ...fleet import models
from ...fleet.alerts import AlertChange, record
from ...fleet.database import applying, writing
from ...fleet.fault_reports import FaultReports
from ...fleet.principal import Principal
from ..components import lakeside
from ..detection import fleet
from ..faults import broken

ADMIN = Principal(None, "admin", None, "Ann")
BEGIN_MS = fleet.START + 3 * broken.DAY * fleet.MINUTE
END_MS = BEGIN_MS + 12 * 60 * fleet.MINUTE
NOW_MS = END_MS + fleet.MINUTE
"""When the faults are over; the lake has readings up to `END_MS`."""


def faulty(folder: Path, kinds: Sequence[str], open_kind: str | None = None) -> tuple[Workplace, int]:
    """A workplace with a device and a reported fault for each of `kinds`; one more device has a fault of `open_kind`
    that an open alert of owner 2 tells of, and no report. Returns the alert's id, 0 without one."""
    every = [*kinds, *([open_kind] if open_kind else [])]
    values = np.stack(
        [broken.episode(kind, 500 + number, sensor=number % 4).values for number, kind in enumerate(every)], axis=1
    )
    place, type_id = lakeside.with_readings(folder, len(every), len(values), values=values)
    report(place, kinds)
    return place, open_alert(place, type_id, len(every)) if open_kind else 0


def report(place: Workplace, kinds: Sequence[str], at_ms: int = NOW_MS, minutes_earlier: int = 0) -> None:
    """People tell of a fault of each kind, of one device after the other."""
    with writing(place.engine) as session:
        reports = FaultReports(session, ADMIN, at_ms)
        for number, kind in enumerate(kinds):
            reports.add(1 + number, kind, BEGIN_MS - minutes_earlier * fleet.MINUTE, END_MS)


def open_alert(place: Workplace, type_id: int, device_key: int) -> int:
    """An anomaly alert of a device that goes to owner 2 with it."""
    with writing(place.engine) as session:
        session.execute(insert(models.Owner).values(id=2, name="other", created_ms=NOW_MS))
        device = session.get_one(models.Device, device_key)
        device.owner_id = 2
    change = AlertChange(
        owner_id=2,
        device_key=device_key,
        site_id=None,
        kind="anomaly",
        to_state="firing",
        at_ms=BEGIN_MS + 5 * fleet.MINUTE,
        first_signs_ms=BEGIN_MS,
        sentence="It is odd.",
    )
    with applying(place.engine) as session:
        (alert_id,) = record(session, 0, 9, [change], NOW_MS)
    assert alert_id is not None
    return alert_id


def resolve(place: Workplace, device_key: int, at_ms: int) -> None:
    """The engine finds that the device is right again."""
    change = AlertChange(
        owner_id=2, device_key=device_key, site_id=None, kind="anomaly", to_state="resolved", at_ms=at_ms
    )
    with applying(place.engine) as session:
        record(session, 0, 10, [change], at_ms)
