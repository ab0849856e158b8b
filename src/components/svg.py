"""Drawings for reports: bars, bands, heat maps and spans as SVG of this package's own, without scripts or addresses."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WIDTH, HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 22
FILL, LINE, GRID = "#4c8bf5", "#e8710a", "#8886"
COLOURS = (
    *("#4c8bf5", "#e8710a", "#1a9e77", "#d6409f", "#8e6fd8", "#b8860b"),
    *("#d93025", "#7a8794", "#00a3bf", "#7cb342", "#a1665e", "#f06292"),
)
"""Read on light and on dark; neighbours differ for people who see red and green alike."""

SMALL = 0.005
"""Cells of a map below this stay empty; the least of the others is still to be seen."""


@dataclass(frozen=True, slots=True)
class Span:
    """A bar on row `row` of a time line, from `start` to `end` (0 to 1), of the kind `kind`."""

    row: int
    start: float
    end: float
    kind: int
    told: str


def figure(caption: str, drawing: str) -> str:
    """A drawing with what it shows below it."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>\n"


def histogram(edges: Floats, before: Floats, now: Floats, told: str) -> str:
    """Bars (n,) between edges (n + 1,) for one sample, and a line for another; each is scaled to its own sum."""
    bars, line = _shares(before), _shares(now)
    top = max(float(bars.max()), float(line.max()), 1e-12)
    x = np.linspace(LEFT, WIDTH - RIGHT, len(bars) + 1)
    body = "".join(
        f'<rect x="{at:.1f}" y="{_y(share / top):.1f}" width="{max(x[1] - x[0] - 0.6, 0.5):.1f}"'
        f' height="{_y(0) - _y(share / top):.1f}" fill="{FILL}"/>'
        for at, share in zip(x[:-1], bars, strict=True)
        if share > 0
    )
    if now.sum():
        steps = [(at, _y(share / top)) for n, share in enumerate(line) for at in (x[n], x[n + 1])]
        body += _path(steps, LINE)
    ticks = np.linspace(edges[0], edges[-1], 4)
    return _drawing(told, WIDTH, HEIGHT, body + _below(np.linspace(LEFT, WIDTH - RIGHT, 4), [_short(t) for t in ticks]))


def band(low: Floats, middle: Floats, high: Floats, ticks: Sequence[str], told: str) -> str:
    """A line (n,) within a band, over steps that `ticks` name at even distances; NaN is a gap."""
    known = np.concatenate([low, high])[np.isfinite(np.concatenate([low, high]))]
    bottom, top = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    reach = (top - bottom) or max(abs(top), 1.0)
    x = np.linspace(LEFT, WIDTH - RIGHT, len(middle)) if len(middle) > 1 else np.array([float(LEFT)])
    there = np.flatnonzero(np.isfinite(low) & np.isfinite(middle) & np.isfinite(high))
    upper = [(x[n], _y((high[n] - bottom) / reach)) for n in there]
    lower = [(x[n], _y((low[n] - bottom) / reach)) for n in there[::-1]]
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in [*upper, *lower])
    body = f'<polygon points="{points}" fill="{FILL}" fill-opacity="0.3"/>'
    body += _path([(x[n], _y((middle[n] - bottom) / reach)) for n in there], FILL)
    body += _beside(bottom, bottom + reach)
    return _drawing(told, WIDTH, HEIGHT, body + _below(np.linspace(LEFT, WIDTH - RIGHT, len(ticks)), ticks))


def heat_map(
    values: Floats,
    rows: Sequence[str],
    columns: Sequence[str],
    told: str,
    *,
    signed: bool = False,
    numbers: bool = False,
) -> str:
    """Cells (n_rows, n_columns) of 0 to 1, or -1 to 1 where `signed`; NaN stays empty.

    `rows` names each row; `columns` each column where `numbers` are written into the cells, else even distances.
    """
    left = 7 * max((len(name) for name in rows), default=0) + 8
    wide = 46.0 if numbers else max(4.0, 420.0 / max(values.shape[1], 1))
    tall = 26.0 if numbers else 11.0
    top = (7 * max((len(name) for name in columns), default=0) + 10) if numbers else 4.0
    frame = (left, top, values.shape[1] * wide, len(rows) * tall)
    body = ['<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="none" stroke="#8886"/>'.format(*frame)]
    for row, name in enumerate(rows):
        y = top + row * tall
        body.append(f'<text x="{left - 5:.0f}" y="{y + tall / 2 + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        for column, value in enumerate(values[row]):
            if not np.isfinite(value) or (abs(value) < SMALL and not numbers):
                continue
            x = left + column * wide
            colour = LINE if signed and value < 0 else FILL
            opacity = min(abs(float(value)), 1.0) if numbers else min(0.15 + 0.85 * abs(float(value)) ** 0.5, 1.0)
            body.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide - 0.5:.1f}" height="{tall - 0.5:.1f}" fill="{colour}"'
                f' fill-opacity="{opacity:.2f}"/>'
            )
            if numbers:
                body.append(
                    f'<text x="{x + wide / 2:.1f}" y="{y + tall / 2 + 4:.1f}" text-anchor="middle">{value:.2f}</text>'
                )
    end = top + len(rows) * tall
    width = left + values.shape[1] * wide + 30
    if numbers:
        body += [
            f'<text transform="translate({left + (n + 0.6) * wide:.1f} {top - 5:.1f}) rotate(-90)">'
            f"{escape(name)}</text>"
            for n, name in enumerate(columns)
        ]
        return _drawing(told, width, end + 4, "".join(body))
    return _drawing(told, width, end + 18, "".join(body) + _labels(left, width - 30, end + 13, columns))


def time_line(spans: Sequence[Span], rows: Sequence[str], ticks: Sequence[str], told: str) -> str:
    """Bars on named rows over a span of time that `ticks` names at even distances."""
    left, tall, wide = 7 * max((len(name) for name in rows), default=0) + 8, 14.0, 420.0
    body = [
        f'<text x="{left - 5:.0f}" y="{n * tall + 11:.1f}" text-anchor="end">{escape(name)}</text>'
        f'<path d="M{left:.0f} {n * tall + 7:.1f}h{wide:.0f}" stroke="{GRID}"/>'
        for n, name in enumerate(rows)
    ]
    body += [
        f'<rect x="{left + wide * span.start:.1f}" y="{span.row * tall + 2:.1f}"'
        f' width="{max(wide * (span.end - span.start), 2.0):.1f}" height="{tall - 4:.0f}"'
        f' fill="{COLOURS[span.kind % len(COLOURS)]}"><title>{escape(span.told)}</title></rect>'
        for span in spans
    ]
    end = len(rows) * tall
    return _drawing(told, left + wide + 30, end + 18, "".join(body) + _labels(left, left + wide, end + 13, ticks))


def key(kinds: Sequence[str]) -> str:
    """What the colours of a time line stand for."""
    marks = "".join(
        f'<span style="white-space:nowrap;margin-right:1rem"><svg width="11" height="11"><rect width="11" height="11"'
        f' fill="{COLOURS[n % len(COLOURS)]}"/></svg> {escape(kind)}</span> '
        for n, kind in enumerate(kinds)
    )
    return f"<p>{marks}</p>\n"


def _drawing(told: str, width: float, height: float, body: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img"'
        f' aria-label="{escape(told)}" font-size="11" font-family="system-ui, sans-serif" fill="currentColor">'
        f"{body}</svg>"
    )


def _path(points: Sequence[tuple[float, float]], colour: str) -> str:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _below(x: Floats, names: Sequence[str]) -> str:
    line = f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(0):.1f}" y2="{_y(0):.1f}" stroke="{GRID}"/>'
    return line + _labels(float(x[0]), float(x[-1]), HEIGHT - 7, names)


def _beside(bottom: float, top: float) -> str:
    return "".join(
        f'<text x="{LEFT - 5}" y="{_y(share) + 4:.1f}" text-anchor="end">'
        f"{_short(bottom + share * (top - bottom))}</text>"
        for share in (0.0, 0.5, 1.0)
    )


def _labels(left: float, right: float, y: float, names: Sequence[str]) -> str:
    places = np.linspace(left, right, len(names)) if len(names) > 1 else [left]
    anchors = ["start", *["middle"] * (len(names) - 2), "end"]
    return "".join(
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(name)}</text>'
        for x, anchor, name in zip(places, anchors, names, strict=False)
    )


def _shares(counts: Floats) -> Floats:
    total = counts.sum()
    return counts / total if total else np.zeros(len(counts))


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 10_000 else f"{value:.2g}"
