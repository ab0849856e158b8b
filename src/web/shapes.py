"""Small drawings that pages carry as SVG: the line beside an alert, the map of sites."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SPARK_WIDTH, SPARK_HEIGHT = 88, 30
SPARK_POINTS = 60
MAP_WIDTH, MAP_HEIGHT = 760, 340
MARGIN = 64


@dataclass(frozen=True, slots=True)
class Spark:
    """Two SVG paths: the line before `since`, and the line from then on."""

    before: str
    since: str


def spark(
    ts: npt.NDArray[np.int64], values: npt.NDArray[np.float64], start_ms: int, end_ms: int, since_ms: int
) -> Spark:
    """Draw values (n,) at ts (n,) between two times; the part from `since_ms` on is a path of its own.

    NaN breaks the line. Returns empty paths where there is nothing to draw.
    """
    there = np.isfinite(values) & (ts >= start_ms) & (ts <= end_ms)
    if there.sum() < 2:
        return Spark("", "")
    ts, values = ts[there], values[there]
    bucket = ((ts - start_ms) * SPARK_POINTS // max(1, end_ms - start_ms)).astype(np.int64)
    starts = np.flatnonzero(np.r_[True, np.diff(bucket) != 0])
    centre = np.add.reduceat(values, starts) / np.diff(np.r_[starts, len(values)])
    low, high = float(centre.min()), float(centre.max())
    room = (high - low) or 1.0
    x = (ts[starts] - start_ms) / max(1, end_ms - start_ms) * SPARK_WIDTH
    y = SPARK_HEIGHT - 2 - (centre - low) / room * (SPARK_HEIGHT - 4)
    late = ts[starts] >= since_ms
    first = int(np.argmax(late)) if late.any() else len(x)
    # Both paths share a point, so that the line doesn't break where its colour changes.
    return Spark(_path(x[: first + 1], y[: first + 1]), _path(x[first:], y[first:]) if late.any() else "")


def _path(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> str:
    if len(x) < 2:
        return ""
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))


@dataclass(frozen=True, slots=True)
class Place:
    """A site to draw: where it is, how many devices it has, and their worst status."""

    id: int
    name: str
    latitude: float
    longitude: float
    devices: int
    status: str
    words: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A site on the map, in the units of the map's SVG."""

    id: int
    name: str
    status: str
    words: str
    x: float
    y: float
    r: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of latitude or longitude with its label."""

    path: str
    label: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Map:
    """Sites by latitude and longitude, equal scale in both directions at their middle."""

    width: int
    height: int
    dots: list[Dot]
    lines: list[Line]


def site_map(places: Sequence[Place]) -> Map:
    """Lay sites out; no tiles, no server of them."""
    if not places:
        return Map(MAP_WIDTH, MAP_HEIGHT, [], [])
    lat = np.array([place.latitude for place in places])
    lon = np.array([place.longitude for place in places])
    squeeze = max(0.2, math.cos(math.radians(float(lat.mean()))))
    span = max(
        float(np.ptp(lon)) * squeeze / (MAP_WIDTH - 3 * MARGIN), float(np.ptp(lat)) / (MAP_HEIGHT - MARGIN), 1e-4
    )
    mid_lat, mid_lon = float(lat.max() + lat.min()) / 2, float(lon.max() + lon.min()) / 2

    def x_of(longitude: float) -> float:
        return MAP_WIDTH / 2 + (longitude - mid_lon) * squeeze / span

    def y_of(latitude: float) -> float:
        return MAP_HEIGHT / 2 - (latitude - mid_lat) / span

    most = max(place.devices for place in places)
    taken: list[tuple[float, float, float, float]] = []
    dots = []
    for place in sorted(places, key=lambda place: -place.devices):
        x, y = x_of(place.longitude), y_of(place.latitude)
        r = 5 + 7 * math.sqrt(place.devices / max(1, most))
        label_x, label_y, anchor = _label(x, y, r, f"{place.name} {place.words}", taken)
        dots.append(
            Dot(place.id, place.name, place.status, place.words, _r(x), _r(y), _r(r), _r(label_x), _r(label_y), anchor)
        )
    return Map(MAP_WIDTH, MAP_HEIGHT, dots, _graticule(span, squeeze, mid_lat, mid_lon))


def _label(
    x: float, y: float, r: float, text: str, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float, str]:
    """The first of four places around a dot where its label covers no other."""
    width = 6.6 * len(text)
    options = [
        (x + r + 6, y + 4, "start", (x + r + 6, y - 8, x + r + 6 + width, y + 8)),
        (x - r - 6, y + 4, "end", (x - r - 6 - width, y - 8, x - r - 6, y + 8)),
        (x, y - r - 6, "middle", (x - width / 2, y - r - 18, x + width / 2, y - r - 2)),
        (x, y + r + 15, "middle", (x - width / 2, y + r + 3, x + width / 2, y + r + 19)),
    ]
    for label_x, label_y, anchor, box in options:
        inside = box[0] > 2 and box[2] < MAP_WIDTH - 2
        if inside and not any(_overlap(box, other) for other in taken):
            taken += [box, (x - r, y - r, x + r, y + r)]
            return label_x, label_y, anchor
    label_x, label_y, anchor, box = options[0]
    taken += [box, (x - r, y - r, x + r, y + r)]
    return label_x, label_y, anchor


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _graticule(span: float, squeeze: float, mid_lat: float, mid_lon: float) -> list[Line]:
    step = next((s for s in (0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10, 20, 30) if s / span >= 90), 45)
    half_lat, half_lon = MAP_HEIGHT / 2 * span, MAP_WIDTH / 2 * span / squeeze
    lines = []
    for k in range(math.ceil((mid_lat - half_lat) / step), math.floor((mid_lat + half_lat) / step) + 1):
        y = _r(MAP_HEIGHT / 2 - (k * step - mid_lat) / span)
        if MARGIN / 3 < y < MAP_HEIGHT - MARGIN / 3:
            lines.append(Line(f"M0 {y}H{MAP_WIDTH}", _degrees(k * step, "N", "S"), 4, y - 4))
    for k in range(math.ceil((mid_lon - half_lon) / step), math.floor((mid_lon + half_lon) / step) + 1):
        x = _r(MAP_WIDTH / 2 + (k * step - mid_lon) * squeeze / span)
        if MARGIN / 2 < x < MAP_WIDTH - MARGIN / 2:
            lines.append(Line(f"M{x} 0V{MAP_HEIGHT}", _degrees(k * step, "E", "W"), x + 4, MAP_HEIGHT - 5))
    return lines


def _degrees(value: float, positive: str, negative: str) -> str:
    return f"{abs(value):g}° {positive if value >= 0 else negative}" if value else "0°"


def _r(value: float) -> float:
    return round(value, 1)
