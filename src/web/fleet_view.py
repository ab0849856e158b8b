"""What the fleet page shows, from the roster and the open alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import msgspec
import numpy as np
import polars as pl

from ..alerts.status import Status
from ..fleet.access import Access
from ..fleet.models import rank
from ..fleet.owners import SiteEntry
from ..fleet.views import AlertQuery, AlertView
from . import alert_words, lead
from .parts import Parts
from .ranges import TimeRange
from .roster import STATUS_NAMES, Roster
from .rows import device_rows
from .shapes import Map, Place, Spark, site_map, spark

SHOWN = 6
"""How many alerts the page names; the rest is on the alerts page."""
MOST_OPEN = 10_000
SPARK_MS = round(timedelta(hours=6).total_seconds() * 1000)
ORDER = ("healthy", "suspect", "faulty", "silent", "learning", "maintenance")
WORST = ("faulty", "silent", "suspect", "maintenance", "learning", "healthy")


@dataclass(frozen=True, slots=True)
class Count:
    """One status, how many devices have it, and a word more where there is one."""

    status: str
    n: int
    note: str
    since: int | None


@dataclass(frozen=True, slots=True)
class Attention:
    """One alert in the list of what needs attention."""

    status: str
    name: str
    place: str
    sentence: str
    href: str
    since_ms: int
    spark: Spark | None


@dataclass(frozen=True, slots=True)
class FleetView:
    """The fleet page."""

    devices: int
    headline: str
    under: str
    counts: list[Count]
    attention: list[Attention]
    more: int
    map: Map
    show_map: bool


def device_href(device_id: str, owner: str | None) -> str:
    """The address of a device's page; `owner` names its owner where the reader sees several."""
    return f"/devices/{quote(device_id, safe='')}" + ("" if owner is None else f"?owner={quote(owner, safe='')}")


def fleet_view(
    parts: Parts, access: Access, owner_id: int | None, roster: Roster, now_ms: int, show_map: bool
) -> FleetView:
    """Put the page together for who sees the devices of `owner_id` (None: of all)."""
    mine = roster.of(owner_id)
    counts = roster.counts(owner_id)
    sites = {site.id: site for site in access.sites()}
    opened = open_alerts(access, now_ms)
    urgent = worst_first([alert for alert in opened if alert.severity != "info"])
    worst = urgent[:SHOWN]
    silent_sites = [_site_news(alert, mine) for alert in urgent if alert.kind == "site"]
    return FleetView(
        devices=mine.height,
        headline=lead.headline(
            counts,
            devices=len({alert.device_key for alert in urgent} - {None}),
            sites=len({alert.site_id for alert in urgent if alert.kind == "site"}),
            models=len({alert.subject for alert in urgent if alert.kind == "model"}),
        ),
        under=lead.under(counts, silent_sites, now_ms),
        counts=_counts(counts, mine, sites),
        attention=[
            _attention(alert, line, owner_id is None, now_ms)
            for alert, line in zip(worst, _sparks(parts, worst, roster, now_ms), strict=True)
        ],
        more=len(opened) - len(worst),
        map=site_map(_places(mine, sites)),
        show_map=show_map,
    )


def open_alerts(access: Access, now_ms: int) -> list[AlertView]:
    """Every alert that is open, and that nobody has acknowledged or silenced; at most `MOST_OPEN`."""
    found: list[AlertView] = []
    query = AlertQuery(tab="open", limit=1000)
    while len(found) < MOST_OPEN:
        page = access.alerts(query, now_ms)
        found += page.items
        if page.next is None:
            break
        query = msgspec.structs.replace(query, cursor=page.next)
    return found


def worst_first(alerts: Sequence[AlertView]) -> list[AlertView]:
    """Order alerts: confirmed faults, then by severity, then what has lasted longest."""
    return sorted(alerts, key=_badness)


def _badness(alert: AlertView) -> tuple[int, int, int]:
    return (0 if alert.confirmed_kind else 1, -rank(alert.severity), alert.fired_ms)


def _counts(counts: Mapping[str, int], mine: pl.DataFrame, sites: Mapping[int, SiteEntry]) -> list[Count]:
    found = []
    for name in ORDER:
        note, since = "", None
        if counts[name] and name in ("suspect", "faulty", "silent"):
            those = mine.filter(pl.col("status") == int(Status[name.upper()]))
            places = those["site_id"].drop_nulls().unique()
            if counts[name] == 1:
                since = those["status_since_ms"].item()
            elif len(places) == 1:
                note = sites[int(places[0])].name if int(places[0]) in sites else "1 site"
            elif len(places):
                note = f"at {len(places)} sites"
        found.append(Count(name, counts[name], note, since))
    return found


def _attention(alert: AlertView, line: Spark | None, across: bool, now_ms: int) -> Attention:
    if alert.device_key is None:
        href = f"/alerts?chosen={alert.id}"
    else:
        href = device_href(alert.device_id or "", alert.owner if across else None)
    return Attention(
        status=alert_words.mark(alert),
        name=alert_words.subject(alert),
        place="whole site" if alert.kind == "site" else alert_words.place(alert),
        sentence=alert.said(now_ms),
        href=href,
        since_ms=alert.fired_ms,
        spark=line,
    )


def _site_news(alert: AlertView, mine: pl.DataFrame) -> lead.SiteNews:
    there = mine.filter(pl.col("site_id") == alert.site_id)
    silent = there.filter(pl.col("status") == int(Status.SILENT)).height
    return lead.SiteNews(alert.site or "A site", alert.fired_ms, there.height, silent)


def _sparks(parts: Parts, alerts: Sequence[AlertView], roster: Roster, now_ms: int) -> list[Spark | None]:
    """A line for each alert: its most blamed sensor over the last hours, read once per type and sensor."""
    targets = [_line_of(alert, roster) for alert in alerts]
    wanted: dict[tuple[int, str], list[int]] = {}
    for target in targets:
        if target is not None:
            wanted.setdefault(target[:2], []).append(target[2])
    span = TimeRange(now_ms - SPARK_MS, now_ms + 1)
    read = {what: device_rows(parts, what[0], keys, span, [what[1]]) for what, keys in wanted.items()}
    lines: list[Spark | None] = []
    for alert, target in zip(alerts, targets, strict=True):
        rows = read[target[:2]] if target else pl.DataFrame()
        if target is None or not rows.width:
            lines.append(None)
            continue
        one = rows.filter(pl.col("device_key") == target[2])
        values = one[target[1]].cast(pl.Float64).fill_null(np.nan).to_numpy()
        lines.append(spark(one["timestamp"].dt.epoch("ms").to_numpy(), values, span.start_ms, now_ms, alert.fired_ms))
    return lines


def _line_of(alert: AlertView, roster: Roster) -> tuple[int, str, int] | None:
    """(type, column, device) to draw for an alert: its most blamed sensor, else the score."""
    if alert.device_key is None:
        return None
    type_id = roster.device(alert.device_key).get("type_id")
    if not isinstance(type_id, int):
        return None
    named = alert_words.blamed_sensors(alert, 1)
    return type_id, named[0] if named else "score", alert.device_key


def _places(mine: pl.DataFrame, sites: Mapping[int, SiteEntry]) -> list[Place]:
    sited = mine.select("site_id", "status").drop_nulls("site_id")
    pairs = sited["site_id"].to_numpy() * len(STATUS_NAMES) + sited["status"].to_numpy()
    found: dict[int, dict[str, int]] = {}
    for pair, n in zip(*(column.tolist() for column in np.unique(pairs, return_counts=True)), strict=True):
        site_id, code = divmod(pair, len(STATUS_NAMES))
        found.setdefault(site_id, {})[STATUS_NAMES[code]] = n
    places = []
    for site_id, counts in sorted(found.items()):
        site = sites.get(site_id)
        if site is None or site.latitude is None or site.longitude is None:
            continue
        worst = next(name for name in WORST if counts.get(name))
        total = sum(counts.values())
        words = f"{total}" if worst == "healthy" else f"{counts[worst]} of {total} {worst}"
        places.append(Place(site_id, site.name, site.latitude, site.longitude, total, worst, words))
    return places
