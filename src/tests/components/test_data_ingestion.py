"""data_ingestion: a fixed snapshot, a split that keeps devices and days unseen, clear words on an empty lake."""

import subprocess
import sys
from pathlib import Path

import pytest

from ...components import data_ingestion
from ...components.data_ingestion import IngestionConfig
from ...components.data_ingestion.ingestion import read_ingested, training_rows
from ...components.workplace import Workplace
from ...exceptions import ConfigError, DataValidationError
from ...settings import Settings
from . import lakeside


def test_a_snapshot_is_fixed_and_split(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 30, 200)
    made = data_ingestion.run(IngestionConfig(split_days=0.1), {}, place, type_id, lakeside.NOW)
    again = data_ingestion.run(IngestionConfig(split_days=0.1), {}, place, type_id, lakeside.NOW + 1)
    assert made.hash == again.hash and made.subject == "pump"
    assert made.summary["devices"] == 30 and made.summary["rows"] == 30 * 200
    ingested = read_ingested(made)
    split = ingested.split
    assert 0 < len(split.held_out) < 15
    rows = training_rows(place.lake.read(type_id), split)
    assert not set(rows["device_key"]) & set(split.held_out)
    assert rows["timestamp"].dt.epoch("ms").to_numpy().max() < split.cut_ms
    assert len(rows) == (30 - len(split.held_out)) * 160
    assert ingested.device_type == place.device_type(type_id)
    assert sum(ingested.days.values()) == ingested.sample.rows == ingested.snapshot.rows
    assert [placed.device_key for placed in ingested.devices] == list(range(1, 31))
    place.close()


def test_a_large_fleet_is_sampled_by_whole_devices(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 30, 100)
    config = IngestionConfig(training_rows=700, unseen_devices=3)
    ingested = read_ingested(data_ingestion.run(config, {}, place, type_id, lakeside.NOW))
    assert len(ingested.split.training) == 7 and len(ingested.split.held_out) == 3
    sample = place.lake.read_snapshot(ingested.sample)
    assert set(sample["device_key"]) == {*ingested.split.training, *ingested.split.held_out}
    assert len(sample) == 1000 == ingested.sample.rows and ingested.snapshot.rows == 3000
    place.close()


def test_where_no_device_can_be_kept_unseen_time_is(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 1, 100)
    split = read_ingested(data_ingestion.run(IngestionConfig(), {}, place, type_id, lakeside.NOW)).split
    assert (split.training, split.held_out) == ([1], []) and split.cut_ms == split.judged_ms
    assert len(training_rows(place.lake.read(type_id), split)) == 80
    place.close()


def test_an_empty_lake_and_an_unknown_type_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no data folder"):
        Workplace.open(Settings(data=tmp_path / "nowhere"))
    place = Workplace.open(lakeside.settings(tmp_path / "data"))
    with pytest.raises(DataValidationError, match="holds no readings yet; send some"):
        place.types()
    with pytest.raises(ConfigError, match="no device type 'pump'; there are: none yet"):
        place.types("pump")
    place.close()


@pytest.mark.parametrize(
    "component", ["data_ingestion", "data_transformation", "model_trainer", "model_evaluation", "model_pusher"]
)
def test_a_component_runs_by_its_name(component: str) -> None:
    module = f"{__package__.partition('.')[0]}.components.{component}"
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--data" in done.stdout, done.stderr
