"""The page of an exploration: figures by name, and the text around them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from .. import svg
from ..data_ingestion import Ingested
from ..data_validation.drift import SensorDrift, drift_section
from ..html import page, paragraph, section, table
from .profile import Counted, Floats, SensorProfile
from .shapes import Distribution, Season
from .tables import readings_table

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOUR_TICKS = ("0", "6", "12", "18", "23 h")


@dataclass(frozen=True, slots=True)
class Shapes:
    """By sensor: distribution, season by hour and by weekday; and correlations (n_sensors, n_sensors)."""

    distributions: Mapping[str, Distribution]
    hours: Mapping[str, Season]
    weekdays: Mapping[str, Season]
    correlations: Floats


@dataclass(frozen=True, slots=True)
class Seen:
    """All that a page tells; `device_ids` names devices by their key."""

    ingested: Ingested
    rows: int
    sensors: Sequence[SensorProfile]
    counted: Counted
    shapes: Shapes
    drifts: Sequence[SensorDrift]
    device_ids: Mapping[int, str]


def figures(seen: Seen, most_devices: int) -> dict[str, str]:
    """Each figure of the page, by the name of its file; those that would be empty are left out."""
    names = seen.ingested.device_type.sensor_names
    drawn = {}
    for name in names:
        found = seen.shapes.distributions[name]
        drawn[f"distribution-{name}"] = svg.histogram(
            found.edges, found.before, found.newest, f"distribution of {name}, newest period against before"
        )
        drawn[f"hour-{name}"] = _season(seen.shapes.hours[name], HOUR_TICKS, f"quartiles of {name} by hour")
        drawn[f"weekday-{name}"] = _season(seen.shapes.weekdays[name], WEEKDAYS, f"quartiles of {name} by weekday")
    drawn["correlations"] = svg.heat_map(
        seen.shapes.correlations, names, names, "rank correlations of the sensors", signed=True, numbers=True
    )
    ticks = _days(seen)
    drawn["missing-by-sensor"] = svg.heat_map(seen.counted.by_sensor, names, ticks, "share missing by sensor and time")
    if (gaps := _gaps(seen, most_devices, ticks)) is not None:
        drawn["missing-by-device"] = gaps
    if (line := _faults(seen, most_devices, ticks)) is not None:
        drawn["faults"] = line
    return drawn


def page_of(seen: Seen, drawn: Mapping[str, str], rows: pl.DataFrame) -> str:
    """The whole page; `rows` are those chosen, some of which its table shows."""
    snapshot, device_type = seen.ingested.snapshot, seen.ingested.device_type
    names = device_type.sensor_names
    about = (
        f"{seen.rows:,} readings of {len(seen.counted.devices):,} devices, {_day(snapshot.start_ms)} to"
        f" {_day(snapshot.end_ms)} UTC. All are counted; distributions, seasons, correlations and drift are of"
        f" {len(rows):,} of them, at even distances."
    )
    parts = [
        paragraph(about),
        section("Sensors", _profile_table(seen.sensors)),
        section(
            "Distributions",
            paragraph(
                "Bars: before the newest period. Line: the newest period. The outermost bars take what is beyond."
            )
            + _figures(drawn, [(f"distribution-{s.sensor}", _called(s)) for s in seen.sensors]),
        ),
        section(
            "Seasons",
            paragraph("Median and quartiles by hour (UTC) and by day of the week, each device net of its own level.")
            + _figures(
                drawn,
                [(f"{by}-{s.sensor}", f"{_called(s)}, by {by}") for s in seen.sensors for by in ("hour", "weekday")],
            ),
        ),
        section(
            "What moves with what",
            paragraph(
                "Spearman's rank correlation, each device net of its own level. Orange: one falls as the other rises."
            )
            + _wide(drawn["correlations"]),
        ),
        section(
            "What is missing",
            paragraph(
                f"Of one reading every {device_type.interval_s:g} s, the share of values that isn't there: the stronger"
                " the colour, the more. By sensor, and by device, those first that lack most."
            )
            + _wide(drawn["missing-by-sensor"])
            + (
                _wide(drawn["missing-by-device"])
                if "missing-by-device" in drawn
                else paragraph("No device lacks more than a two-hundredth of any stretch.")
            ),
        ),
        section("Faults", _faults_text(seen, drawn)),
        drift_section([one for one in seen.drifts if one.slice == "all" or one.pooled]),
        section("Readings", readings_table(_shown(rows, seen.device_ids, names))),
    ]
    return page(f"What {device_type.name} readings are like", "".join(parts))


def _season(one: Season, ticks: Sequence[str], told: str) -> str:
    return svg.band(one.low, one.middle, one.high, ticks, told)


def _profile_table(sensors: Sequence[SensorProfile]) -> str:
    columns = ("sensor", "unit", "values", "missing", "out of range", "least", "5 %", "median", "95 %", "most", "mean")
    return table(
        columns,
        [
            (
                one.sensor,
                one.unit,
                one.values,
                f"{one.missing:.2%}",
                one.outside,
                one.least,
                one.quantiles.get("0.05"),
                one.quantiles.get("0.5"),
                one.quantiles.get("0.95"),
                one.most,
                one.mean,
            )
            for one in sensors
        ],
    )


def _gaps(seen: Seen, most: int, ticks: Sequence[str]) -> str | None:
    """What devices lack over time, those first that lack most; None where none lacks what would be seen."""
    lacking = np.flatnonzero(seen.counted.by_device.max(axis=1) >= svg.SMALL)
    worst = lacking[np.argsort(-seen.counted.by_device[lacking].mean(axis=1), kind="stable")][:most]
    if not len(worst):
        return None
    names = [seen.device_ids.get(int(key), str(key)) for key in seen.counted.devices[worst]]
    return svg.heat_map(seen.counted.by_device[worst], names, ticks, "share missing by device and time")


def _faults(seen: Seen, most: int, ticks: Sequence[str]) -> str | None:
    """Fault reports on a time line, devices with most of them first; None where there are none in this time."""
    start, end = seen.ingested.snapshot.start_ms, seen.ingested.snapshot.end_ms
    within = [one for one in seen.ingested.labels if one.start_ms < end and (one.end_ms is None or one.end_ms > start)]
    if not within:
        return None
    kinds = _kinds(seen)
    keys, counts = np.unique([one.device_key for one in within], return_counts=True)
    shown = [int(key) for key in keys[np.argsort(-counts, kind="stable")][:most]]
    place = {key: row for row, key in enumerate(shown)}
    spans = [
        svg.Span(
            place[one.device_key],
            max(one.start_ms - start, 0) / (end - start),
            min((end if one.end_ms is None else one.end_ms) - start, end - start) / (end - start),
            kinds.index(one.kind),
            f"{one.kind} from {_day(one.start_ms)}",
        )
        for one in within
        if one.device_key in place
    ]
    return svg.time_line(spans, [seen.device_ids.get(key, str(key)) for key in shown], ticks, "fault reports over time")


def _faults_text(seen: Seen, drawn: Mapping[str, str]) -> str:
    if "faults" not in drawn:
        return paragraph("No fault was reported in this time.")
    return paragraph("What was reported as faulty, and when.") + svg.key(_kinds(seen)) + _wide(drawn["faults"])


def _kinds(seen: Seen) -> list[str]:
    return sorted({one.kind for one in seen.ingested.labels})


def _shown(rows: pl.DataFrame, device_ids: Mapping[int, str], names: Sequence[str]) -> pl.DataFrame:
    """Rows as people read them: devices by their id."""
    device = pl.col("device_key").replace_strict(dict(device_ids), default=None, return_dtype=pl.String)
    return rows.select(device.alias("device"), "timestamp", *names)


def _figures(drawn: Mapping[str, str], wanted: Sequence[tuple[str, str]]) -> str:
    return "".join(svg.figure(caption, drawn[name]) for name, caption in wanted)


def _wide(drawing: str) -> str:
    return f'<div class="wide">{drawing}</div>\n'


def _called(one: SensorProfile) -> str:
    return f"{one.sensor} ({one.unit})" if one.unit else one.sensor


def _days(seen: Seen) -> list[str]:
    snapshot = seen.ingested.snapshot
    return [f"{_moment(ms):%d %b}" for ms in np.linspace(snapshot.start_ms, snapshot.end_ms - 1, 4).tolist()]


def _day(ms: float) -> str:
    return f"{_moment(ms):%Y-%m-%d %H:%M}"


def _moment(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
