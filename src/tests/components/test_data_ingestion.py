"""data_ingestion: a fixed snapshot, a split that keeps devices and days unseen, clear words on an empty lake."""

import subprocess
import sys
from pathlib import Path

import pytest

from ...components import data_ingestion
from ...components.data_ingestion import IngestionConfig
from ...components.data_ingestion.ingestion import read_split, training_rows
from ...components.workplace import Workplace
from ...exceptions import ConfigError, DataValidationError
from ...settings import Settings
from . import lakeside


def test_a_snapshot_is_fixed_and_split(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 30, 200)
    made = data_ingestion.run(IngestionConfig(split_days=0.1), place, type_id, lakeside.NOW)
    again = data_ingestion.run(IngestionConfig(split_days=0.1), place, type_id, lakeside.NOW + 1)
    assert made.hash == again.hash and made.subject == "pump"
    assert made.summary["devices"] == 30 and made.summary["rows"] == 30 * 200
    split = read_split(made)
    assert 0 < len(split.held_out) < 15
    rows = training_rows(place.lake.read(type_id), split)
    assert not set(rows["device_key"]) & set(split.held_out)
    assert rows["timestamp"].dt.epoch("ms").max() < split.cut_ms  # type: ignore[operator]
    assert len(rows) == (30 - len(split.held_out)) * 160
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


@pytest.mark.parametrize("component", ["data_ingestion", "data_transformation", "model_trainer"])
def test_a_component_runs_by_its_name(component: str) -> None:
    module = f"{__package__.partition('.')[0]}.components.{component}"
    done = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "--data" in done.stdout, done.stderr
