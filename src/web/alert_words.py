"""Alerts in the words of their pages: title, shape, what happened, whose fault."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..fleet.likely_kinds import Found
from ..fleet.views import AlertTab, AlertView, HistoryEntry, NoticeView
from .words import Reader, duration, plural

FAULT_KINDS: tuple[tuple[str, str], ...] = (
    ("bearing_wear", "Bearing wear"),
    ("leak", "Leak"),
    ("blockage", "Blockage"),
    ("electrical", "Electrical fault"),
    ("sensor_fault", "Sensor fault"),
    ("calibration", "Calibration off"),
    ("control", "Control or software"),
    ("power_or_network", "Power or network"),
    ("other", "Something else"),
)
"""Kinds of fault to choose from when confirming one: (value, words)."""

KIND_WORDS = {
    "anomaly": "Anomaly",
    "sensor": "Sensor trouble",
    "silent": "Device silent",
    "threshold": "Threshold rule",
    "site": "Site silent",
}
"""Kinds of alert as people choose them for a channel."""

DISMISS_REASONS = ("normal_operation", "sensor_problem", "maintenance", "new_normal")
_KIND_LABELS = dict(FAULT_KINDS)
_MARKS = {
    "anomaly": "suspect",
    "sensor": "suspect",
    "threshold": "suspect",
    "fault": "faulty",
    "silent": "silent",
    "site": "silent",
}


@dataclass(frozen=True, slots=True)
class Share:
    """A sensor's part in an alert, in per cent; `rest` stands for the sensors not named."""

    label: str
    percent: int
    rest: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to an alert."""

    status: str
    words: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Likely:
    """The kind of fault that an alert is likely to be: the kind in words, "Likely leak (84 %)", what else it may be,
    and what speaks for it."""

    kind: str
    words: str
    others: str
    signs: tuple[str, ...]


def likely(alert: AlertView, found: Found | None) -> Likely | None:
    """What is said of an alert's kind of fault; nothing once somebody has said it, or where none is likely enough."""
    if found is None or not found.is_said or alert.confirmed_kind:
        return None
    first, *others = [(fault_label(one.kind).lower(), f"{100 * one.probability:.0f} %") for one in found.kinds]
    return Likely(
        kind=first[0],
        words=f"Likely {first[0]} ({first[1]})",
        others="else " + " or ".join(f"{kind} ({percent})" for kind, percent in others) if others else "",
        signs=found.signs,
    )


def fault_label(kind: str) -> str:
    """A kind of fault as people read it."""
    return _KIND_LABELS.get(kind, kind.replace("_", " ").capitalize())


def mark(alert: AlertView) -> str:
    """The shape of an alert: a confirmed fault is a diamond."""
    return "faulty" if alert.confirmed_kind else _MARKS.get(alert.kind, "suspect")


def subject(alert: AlertView) -> str:
    """What the alert is about: the device, the site, or the model of a device type."""
    if alert.kind == "model":
        return type_words(alert.subject or "models")
    return (alert.device_name if alert.device_key is not None else alert.site) or "Unknown"


def place(alert: AlertView) -> str:
    """Where that is."""
    if alert.kind == "model":
        return "model"
    return (alert.site or "") if alert.device_key is not None else ""


def type_words(name: str) -> str:
    """A device type's name as people read it where its title isn't at hand; "fault-kinds" is the model of all types."""
    return "Kinds of fault" if name == "fault-kinds" else name.replace("_", " ").capitalize()


def headline(alert: AlertView) -> str:
    """The kind of the alert in few words: "anomaly, vibration"."""
    if alert.confirmed_kind:
        return f"fault, {fault_label(alert.confirmed_kind).lower()}"
    if alert.kind == "site":
        return "site silent"
    if alert.kind == "model":
        return (alert.cause or "model").replace("_", " ")
    if alert.kind == "silent":
        return "silent"
    shares = blame(alert)
    what = shares[0].label if shares else (alert.sensor or "").replace("_", " ")
    # A unit or an abbreviation within a label keeps its capitals; only its first letter is of a sentence's start.
    what = what[:1].lower() + what[1:] if what[1:2].islower() else what
    return f"{alert.kind}, {what}" if what else alert.kind


def pill(alert: AlertView, reader: Reader) -> str:
    """State and time: "Anomaly since 14:02"."""
    if alert.state == "resolved":
        return f"Resolved {reader.text(alert.resolved_ms or alert.fired_ms)}"
    kinds = {"site": "Site silent", "model": headline(alert).capitalize()}
    kind = "Fault" if alert.confirmed_kind else kinds.get(alert.kind, alert.kind.capitalize())
    return f"{kind} since {reader.text(alert.fired_ms)}"


def blame(alert: AlertView, sensors: int = 0) -> list[Share]:
    """Which sensors are to blame, largest first; `sensors`: how many the device has, for the rest."""
    shares = []
    for part in alert.blame or ():
        label, share = part.get("label"), part.get("share")
        if isinstance(label, str) and isinstance(share, int | float):
            shares.append(Share(label, round(float(share) * 100)))
    rest = 100 - sum(share.percent for share in shares)
    left = sensors - len(shares)
    if shares and left > 0 and rest > 0:
        shares.append(Share(f"Other {_COUNT.get(left, str(left))}" if left > 1 else "The other one", rest, rest=True))
    return shares


_COUNT = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def blamed_sensors(alert: AlertView, most: int = 2) -> list[str]:
    """Names of the sensors most to blame."""
    named = [str(part["sensor"]) for part in alert.blame or () if part.get("sensor")]
    return (named or ([alert.sensor] if alert.sensor else []))[:most]


def under(alert: AlertView) -> str:
    """The line below the sentence: score and model, for who wants to know."""
    parts = []
    if alert.peak_score is not None:
        parts.append(f"Highest score {alert.peak_score:.1f}")
    if alert.model_version is not None:
        parts.append(f"model version {alert.model_version}")
    if alert.historic:
        parts.append("found in backfilled history, nobody was notified")
    text = ", ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def marks_words(alert: AlertView, reader: Reader) -> str:
    """Who has looked at it: "Acknowledged 14:10 by Kim"."""
    if alert.acknowledged_ms is None:
        return ""
    by = f" by {alert.acknowledged_by}" if alert.acknowledged_by else ""
    return f"Acknowledged {reader.text(alert.acknowledged_ms)}{by}"


_STEP_WORDS = {
    "fired": "Alert fired",
    "worse": "Became more severe",
    "resolved": "Resolved",
    "acknowledged": "Acknowledged",
    "silenced": "Silenced",
    "confirmed": "Fault confirmed",
    "repaired": "Repaired",
    "dismissed": "Dismissed",
    "notified": "Notified",
}


def happened(alert: AlertView, history: Sequence[HistoryEntry]) -> list[Step]:
    """Everything that happened to an alert, first signs first, newest last."""
    shape = _MARKS.get(alert.kind, "suspect")
    steps = []
    if alert.first_signs_ms is not None and alert.first_signs_ms < (alert.pending_ms or alert.fired_ms):
        steps.append(Step(shape, "First signs", alert.first_signs_ms))
    if alert.pending_ms is not None and alert.pending_ms <= alert.fired_ms:
        steps.append(Step(shape, _PENDING.get(alert.kind, "Watched more closely"), alert.pending_ms))
    for entry in history:
        words = _STEP_WORDS.get(entry.what, entry.what.replace("_", " ").capitalize())
        who = f" by {entry.who}" if entry.who else ""
        text = _why_resolved(alert.kind, entry.text) if entry.what == "resolved" else entry.text
        said = f": {text}" if text and entry.what != "fired" else ""
        status = {"fired": shape, "worse": "faulty", "confirmed": "faulty"}.get(entry.what, "done")
        steps.append(Step(status, f"{words}{who}{said}", entry.at_ms))
    return sorted(steps, key=lambda step: step.at_ms)


_CAUSES = {
    "time": "nothing odd was seen for long enough",
    "dismissed": "it was dismissed",
    "repaired": "the device was repaired",
    "new_normal": "this is the new normal",
    "site": "the alert of the whole site took over",
    "cap": "one summary stands for many alerts of this device",
    "maintenance": "maintenance began",
    "rule": "the rule was removed",
}
"""Why an alert was resolved, by the cause that the alert engine gives; a reading's meaning depends on the kind."""

_BY_READING = {
    "anomaly": "readings are back within what is normal",
    "sensor": "the sensor is right again",
    "silent": "readings come again",
    "threshold": "the value is back within the rule",
    "site": "devices of the site report again",
}


def _why_resolved(kind: str, cause: str | None) -> str | None:
    if cause == "reading":
        return _BY_READING.get(kind)
    return _CAUSES.get(cause, cause) if cause else cause


_PENDING = {
    "anomaly": "Readings past the threshold",
    "silent": "Readings overdue",
    "site": "Devices of the site fell silent together",
    "sensor": "A sensor is off",
    "threshold": "Past the limit of a rule",
}


def length(alert: AlertView, now_ms: int) -> str:
    """How long it has lasted, or did."""
    return duration((alert.resolved_ms or now_ms) - alert.fired_ms)


def group_words(n_alerts: int, site_alert: bool, devices: int) -> str:
    """Beside a site's name: how much of it is concerned."""
    if site_alert:
        return f"one alert in place of {plural(devices, 'device')}" if devices else "the whole site"
    return f"{n_alerts} of {plural(devices, 'device')}" if devices else plural(n_alerts, "alert")


def tab(alert: AlertView, now_ms: int) -> AlertTab:
    """The tab of the inbox that has the alert now."""
    if alert.state == "resolved":
        return "resolved"
    if (alert.silenced_until_ms or 0) > now_ms:
        return "silenced"
    return "open" if alert.acknowledged_ms is None else "acknowledged"


def told(notice: NoticeView) -> Step | None:
    """What became of a notice: delivered, given up, or still waiting."""
    if notice.state == "sent" and notice.sent_ms is not None:
        return Step("done", f"{notice.channel} was told", notice.sent_ms)
    if notice.state == "dead":
        why = f": {notice.last_error}" if notice.last_error else ""
        return Step(
            "faulty", f"{notice.channel} could not be told after {notice.attempts} attempts{why}", notice.created_ms
        )
    return Step("done", f"{notice.channel} is being told", notice.created_ms)
