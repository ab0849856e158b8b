"""Alerts in the database: what the engine decided becomes rows, notices and news in ONE transaction."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, insert, or_, select, update
from sqlalchemy.orm import Session

from ..alerts.sentences import filled
from . import commands, events, models, outbox, watermarks
from .database import among
from .models import Json, Severity, rank


class Blame(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's part in an alert: its share (0 to 1), what was observed, what was expected (low to high)."""

    sensor: str
    label: str
    unit: str
    share: float
    observed: float | None
    low: float | None
    high: float | None


class AlertChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an alert: it fires, it is over, or what is known of it changed (`update`).

    About a device (`device_key`, and its site if it has one), or about a site (`device_key` None).
    """

    owner_id: int
    device_key: int | None
    site_id: int | None
    kind: str
    rule: int = -1
    sensor: str | None = None
    to_state: Literal["firing", "resolved", "update"]
    at_ms: int
    first_signs_ms: int | None = None
    pending_ms: int | None = None
    severity: Severity = "warning"
    score: float | None = None
    peak_score: float | None = None
    sentence: str = ""
    blame: tuple[Blame, ...] = ()
    model_version: int | None = None
    historic: bool = False
    resolution: str | None = None


_Subject = tuple[bool, int, str, int]
"""What only one alert may be open about: (of a device?, device_key or site_id, kind, rule)."""

_Step = Literal["fired", "worse", "changed", "resolved"]


def record(
    session: Session,
    shard: int,
    seq: int,
    changes: Sequence[AlertChange],
    now_ms: int,
    *,
    done_commands: Iterable[int] = (),
) -> list[int | None]:
    """Write what record `seq` of a shard's log caused, and that it is applied; return an alert id per change.

    Everything or nothing, with `database.applying`. A record that is applied already has no effect. None stands
    for a change of an alert that a person had closed before the engine heard of it. A live firing while a historic
    alert is open makes that one live: people are told of it. Any other while one is open counts as an update.
    """
    if seq <= watermarks.read(session, shard).applied_seq:
        return [None] * len(changes)
    ids: list[int | None] = []
    news: list[events.News] = []
    if changes:
        book = _Book(session, changes)
        for change in changes:
            book.enter(change)
        ids = book.write()
        outbox.queue(session, book.to_tell(), now_ms)
        news = book.news()
    commands.mark_done(session, done_commands, seq, now_ms)
    watermarks.advance(session, shard, now_ms, applied_seq=seq)
    events.publish(session, news, now_ms)
    return ids


class _Entry:
    """An alert while changes are entered: its row, and its id once the database has it."""

    __slots__ = ("alert_id", "row")

    def __init__(self, alert_id: int | None, row: dict[str, Any]) -> None:
        self.alert_id = alert_id
        self.row = row


class _Book:
    """The open alerts that some changes are about, and what the changes make of them, in their order."""

    def __init__(self, session: Session, changes: Sequence[AlertChange]) -> None:
        self._session = session
        self._open = _open_alerts(session, changes)
        self._silences = _silences(session, changes)
        self._entries: list[_Entry | None] = []
        self._steps: list[tuple[_Entry, AlertChange, _Step]] = []

    def enter(self, change: AlertChange) -> None:
        """Let one change happen."""
        subject = _subject(change)
        entry = self._open.get(subject)
        if change.to_state == "firing" and entry is None:
            entry = self._open[subject] = _Entry(None, _new_row(change) | self._silence(subject, change.at_ms))
            self._steps.append((entry, change, "fired"))
        elif entry is not None and change.to_state == "resolved":
            entry.row |= {"state": "resolved", "resolved_ms": change.at_ms, "resolution": change.resolution}
            del self._open[subject]
            self._steps.append((entry, change, "resolved"))
        elif entry is not None:
            worse = rank(change.severity) > rank(entry.row["severity"])
            comes_live = change.to_state == "firing" and entry.row["historic"] and not change.historic
            entry.row |= _known_now(change, entry.row) | ({"historic": False} if comes_live else {})
            self._steps.append((entry, change, "fired" if comes_live else "worse" if worse else "changed"))
        self._entries.append(entry)

    def write(self) -> list[int | None]:
        """Write alerts and their history; return the alert's id for each change."""
        touched = {id(entry): entry for entry, _, _ in self._steps}.values()
        old = [entry for entry in touched if entry.alert_id is not None]
        new = [entry for entry in touched if entry.alert_id is None]
        if old:  # first: one that ends makes room for the next one about the same
            rows = [{"id": entry.alert_id, **{name: entry.row[name] for name in _ENGINES}} for entry in old]
            self._session.execute(update(models.Alert), rows)
        if new:
            made = insert(models.Alert).returning(models.Alert.id, sort_by_parameter_order=True)
            ids = self._session.scalars(made, [entry.row for entry in new])
            for entry, alert_id in zip(new, ids, strict=True):
                entry.alert_id = alert_id
        history = [_history(entry, change, step) for entry, change, step in self._steps if step != "changed"]
        if history:
            self._session.execute(insert(models.AlertHistory), history)
        return [None if entry is None else entry.alert_id for entry in self._entries]

    def to_tell(self) -> list[outbox.AlertNews]:
        """What channels may want to hear; nothing of what is historic."""
        return [
            outbox.AlertNews(
                news="firing" if step == "fired" else step,
                at_ms=change.at_ms,
                alert_id=_id(entry),
                severity=entry.row["severity"] if step == "resolved" else change.severity,
                sentence=change.sentence or entry.row["sentence"],
                **{name: entry.row[name] for name in _TOLD},
            )
            for entry, change, step in self._steps
            if step != "changed" and not change.historic
        ]

    def news(self) -> list[events.News]:
        """What open pages want to know: each live change, and one word per owner of all historic ones."""
        live = [
            events.News(
                owner_id=entry.row["owner_id"],
                kind="alert",
                device_key=entry.row["device_key"],
                alert_id=entry.alert_id,
                payload={
                    "what": step,
                    "state": "resolved" if step == "resolved" else "firing",
                    "kind": entry.row["kind"],
                    "severity": entry.row["severity"],
                    "sentence": _said(entry, change),
                },
            )
            for entry, change, step in self._steps
            if not change.historic
        ]
        past = Counter(change.owner_id for _, change, _ in self._steps if change.historic)
        return live + [
            events.News(owner_id=owner_id, kind="historic_alerts", payload={"changes": count})
            for owner_id, count in sorted(past.items())
        ]

    def _silence(self, subject: _Subject, at_ms: int) -> dict[str, Any]:
        """Who silenced an alert about the same until later than now silenced this one too."""
        until_ms, by = self._silences.get(subject, (0, None))
        return {"silenced_until_ms": until_ms, "silenced_by": by} if until_ms > at_ms else _NOT_SILENCED


def _open_alerts(session: Session, changes: Sequence[AlertChange]) -> dict[_Subject, _Entry]:
    columns = ("id", "owner_id", "device_key", "site_id", "kind", "rule", "first_signs_ms", "fired_ms", *_ENGINES)
    query = select(*(getattr(models.Alert, name) for name in columns)).where(models.Alert.state == "firing")
    # The rows are held until the end: a person who acts on one meanwhile waits for us, or we for them.
    query = query.where(_about(session, changes)).order_by(models.Alert.id).with_for_update()
    entries = [_Entry(row.id, dict(row._mapping)) for row in session.execute(query)]
    return {_subject_of_row(entry.row): entry for entry in entries}


def _silences(session: Session, changes: Sequence[AlertChange]) -> dict[_Subject, tuple[int, int | None]]:
    """The silences that outlast the alerts they were spoken on, by subject."""
    firing = [change for change in changes if change.to_state == "firing" and not change.historic]
    if not firing:
        return {}
    rows = session.execute(
        select(
            models.Alert.device_key,
            models.Alert.site_id,
            models.Alert.kind,
            models.Alert.rule,
            models.Alert.silenced_until_ms,
            models.Alert.silenced_by,
        )
        .where(_about(session, firing), models.Alert.silenced_until_ms > min(change.at_ms for change in firing))
        .order_by(models.Alert.id)
    )
    return {_subject_of_row(dict(row._mapping)): (row.silenced_until_ms, row.silenced_by) for row in rows}


def _about(session: Session, changes: Sequence[AlertChange]) -> ColumnElement[bool]:
    keys = {change.device_key for change in changes if change.device_key is not None}
    sites = {change.site_id for change in changes if change.device_key is None and change.site_id is not None}
    of_devices = among(session, models.Alert.device_key, sorted(keys))
    if not sites:
        return of_devices
    return or_(of_devices, models.Alert.device_key.is_(None) & among(session, models.Alert.site_id, sorted(sites)))


def _subject(change: AlertChange) -> _Subject:
    if change.device_key is not None:
        return True, change.device_key, change.kind, change.rule
    if change.site_id is None:
        raise ValueError(f"an alert of kind {change.kind!r} is about neither a device nor a site")
    return False, change.site_id, change.kind, -1


def _subject_of_row(row: Mapping[str, Any]) -> _Subject:
    if row["device_key"] is not None:
        return True, row["device_key"], row["kind"], row["rule"]
    return False, row["site_id"], row["kind"], -1


def _new_row(change: AlertChange) -> dict[str, Any]:
    taken = msgspec.structs.asdict(change)
    row = {name: taken[name] for name in taken if name not in ("to_state", "at_ms", "blame", "resolution")}
    return row | {
        "state": "firing",
        "fired_ms": change.at_ms,
        "resolved_ms": None,
        "resolution": None,
        "peak_score": change.score if change.peak_score is None else change.peak_score,
        "blame": _blame(change),
    }


def _known_now(change: AlertChange, row: Mapping[str, Any]) -> dict[str, Any]:
    """What an update tells anew; what it doesn't tell stays."""
    told = {
        "severity": change.severity,
        "sensor": change.sensor,
        "score": change.score,
        "sentence": change.sentence or None,
        "blame": _blame(change) or None,
        "model_version": change.model_version,
    }
    peaks = [peak for peak in (row["peak_score"], change.peak_score, change.score) if peak is not None]
    return {name: value for name, value in told.items() if value is not None} | {"peak_score": max(peaks, default=None)}


def _blame(change: AlertChange) -> list[dict[str, Json]]:
    return [msgspec.structs.asdict(blame) for blame in change.blame]


def _said(entry: _Entry, change: AlertChange) -> str:
    """The sentence as it is when the change happens."""
    began_ms = entry.row["first_signs_ms"] or entry.row["fired_ms"]
    return filled(change.sentence or entry.row["sentence"], change.at_ms - began_ms)


def _history(entry: _Entry, change: AlertChange, step: _Step) -> dict[str, object]:
    said = (change.resolution or "") if step == "resolved" else _said(entry, change)
    return {"alert_id": entry.alert_id, "at_ms": change.at_ms, "what": step, "who": None, "text": said}


def _id(entry: _Entry) -> int:
    assert entry.alert_id is not None, "told before it was written"
    return entry.alert_id


_ENGINES = (
    "state",
    "severity",
    "sensor",
    "score",
    "peak_score",
    "sentence",
    "blame",
    "model_version",
    "resolved_ms",
    "resolution",
    "historic",
)
"""Columns the engine decides; the others of an open alert are people's."""

_TOLD = ("owner_id", "device_key", "site_id", "kind", "sensor", "first_signs_ms", "fired_ms", "resolution", "blame")

_NOT_SILENCED: dict[str, Any] = {"silenced_until_ms": None, "silenced_by": None}
