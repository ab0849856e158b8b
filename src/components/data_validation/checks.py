"""What is looked at in the rows of one device type; each check says what it found, what it allows, and its verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pandera.polars as pa
import polars as pl

from ...telemetry.schema import DeviceType, Sensor
from .counting import Closely, Counts
from .statistics import SensorStatistics

Verdict = Literal["passed", "warned", "failed"]

WHAT_TO_DO = {
    "schema": "correct the type's sensors, or what sends other columns",
    "range": "correct the unit that is sent, or the sensor's range in a new version of the type",
    "missing": "have the sensor sent, or retire it in a new version of the type",
    "duplicates": "find out what sends rows twice",
    "labels": "correct the fault reports",
    "skew": "find out what changed; where data are meant to differ, train with --data-changed",
}
"""Of each check that may fail: what helps, but to learn from other days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Shares of rows (or values, or reports) past which a check warns or fails; a sensor is still after `still_rows`
    equal values. `skew_spreads`, how far a centre may be from the champion's, `skew_ratio`, how many times as wide."""

    out_of_range: float = 0.001
    missing: float = 0.5
    duplicates: float = 0.01
    still: float = 0.2
    still_rows: int = 60
    irregular: float = 0.2
    wrong_reports: float = 0.1
    faulty: float = 0.5
    skew_spreads: float = 8.0
    skew_ratio: float = 10.0


class Check(msgspec.Struct, frozen=True):
    """One check: of what, its verdict, and in words what was found and what is allowed."""

    name: str
    subject: str
    verdict: Verdict
    found: str


def schema(frame: pl.DataFrame, device_type: DeviceType) -> Check:
    """Columns and their types. The frame is collected: on a lazy one values would pass unseen."""
    wanted = pa.DataFrameSchema(
        {
            "device_key": pa.Column(pl.Int64, nullable=False),
            "timestamp": pa.Column(pl.Datetime("us", "UTC"), nullable=False),
            **{name: pa.Column(pl.Float64, nullable=True, required=False) for name in device_type.sensor_names},
        }
    )
    try:
        wanted.validate(frame, lazy=True)
    except (pa.errors.SchemaErrors, pa.errors.SchemaError) as error:
        said = str(error).replace("\n", " ")[:300]
        return Check("schema", "columns", "failed", f"the columns are not those of the type: {said}")
    return Check("schema", "columns", "passed", f"{len(frame.columns)} columns as expected")


def ranges(counts: Counts, sensors: Sequence[Sensor], limits: Limits) -> list[Check]:
    """Values that aren't finite or lie outside the range of their sensor."""
    checks = []
    for sensor in sensors:
        count = counts.outside[sensor.name]
        low, high = ("any" if bound is None else f"{bound:g}" for bound in (sensor.low, sensor.high))
        said = (
            f"{count:,} of {counts.rows:,} values outside {low} to {high} {sensor.unit}; allowed"
            f" {limits.out_of_range:.1%}"
        )
        verdict = _verdict(count / max(counts.rows, 1), limits.out_of_range, "failed")
        checks.append(Check("range", sensor.name, verdict, said))
    return checks


def missing(counts: Counts, sensors: Sequence[Sensor], limits: Limits) -> list[Check]:
    """Values that aren't there. A sensor that never said anything fails, but for one that was retired."""
    checks = []
    for sensor in sensors:
        share = counts.missing[sensor.name] / max(counts.rows, 1)
        verdict: Verdict = (
            "failed" if share == 1.0 and not sensor.retired else _verdict(share, limits.missing, "warned")
        )
        said = f"{share:.1%} of values missing; allowed {limits.missing:.0%}"
        checks.append(Check("missing", sensor.name, verdict, said))
    return checks


def duplicates(counts: Counts, merged: int, closely: Closely, sends: str, limits: Limits) -> list[Check]:
    """Rows that came twice: with one time, which the lake merges into `merged` rows, or again a little later.

    Where devices send parts, rows of one time are what is expected.
    """
    twice = max(counts.rows - merged, 0)
    said = (
        f"{twice:,} of {counts.rows:,} rows have the time of another of their device; allowed {limits.duplicates:.0%}"
    )
    verdict = _verdict(twice / max(counts.rows, 1), limits.duplicates, "warned" if sends == "parts" else "failed")
    again = closely.repeated
    told = f"{again:,} of {closely.rows:,} rows say the same again within half an interval; allowed"
    return [
        Check("duplicates", "times", verdict, said),
        Check(
            "duplicates",
            "values",
            _verdict(again / max(closely.rows, 1), limits.duplicates, "failed"),
            f"{told} {limits.duplicates:.0%}",
        ),
    ]


def still(closely: Closely, limits: Limits) -> list[Check]:
    """Sensors that say the same for hours."""
    checks = []
    for name, count in closely.still.items():
        share = count / max(closely.rows, 1)
        said = f"{share:.1%} of values are one of more than {limits.still_rows} equal ones; allowed {limits.still:.0%}"
        checks.append(Check("stuck", name, _verdict(share, limits.still, "warned"), said))
    return checks


def spacing(closely: Closely, device_type: DeviceType, limits: Limits) -> Check:
    """Gaps between rows of a device that are not its type's interval, within half of it."""
    share = closely.irregular / max(closely.rows, 1)
    interval = device_type.interval_s
    said = f"{share:.1%} of gaps are not {interval:g} s, within half of it; allowed {limits.irregular:.0%}"
    return Check("spacing", "rows", _verdict(share, limits.irregular, "warned"), said)


def labels(
    reports: Sequence[tuple[int, int, int | None]],
    span: tuple[int, int],
    n_devices: int,
    now_ms: int,
    limits: Limits,
) -> list[Check]:
    """Fault reports (device, start, end): those that end before they begin or begin after now, and what share of the
    devices' time within `span` (ms) they take."""
    oldest, newest = span
    wrong = [report for report in reports if (report[2] is not None and report[2] < report[1]) or report[1] > now_ms]
    share = len(wrong) / max(len(reports), 1)
    verdict: Verdict = "passed" if not wrong else _verdict(share, limits.wrong_reports, "failed")
    verdict = "warned" if wrong and verdict == "passed" else verdict
    said = f"{len(wrong)} of {len(reports)} reports end first or lie ahead; allowed {limits.wrong_reports:.0%}"
    taken = _covered(reports, oldest, newest) / max((newest - oldest) * n_devices, 1)
    told = f"{taken:.1%} of all device time is labelled faulty; allowed {limits.faulty:.0%}"
    return [
        Check("labels", "times", verdict, said),
        Check("labels", "share", _verdict(taken, limits.faulty, "failed"), told),
    ]


def skew(
    learnt: Mapping[str, SensorStatistics],
    champion: Mapping[str, SensorStatistics] | None,
    sensors: Sequence[Sensor],
    limits: Limits,
) -> list[Check]:
    """Centre and spread of what would be learnt from against what the champion learnt from, measured alike."""
    if champion is None:
        return [Check("skew", "sensors", "passed", "no model serves whose training data were validated: not compared")]
    checks = []
    retired = {sensor.name for sensor in sensors if sensor.retired}
    for name, then in champion.items():
        now = learnt.get(name)
        if now is None or not now.values:
            verdict: Verdict = "passed" if name in retired or not then.values else "failed"
            checks.append(Check("skew", name, verdict, "the champion learnt from this sensor; the snapshot lacks it"))
            continue
        if not then.values:
            checks.append(Check("skew", name, "passed", "the champion learnt nothing of this sensor"))
            continue
        off, ratio = abs(now.centre - then.centre) / then.spread, now.spread / then.spread
        said = (
            f"{off:.2g} spreads from the centre the champion learnt (allowed {limits.skew_spreads:g}),"
            f" {ratio:.2g} times as wide (allowed {limits.skew_ratio:g})"
        )
        worse: Verdict = "failed" if off > limits.skew_spreads or ratio > limits.skew_ratio else "passed"
        narrow = worse == "passed" and ratio < 1 / limits.skew_ratio
        checks.append(Check("skew", name, "warned" if narrow else worse, said))
    return checks


def _covered(reports: Sequence[tuple[int, int, int | None]], oldest: int, newest: int) -> int:
    """Device time (ms) within any report, counted once where reports overlap."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for device, start, end in reports:
        low, high = max(start, oldest), min(newest if end is None else end, newest)
        if high > low:
            spans.setdefault(device, []).append((low, high))
    return sum(_union(np.array(sorted(each), np.int64)) for each in spans.values())


def _union(spans: npt.NDArray[np.int64]) -> int:
    """Length of the union of spans (n, 2), sorted by their start."""
    reached = np.maximum.accumulate(spans[:, 1])
    begins = np.maximum(spans[:, 0], np.concatenate([spans[:1, 0], reached[:-1]]))
    return int(np.maximum(reached - begins, 0).sum())


def _verdict(share: float, allowed: float, otherwise: Verdict) -> Verdict:
    return "passed" if share <= allowed else otherwise
