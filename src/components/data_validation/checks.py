"""What is looked at in the rows of one device type; each check says what it found, what it allows, and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
import pandera.polars as pa
import polars as pl

from ...telemetry.schema import DeviceType

Verdict = Literal["passed", "warned", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Shares of rows (or values) past which a check warns or fails; a sensor is still after `still_rows` equal ones."""

    out_of_range: float = 0.001
    missing: float = 0.5
    duplicates: float = 0.01
    still: float = 0.2
    still_rows: int = 60
    irregular: float = 0.2
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


def ranges(frame: pl.DataFrame, device_type: DeviceType, limits: Limits) -> list[Check]:
    """Values that aren't finite or lie outside the range of their sensor."""
    checks = []
    for sensor in device_type.sensors:
        if sensor.name not in frame.columns:
            continue
        value = pl.col(sensor.name)
        low, high = sensor.low, sensor.high
        bad = ~value.is_finite()
        if low is not None:
            bad = bad | (value < low)
        if high is not None:
            bad = bad | (value > high)
        count = _count(frame, bad)
        share = count / max(len(frame), 1)
        allowed = f"{low if low is not None else 'any'} to {high if high is not None else 'any'} {sensor.unit}"
        said = f"{count:,} of {len(frame):,} values outside {allowed}; allowed {limits.out_of_range:.1%}"
        checks.append(Check("range", sensor.name, _verdict(share, limits.out_of_range, "failed"), said))
    return checks


def missing(frame: pl.DataFrame, device_type: DeviceType, limits: Limits) -> list[Check]:
    """Values that aren't there. A sensor that never said anything fails."""
    checks = []
    for name in device_type.sensor_names:
        absent = _count(frame, pl.col(name).is_null()) if name in frame.columns else len(frame)
        share = absent / max(len(frame), 1)
        verdict: Verdict = "failed" if share == 1.0 else _verdict(share, limits.missing, "warned")
        checks.append(Check("missing", name, verdict, f"{share:.1%} of values missing; allowed {limits.missing:.0%}"))
    return checks


def duplicates(frame: pl.DataFrame, limits: Limits) -> Check:
    """Rows of one device at one time."""
    count = len(frame) - frame.select(pl.struct("device_key", "timestamp").n_unique()).item()
    share = count / max(len(frame), 1)
    said = f"{count:,} of {len(frame):,} rows come twice; allowed {limits.duplicates:.0%}"
    return Check("duplicates", "rows", _verdict(share, limits.duplicates, "failed"), said)


def still(frame: pl.DataFrame, device_type: DeviceType, limits: Limits) -> list[Check]:
    """Sensors that say the same for hours; `frame` is sorted by device and time."""
    checks = []
    for name in device_type.sensor_names:
        if name not in frame.columns:
            continue
        run = pl.struct("device_key", name).rle_id()
        lengths = frame.filter(pl.col(name).is_not_null()).group_by(run.alias("run")).len()["len"]
        count = int(lengths.filter(lengths > limits.still_rows).sum())
        share = count / max(len(frame), 1)
        said = f"{share:.1%} of values are one of more than {limits.still_rows} equal ones; allowed {limits.still:.0%}"
        checks.append(Check("stuck", name, _verdict(share, limits.still, "warned"), said))
    return checks


def spacing(frame: pl.DataFrame, device_type: DeviceType, limits: Limits) -> Check:
    """Gaps between rows of a device that are not its type's interval, within half of it."""
    gap = pl.col("timestamp").diff().over("device_key").dt.total_milliseconds()
    interval = device_type.interval_ms
    irregular = _count(frame, (gap - interval).abs() > interval / 2)
    share = irregular / max(len(frame), 1)
    said = f"{share:.1%} of gaps are not {interval / 1000:g} s, within half of it; allowed {limits.irregular:.0%}"
    return Check("spacing", "rows", _verdict(share, limits.irregular, "warned"), said)


def labels(reports: Sequence[tuple[int, int, int | None]], frame: pl.DataFrame, limits: Limits) -> list[Check]:
    """Fault reports: those that end before they begin or begin after the newest row, and how much time they take."""
    if frame.is_empty():
        return []
    times = frame["timestamp"].dt.epoch("ms")
    first, newest = times[0], times.max()
    oldest = times.min()
    assert isinstance(oldest, int) and isinstance(newest, int) and isinstance(first, int)
    wrong = [report for report in reports if (report[2] is not None and report[2] < report[1]) or report[1] > newest]
    verdict: Verdict = "failed" if wrong else "passed"
    found = [Check("labels", "times", verdict, f"{len(wrong)} of {len(reports)} reports end first or lie ahead")]
    devices = frame["device_key"].n_unique()
    taken = sum(
        max(0, min(newest, newest if end is None else end) - max(oldest, start)) for _, start, end in reports
    ) / max((newest - oldest) * devices, 1)
    said = f"{taken:.1%} of all device time is labelled faulty; allowed {limits.faulty:.0%}"
    return [*found, Check("labels", "share", _verdict(taken, limits.faulty, "failed"), said)]


def skew(frame: pl.DataFrame, served: dict[str, tuple[float, float]], limits: Limits) -> list[Check]:
    """Centre and spread of each sensor against those of the model that serves, `served` by sensor name."""
    checks = []
    for name, (centre, spread) in served.items():
        if name not in frame.columns:
            checks.append(Check("skew", name, "failed", "the model that serves has this sensor; the snapshot has not"))
            continue
        values = frame[name].drop_nulls()
        quantiles = [values.quantile(q) for q in (0.05, 0.5, 0.95)]
        if any(each is None for each in quantiles):
            continue
        low, middle, high = (float(each) for each in quantiles if each is not None)
        off = abs(middle - centre) / spread
        ratio = max((high - low) / 3.3, 1e-12) / spread
        bad = off > limits.skew_spreads or ratio > limits.skew_ratio
        said = f"{off:.1f} spreads from the centre served (allowed {limits.skew_spreads:g}), {ratio:.2g} times as wide"
        checks.append(Check("skew", name, "failed" if bad else "passed", said))
    return checks


def _count(frame: pl.DataFrame, mask: pl.Expr) -> int:
    return int(frame.select(mask.fill_null(False).sum()).item())


def _verdict(share: float, allowed: float, otherwise: Verdict) -> Verdict:
    return "passed" if share <= allowed else otherwise
