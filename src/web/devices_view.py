"""What the devices page shows: a page of devices with their status and newest reading."""

from dataclasses import dataclass
from urllib.parse import urlencode

from ..exceptions import IngestError
from ..fleet.access import Access
from ..fleet.views import DeviceQuery
from .api.devices import keys_of_status
from .fleet_view import device_href
from .identity import Visitor
from .parts import Parts
from .roster import STATUS_NAMES
from .words import number

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What the address asks for."""

    q: str
    type_id: int | None
    site_id: int | None
    status: str
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table."""

    href: str
    name: str
    status: str
    since_ms: int | None
    type: str
    site: str | None
    owner: str
    score: str
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class DevicesPage:
    """The devices page."""

    q: str
    type: str
    site: str
    status: str
    types: list[tuple[int, str]]
    sites: list[tuple[int, str]]
    statuses: tuple[str, ...]
    owners: bool
    rows: list[Row]
    filtered: bool
    words: str
    first: str | None
    next: str | None


def devices_page(parts: Parts, access: Access, visitor: Visitor, filters: Filters) -> DevicesPage:
    """Put the page together."""
    if filters.status and filters.status not in STATUS_NAMES:
        raise IngestError(f"status={filters.status!r}: expected one of {', '.join(STATUS_NAMES)}")
    query = DeviceQuery(
        search=filters.q,
        type_id=filters.type_id,
        site_id=filters.site_id,
        keys=keys_of_status(parts, visitor, filters.status) if filters.status else None,
        cursor=filters.cursor,
        limit=SHOWN,
    )
    page = access.devices(query)
    roster = parts.rosters.now()
    across = visitor.principal.sees_all
    names = {entry.type_id: entry.device_type.title for entry in access.types()}
    rows = []
    for view in page.items:
        now = roster.device(view.key)
        score, since, last = now["score"], now["status_since_ms"], now["last_ts"]
        rows.append(
            Row(
                href=device_href(view.device_id, view.owner if across else None),
                name=view.name,
                status=STATUS_NAMES[int(str(now["status"]))],
                since_ms=since if isinstance(since, int) else None,
                type=names.get(view.type_id, view.type_name),
                site=view.site,
                owner=view.owner,
                score=f"{score:.1f}" if isinstance(score, float) and score == score else "–",
                last_ms=last if isinstance(last, int) else None,
            )
        )
    filtered = bool(filters.q or filters.type_id or filters.site_id or filters.status)
    total = roster.of(visitor.principal.only_owner).height
    return DevicesPage(
        q=filters.q,
        type=str(filters.type_id or ""),
        site=str(filters.site_id or ""),
        status=filters.status,
        types=sorted(names.items(), key=lambda item: item[1]),
        sites=[(site.id, site.name) for site in access.sites()],
        statuses=STATUS_NAMES,
        owners=across,
        rows=rows,
        filtered=filtered,
        words=_words(len(rows), total, filtered, page.next is not None or filters.cursor is not None),
        first=_address(filters, None) if filters.cursor else None,
        next=_address(filters, page.next) if page.next else None,
    )


def _words(shown: int, total: int, filtered: bool, paged: bool) -> str:
    if filtered:
        return f"{number(shown)} shown{' on this page' if paged else ''}, of {number(total)} devices in all"
    return f"{number(shown)} of {number(total)} devices" if paged else f"{number(total)} devices"


def _address(filters: Filters, cursor: str | None) -> str:
    said = {
        "q": filters.q,
        "type": filters.type_id,
        "site": filters.site_id,
        "status": filters.status,
        "cursor": cursor,
    }
    return f"/devices?{urlencode({name: value for name, value in said.items() if value})}"
