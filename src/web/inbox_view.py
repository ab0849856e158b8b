"""What the alerts page shows: the inbox by site, and the chosen alert."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from ..fleet.access import Access
from ..fleet.views import AlertQuery, AlertTab, AlertView
from . import alert_words
from .fleet_view import device_href, worst_first
from .roster import Roster
from .words import Reader, plural

TABS: tuple[AlertTab, ...] = ("open", "acknowledged", "silenced", "resolved")
SHOWN = 200
BEFORE_INTERVALS = 720
"""So much is shown before an alert, in the reporting intervals of its type: half a day of minutes."""

MOST_INTERVALS = 60 * BEFORE_INTERVALS
"""Charts of an alert begin this long before its first signs."""
EMPTY = {
    "open": "Nothing needs you.",
    "acknowledged": "No alert is being looked after.",
    "silenced": "No alert is silenced.",
    "resolved": "No alert has been resolved yet.",
    "all": "No alert has fired yet.",
}


@dataclass(frozen=True, slots=True)
class Charts:
    """The charts beside an alert: which device, time, and sensors."""

    url: str
    from_ms: int
    to_ms: int
    onset_ms: int
    until_ms: int | None
    sensors: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The alert whose particulars are shown, and what may be done about it."""

    id: int
    kind: str
    status: str
    name: str
    place: str
    href: str
    pill: str
    sentence: str
    under: str
    resolved: bool
    acknowledged: str
    silenced: str
    confirmed_kind: str | None
    of_device: bool
    blame: list[alert_words.Share]
    charts: Charts | None
    happened: list[alert_words.Step]
    likely: alert_words.Likely | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the inbox."""

    id: int
    status: str
    title: str
    sentence: str
    at_ms: int
    duration: str


@dataclass(frozen=True, slots=True)
class Group:
    """The alerts of one site."""

    name: str
    words: str
    alerts: list[Row]


@dataclass(frozen=True, slots=True)
class Tab:
    """A tab of the inbox."""

    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Inbox:
    """The alerts page."""

    tab: str
    tabs: list[Tab]
    words: str
    groups: list[Group]
    chosen: Chosen | None
    chosen_id: int | None
    picked: bool
    here: str
    onward: str
    next: str | None
    empty: str


def inbox(
    access: Access,
    roster: Roster,
    owner_id: int | None,
    reader: Reader,
    tab: AlertTab | None,
    chosen_id: int | None,
    cursor: str | None,
    across: bool,
) -> Inbox:
    """Put the page together; without `tab`, that of the chosen alert, else the open ones."""
    picked = access.alert(chosen_id) if chosen_id is not None else None
    shown: AlertTab = tab or (alert_words.tab(picked, reader.now_ms) if picked else "open")
    page = access.alerts(AlertQuery(tab=shown, limit=SHOWN, cursor=cursor), reader.now_ms)
    counts = access.alert_counts(AlertQuery(), reader.now_ms)
    tabs = [Tab(name, getattr(counts, name)) for name in TABS]
    found = access.likely_kinds([alert.id for alert in page.items])
    likely = {alert.id: alert_words.likely(alert, found.get(alert.id)) for alert in page.items}
    groups = _groups(page.items, likely, roster, owner_id, reader, shown)
    order = [row.id for group in groups for row in group.alerts]
    by_id = {alert.id: alert for alert in page.items}
    chosen = picked or (by_id[order[0]] if order else None)
    following = _following(order, chosen.id) if chosen else None
    root = f"/alerts?tab={shown}"
    return Inbox(
        tab=shown,
        tabs=tabs,
        words=_words(counts.open, page.items if shown == "open" else [], reader),
        groups=groups,
        chosen=_particulars(access, chosen, reader, across) if chosen else None,
        chosen_id=chosen.id if chosen else None,
        picked=picked is not None,
        here=f"{root}&chosen={chosen.id}" if picked and chosen else root,
        onward=f"{root}&chosen={following}" if following else root,
        next=None if page.next is None else f"{root}&{urlencode({'cursor': page.next})}",
        empty=EMPTY[shown],
    )


def chosen_alert(alert: AlertView, reader: Reader, across: bool = False) -> Chosen:
    """An alert without charts and history."""
    if alert.device_id is not None:
        href = device_href(alert.device_id, alert.owner if across else None)
    else:
        href = alert.link or f"/devices?site={alert.site_id}"
    silent_until = alert.silenced_until_ms or 0
    return Chosen(
        id=alert.id,
        kind=alert.kind,
        status=alert_words.mark(alert),
        name=alert_words.subject(alert),
        place=alert_words.place(alert),
        href=href,
        pill=alert_words.pill(alert, reader),
        sentence=alert.said(reader.now_ms),
        under=alert_words.under(alert),
        resolved=alert.state == "resolved",
        acknowledged=alert_words.marks_words(alert, reader),
        silenced=f"Silenced until {reader.text(silent_until)}" if silent_until > reader.now_ms else "",
        confirmed_kind=alert.confirmed_kind,
        of_device=alert.device_key is not None,
        blame=alert_words.blame(alert),
        charts=None,
        happened=[],
    )


def _particulars(access: Access, alert: AlertView, reader: Reader, across: bool) -> Chosen:
    plain = chosen_alert(alert, reader, across)
    likely = alert_words.likely(alert, access.likely_kinds([alert.id]).get(alert.id))
    happened = alert_words.happened(alert, access.alert_history(alert.id))
    happened += [step for notice in access.notices(alert.id) if (step := alert_words.told(notice)) is not None]
    device_type = access.type(alert.type_id).device_type if alert.type_id else None
    charts = _charts(alert, device_type.interval_ms, reader, across) if device_type else None
    blame = alert_words.blame(alert, len(device_type.sensors)) if device_type else []
    values = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    ordered = sorted(happened, key=lambda step: step.at_ms)
    return Chosen(**{**values, "charts": charts, "happened": ordered, "blame": blame, "likely": likely})


def _charts(alert: AlertView, interval_ms: int, reader: Reader, across: bool) -> Charts | None:
    if alert.device_id is None:
        return None
    before_ms = BEFORE_INTERVALS * interval_ms
    onset = alert.first_signs_ms or alert.fired_ms
    end = reader.now_ms if alert.resolved_ms is None else min(reader.now_ms, alert.resolved_ms + before_ms // 2)
    if alert.historic:
        end = min(end, (alert.resolved_ms or alert.fired_ms) + before_ms)
    query = f"?owner={quote(alert.owner or '', safe='')}" if across else ""
    url = f"/api/v1/devices/{quote(alert.device_id, safe='')}/readings{query}"
    start = max(onset - before_ms, end - MOST_INTERVALS * interval_ms)
    return Charts(url, start, end, onset, alert.resolved_ms, ",".join(alert_words.blamed_sensors(alert)))


def _following(order: Sequence[int], alert_id: int) -> int | None:
    """The alert to go on with when this one has left the list: the next, else the one before."""
    if alert_id not in order:
        return order[0] if order else None
    at = order.index(alert_id)
    rest = [*order[at + 1 :], *reversed(order[:at])]
    return rest[0] if rest else None


def _groups(
    alerts: Sequence[AlertView],
    likely: Mapping[int, alert_words.Likely | None],
    roster: Roster,
    owner_id: int | None,
    reader: Reader,
    tab: str,
) -> list[Group]:
    devices = dict(roster.of(owner_id).group_by("site_id").len().iter_rows())
    by_site: dict[int | str | None, list[AlertView]] = {}
    for alert in alerts if tab == "resolved" else worst_first(list(alerts)):
        by_site.setdefault(alert.kind if alert.kind == "model" else alert.site_id, []).append(alert)
    groups = []
    for site_id, members in by_site.items():
        if site_id == "model":
            groups.append(Group("Models", "for operators only", [_row(alert, None, reader) for alert in members]))
            continue
        whole = any(alert.device_key is None for alert in members)
        concerned = len({alert.device_key for alert in members} - {None})
        words = alert_words.group_words(concerned, whole, int(devices.get(site_id, 0)))
        rows = [_row(alert, likely.get(alert.id), reader) for alert in members]
        groups.append(Group(members[0].site or "No site", words, rows))
    return groups


def _row(alert: AlertView, likely: alert_words.Likely | None, reader: Reader) -> Row:
    title = f"{alert_words.subject(alert)}: {alert_words.headline(alert)}"
    title += f", likely {likely.kind}" if likely else ""
    at = alert.fired_ms if alert.state == "firing" else (alert.resolved_ms or alert.fired_ms)
    return Row(
        alert.id,
        alert_words.mark(alert),
        title,
        alert.said(reader.now_ms),
        at,
        alert_words.length(alert, reader.now_ms),
    )


def _words(count: int, alerts: Sequence[AlertView], reader: Reader) -> str:
    if not count:
        return "none open"
    oldest = min((alert.fired_ms for alert in alerts), default=None)
    return f"{plural(count, 'open alert')}" + (f"; the oldest since {reader.text(oldest)}" if oldest else "")
