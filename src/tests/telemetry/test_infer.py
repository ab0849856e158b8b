"""From a file of real readings come a type and a mapping that read that file."""

import csv
import io
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import ConfigError, IngestError
from ...telemetry.files import read_chunks
from ...telemetry.infer import Proposal, infer, mapping_for
from ...telemetry.mapping import TimeColumn, decode_mapping, encode_mapping
from ...telemetry.schema import MAX_SENSORS, DeviceType, Sensor, decode_type

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def written(folder: Path, header: str, *rows: str, separator: str = ",", every_s: float = 60.0) -> Path:
    """A file with a column of times before the rows."""
    path = folder / "Pump 7.csv"
    lines = [separator.join(["time", header])]
    for number, row in enumerate(rows):
        lines.append(separator.join([(START + timedelta(seconds=number * every_s)).isoformat(), row]))
    path.write_text("\n".join(lines))
    return path


def counted(columns: int, n: int = 40, separator: str = ",") -> list[str]:
    return [separator.join(f"{i + column / 7:.4f}" for column in range(columns)) for i in range(n)]


def sensors_of(folder: Path, *columns: str) -> dict[str, Sensor]:
    """The sensors that columns of these names become, by column."""
    proposal = infer(written(folder, ",".join(columns), *counted(len(columns))))
    by_name = {sensor.name: sensor for sensor in proposal.device_type.sensors}
    return {column: by_name[name] for column, name in proposal.mapping.sensors.items()}


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("flow", Sensor(name="flow")),
        ("Water flow", Sensor(name="water_flow")),
        ("WaterFlow", Sensor(name="water_flow", label="WaterFlow")),
        ("Flow (l/min)", Sensor(name="flow", unit="l/min")),
        ("Flow [m³/h]", Sensor(name="flow", unit="m³/h")),
        ("outlet_temp_degC", Sensor(name="outlet_temp", unit="°C")),
        ("bar", Sensor(name="bar")),
        ("Kühlung", Sensor(name="kuhlung", label="Kühlung")),
        ("температура", Sensor(name="sensor", label="температура")),
        ("2nd stage", Sensor(name="sensor_2nd_stage", label="2nd stage")),
        ("score", Sensor(name="score_value", label="score")),
        ("load %", Sensor(name="load", unit="%", low=0.0, high=100.0)),
    ],
)
def test_names_of_columns_become_names_labels_and_units(tmp_path: Path, column: str, expected: Sensor) -> None:
    assert sensors_of(tmp_path, column, "other")[column] == expected


def test_names_that_would_be_the_same_are_told_apart(tmp_path: Path) -> None:
    names = [sensor.name for sensor in sensors_of(tmp_path, "flow", "Flow", "flow (bar)").values()]
    assert names == ["flow", "flow_2", "flow_3"]


def test_no_range_is_proposed_that_a_reading_breaks(tmp_path: Path) -> None:
    path = written(tmp_path, "load %,flow", *(f"{i * 3},1" for i in range(40)))
    assert infer(path).device_type.sensors[0] == Sensor(name="load", unit="%")


def test_steps_of_a_sensor_become_its_precision(tmp_path: Path) -> None:
    path = written(tmp_path, "fine,coarse", *(f"{math.sin(i):.6f},{i % 9 * 0.25 + 20}" for i in range(200)))
    assert [sensor.precision for sensor in infer(path).device_type.sensors] == [None, 0.25]


@pytest.mark.parametrize(("every_s", "interval_s"), [(60, 60.0), (59.7, 60.0), (0.5, 0.5), (3600, 3600.0)])
def test_the_interval_is_that_between_readings(tmp_path: Path, every_s: float, interval_s: float) -> None:
    proposal = infer(written(tmp_path, "flow", *counted(1), every_s=every_s))
    assert proposal.device_type.interval_s == interval_s


@pytest.mark.parametrize(
    ("every_s", "interval_s", "note"),
    [
        (0.01, 0.1, "readings are 0.01 s apart; a type's interval is 0.1 to 86,400 s"),
        (172_800, 86_400.0, "readings are 172800 s apart; a type's interval is 0.1 to 86,400 s"),
        (0, 60.0, "the file has too few times to tell the interval: a minute is assumed"),
    ],
)
def test_an_interval_that_no_type_has_is_told(tmp_path: Path, every_s: float, interval_s: float, note: str) -> None:
    proposal = infer(written(tmp_path, "flow", *counted(1), every_s=every_s))
    assert proposal.device_type.interval_s == interval_s
    assert note in proposal.notes


def test_dates_without_the_time_of_day_are_told(tmp_path: Path) -> None:
    path = tmp_path / "pump.csv"
    path.write_text("date,clock,flow\n" + "\n".join(f"2026-01-0{1 + i // 24},{i % 24}:00,{i}" for i in range(96)))
    told = "most readings share their time in 'date' with another one: is the time of day, or the device, in a column"
    assert any(note.startswith(told) for note in infer(path).notes)


def test_devices_that_send_sensors_one_by_one_are_known(tmp_path: Path) -> None:
    rows = [("1,," if i % 3 == 0 else ",2," if i % 3 == 1 else ",,3") for i in range(90)]
    assert infer(written(tmp_path, "a,b,c", *rows)).device_type.sends == "parts"
    assert infer(written(tmp_path, "a,b,c", *counted(3))).device_type.sends == "rows"


def test_what_is_no_sensor_is_left_out_and_told(tmp_path: Path) -> None:
    path = written(tmp_path, "flow,anomaly,comment,steady", *(f"{i},{i % 2},word {i},5" for i in range(40)))
    proposal = infer(path)
    assert list(proposal.mapping.sensors) == ["flow", "steady"]
    assert proposal.notes == [
        "column 'anomaly' is left out: it looks like a label, not like a sensor",
        "column 'comment' is left out: it holds no numbers",
        "column 'steady' never changes here; kept, since a sensor may be that steady",
        "no column names a device: each file is one device, called as the file",
    ]


def test_no_type_gets_more_sensors_than_types_have(tmp_path: Path) -> None:
    proposal = infer(written(tmp_path, ",".join(f"s{i}" for i in range(70)), *counted(70)))
    assert len(proposal.device_type.sensors) == MAX_SENSORS
    assert "only the first 64 of 70 columns are kept: no type has more sensors" in proposal.notes


def test_the_type_is_called_as_asked_or_as_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "flow", *counted(1))
    assert infer(path).device_type.name == "pump_7"
    assert infer(path, "Big Pump").device_type.name == "big_pump"
    assert infer(path, "насос").device_type.name == "device"


def test_decimal_commas_and_lines_before_the_table_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Anlage 3.csv"
    rows = "".join(f"01.02.2026 {i // 60:02}:{i % 60:02};{i},25;{i}\r\n" for i in range(100))
    path.write_bytes(("Logger 4711\r\n\r\nZeit;Kühlung (°C);Druck;\r\n" + rows).encode("cp1252"))
    proposal = infer(path)
    assert proposal.mapping.skip_lines == 2
    (chunk,) = read_chunks(path, proposal.mapping, proposal.device_type, 1000)
    assert (chunk.bad, chunk.values[99].tolist()) == ([], [99.25, 99.0])
    assert proposal.device_type.sensors[0].unit == "°C"


def test_infinite_values_are_no_reason_to_fail(tmp_path: Path) -> None:
    path = written(tmp_path, "flow,heat", *(f"{i},{'inf' if i in (3, 4) else i}" for i in range(80)))
    assert list(infer(path).mapping.sensors) == ["flow", "heat"]


def test_parquet_is_proposed_from_as_well(tmp_path: Path) -> None:
    path = tmp_path / "pump.parquet"
    pl.DataFrame(
        {
            "time": [START + timedelta(minutes=i) for i in range(40)],
            "device": [f"p{i % 2}" for i in range(40)],
            "flow": pl.Series([None if i % 3 else i for i in range(40)], dtype=pl.Int32),
            "tags": [["a", "b"]] * 40,
            "photo": [b"\xff"] * 40,
            "on": [bool(i % 2) for i in range(40)],
        }
    ).write_parquet(path)
    proposal = infer(path)
    assert (proposal.mapping.device_column, list(proposal.mapping.sensors)) == ("device", ["flow", "on"])
    assert proposal.device_type.interval_s == 120.0
    assert proposal.notes == [
        "column 'tags' is left out: it holds no numbers",
        "column 'photo' is left out: it holds no numbers",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected readings as CSV or Parquet"),
        ("time,flow\n", "has a header and no rows; expected readings"),
        (
            "flow,heat\n1.5,2\n0.5,1\n",
            "looks like a time; it has 'flow', 'heat': name it in a mapping, with its format",
        ),
        (
            "time,words\n2026-01-01,one\n2026-01-02,two\n",
            "has no column of readings beside 'time'; it has 'time', 'words'",
        ),
    ],
)
def test_a_file_that_no_type_comes_from_says_why(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "pump.csv"
    path.write_text(content)
    with pytest.raises(IngestError, match=message) as caught:
        infer(path)
    assert str(path) in str(caught.value)


def comes_back(proposal: Proposal) -> None:
    assert decode_type(proposal.type_json()) == proposal.device_type
    assert decode_mapping(encode_mapping(proposal.mapping)) == proposal.mapping
    proposal.mapping.check_against(proposal.device_type)


def test_json_of_the_type_has_no_more_than_it_needs(tmp_path: Path) -> None:
    proposal = infer(written(tmp_path, "flow,load %", *counted(2)))
    comes_back(proposal)
    assert '{\n      "name": "flow"\n    }' in proposal.type_json()


PUMP = DeviceType(
    name="pump",
    sensors=(
        Sensor(name="water_flow"),
        Sensor(name="heat", label="Outlet temperature"),
        Sensor(name="sensor", label="температура"),
        Sensor(name="old", retired=True),
    ),
)


def test_columns_go_to_the_sensors_of_a_type_by_name_or_label(tmp_path: Path) -> None:
    columns = ("Water-Flow (l/min)", "outlet temperature [°C]", "Температура", "old")
    proposal = mapping_for(written(tmp_path, ",".join(columns), *counted(4)), PUMP)
    assert list(proposal.mapping.sensors.values()) == ["water_flow", "heat", "sensor"]
    assert proposal.notes == ["column 'old' is no sensor of type 'pump': left out"]


def test_a_column_of_another_alphabet_is_not_taken_for_any_sensor(tmp_path: Path) -> None:
    proposal = mapping_for(written(tmp_path, "water flow,давление", *counted(2)), PUMP)
    assert proposal.mapping.sensors == {"water flow": "water_flow"}
    assert proposal.notes == [
        "column 'давление' is no sensor of type 'pump': left out",
        "no column for heat, sensor: they are missing in every row",
    ]


def test_a_file_that_fits_no_sensor_is_refused(tmp_path: Path) -> None:
    message = (
        r"no column of .* fits a sensor of type 'pump' \(water_flow, heat, sensor\); it has 'time', 'a': give a mapping"
    )
    with pytest.raises(IngestError, match=message):
        mapping_for(written(tmp_path, "a", *counted(1)), PUMP)


def test_recordings_of_a_testbed(shared_data: Path) -> None:
    proposal = infer(shared_data / "skab" / "anomaly-free.csv", "testbed")
    comes_back(proposal)
    assert proposal.device_type.sensor_names == (
        *("accelerometer1_rms", "accelerometer2_rms", "current", "pressure", "temperature", "thermocouple"),
        *("voltage", "volume_flow_rate_rms"),
    )
    assert proposal.device_type.interval_s == 1.0
    assert proposal.mapping.time == TimeColumn(column="datetime")
    for path in sorted((shared_data / "skab").glob("*.csv")):
        other = mapping_for(path, proposal.device_type)
        assert other.mapping == proposal.mapping
        assert [note for note in other.notes if "left out" in note] == (
            []
            if path.stem == "anomaly-free"
            else [f"column '{name}' is no sensor of type 'testbed': left out" for name in ("anomaly", "changepoint")]
        )


def test_recordings_of_turbines_without_a_header(shared_data: Path) -> None:
    path = shared_data / "cmapss" / "train_FD001_odd_units.txt"
    proposal = infer(path)
    comes_back(proposal)
    assert len(proposal.device_type.sensors) == 24
    assert (proposal.mapping.device_column, proposal.mapping.header) == ("1", False)
    assert proposal.mapping.time == TimeColumn(column="2", format="steps")
    assert mapping_for(path, proposal.device_type).mapping == proposal.mapping


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S", "Zs"]), max_size=12).map(str.strip),
        min_size=1,
        max_size=5,
        unique=True,
    ),
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30),
    signs=st.sampled_from([(",", "."), (";", ","), ("\t", "."), ("|", ".")]),
)
def test_what_is_proposed_reads_the_file(
    tmp_path: Path, names: list[str], values: list[float], signs: tuple[str, str]
) -> None:
    separator, decimal = signs
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["timestamp", *(f"s {name}" for name in names)])
    for minute, value in enumerate(values):
        moment = (START + timedelta(minutes=minute)).isoformat()
        writer.writerow([moment, *[repr(value).replace(".", decimal)] * len(names)])
    path = tmp_path / "readings.csv"
    path.write_text(out.getvalue(), encoding="utf-8")
    proposal = infer(path)
    comes_back(proposal)
    (chunk,) = read_chunks(path, proposal.mapping, proposal.device_type, 1000)
    assert chunk.bad == []
    np.testing.assert_array_equal(chunk.values[:, 0], values)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=300),
        st.lists(
            st.lists(st.sampled_from(["", "1", "2.5", "1,5", "inf", "nan", "x", "2026-01-01", '"']), max_size=5),
            max_size=12,
        ).map(lambda rows: "\n".join(";".join(row) for row in [["time", "a", "b"], *rows]).encode()),
    )
)
def test_any_bytes_give_a_type_or_a_reason(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(content)
    try:
        comes_back(infer(path))
    except (IngestError, ConfigError) as error:
        assert str(error)
