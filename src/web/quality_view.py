"""What is wrong with the data of some devices: rows set aside, silent devices, sensors in trouble, late readings."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ..alerts.status import Status
from ..exceptions import AccessError
from ..fleet.access import Access
from ..fleet.owners import OwnerEntry
from ..fleet.principal import Principal
from ..fleet.views import AlertQuery, AlertTab, AlertView
from .fleet_view import device_href
from .parts import Parts
from .words import duration, listed, plural

DAY_MS = 86_400_000
SPAN_MS = 7 * DAY_MS
"""Rows set aside are counted over this long."""
SHOWN = 100
"""How many devices of each list are named."""
SAMPLES = 3
LATE_INTERVALS = 2
LATE_LEAST_MS = 60_000
"""A reading is late that came this much after its time, beyond two intervals of its type."""
_OPEN: tuple[AlertTab, ...] = ("open", "acknowledged", "silenced")

REASON_WORDS = {
    "unparsable": "Could not be read",
    "unknown_device": "From an unknown device",
    "forbidden_device": "By a token that is not for the device",
    "unknown_type": "Of an unknown type",
    "wrong_type": "Of another type than its device",
    "unknown_sensor": "With a sensor that its type has not",
    "not_finite": "With a value that is no number",
    "out_of_range": "Out of a sensor's range",
    "future": "Ahead of the clock",
    "too_old": "Too old to be live",
    "conflict": "Contradicting a reading that is there",
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A row that was set aside: when it came, whose it was, why, and what was sent."""

    at_ms: int
    device_id: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Rows that were set aside for the same reason."""

    name: str
    words: str
    rows: int
    devices: int
    newest_ms: int
    samples: list[Sample]


@dataclass(frozen=True, slots=True)
class Quiet:
    """A device that is silent."""

    device_id: str
    owner: str
    site: str
    href: str
    since_ms: int
    last_ms: int | None


@dataclass(frozen=True, slots=True)
class Late:
    """A device whose newest reading came this long after its time."""

    device_id: str
    owner: str
    site: str
    href: str
    delay_ms: int
    last_ms: int

    @property
    def delay(self) -> str:
        """By how much it is late, in words."""
        return duration(self.delay_ms)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sensor that is missing, stuck or out of range."""

    device_id: str
    owner: str
    site: str
    sensor: str
    sentence: str
    href: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Quality:
    """What is wrong with the data; lists name `SHOWN` at most, the counts are of all."""

    from_ms: int
    reasons: list[Reason]
    rows: int
    silent: list[Quiet]
    n_silent: int
    troubles: list[Trouble]
    n_troubles: int
    late: list[Late]
    n_late: int


@dataclass(frozen=True, slots=True)
class QualityPage:
    """The page of data quality."""

    found: Quality
    headline: str
    under: str
    across: bool
    owners: list[OwnerEntry]
    owner: str


def quality_page(parts: Parts, access: Access, principal: Principal, now_ms: int, owner: str | None) -> QualityPage:
    """Put the page together; `owner` is the name of one, of all who the reader sees where it is None."""
    found = quality(parts, access, principal, now_ms, owner)
    return QualityPage(
        found=found,
        headline=_headline(found),
        under=f"Rows are counted over the last {SPAN_MS // DAY_MS} days; all else is as it is now.",
        across=principal.sees_all,
        owners=access.owners(),
        owner=owner or "",
    )


def quality(parts: Parts, access: Access, principal: Principal, now_ms: int, owner: str | None) -> Quality:
    """Look at the data of one owner, or of all whom `principal` sees. Raises AccessError (404) for an unknown one."""
    owners = {entry.id: entry.name for entry in access.owners()}
    owner_id = principal.only_owner
    if owner is not None:
        known = [entry_id for entry_id, name in owners.items() if name == owner]
        if not known:
            raise AccessError(f"no owner is called {owner!r}", 404)
        owner_id = known[0]
    roster = parts.rosters.now()
    mine = roster.of(owner_id)
    names = _Names(owners, {site.id: site.name for site in access.sites()}, principal.sees_all)
    reasons = _reasons(parts, mine, owner_id, now_ms)
    silent = mine.filter(pl.col("status") == int(Status.SILENT)).sort("status_since_ms", nulls_last=True)
    late = _late(mine, access, parts.settings.late_limit_s)
    troubles = [_trouble(alert, now_ms, principal.sees_all) for alert in _sensor_alerts(access, now_ms, owner_id)]
    return Quality(
        from_ms=now_ms - SPAN_MS,
        reasons=reasons,
        rows=sum(reason.rows for reason in reasons),
        silent=[_quiet(row, names) for row in silent.head(SHOWN).iter_rows(named=True)],
        n_silent=silent.height,
        troubles=troubles[:SHOWN],
        n_troubles=len(troubles),
        late=[_late_device(row, names) for row in late.head(SHOWN).iter_rows(named=True)],
        n_late=late.height,
    )


@dataclass(frozen=True, slots=True)
class _Names:
    owners: dict[int, str]
    sites: dict[int, str]
    across: bool

    def of(self, row: dict[str, object]) -> tuple[str, str, str, str]:
        """Device id, owner, site and address of a row of the roster."""
        device_id, site_id = str(row["device_id"]), row["site_id"]
        owner = self.owners.get(int(str(row["owner_id"])), "")
        site = self.sites.get(site_id, "") if isinstance(site_id, int) else ""
        return device_id, owner, site, device_href(device_id, owner if self.across else None)


def _reasons(parts: Parts, mine: pl.DataFrame, owner_id: int | None, now_ms: int) -> list[Reason]:
    keys = None if owner_id is None else mine["device_key"].to_list()
    counted = parts.lake.count_quarantine(
        owner_id=owner_id, device_keys=keys, start_ms=now_ms - SPAN_MS, samples=SAMPLES
    )
    ids = dict(mine.select("device_key", "device_id").iter_rows()) if counted.height else {}
    return [
        Reason(
            name=row["reason"],
            words=REASON_WORDS.get(row["reason"], row["reason"].replace("_", " ").capitalize()),
            rows=row["rows"],
            devices=row["devices"],
            newest_ms=round(row["newest"].timestamp() * 1000),
            samples=[
                Sample(
                    at_ms=round(sample["arrived"].timestamp() * 1000),
                    device_id=sample["device_id"] or ids.get(sample["device_key"], ""),
                    message=sample["message"],
                    raw=sample["raw"],
                )
                for sample in row["samples"]
            ],
        )
        for row in counted.iter_rows(named=True)
    ]


def _late(mine: pl.DataFrame, access: Access, late_limit_s: float) -> pl.DataFrame:
    """Devices whose newest reading came late, the latest first; what is older than a live one may be is of a file."""
    intervals = {entry.type_id: entry.device_type.interval_ms for entry in access.types()}
    allowed = pl.col("type_id").replace_strict(intervals, default=60_000, return_dtype=pl.Int64) * LATE_INTERVALS
    delay = pl.col("last_arrival") - pl.col("last_ts")
    found = mine.with_columns(delay.alias("delay")).filter(
        pl.col("delay") > allowed + LATE_LEAST_MS, pl.col("delay") <= round(late_limit_s * 1000)
    )
    return found.sort("delay", descending=True)


def _sensor_alerts(access: Access, now_ms: int, owner_id: int | None) -> list[AlertView]:
    found: list[AlertView] = []
    for tab in _OPEN:
        found += access.alerts(AlertQuery(tab=tab, kind="sensor", owner_id=owner_id, limit=1000), now_ms).items
    return sorted(found, key=lambda alert: alert.fired_ms)


def _trouble(alert: AlertView, now_ms: int, across: bool) -> Trouble:
    device_id = alert.device_id or ""
    return Trouble(
        device_id=device_id,
        owner=alert.owner or "",
        site=alert.site or "",
        sensor=alert.sensor or "",
        sentence=alert.said(now_ms),
        href=device_href(device_id, alert.owner if across else None),
        since_ms=alert.fired_ms if alert.first_signs_ms is None else alert.first_signs_ms,
    )


def _quiet(row: dict[str, object], names: _Names) -> Quiet:
    last = row["last_ts"]
    return Quiet(*names.of(row), int(str(row["status_since_ms"])), last if isinstance(last, int) else None)


def _late_device(row: dict[str, object], names: _Names) -> Late:
    return Late(*names.of(row), int(str(row["delay"])), int(str(row["last_ts"])))


def _headline(found: Quality) -> str:
    """Say whether there is something to do."""
    said: Sequence[tuple[int, str]] = (
        (found.n_silent, plural(found.n_silent, "device is silent", "devices are silent")),
        (found.n_troubles, plural(found.n_troubles, "sensor is in trouble", "sensors are in trouble")),
        (found.n_late, plural(found.n_late, "device sends late", "devices send late")),
        (found.rows, plural(found.rows, "row was set aside", "rows were set aside")),
    )
    parts = [words for count, words in said if count]
    if not parts:
        return "Nothing is wrong with the data."
    text = listed(parts)
    return f"{text[:1].upper()}{text[1:]}."
