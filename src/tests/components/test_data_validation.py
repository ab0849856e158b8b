"""data_validation: a sound snapshot passes, each kind of damage is named, drift is told from a stable week."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert

from ...components import data_ingestion, data_validation
from ...components.artifact import Artifact
from ...components.data_ingestion import IngestionConfig
from ...components.data_validation import ValidationConfig, checks
from ...components.data_validation.checks import Limits
from ...components.data_validation.counting import Closely, Counts, closely, count
from ...components.data_validation.drift import drift
from ...components.data_validation.statistics import statistics
from ...components.data_validation.validation import PAGE_FILE, read_report, read_statistics
from ...components.workplace import Workplace
from ...fleet import models
from ...fleet.database import writing
from ...telemetry.lake import Lake
from ...telemetry.schema import DeviceType, Sensor
from ..detection import fleet
from . import lakeside

TYPE = DeviceType(
    name="pump", sensors=(Sensor(name="heat", unit="C", low=0.0, high=100.0), Sensor(name="flow", unit="l"))
)


def frame(n_devices: int = 4, n_rows: int = 200, seed: int = 1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    device = np.repeat(np.arange(1, n_devices + 1), n_rows)
    minute = np.tile(np.arange(n_rows), n_devices)
    return pl.DataFrame(
        {
            "device_key": device,
            "timestamp": pl.Series(fleet.START + minute * 60_000)
            .cast(pl.Datetime("ms", "UTC"))
            .dt.cast_time_unit("us"),
            "heat": 50 + rng.normal(size=len(device)),
            "flow": 5 + rng.normal(size=len(device)),
        }
    )


def validated(place: Workplace, type_id: int) -> Artifact:
    snapshot = data_ingestion.run(IngestionConfig(), {}, place, type_id, lakeside.NOW)
    return data_validation.run(ValidationConfig(), {"data_ingestion": snapshot}, place, type_id, lakeside.NOW)


def test_a_sound_snapshot_passes_and_the_same_rows_give_the_same_report(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 6, 300)
    made = validated(place, type_id)
    assert made.summary["verdict"] in ("pass", "warn") and made.summary["reason"] == ""
    report = read_report(made)
    assert {check.name for check in report.checks} >= {"schema", "range", "missing", "duplicates", "stuck", "spacing"}
    assert [check for check in report.checks if check.verdict == "failed"] == []
    assert {one.sensor for one in report.drift} == set(fleet.NAMES)
    assert [one.sensor for one in read_statistics(made)] == list(fleet.NAMES)
    page = (made.path / PAGE_FILE).read_text()
    assert "http" not in page and "<script" not in page
    assert validated(place, type_id).hash == made.hash
    place.close()


def test_a_label_that_makes_no_sense_is_refused_with_a_way_out(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 3, 200)
    with writing(place.engine) as session:
        session.execute(
            insert(models.FaultReport).values(
                device_key=1, start_ms=lakeside.NOW * 2, kind="leak", source="import", said_by="csv", created_ms=1
            )
        )
    summary = validated(place, type_id).summary
    assert summary["verdict"] == "fail"
    assert "pump isn't fit to learn from: labels of times: 1 of 1 reports" in str(summary["reason"])
    assert "What to do: labels: correct the fault reports" in str(summary["reason"])
    place.close()


def verdicts(found: list[checks.Check]) -> dict[str, str]:
    return {check.subject: check.verdict for check in found}


def counts(rows: pl.DataFrame, tmp_path: Path) -> Counts:
    """What is counted of rows in a lake."""
    lake = Lake(str(tmp_path / "lake"))
    moment = datetime.fromtimestamp(lakeside.NOW / 1000, UTC)
    stored = rows.with_columns(ingest_seq=pl.lit(1, pl.Int64()), arrived=pl.lit(moment, pl.Datetime("us", "UTC")))
    lake.append(1, stored, app_id="shard-0", version=1)
    return count(lake, lake.snapshot(1, 0, lakeside.NOW * 2, {0: 1}), TYPE.sensors)


def look(rows: pl.DataFrame) -> Closely:
    return closely([rows], TYPE.sensors, TYPE.interval_ms, Limits().still_rows)


def test_columns_of_another_type_are_named() -> None:
    assert checks.schema(frame(), TYPE).verdict == "passed"
    broken = checks.schema(frame().with_columns(heat=pl.lit("warm")), TYPE)
    assert broken.verdict == "failed" and "heat" in broken.found
    assert checks.schema(frame().drop("device_key"), TYPE).verdict == "failed"


def test_values_out_of_range_or_not_finite_fail(tmp_path: Path) -> None:
    sound = counts(frame(), tmp_path / "sound")
    assert verdicts(checks.ranges(sound, TYPE.sensors, Limits())) == {"heat": "passed", "flow": "passed"}
    bad = frame().with_columns(heat=pl.col("heat") * 1000, flow=pl.lit(float("inf")))
    found = counts(bad, tmp_path / "bad")
    assert verdicts(checks.ranges(found, TYPE.sensors, Limits())) == {"heat": "failed", "flow": "failed"}


def test_a_tenth_of_the_rows_twice_fails(tmp_path: Path) -> None:
    rows = frame()
    some = rows.head(len(rows) // 10)
    twice = counts(pl.concat([rows, some]), tmp_path)
    assert twice.rows == len(rows) + len(some)
    found = checks.duplicates(twice, len(rows), look(rows), "rows", Limits())
    assert verdicts(found) == {"times": "failed", "values": "passed"} and found[0].found.startswith("80 of 880")
    assert verdicts(checks.duplicates(twice, len(rows), look(rows), "parts", Limits()))["times"] == "warned"


def test_rows_that_say_the_same_again_a_second_later_are_duplicates() -> None:
    rows = frame()
    later = rows.filter(pl.int_range(pl.len()) % 10 == 0).with_columns(pl.col("timestamp") + pl.duration(seconds=1))
    both = pl.concat([rows, later]).sort("device_key", "timestamp")
    assert (look(rows).repeated, look(both).repeated) == (0, len(later))


def test_missing_and_stuck_sensors_are_told_apart(tmp_path: Path) -> None:
    rows = frame().with_columns(
        heat=pl.when(pl.int_range(pl.len()) % 200 < 150).then(60.0).otherwise(pl.col("heat")),
        flow=pl.lit(None, pl.Float64),
    )
    absent = counts(rows, tmp_path)
    assert verdicts(checks.missing(absent, TYPE.sensors, Limits())) == {"heat": "passed", "flow": "failed"}
    retired = [msgspec.structs.replace(sensor, retired=True) for sensor in TYPE.sensors]
    assert verdicts(checks.missing(absent, retired, Limits()))["flow"] == "warned"
    assert verdicts(checks.still(look(rows), Limits())) == {"heat": "warned", "flow": "passed"}


def test_uneven_spacing_is_seen() -> None:
    rows = frame()
    assert checks.spacing(look(rows), TYPE, Limits()).verdict == "passed"
    holes = rows.filter(pl.col("timestamp").dt.minute() % 3 != 0)
    assert checks.spacing(look(holes), TYPE, Limits()).verdict == "warned"


def test_a_label_on_most_of_the_time_fails_and_is_counted_once() -> None:
    span = (0, 1000)
    most = checks.labels([(key, 0, None) for key in (1, 2, 3)], span, 4, 2000, Limits())
    assert verdicts(most) == {"times": "passed", "share": "failed"}
    same = checks.labels([(1, 0, 600), (1, 100, 500), (1, 300, 900)] * 4, span, 4, 2000, Limits())
    assert same[1].verdict == "passed" and same[1].found.startswith("22.5%")


def test_a_report_of_after_the_last_reading_is_no_error_and_one_of_many_only_warns() -> None:
    after = checks.labels([(1, 1500, None)], (0, 1000), 4, 2000, Limits())
    assert after[0].verdict == "passed"
    ahead = checks.labels([(1, 3000, None), *[(1, 0, 10)] * 19], (0, 1000), 4, 2000, Limits())
    assert ahead[0].verdict == "warned"


def test_what_would_be_learnt_is_measured_as_what_the_champion_learnt() -> None:
    peaks = frame().with_columns(flow=pl.when(pl.int_range(pl.len()) % 40 == 0).then(9.0).otherwise(0.0))
    then = {one.sensor: one for one in statistics(peaks, TYPE.sensors)}
    assert then["flow"].spread == pytest.approx(9.0 / 5.15), "a sensor that is mostly zero still has a width"
    assert verdicts(checks.skew(then, then, TYPE.sensors, Limits())) == {"heat": "passed", "flow": "passed"}
    scaled = {one.sensor: one for one in statistics(peaks.with_columns(heat=pl.col("heat") * 1000), TYPE.sensors)}
    assert verdicts(checks.skew(scaled, then, TYPE.sensors, Limits())) == {"heat": "failed", "flow": "passed"}
    lacking = {"flow": then["flow"]}
    assert verdicts(checks.skew(lacking, then, TYPE.sensors, Limits()))["heat"] == "failed"
    assert "not compared" in checks.skew(then, None, TYPE.sensors, Limits())[0].found


def test_a_change_of_the_newest_period_is_drift_on_both_levels() -> None:
    rows = frame(40, 500)
    quiet = drift(rows, ["heat", "flow"], {})
    assert not any(one.pooled or one.by_device for one in quiet)
    newest = pl.col("timestamp") >= pl.col("timestamp").max() - pl.duration(minutes=100)
    moved = rows.with_columns(heat=pl.when(newest).then(pl.col("heat") + 1.5).otherwise(pl.col("heat")))
    found = {one.sensor: one for one in drift(moved, ["heat", "flow"], {})}
    assert found["heat"].pooled and not found["flow"].pooled
    half = rows.with_columns(
        flow=pl.when(newest & (pl.col("device_key") <= 10)).then(pl.col("flow") + 1.5).otherwise(pl.col("flow"))
    )
    assert {one.sensor: one for one in drift(half, ["heat", "flow"], {})}["flow"].by_device
