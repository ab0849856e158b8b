"""Time, device and site are found by their names and by what they hold; what was guessed is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from ...exceptions import IngestError
from ...telemetry.key_columns import TIME_PATTERNS, KeyColumns, find_key_columns
from ...telemetry.mapping import TimeColumn
from ...telemetry.sample import Sample

START = datetime(2026, 1, 13, 12, tzinfo=UTC)
NO_ZONE = "times in 'time' name no zone: read as UTC; set zone of the mapping where they are local"


def found(folder: Path, header: str, *lines: str) -> tuple[KeyColumns, list[str]]:
    path = folder / "pump.csv"
    path.write_text("\n".join([header, *lines]))
    notes: list[str] = []
    return find_key_columns(Sample.read(path), notes), notes


def minutes(pattern: str = "%Y-%m-%dT%H:%M:%SZ", n: int = 40) -> list[str]:
    moments = pl.Series([START + timedelta(minutes=i) for i in range(n)])
    return moments.dt.strftime(pattern).to_list()


@pytest.mark.parametrize("pattern", TIME_PATTERNS)
def test_every_way_to_write_times_is_known(tmp_path: Path, pattern: str) -> None:
    key, notes = found(tmp_path, "flow;time", *(f"{i};{text}" for i, text in enumerate(minutes(pattern))))
    assert key.time == TimeColumn(column="time", format=pattern)
    assert NO_ZONE in notes


def test_times_with_a_zone_need_no_note(tmp_path: Path) -> None:
    key, notes = found(tmp_path, "flow,when", *(f"{i},{text}" for i, text in enumerate(minutes())))
    assert (key, notes) == (KeyColumns(TimeColumn(column="when"), None, None), [])
    assert key.names == {"when"}


def test_a_column_called_a_time_comes_before_others_that_hold_times(tmp_path: Path) -> None:
    lines = [f"2020-01-01,{text},{i}" for i, text in enumerate(minutes())]
    assert found(tmp_path, "built,timestamp,flow", *lines)[0].time.column == "timestamp"


def test_days_that_might_be_months_are_told(tmp_path: Path) -> None:
    lines = [f"0{1 + i % 9}/03/2026 12:00,{i}" for i in range(40)]
    key, notes = found(tmp_path, "time,flow", *lines)
    assert key.time.format == "%d/%m/%Y %H:%M"
    told = "times in 'time' are read as day/month; for month/day set format to '%m/%d/%Y %H:%M'"
    assert told in notes


@pytest.mark.parametrize(("factor", "form"), [(1, "seconds"), (1000, "milliseconds")])
def test_numbers_since_1970_are_times(tmp_path: Path, factor: int, form: str) -> None:
    lines = [f"{i % 7},{(1_767_268_800 + 60 * i) * factor}" for i in range(40)]
    assert found(tmp_path, "flow,when", *lines)[0].time == TimeColumn(column="when", format=form)


def test_devices_are_found_by_the_name_of_their_column(tmp_path: Path) -> None:
    lines = [f"{text},{7 + i % 2},East,{i}" for i, text in enumerate(minutes())]
    key, _ = found(tmp_path, "time,Machine ID,plant,flow", *lines)
    assert (key.device, key.site) == ("Machine ID", "plant")


def test_devices_are_found_by_text_that_repeats_at_the_same_times(tmp_path: Path) -> None:
    lines = [f"{text},{name},{i}" for i, text in enumerate(minutes()) for name in ("north", "south")]
    assert found(tmp_path, "time,where it stands,flow", *lines)[0].device == "where it stands"


def test_text_that_says_what_a_row_is_like_is_no_device(tmp_path: Path) -> None:
    lines = [f"{text},{'on' if i % 2 else 'off'},{i}" for i, text in enumerate(minutes())]
    assert found(tmp_path, "time,mode,flow", *lines)[0].device is None
    lines = [f"{text},{label},{i}" for i, text in enumerate(minutes()) for label in ("good", "bad")]
    assert found(tmp_path, "time,failure label,flow", *lines)[0].device is None


def test_steps_counted_for_each_device_stand_for_times(tmp_path: Path) -> None:
    lines = [f"{unit},{cycle},{unit + cycle / 7:.3f}" for unit in (1, 3, 9) for cycle in range(1, 31)]
    key, notes = found(tmp_path, "block,cycle,flow", *lines)
    assert (key.time, key.device) == (TimeColumn(column="cycle", format="steps"), "block")
    assert notes == [
        "no column is a time: 'cycle' counts steps within each 'block', read as minutes from 2000-01-01; set step_s"
        " and start of the mapping to what they are"
    ]


def test_times_of_parquet_are_known_by_their_type(tmp_path: Path) -> None:
    path = tmp_path / "pump.parquet"
    moments = [START.replace(tzinfo=None) + timedelta(minutes=i) for i in range(40)]
    pl.DataFrame({"device": [["list"]] * 40, "time": moments, "flow": range(40)}).write_parquet(path)
    notes: list[str] = []
    assert find_key_columns(Sample.read(path), notes) == KeyColumns(TimeColumn(column="time"), "device", None)
    assert notes == [NO_ZONE]


def test_without_a_time_the_columns_are_listed(tmp_path: Path) -> None:
    message = "no column of .*pump.csv looks like a time; it has 'flow', 'heat': name it in a mapping, with its format"
    with pytest.raises(IngestError, match=message):
        found(tmp_path, "flow,heat", "1.5,2.5", "0.5,3.5")
