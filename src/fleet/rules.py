"""Rules of owners in the database: an alert where a sensor is past a value for long enough.

A rule is never changed: whoever wants another removes it and adds the other, so that an alert's sentence stays true.
"""

import math
from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from ..alerts.sentences import as_set, lasted
from ..alerts.state import MAX_RULES
from ..exceptions import AccessError, ConfigError, ConflictError
from ..telemetry.schema import DeviceType, Sensor
from . import commands, models
from .models import SEVERITIES, Comparison, Json, Severity

MAX_HOLD_MS = 7 * 86_400_000
_SAID = ("owner_id", "type_id", "device_key", "sensor", "comparison", "value", "back", "hold_ms", "severity")


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule to be: an alert of `severity` where `sensor` is `comparison` (above, below) `value` for `hold_ms`.

    It is over once the sensor is back at `back`, which is `value` where None. Without `device_key` it is about all
    devices of the type.
    """

    sensor: str
    comparison: Comparison
    value: float
    back: float | None = None
    hold_ms: int = 0
    severity: Severity = "warning"
    device_key: int | None = None


class RuleEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is in force; values in the sensor's unit."""

    id: int
    owner_id: int
    type_id: int
    device_key: int | None
    sensor: str
    comparison: Comparison
    value: float
    back: float
    hold_ms: int
    severity: Severity

    def payload(self, removed: bool = False) -> dict[str, Json]:
        """What the live loop has to know of it."""
        said: dict[str, Json] = {name: getattr(self, name) for name in _SAID}
        return {"rule_id": self.id, **said, "removed": removed}


def add(
    session: Session, owner_id: int, type_id: int, device_type: DeviceType, new: NewRule, who: str, now_ms: int
) -> int:
    """Put a rule in force and tell the live loop; return its id. One that says the same stays as it is.

    Raises ConfigError where its parts don't fit the type or each other, ConflictError where the owner has too many,
    AccessError (404) where the device isn't of the owner and the type.
    """
    values = _checked(device_type, new) | {"owner_id": owner_id, "type_id": type_id}
    if new.device_key is not None:
        _device_must_fit(session, new.device_key, owner_id, type_id)
    rule = models.Rule
    same = [getattr(rule, name).is_not_distinct_from(value) for name, value in values.items()]
    known = session.scalar(select(rule.id).where(*same, rule.removed_ms.is_(None)))
    if known is not None:
        return known
    theirs = (rule.owner_id == owner_id, rule.type_id == type_id, rule.removed_ms.is_(None))
    if (session.scalar(select(func.count()).select_from(rule).where(*theirs)) or 0) >= MAX_RULES:
        raise ConflictError(
            f"there are {MAX_RULES} rules about {device_type.name!r}, which is the most; remove one first"
        )
    made = insert(rule).values(**values, created_ms=now_ms, created_by=who).returning(rule.id)
    entry = msgspec.convert({"id": session.execute(made).scalar_one(), **values}, RuleEntry)
    commands.add(session, "rule", None, entry.payload(), None, now_ms)
    return entry.id


def remove(session: Session, rule_id: int, now_ms: int) -> RuleEntry:
    """Take a rule back, and with it its open alerts; return it. Raises AccessError (404)."""
    row = session.get(models.Rule, rule_id)
    if row is None or row.removed_ms is not None:
        raise AccessError(f"there is no rule {rule_id}", 404)
    row.removed_ms = now_ms
    entry = _entry(row)
    commands.add(session, "rule", None, entry.payload(removed=True), None, now_ms)
    return entry


def retire(session: Session, type_id: int, sensors: Iterable[str], now_ms: int) -> None:
    """Take back the rules about sensors that a type no longer has."""
    rule = models.Rule
    about = (rule.type_id == type_id, rule.sensor.in_(list(sensors)), rule.removed_ms.is_(None))
    for rule_id in session.scalars(select(rule.id).where(*about).order_by(rule.id)).all():
        remove(session, rule_id, now_ms)


def in_force(session: Session, owner_id: int | None = None) -> list[RuleEntry]:
    """The rules of one owner or of all, by id."""
    query = select(models.Rule).where(models.Rule.removed_ms.is_(None)).order_by(models.Rule.id)
    if owner_id is not None:
        query = query.where(models.Rule.owner_id == owner_id)
    return [_entry(row) for row in session.scalars(query)]


def in_words(sensor: Sensor, comparison: str, value: float, back: float, hold_ms: int) -> str:
    """A rule as people read it: "Pressure above 12 bar for 10 minutes, until 11 bar"."""
    held = f" for {lasted(hold_ms)}" if hold_ms else ""
    until = f", until {as_set(sensor, back)}" if back != value else ""
    return f"{sensor.title} {comparison} {as_set(sensor, value)}{held}{until}"


def _checked(device_type: DeviceType, new: NewRule) -> dict[str, object]:
    known = [sensor.name for sensor in device_type.sensors if not sensor.retired]
    if new.sensor not in known:
        raise ConfigError(f"sensor {new.sensor!r}: type {device_type.name!r} has {_listed(known)}")
    if new.comparison not in ("above", "below"):
        raise ConfigError(f"comparison {new.comparison!r}: expected above or below")
    if new.severity not in SEVERITIES:
        raise ConfigError(f"severity {new.severity!r}: expected one of {', '.join(SEVERITIES)}")
    back = new.value if new.back is None else new.back
    if not (math.isfinite(new.value) and math.isfinite(back)):
        raise ConfigError(f"value {new.value}, back {back}: expected finite numbers")
    if back > new.value if new.comparison == "above" else back < new.value:
        side = "at most" if new.comparison == "above" else "at least"
        raise ConfigError(
            f"back {back:g}: the alert would end while it is true; expected {side} the value, {new.value:g}"
        )
    if not 0 <= new.hold_ms <= MAX_HOLD_MS:
        raise ConfigError(f"a duration of {new.hold_ms / 1000:g} s: expected 0 to {MAX_HOLD_MS // 1000:,} s (7 days)")
    return {
        "device_key": new.device_key,
        "sensor": new.sensor,
        "comparison": new.comparison,
        "value": float(new.value),
        "back": float(back),
        "hold_ms": int(new.hold_ms),
        "severity": new.severity,
    }


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "no sensor"


def _device_must_fit(session: Session, device_key: int, owner_id: int, type_id: int) -> None:
    device = session.get(models.Device, device_key)
    if device is None or device.owner_id != owner_id:
        raise AccessError(f"there is no device with the key {device_key}", 404)
    if device.type_id != type_id:
        raise ConfigError(f"device {device.device_id!r} is of another type than the rule")


def _entry(row: models.Rule) -> RuleEntry:
    return msgspec.convert({name: getattr(row, name) for name in RuleEntry.__struct_fields__}, RuleEntry)
