"""GET /api/v1/fleet: counts and what needs attention; the status grid; the last day."""

from typing import Any

import msgspec
import numpy as np
import polars as pl
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...fleet.access import Access
from ...fleet.views import AlertQuery, AlertView
from ..fleet_view import WORST, open_alerts, worst_first
from ..identity import Reading, access_of
from ..parts import parts
from ..ranges import DAY_MS
from ..roster import STATUS_NAMES
from ..words import iso
from . import models, shown

router = APIRouter(tags=["fleet"])
MOST_CELLS = 100_000
"""Above so many devices, the grid has a cell a site."""
STRIP_MINUTES = 10
MOST_ATTENTION = 100


@router.get("/fleet", summary="The fleet now", responses=models.PROBLEMS)
def fleet(request: Request, visitor: Reading) -> models.Fleet:
    """How many devices have each status, and the open alerts, the worst first."""
    web = parts(request)
    now_ms = web.now_ms()
    roster = web.rosters.now()
    owner_id = visitor.principal.only_owner
    with access_of(web, visitor) as access:
        counts = access.alert_counts(AlertQuery(), now_ms)
        worst = worst_first(open_alerts(access, now_ms))[:MOST_ATTENTION]
        likely = access.likely_kinds([view.id for view in worst])
    return models.Fleet(
        at=iso(now_ms),
        devices=roster.of(owner_id).height,
        counts=roster.counts(owner_id),
        readings_per_min=roster.readings_per_min(owner_id),
        alerts=models.AlertCounts(**msgspec.structs.asdict(counts)),
        attention=[shown.alert(view, now_ms, likely.get(view.id)) for view in worst],
    )


@router.get("/fleet/grid", summary="Every device's status", responses=models.PROBLEMS)
def grid(request: Request, visitor: Reading) -> Response:
    """A cell a device, ordered by site, then id; `status` has a digit per cell, the code of its status.

    Above 100,000 devices a cell a site, with the worst status of its devices.
    """
    web = parts(request)
    mine = web.rosters.now().of(visitor.principal.only_owner)
    with access_of(web, visitor) as access:
        names = {site.id: site.name for site in access.sites()}
        owners = {owner.id: owner.name for owner in access.owners()} if visitor.principal.sees_all else None
    named = mine.with_columns(
        pl.col("site_id").replace_strict(names, default="No site", return_dtype=pl.String).alias("site")
    )
    answer = _by_site(named) if named.height > MOST_CELLS else _by_device(named, owners)
    return Response(msgspec.json.encode(answer), media_type="application/json")


def _by_device(named: pl.DataFrame, owners: dict[int, str] | None) -> dict[str, Any]:
    ordered = named.sort(pl.col("site_id").is_null(), "site", "site_id", "device_id")
    runs = ordered.group_by("site_id", maintain_order=True).agg(pl.col("site").first(), pl.len().alias("count"))
    starts = runs["count"].cum_sum() - runs["count"]
    return {
        "unit": "device",
        "sites": [
            {"id": site_id, "name": name, "start": start, "count": count}
            for (site_id, name, count), start in zip(runs.iter_rows(), starts, strict=True)
        ],
        "keys": ordered["device_key"].to_list(),
        "ids": ordered["device_id"].to_list(),
        "owners": None if owners is None else [owners[owner] for owner in ordered["owner_id"]],
        "status": "".join(map(str, ordered["status"].to_list())),
    }


def _by_site(named: pl.DataFrame) -> dict[str, Any]:
    rank = {STATUS_NAMES.index(name): place for place, name in enumerate(WORST)}
    worst = (
        named.with_columns(pl.col("status").replace_strict(rank, return_dtype=pl.Int64).alias("rank"))
        .group_by("site_id")
        .agg(pl.col("site").first(), pl.col("rank").min(), pl.len().alias("count"))
        .sort("site", "site_id")
    )
    codes = [STATUS_NAMES.index(WORST[place]) for place in worst["rank"]]
    ids = [f"{name}, {count} devices" for name, count in worst.select("site", "count").iter_rows()]
    return {
        "unit": "site",
        "sites": [{"id": None, "name": "Sites", "start": 0, "count": worst.height}],
        "keys": worst["site_id"].to_list(),
        "ids": ids,
        "owners": None,
        "status": "".join(map(str, codes)),
    }


@router.get("/fleet/day", summary="The last 24 hours", responses=models.PROBLEMS)
def day(request: Request, visitor: Reading) -> dict[str, Any]:
    """How many alerts were open every ten minutes of the last 24 hours, and each one that fired."""
    web = parts(request)
    now_ms = web.now_ms()
    step = STRIP_MINUTES * 60_000
    last = -(-now_ms // step) * step
    ticks = np.arange(last - DAY_MS, last + 1, step)
    with access_of(web, visitor) as access:
        found = _of_the_day(access, int(ticks[0]), now_ms)
    opened = np.sort(np.array([view.fired_ms for view in found], np.int64))
    ended = np.sort(np.array([view.resolved_ms for view in found if view.resolved_ms is not None], np.int64))
    at = np.minimum(ticks, now_ms)
    open_then = np.searchsorted(opened, at, "right") - np.searchsorted(ended, at, "right")
    fired = [view for view in found if view.fired_ms >= ticks[0]]
    return {
        "timestamp": [iso(int(tick)) for tick in ticks],
        "open": open_then.tolist(),
        "alerts": [
            {"id": view.id, "fired": iso(view.fired_ms), "kind": view.kind, "severity": view.severity} for view in fired
        ],
    }


def _of_the_day(access: Access, start_ms: int, now_ms: int) -> list[AlertView]:
    found: list[AlertView] = []
    query = AlertQuery(tab="all", from_ms=start_ms, until_ms=now_ms + 1, limit=1000)
    while len(found) < MOST_CELLS:
        page = access.alerts(query, now_ms)
        found += page.items
        if page.next is None:
            break
        query = msgspec.structs.replace(query, cursor=page.next)
    return found
