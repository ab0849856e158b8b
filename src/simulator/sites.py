"""Where devices stand: names, places and time zones of the sites of a simulated fleet."""

import math
import re
from typing import Final

import msgspec


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """One site; `hosts` are the names of the device types that stand there, none for any."""

    id: str
    name: str
    time_zone: str
    latitude: float
    longitude: float
    hosts: tuple[str, ...] = ()


_PUMP, _DISPLAY, _SOLAR = "pump_station", "refrigerated_display", "solar_inverter"

_PLACES: Final = (
    ("Harbour East", "Europe/Amsterdam", 51.92, 4.49, _PUMP),
    ("Market Hall", "Europe/London", 53.48, -2.24, _DISPLAY),
    ("Field North", "Europe/Madrid", 39.86, -4.02, _SOLAR),
    ("Waterworks", "Europe/Berlin", 53.55, 9.99, _PUMP),
    ("Cold Store 1", "Europe/Paris", 48.11, -1.68, _DISPLAY),
    ("Field South", "Europe/Madrid", 37.39, -5.98, _SOLAR),
    ("Harbour West", "Europe/Amsterdam", 51.45, 3.57, _PUMP),
    ("Cold Store 2", "Europe/Paris", 45.76, 4.84, _DISPLAY),
    ("Roof Park", "Europe/Rome", 44.49, 11.34, _SOLAR),
    ("Airport", "Europe/Vienna", 48.12, 16.56, ""),
    ("River Gate", "Europe/Warsaw", 52.23, 21.01, _PUMP),
    ("High Street", "Europe/London", 51.75, -1.26, _DISPLAY),
    ("Quarry Terrace", "Europe/Lisbon", 38.57, -7.91, _SOLAR),
    ("Lock Island", "Europe/Stockholm", 59.33, 18.07, _PUMP),
    ("Station Square", "Europe/Brussels", 50.85, 4.35, _DISPLAY),
    ("Mill Meadow", "Europe/Berlin", 48.14, 11.58, _SOLAR),
    ("North Reservoir", "Europe/Oslo", 59.91, 10.75, _PUMP),
    ("Old Brewery", "Europe/Prague", 50.08, 14.43, _DISPLAY),
    ("Vineyard Slope", "Europe/Budapest", 47.50, 19.04, _SOLAR),
    ("Ferry Terminal", "Europe/Helsinki", 60.17, 24.94, ""),
)


def plan_sites(count: int) -> tuple[Site, ...]:
    """Return `count` sites, always the same ones: places of the list, then further ones near them."""
    sites = []
    for index in range(count):
        name, zone, latitude, longitude, hosts = _PLACES[index % len(_PLACES)]
        lap = index // len(_PLACES)
        if lap:
            name = f"{name} {lap + 1}" if not name[-1].isdigit() else f"{name}-{lap + 1}"
            latitude += 0.15 * math.sqrt(lap) * math.sin(2.4 * lap)
            longitude += 0.22 * math.sqrt(lap) * math.cos(2.4 * lap)
        sites.append(
            Site(
                id=re.sub(r"[^a-z0-9]+", "-", name.lower()),
                name=name,
                time_zone=zone,
                latitude=round(latitude, 4),
                longitude=round(longitude, 4),
                hosts=(hosts,) if hosts else (),
            )
        )
    return tuple(sites)
