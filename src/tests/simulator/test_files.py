"""Files hold the readings of the fleet, and beside them what one needs to make sense of them."""

from datetime import timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ...exceptions import ConfigError, StorageError
from ...simulator import files
from ...simulator.files import write_files
from ...simulator.fleet import Fleet
from ...telemetry.schema import decode_type
from .conftest import START

END = START + timedelta(hours=20)


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
@pytest.mark.parametrize("per", ["type", "device"])
def test_files_hold_the_readings(
    faulty: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: files.Format, per: files.Per
) -> None:
    monkeypatch.setattr(files, "CHUNK_ROWS", 7000)  # several chunks
    told: list[int] = []
    rows = write_files(faulty, END, tmp_path / "out", file_format, per, told.append)
    assert rows == sum(told) and len(told) > 9
    read = pl.read_parquet if file_format == "parquet" else _read_csv
    for device_type in faulty.types:
        expected = faulty.readings(device_type.name, START, END)
        if per == "type":
            found = read(tmp_path / "out" / "readings" / f"{device_type.name}.{file_format}")
        else:
            paths = sorted((tmp_path / "out" / "readings" / device_type.name).iterdir())
            found = pl.concat([read(path) for path in paths])
            assert len(paths) == 30
            expected = expected.sort("device_id", maintain_order=True)
        if file_format == "csv":
            expected = expected.with_columns(pl.col("timestamp").dt.truncate("1ms"))
        assert_frame_equal(found, expected)


def _read_csv(path: Path) -> pl.DataFrame:
    frame = pl.read_csv(path, infer_schema=False)
    stamps = pl.col("timestamp").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_unit="us", time_zone="UTC")
    return frame.with_columns(stamps, pl.exclude("device_id", "timestamp").cast(pl.Float64))


def test_beside_readings_lie_types_devices_sites_and_the_truth(faulty: Fleet, tmp_path: Path) -> None:
    write_files(faulty, END, tmp_path, "parquet")
    types = sorted((decode_type(path.read_bytes()) for path in (tmp_path / "types").iterdir()), key=lambda t: t.name)
    assert tuple(types) == tuple(sorted(faulty.types, key=lambda t: t.name))
    assert len(pl.read_csv(tmp_path / "devices.csv")) == 90
    sites = msgspec.json.decode((tmp_path / "sites.json").read_bytes())
    assert [site["id"] for site in sites] == [site.id for site in faulty.sites]
    truth = faulty.fault_reports(END)
    table = pl.read_csv(tmp_path / "fault_reports.csv", try_parse_dates=True)
    lines = [msgspec.json.decode(line) for line in (tmp_path / "fault_reports.jsonl").read_bytes().splitlines()]
    assert table["device_id"].to_list() == truth["device_id"].to_list() == [line["device_id"] for line in lines]
    assert [line["sensors"] for line in lines] == truth["sensors"].to_list()
    assert table["start"].to_list() == truth["start"].to_list()


def test_the_same_plan_gives_the_same_files(tmp_path: Path) -> None:
    for folder in ("one", "other"):
        fleet = Fleet.plan(seed=4, devices=9, start=START, days=1, faults=0.5)
        write_files(fleet, END, tmp_path / folder, "csv")
    for path in (tmp_path / "one").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "other" / path.relative_to(tmp_path / "one")).read_bytes()


def test_a_folder_with_something_in_it_is_not_touched(healthy: Fleet, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(ConfigError, match="is there already and not empty; name a new folder with --out"):
        write_files(healthy, END, tmp_path, "csv")
    with pytest.raises(ConfigError, match="not empty"):
        write_files(healthy, END, tmp_path / "precious", "csv")
    with pytest.raises(StorageError, match="can't be written"):
        write_files(healthy, END, tmp_path / "precious" / "below", "csv")
