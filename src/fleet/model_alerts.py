"""Alerts of kind `model`: what is wrong with models and with what keeps them right, for the operators of faultwatch.

`report` is the one way in, for the pipelines of this package and for a monitor elsewhere: a cause, a sentence, a link.
"""

import re

from sqlalchemy import ColumnElement, func, insert, select, text
from sqlalchemy.orm import Session

from ..exceptions import ConfigError
from . import events, models, outbox
from .models import SEVERITIES, Severity, rank

Table = models.Alert

MAX_SENTENCE = 1_000
MAX_LINK = 2_000
MAX_SUBJECT = 200
_ORDER_LOCK = 7_305_291_164_003
"""Key of PostgreSQL's advisory lock for what reports causes; any number that nothing else uses."""


def report(
    session: Session,
    cause: str,
    sentence: str,
    link: str,
    now_ms: int,
    *,
    subject: str = "",
    severity: Severity = "warning",
) -> int:
    """Say what is wrong; return the id of the alert, of which one at most is open per cause and subject.

    `cause`, such as `training_failed`, is the same whenever it is the same; `subject`, what is concerned, is a device
    type's name as a rule. `link` leads to where one sees more: a path of the dashboard, or an https address. One that
    is open gets the new sentence, and its channels hear of it where it has become worse. Raises ConfigError.
    """
    _check(cause, sentence, link, subject, severity)
    sentence = " ".join(sentence.split())
    alert = _open(session, cause, subject)
    if alert is None:
        return _fire(session, cause, sentence, link, now_ms, subject, severity)
    if (alert.sentence, alert.link, alert.severity) != (sentence, link, severity):
        worse = rank(severity) > rank(alert.severity)
        alert.sentence, alert.link, alert.severity = sentence, link, severity
        session.flush()
        _tell(session, alert, "worse" if worse else "changed", now_ms, sentence)
    return alert.id


def clear(session: Session, cause: str, resolution: str, now_ms: int, *, subject: str = "") -> bool:
    """Say that it is right again, and by what; False where no such alert was open."""
    alert = _open(session, cause, subject)
    if alert is None:
        return False
    alert.state, alert.resolved_ms, alert.resolution = "resolved", now_ms, resolution
    session.flush()
    _tell(session, alert, "resolved", now_ms, resolution)
    return True


def open_about(session: Session, subject: str) -> dict[str, str]:
    """Causes and sentences of the alerts that are open about a subject; who only reads waits for nobody."""
    query = select(Table.cause, Table.sentence).where(Table.state == "firing", Table.subject == subject)
    return {cause: sentence for cause, sentence in session.execute(query) if cause is not None}


def _open(session: Session, cause: str, subject: str) -> models.Alert | None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ORDER_LOCK})
    query = select(Table).where(Table.state == "firing", *_about(cause, subject))
    return session.scalar(query.with_for_update())


def _about(cause: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return Table.kind == "model", Table.cause == cause, Table.subject == subject


def _fire(session: Session, cause: str, sentence: str, link: str, now_ms: int, subject: str, severity: Severity) -> int:
    # A silence outlasts the alert it was spoken on, as it does for the alerts of devices.
    until_ms = session.scalar(select(func.max(Table.silenced_until_ms)).where(*_about(cause, subject)))
    alert = models.Alert(
        kind="model",
        cause=cause,
        subject=subject,
        link=link,
        state="firing",
        severity=severity,
        first_signs_ms=now_ms,
        fired_ms=now_ms,
        sentence=sentence,
        silenced_until_ms=until_ms if until_ms is not None and until_ms > now_ms else None,
    )
    session.add(alert)
    session.flush()
    _tell(session, alert, "fired", now_ms, sentence)
    return alert.id


def _tell(session: Session, alert: models.Alert, what: str, now_ms: int, said: str) -> None:
    """History, notices and news of one turn of an alert; one that only changed is news alone."""
    if what != "changed":
        row = {"alert_id": alert.id, "at_ms": now_ms, "what": what, "who": None, "text": said}
        session.execute(insert(models.AlertHistory).values(row))
        news: dict[str, outbox.News] = {"fired": "firing", "worse": "worse", "resolved": "resolved"}
        outbox.queue(session, [outbox.of_alert(alert, news[what], now_ms)], now_ms)
    item = events.News(
        owner_id=None,
        kind="alert",
        alert_id=alert.id,
        payload={
            "what": what,
            "state": alert.state,
            "kind": alert.kind,
            "severity": alert.severity,
            "sentence": alert.sentence,
        },
    )
    events.publish(session, [item], now_ms)


def _check(cause: str, sentence: str, link: str, subject: str, severity: str) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", cause):
        raise ConfigError(f"cause {cause[:80]!r}: expected a name such as training_failed, of at most 64 characters")
    if not 1 <= len(sentence.strip()) <= MAX_SENTENCE:
        raise ConfigError(f"sentence of {len(sentence)} characters: expected 1 to {MAX_SENTENCE}")
    if len(link) > MAX_LINK or not re.fullmatch(r"(?:/(?![/\\])|https?://[^/?#\s]+)[^\s\\]*", link):
        raise ConfigError(f"link {link[:80]!r}: expected a path of the dashboard such as /models, or an https address")
    if len(subject) > MAX_SUBJECT or not (subject.isprintable()):
        raise ConfigError(f"subject {subject[:80]!r}: expected at most {MAX_SUBJECT} printable characters")
    if severity not in SEVERITIES:
        raise ConfigError(f"severity {severity!r}: expected one of {', '.join(SEVERITIES)}")
