"""data_validation: a sound snapshot passes, each kind of damage is named, drift is told from a stable week."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert

from ...components import data_ingestion, data_validation
from ...components.artifact import Artifact
from ...components.data_ingestion import IngestionConfig
from ...components.data_validation import ValidationConfig, accept, checks
from ...components.data_validation.checks import Limits
from ...components.data_validation.drift import drift
from ...components.data_validation.validation import PAGE_FILE, read_report
from ...components.workplace import Workplace
from ...exceptions import DataValidationError
from ...fleet import models
from ...fleet.database import writing
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


def test_a_sound_snapshot_is_accepted_and_the_same_rows_give_the_same_report(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 6, 300)
    made = validated(place, type_id)
    accept(made)
    report = read_report(made)
    assert {check.name for check in report.checks} >= {"schema", "range", "missing", "duplicates", "stuck", "spacing"}
    assert [check for check in report.checks if check.verdict == "failed"] == []
    assert {one.sensor for one in report.drift} == set(fleet.NAMES)
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
    with pytest.raises(DataValidationError, match="labels of times: 1 of 1 reports.*then train again"):
        accept(validated(place, type_id))
    place.close()


def verdicts(found: list[checks.Check]) -> dict[str, str]:
    return {check.subject: check.verdict for check in found}


def test_columns_of_another_type_are_named() -> None:
    assert checks.schema(frame(), TYPE).verdict == "passed"
    broken = checks.schema(frame().with_columns(heat=pl.lit("warm")), TYPE)
    assert broken.verdict == "failed" and "heat" in broken.found
    assert checks.schema(frame().drop("device_key"), TYPE).verdict == "failed"


def test_values_out_of_range_or_not_finite_fail() -> None:
    rows = frame()
    assert verdicts(checks.ranges(rows, TYPE, Limits())) == {"heat": "passed", "flow": "passed"}
    bad = rows.with_columns(heat=pl.col("heat") * 1000, flow=pl.lit(float("inf")))
    assert verdicts(checks.ranges(bad, TYPE, Limits())) == {"heat": "failed", "flow": "failed"}


def test_a_tenth_of_the_rows_twice_fails() -> None:
    rows = frame()
    assert checks.duplicates(rows, Limits()).verdict == "passed"
    twice = checks.duplicates(pl.concat([rows, rows.head(len(rows) // 10)]), Limits())
    assert twice.verdict == "failed" and twice.found.startswith("80 of 880")


def test_missing_and_stuck_sensors_are_told_apart() -> None:
    rows = frame().with_columns(
        heat=pl.when(pl.int_range(pl.len()) % 200 < 150).then(60.0).otherwise(pl.col("heat")),
        flow=pl.lit(None, pl.Float64),
    )
    assert verdicts(checks.missing(rows, TYPE, Limits())) == {"heat": "passed", "flow": "failed"}
    assert verdicts(checks.still(rows, TYPE, Limits())) == {"heat": "warned", "flow": "passed"}


def test_uneven_spacing_is_seen() -> None:
    rows = frame()
    assert checks.spacing(rows, TYPE, Limits()).verdict == "passed"
    holes = rows.filter(pl.col("timestamp").dt.minute() % 3 != 0)
    assert checks.spacing(holes, TYPE, Limits()).verdict == "warned"


def test_a_label_on_most_of_the_time_fails() -> None:
    end = fleet.START + 200 * 60_000
    most = checks.labels([(key, fleet.START, end) for key in (1, 2, 3)], frame(), Limits())
    assert verdicts(most) == {"times": "passed", "share": "failed"}


def test_a_sensor_scaled_by_a_thousand_is_skewed_against_what_serves() -> None:
    served = {"heat": (50.0, 1.0), "flow": (5.0, 1.0), "gone": (0.0, 1.0)}
    found = verdicts(checks.skew(frame().with_columns(heat=pl.col("heat") * 1000), served, Limits()))
    assert found == {"heat": "failed", "flow": "passed", "gone": "failed"}


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
