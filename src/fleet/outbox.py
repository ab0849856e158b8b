"""Notices on their way to channels: queued in the transaction of what they tell of, sent by `service/notifier`."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Literal

import msgspec
from sqlalchemy import delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from ..alerts.sentences import filled
from ..exceptions import ConflictError
from . import models
from .database import among
from .models import Json, rank

News = Literal["firing", "worse", "resolved"]


class AlertNews(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an alert, as far as a notice tells it."""

    news: News
    at_ms: int
    alert_id: int
    owner_id: int | None
    device_key: int | None
    site_id: int | None
    kind: str
    severity: str
    sensor: str | None
    sentence: str
    first_signs_ms: int | None
    fired_ms: int
    resolution: str | None
    blame: list[dict[str, Json]] | None
    cause: str | None = None
    subject: str | None = None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is due; address and secret are still encrypted."""

    id: int
    idempotency_key: str
    channel_id: int
    channel_name: str
    channel_kind: str
    address: str
    secret: str | None
    attempts: int
    payload: dict[str, Json]
    is_trial: bool


class _Filter(msgspec.Struct, frozen=True):
    channel_id: int
    min_severity: int
    kinds: frozenset[str] | None

    def takes(self, item: AlertNews) -> bool:
        """Whether the channel wants to hear of it."""
        return rank(item.severity) >= self.min_severity and (self.kinds is None or item.kind in self.kinds)


def queue(session: Session, items: Sequence[AlertNews], now_ms: int) -> int:
    """Queue a notice for each channel that should hear; return how many.

    `firing` goes to channels whose filter takes it, unless the device is in maintenance; `worse` too, as `firing`
    where that channel has not been told before; `resolved` only to channels that were told. A silenced alert's
    notices are queued and wait until the silence is over; one that ends in silence takes back those not yet sent.
    What belongs to no owner goes to the channels of operators.
    """
    filters = _filters(session, {item.owner_id for item in items})
    items = [item for item in items if item.owner_id in filters]
    if not items:
        return 0
    quiet = _withdraw_silenced(session, [item for item in items if item.news == "resolved"])
    told = _told(session, {item.alert_id for item in items})
    told_before = {alert_id: set(channels) for alert_id, channels in told.items()}
    spared = _in_maintenance(session, items)
    chosen: list[tuple[AlertNews, int, News]] = []
    for position, item in enumerate(items):
        before = told.setdefault(item.alert_id, set())
        if item.news == "resolved":
            if item.alert_id in quiet:  # what it would tell now was never heard either
                chosen = [choice for choice in chosen if choice[0].alert_id != item.alert_id]
                before = told_before.get(item.alert_id, set())
            chosen += [(item, channel_id, "resolved") for channel_id in sorted(before)]
        elif position not in spared:
            for channel in filters[item.owner_id]:
                if channel.takes(item):
                    news: News = "worse" if channel.channel_id in before else "firing"
                    chosen.append((item, channel.channel_id, news))
                    before.add(channel.channel_id)
    if chosen:
        names = _names(session, [item for item, _, _ in chosen])
        session.execute(insert(models.Outbox), [_row(*choice, names[choice[0].alert_id], now_ms) for choice in chosen])
    return len(chosen)


def trial_payload(owner: str, channel: str, at: str) -> dict[str, Json]:
    """What a trial of a channel tells: an alert in shape, that says it is none. `at` is RFC 3339."""
    alert: dict[str, Json] = {
        "id": 0,
        "kind": "test",
        "severity": "info",
        "sensor": None,
        "sentence": f"This is a test of the channel {channel!r}; no device is affected.",
        "first_signs": None,
        "fired": at,
        "resolution": None,
        "blame": [],
        "path": "/",
    }
    return {"event": "test", "at": at, "alert": alert, "device": None, "site": None, "owner": owner}


def queue_trial(session: Session, channel_id: int, owner: str, name: str, now_ms: int) -> int:
    """Queue a trial of a channel, which is tried once; return its id. One that still waits is the same."""
    waiting = select(models.Outbox.id).where(
        models.Outbox.channel_id == channel_id, models.Outbox.alert_id.is_(None), models.Outbox.state == "pending"
    )
    known = session.scalar(waiting)
    if known is not None:
        return known
    made = insert(models.Outbox).values(
        idempotency_key=f"test-channel-{channel_id}-{token_hex(8)}",
        alert_id=None,
        channel_id=channel_id,
        payload=trial_payload(owner, name, time_text(now_ms)),
        state="pending",
        attempts=0,
        created_ms=now_ms,
        next_attempt_ms=now_ms,
    )
    return session.execute(made.returning(models.Outbox.id)).scalar_one()


def try_again(session: Session, notice_id: int, now_ms: int) -> None:
    """Let a notice that was given up be sent, its attempts counted anew. Raises ConflictError where it wasn't."""
    again = (
        update(models.Outbox)
        .where(models.Outbox.id == notice_id, models.Outbox.state == "dead")
        .values(state="pending", attempts=0, next_attempt_ms=now_ms)
        .returning(models.Outbox.id)
    )
    if not session.execute(again).all():
        raise ConflictError(f"notice {notice_id} was not given up; there is nothing to try again")


def of_alert(alert: models.Alert, news: News, at_ms: int) -> AlertNews:
    """News of an alert as its row stands."""
    fields = {name: getattr(alert, name) for name in AlertNews.__struct_fields__ if hasattr(alert, name)}
    return AlertNews(news=news, at_ms=at_ms, alert_id=alert.id, **fields)


def any_waits(session: Session) -> bool:
    """Whether a notice is yet to be sent, now or later."""
    return session.scalar(select(models.Outbox.id).where(models.Outbox.state == "pending").limit(1)) is not None


def due(
    session: Session,
    now_ms: int,
    limit: int = 500,
    busy_channels: Iterable[int] = (),
    resting_channels: Iterable[int] = (),
) -> list[Notice]:
    """Notices whose time has come, oldest first; of one alert and channel only the first, so that they keep order.

    Those of silenced alerts and of disabled channels wait; channels named busy are left out. One that rests takes a
    trial all the same: somebody wants to know whether it works again.
    """
    earlier = aliased(models.Outbox)
    before = exists().where(
        earlier.alert_id == models.Outbox.alert_id,
        earlier.channel_id == models.Outbox.channel_id,
        earlier.state == "pending",
        earlier.id < models.Outbox.id,
    )
    rows = session.execute(
        select(
            models.Outbox.id,
            models.Outbox.idempotency_key,
            models.Outbox.channel_id,
            models.Channel.name.label("channel_name"),
            models.Channel.kind.label("channel_kind"),
            models.Channel.address,
            models.Channel.secret,
            models.Outbox.attempts,
            models.Outbox.payload,
            models.Outbox.alert_id.is_(None).label("is_trial"),
        )
        .join(models.Channel, models.Channel.id == models.Outbox.channel_id)
        .outerjoin(models.Alert, models.Alert.id == models.Outbox.alert_id)
        .where(
            models.Outbox.state == "pending",
            # A first attempt is due whatever the clock says, which may have been set back since.
            or_(models.Outbox.next_attempt_ms <= now_ms, models.Outbox.attempts == 0),
            or_(models.Alert.silenced_until_ms.is_(None), models.Alert.silenced_until_ms <= now_ms),
            models.Outbox.channel_id.not_in(list(busy_channels)),
            or_(
                models.Outbox.alert_id.is_(None),
                models.Channel.disabled.is_(False) & models.Outbox.channel_id.not_in(list(resting_channels)),
            ),
            ~before,
        )
        .order_by(models.Outbox.next_attempt_ms, models.Outbox.id)
        .limit(limit)
    )
    return [Notice(**row._mapping) for row in rows.all()]


def mark_sent(session: Session, notice_id: int, now_ms: int) -> None:
    """The channel took the notice."""
    session.execute(
        update(models.Outbox)
        .where(models.Outbox.id == notice_id)
        .values(state="sent", sent_ms=now_ms, attempts=models.Outbox.attempts + 1, last_error=None)
    )


def mark_failed(session: Session, notice_id: int, error: str, next_attempt_ms: int | None) -> None:
    """The channel did not take the notice: try again at a time, or never (`next_attempt_ms` None: dead).

    With a first notice that is dead, nobody needs the word that its alert is over: that is taken back.
    """
    values: dict[str, object] = {"attempts": models.Outbox.attempts + 1, "last_error": error[:1000]}
    values |= {"state": "dead"} if next_attempt_ms is None else {"next_attempt_ms": next_attempt_ms}
    row = session.execute(
        update(models.Outbox)
        .where(models.Outbox.id == notice_id)
        .values(**values)
        .returning(models.Outbox.alert_id, models.Outbox.channel_id)
    ).one_or_none()
    if row is not None and row.alert_id is not None and next_attempt_ms is None:
        _withdraw_unheard(session, row.alert_id, row.channel_id)


def forget_before(session: Session, at_ms: int) -> None:
    """Delete notices that were sent, or given up, and queued before a time."""
    session.execute(delete(models.Outbox).where(models.Outbox.state != "pending", models.Outbox.created_ms < at_ms))


def _filters(session: Session, owner_ids: set[int | None]) -> dict[int | None, list[_Filter]]:
    owned = among(session, models.Channel.owner_id, sorted(one for one in owner_ids if one is not None))
    whose = owned if None not in owner_ids else or_(owned, models.Channel.owner_id.is_(None))
    rows = session.execute(
        select(models.Channel.owner_id, models.Channel.id, models.Channel.min_severity, models.Channel.kinds)
        .where(whose, models.Channel.disabled.is_(False))
        .order_by(models.Channel.id)
    )
    found: dict[int | None, list[_Filter]] = {}
    for owner_id, channel_id, min_severity, kinds in rows:
        wanted = None if kinds is None else frozenset(kinds)
        found.setdefault(owner_id, []).append(_Filter(channel_id, rank(min_severity), wanted))
    return found


def _withdraw_silenced(session: Session, resolved: Sequence[AlertNews]) -> set[int]:
    """Take back what was not yet tried of alerts that end while they are silenced; return those alerts."""
    ended = {item.alert_id: item.at_ms for item in resolved}
    if not ended:
        return set()
    silenced = session.execute(
        select(models.Alert.id, models.Alert.silenced_until_ms).where(
            among(session, models.Alert.id, ended), models.Alert.silenced_until_ms.is_not(None)
        )
    )
    quiet = {alert_id for alert_id, until_ms in silenced if until_ms is not None and until_ms > ended[alert_id]}
    if quiet:
        session.execute(
            delete(models.Outbox).where(
                among(session, models.Outbox.alert_id, quiet),
                models.Outbox.state == "pending",
                models.Outbox.attempts == 0,
            )
        )
    return quiet


def _withdraw_unheard(session: Session, alert_id: int, channel_id: int) -> None:
    rows = session.scalars(
        select(models.Outbox).where(models.Outbox.alert_id == alert_id, models.Outbox.channel_id == channel_id)
    ).all()
    if not any(row.state == "sent" for row in rows):
        for row in rows:
            if row.state == "pending" and row.payload["event"] == "resolved":
                session.delete(row)


def _told(session: Session, alert_ids: set[int]) -> dict[int, set[int]]:
    rows = session.execute(
        select(models.Outbox.alert_id, models.Outbox.channel_id).where(
            among(session, models.Outbox.alert_id, sorted(alert_ids)), models.Outbox.state != "dead"
        )
    )
    told: dict[int, set[int]] = {}
    for alert_id, channel_id in rows:
        if alert_id is not None:
            told.setdefault(alert_id, set()).add(channel_id)
    return told


def _in_maintenance(session: Session, items: Sequence[AlertNews]) -> set[int]:
    """Positions of items whose device was in maintenance when it happened."""
    keys = {item.device_key for item in items if item.device_key is not None}
    rows = session.execute(
        select(models.Maintenance.device_key, models.Maintenance.from_ms, models.Maintenance.until_ms).where(
            among(session, models.Maintenance.device_key, sorted(keys))
        )
    )
    windows: dict[int, list[tuple[int, int | None]]] = {}
    for device_key, from_ms, until_ms in rows:
        windows.setdefault(device_key, []).append((from_ms, until_ms))
    return {
        position
        for position, item in enumerate(items)
        for from_ms, until_ms in windows.get(item.device_key or -1, [])
        if from_ms <= item.at_ms and (until_ms is None or item.at_ms < until_ms)
    }


def _names(session: Session, items: Sequence[AlertNews]) -> Mapping[int, dict[str, Json]]:
    """What people call the owner, device and site of each alert, by alert id."""
    owners = session.execute(
        select(models.Owner.id, models.Owner.name).where(
            among(session, models.Owner.id, sorted({item.owner_id for item in items if item.owner_id is not None}))
        )
    )
    owner_names = {owner_id: name for owner_id, name in owners}
    keys = sorted({item.device_key for item in items if item.device_key is not None})
    found = session.execute(
        select(models.Device.id, models.Device.device_id, models.Device.name, models.DeviceType.name, models.Site.name)
        .join(models.DeviceType, models.DeviceType.id == models.Device.type_id)
        .outerjoin(models.Site, models.Site.id == models.Device.site_id)
        .where(among(session, models.Device.id, keys))
    )
    devices: dict[int, dict[str, Json]] = {
        key: {"device": {"id": device_id, "name": name, "type": type_name}, "site": site}
        for key, device_id, name, type_name, site in found
    }
    site_ids = sorted({item.site_id for item in items if item.device_key is None and item.site_id is not None})
    sites = session.execute(select(models.Site.id, models.Site.name).where(among(session, models.Site.id, site_ids)))
    site_names: dict[int, str] = {site_id: name for site_id, name in sites}
    return {
        item.alert_id: {
            "owner": None if item.owner_id is None else owner_names[item.owner_id],
            **(
                {"device": None, "site": site_names.get(item.site_id or -1)}
                if item.device_key is None
                else devices[item.device_key]
            ),
        }
        for item in items
    }


def _row(item: AlertNews, channel_id: int, news: News, names: dict[str, Json], now_ms: int) -> dict[str, object]:
    mark = f"-{item.at_ms}" if news == "worse" else ""
    return {
        "idempotency_key": f"alert-{item.alert_id}-channel-{channel_id}-{news}{mark}",
        "alert_id": item.alert_id,
        "channel_id": channel_id,
        "payload": {"event": news, "at": time_text(item.at_ms), **_told_of(item), **names},
        "state": "pending",
        "attempts": 0,
        "created_ms": now_ms,
        "next_attempt_ms": now_ms,
    }


def _told_of(item: AlertNews) -> dict[str, Json]:
    return {
        "alert": {
            "id": item.alert_id,
            "kind": item.kind,
            "severity": item.severity,
            "sensor": item.sensor,
            "sentence": filled(item.sentence, item.at_ms - (item.first_signs_ms or item.fired_ms)),
            "first_signs": None if item.first_signs_ms is None else time_text(item.first_signs_ms),
            "fired": time_text(item.fired_ms),
            "resolution": item.resolution,
            "blame": [*item.blame] if item.blame else [],
            "path": f"/alerts?chosen={item.alert_id}",
            **({} if item.cause is None else {"cause": item.cause, "subject": item.subject}),
        }
    }


def time_text(at_ms: int) -> str:
    """A time as RFC 3339, in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
