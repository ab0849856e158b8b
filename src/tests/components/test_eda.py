"""The exploration: what its page and findings say of readings that were made to have something to find."""

import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import insert

from ...components import data_ingestion, eda
from ...components.artifact import Artifact, read
from ...components.data_ingestion import IngestionConfig
from ...components.eda import EdaConfig, read_findings
from ...components.eda.eda import PAGE_FILE
from ...components.eda.shapes import correlations, distribution, seasons
from ...components.eda.source import newest_snapshot
from ...components.eda.tables import readings_table
from ...components.workplace import Workplace
from ...exceptions import DataValidationError, StorageError
from ...fleet import models
from ...fleet.database import writing
from ..detection import fleet
from . import lakeside

N_DEVICES, MINUTES = 6, 3000


def made_up() -> np.ndarray:
    """Readings of which a device lacks a third of the time, and a sensor is higher in the newest fifth."""
    values = fleet.values(1, N_DEVICES, MINUTES)
    values[:1000, 2] = np.nan
    values[2400:, :, 3] += 40.0
    return values


def explored(place: Workplace, type_id: int) -> Artifact:
    snapshot = data_ingestion.run(IngestionConfig(), {}, place, type_id, lakeside.NOW)
    return eda.run(EdaConfig(), {"data_ingestion": snapshot}, place, type_id, lakeside.NOW)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    place, type_id = lakeside.with_readings(tmp_path_factory.mktemp("eda"), N_DEVICES, MINUTES, values=made_up())
    with writing(place.engine) as session:
        session.execute(
            insert(models.FaultReport).values(
                device_key=3, start_ms=fleet.START, end_ms=None, kind="leak", source="import", said_by="x", created_ms=1
            )
        )
    artifact = explored(place, type_id)
    assert explored(place, type_id).hash == artifact.hash, "the same rows give the same page"
    place.close()
    return artifact


def test_every_row_is_counted_and_what_is_missing_is_known(made: Artifact) -> None:
    found, values = read_findings(made), made_up()
    assert found.rows == made.summary["rows"] == N_DEVICES * MINUTES
    assert found.missing == pytest.approx(np.isnan(values).mean(), abs=1e-3)
    for s, profile in enumerate(found.sensors):
        there = values[:, :, s][np.isfinite(values[:, :, s])]
        assert profile.values == len(there) and profile.missing == pytest.approx(1 - len(there) / found.rows)
        assert (profile.least, profile.most) == pytest.approx((there.min(), there.max()))
        assert profile.mean == pytest.approx(there.mean())
        assert profile.quantiles["0.5"] == pytest.approx(np.median(there), abs=0.01)


def test_what_moves_together_and_what_has_moved_is_found(made: Artifact) -> None:
    found = read_findings(made)
    flow, pressure, current = (fleet.NAMES.index(name) for name in ("flow", "pressure", "current"))
    together, against = found.correlations[flow][current], found.correlations[flow][pressure]
    assert together is not None and together > 0.5 and against is not None and against < -0.5
    assert "temperature" in {one.sensor for one in found.drift if one.pooled}


def test_the_page_needs_nothing_else_and_names_device_and_fault(made: Artifact) -> None:
    page = (made.path / PAGE_FILE).read_text()
    loaded = re.findall(r"""(?:src|href|action)\s*=\s*["']?([^"'\s>]+)""", page) + re.findall(r"url\(([^)]*)\)", page)
    assert [one for one in loaded if not one.startswith(("data:", "#", "'data:", '"data:'))] == []
    assert "@import" not in page and "fetch(" not in page
    assert "pump-3" in page and "leak from" in page and "skrub-table-report" in page
    drawn = {file.stem for file in made.path.glob("*.svg")}
    assert drawn >= {"faults", "correlations", "missing-by-device", "missing-by-sensor"}
    assert drawn >= {f"{kind}-{name}" for name in fleet.NAMES for kind in ("distribution", "hour", "weekday")}
    assert read(made.path) == made


def test_without_skrub_the_page_says_how_to_get_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skrub", None)
    assert "pip install &#x27;faultwatch[eda]&#x27;" in readings_table(pl.DataFrame({"heat": [1.0]}))


def test_a_small_snapshot_without_faults_and_with_a_silent_sensor_has_a_page_too(tmp_path: Path) -> None:
    values = fleet.values(1, 1, 3)
    values[:, :, 0] = np.nan
    values[:, :, 1] = 5.0
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 3, values=values)
    made = explored(place, type_id)
    assert "No fault was reported" in (made.path / PAGE_FILE).read_text()
    silent = read_findings(made).sensors[0]
    assert (silent.values, silent.least, silent.mean, silent.quantiles) == (0, None, None, {})
    assert newest_snapshot(place, type_id, lakeside.NOW).component == "data_ingestion"
    place.close()


def test_readings_that_retention_took_are_missed(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 30)
    snapshot = newest_snapshot(place, type_id, lakeside.NOW)
    later = lakeside.NOW + 40 * 86_400_000
    place.lake.compact(type_id, later)
    assert place.lake.retain(type_id, 1, later).days
    with pytest.raises(StorageError, match=r"0 of the 30 readings of this snapshot.*take a new one"):
        eda.run(EdaConfig(), {"data_ingestion": snapshot}, place, type_id, later)
    place.close()


def test_a_lake_without_readings_is_said_to_be_empty(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 0)
    with pytest.raises(DataValidationError, match="holds no readings"):
        newest_snapshot(place, type_id, lakeside.NOW)
    place.close()


def test_a_season_of_the_day_is_seen_through_what_sets_devices_apart() -> None:
    minutes = np.arange(0, 5 * 1440, 10)
    rows = pl.DataFrame(
        {
            "device_key": np.repeat([1, 2], len(minutes)),
            "timestamp": pl.Series(np.tile(minutes * 60_000, 2)).cast(pl.Datetime("ms", "UTC")),
            "heat": np.concatenate([level + np.sin(2 * np.pi * minutes / 1440) for level in (10.0, 1000.0)]),
        }
    )
    found = seasons(rows, ["heat"], pl.col("timestamp").dt.hour(), 24)["heat"]
    assert int(np.argmax(found.middle)) in (5, 6) and int(np.argmin(found.middle)) in (17, 18)
    assert found.middle.max() - found.middle.min() == pytest.approx(2.0, abs=0.05)
    assert np.isnan(correlations(rows.with_columns(still=pl.lit(1.0)), ["heat", "still"])[0, 1])


def test_a_distribution_keeps_every_value_and_tells_the_newest_apart() -> None:
    values = np.array([*np.linspace(0.0, 1.0, 1000), 1e9, np.nan])
    is_newest = np.arange(1002) >= 900
    found = distribution(values, is_newest)
    assert (found.before.sum(), found.newest.sum()) == (900, 101)
    assert found.edges[-1] < 2.0, "one stray value doesn't squeeze the others into a bar"
    assert distribution(np.full(3, 5.0), is_newest[:3]).before.max() == 3
