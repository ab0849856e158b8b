"""Files of readings: good rows come in columns, and each line that can't be taken says why."""

import csv
import io
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import ConfigError, IngestError
from ...fleet.registry import is_device_id
from ...telemetry.files import FileChunk, read_chunks
from ...telemetry.infer import infer
from ...telemetry.mapping import Mapping, TimeColumn
from ...telemetry.schema import DeviceType, Sensor

PUMP = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="heat", unit="°C", low=0, high=100)))
NOON = "2026-01-01T12:00:00Z"
NOON_MS = 1_767_268_800_000


def mapping(separator: str = ",", decimal: str = ".", **fields: object) -> Mapping:
    plain = {"time": {"column": "time"}, "sensors": {"flow": "flow", "heat": "heat"}}
    return msgspec.convert({**plain, "separator": separator, "decimal": decimal, **fields}, Mapping)


def timed(**fields: object) -> Mapping:
    return mapping(time={"column": "time", **fields})


def written(folder: Path, *lines: str, header: str = "time,flow,heat") -> Path:
    path = folder / "pump-7.csv"
    path.write_text("".join(f"{line}\n" for line in (header, *lines)))
    return path


def read(path: Path, how: Mapping | None = None) -> FileChunk:
    (chunk,) = read_chunks(path, how or mapping(), PUMP, 10_000)
    return chunk


def complaint(path: Path, how: Mapping | None = None) -> tuple[int, str, str]:
    """Line, reason and message of the only line that was not taken."""
    (bad,) = read(path, how).bad
    return bad.line, bad.reason, bad.message


def test_rows_come_in_columns_of_the_type(tmp_path: Path) -> None:
    chunk = read(written(tmp_path, f"{NOON},7,1.5", "2026-01-01T12:01:00.250Z,8,", header="time,heat,flow"))
    assert (chunk.devices, chunk.sites, chunk.device.tolist()) == (["pump-7"], [None], [0, 0])
    assert chunk.ts.tolist() == [NOON_MS, NOON_MS + 60_000]
    np.testing.assert_array_equal(chunk.values, [[1.5, 7.0], [math.nan, 8.0]])
    assert (len(chunk), chunk.lines, chunk.bad) == (2, 2, [])


def test_a_file_may_hold_some_sensors_only(tmp_path: Path) -> None:
    chunk = read(written(tmp_path, f"{NOON},7", header="time,heat"), mapping(sensors={"heat": "heat"}))
    np.testing.assert_array_equal(chunk.values, [[math.nan, 7.0]])


def test_devices_and_sites_come_from_their_columns(tmp_path: Path) -> None:
    lines = [f"{NOON},{name},{site},1,2" for name, site in [("b", "East"), (" a ", ""), ("b", "West"), ("", "East")]]
    how = mapping(device_column="pump", site_column="site")
    chunk = read(written(tmp_path, *lines, header="time,pump,site,flow,heat"), how)
    assert (chunk.devices, chunk.sites, chunk.device.tolist()) == (["b", "a"], ["East", None], [0, 1, 0])
    (bad,) = chunk.bad
    assert (bad.line, bad.device_id, bad.raw) == (5, "", f"{NOON},,East,1,2")
    assert bad.message == "pump names no device; expected 1 to 200 characters, none of them invisible"


def test_a_mapping_may_name_the_device(tmp_path: Path) -> None:
    assert read(written(tmp_path, f"{NOON},1,2"), mapping(device="north")).devices == ["north"]


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        (f"{NOON},x,2", "unparsable", "flow is 'x'; expected a number"),
        (f"{NOON},0x10,2", "unparsable", "flow is '0x10'; expected a number"),
        (f"{NOON},{'9' * 70}x,2", "unparsable", f"flow is '{'9' * 60}'; expected a number"),
        (f'{NOON},"1,5",2', "unparsable", "flow is '1,5'; expected a number"),
        (f"{NOON},inf,2", "not_finite", "flow is inf, not a finite number: send null where there is no value"),
        (f"{NOON},-1e999,2", "not_finite", "flow is -inf, not a finite number: send null where there is no value"),
        (f"{NOON},1,100.5", "out_of_range", "heat is 100.5 °C; its valid range is 0 to 100 °C"),
        ("soon,1,2", "unparsable", "time is 'soon'; expected a time"),
        (",1,2", "unparsable", "time is ''; expected a time"),
        ("2026-02-30,1,2", "unparsable", "time is '2026-02-30'; expected a time"),
        ("99999-01-01T00:00:00Z,1,2", "unparsable", "time is '99999-01-01T00:00:00Z'; expected a time"),
        (
            f"{NOON},1,2,3",
            "unparsable",
            "the line has more cells than the file has columns; look for a separator or a quote too many",
        ),
    ],
)
def test_a_line_that_can_not_be_taken_says_why(tmp_path: Path, line: str, reason: str, message: str) -> None:
    path = written(tmp_path, f"{NOON},1,2", line, f"{NOON},3,4")
    assert complaint(path) == (3, reason, message)
    assert read(path).values.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_the_first_complaint_about_a_line_counts(tmp_path: Path) -> None:
    (bad,) = read(written(tmp_path, "soon,x,2000")).bad
    assert (bad.message, bad.device_id, bad.raw) == ("time is 'soon'; expected a time", "pump-7", "soon,x,2000")


def test_a_shorter_line_lacks_its_last_sensors_and_blank_lines_count(tmp_path: Path) -> None:
    chunk = read(written(tmp_path, f"{NOON},1", "", f"{NOON},2,200"))
    np.testing.assert_array_equal(chunk.values, [[1.0, math.nan]])
    assert (chunk.lines, [bad.line for bad in chunk.bad]) == (3, [4])


@pytest.mark.parametrize("cell", ["", "  ", "NA", "N/A", "NaN", "nan", "null", "None", "-", "?", " ? "])
def test_what_says_that_there_is_no_value_is_missing(tmp_path: Path, cell: str) -> None:
    np.testing.assert_array_equal(read(written(tmp_path, f"{NOON},{cell},2")).values, [[math.nan, 2.0]])


def test_a_number_that_stands_for_no_value_is_missing(tmp_path: Path) -> None:
    chunk = read(written(tmp_path, f"{NOON},-999,-999", f"{NOON},1,2"), mapping(missing=["-999"]))
    np.testing.assert_array_equal(chunk.values, [[math.nan, math.nan], [1.0, 2.0]])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1,5", 1.5), ("-1.234,5", -1234.5), ("1.234.567", 1_234_567.0), ("12", 12.0), ("1,5e3", 1500.0)],
)
def test_a_decimal_comma_is_read_and_points_between_thousands(tmp_path: Path, cell: str, value: float) -> None:
    path = written(tmp_path, f"{NOON};{cell};2,5", header="time;flow;heat")
    assert read(path, mapping(";", ",")).values.tolist() == [[value, 2.5]]


@pytest.mark.parametrize("cell", ["1.5", "12.34", "1.2345", "1234.567", "1,5,5"])
def test_a_decimal_point_where_commas_are_expected_is_not_guessed_at(tmp_path: Path, cell: str) -> None:
    path = written(tmp_path, f"{NOON};{cell};2,5", header="time;flow;heat")
    assert complaint(path, mapping(";", ","))[2] == f"flow is '{cell}'; expected a number"


@pytest.mark.parametrize(
    ("how", "cell", "ms"),
    [
        (timed(), "2026-01-01 12:00:00", NOON_MS),
        (timed(), " 2026-01-01T12:00 ", NOON_MS),
        (timed(), "2026-01-01T14:00:00+02:00", NOON_MS),
        (timed(), "2026-01-01", NOON_MS - 43_200_000),
        (timed(zone="Europe/Berlin"), "2026-01-01 13:00:00", NOON_MS),
        (timed(zone="Europe/Berlin"), "2026-01-01T12:00:00Z", NOON_MS),
        (timed(zone="+02:00"), "2026-01-01 14:00:00", NOON_MS),
        (timed(format="seconds"), "1767268800", NOON_MS),
        (timed(format="milliseconds"), "1767268800000", NOON_MS),
        (timed(format="steps", start="2026-01-01T11:00:00Z"), "60", NOON_MS),
        (timed(format="steps", start="2026-01-01T11:00:00Z", step_s=0.5), "7200", NOON_MS),
        (timed(format="%d.%m.%Y %H:%M"), "01.01.2026 12:00", NOON_MS),
        (timed(format="%d.%m.%Y"), "01.01.2026", NOON_MS - 43_200_000),
        (timed(format="%d.%m.%Y %H:%M", zone="Europe/Berlin"), "01.01.2026 13:00", NOON_MS),
        (timed(format="%Y%m%d%H%M%S%z", zone="Europe/Berlin"), "20260101140000+0200", NOON_MS),
        (timed(format="%Y-%m-%d %H:%M:%S%:z"), "2026-01-01 14:00:00+02:00", NOON_MS),
        (timed(format="%Y-%m-%d %H:%M:%S %Z", zone="Europe/Berlin"), "2026-01-01 13:00:00 CET", NOON_MS),
        # The two hours 02:00 to 03:00 of the day summer ends: the first.
        (timed(zone="Europe/Berlin"), "2026-10-25 02:30:00", 1_792_888_200_000),
    ],
)
def test_times_are_read_as_the_mapping_says(tmp_path: Path, how: Mapping, cell: str, ms: int) -> None:
    assert read(written(tmp_path, f"{cell},1,2"), how).ts.tolist() == [ms]


@pytest.mark.parametrize(
    ("how", "cell", "message"),
    [
        (timed(format="%d.%m.%Y %H:%M"), "2026-01-01", "time is '2026-01-01'; expected %d.%m.%Y %H:%M"),
        (timed(format="seconds"), "noon", "time is 'noon'; expected seconds"),
        (timed(format="seconds"), "1e30", "time is '1e30'; expected seconds"),
        (timed(format="milliseconds"), "nan", "time is 'nan'; expected milliseconds"),
        (timed(format="steps"), "inf", "time is 'inf'; expected steps"),
        # The hour that is left out on the day summer begins.
        (timed(zone="Europe/Berlin"), "2026-03-29 02:30:00", "time is '2026-03-29 02:30:00'; expected a time"),
    ],
)
def test_a_time_that_does_not_fit_is_said(tmp_path: Path, how: Mapping, cell: str, message: str) -> None:
    assert complaint(written(tmp_path, f"{cell},1,2"), how)[2] == message


def test_device_ids_are_those_that_can_be_registered(tmp_path: Path) -> None:
    names = ["a b", "ü", "a\u00a0b", "a\u200bb", "x" * 200, "x" * 201, "a\u2028b", "\u2003a", "\U000e0001"]
    lines = [f"{NOON},{name},1,2" for name in names]
    how = mapping(device_column="pump")
    chunk = read(written(tmp_path, *lines, header="time,pump,flow,heat"), how)
    assert chunk.devices == [name.strip() for name in names if is_device_id(name.strip())]
    assert {bad.message for bad in chunk.bad} == {
        "pump names no device; expected 1 to 200 characters, none of them invisible"
    }


def test_device_ids_that_are_not_utf_8_do_not_become_one_device(tmp_path: Path) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(f"time,pump,flow,heat\n{NOON},Kühl,1,2\n{NOON},Kähl,1,2\n{NOON},b,1,2\n".encode("cp1252"))
    chunk = read(path, mapping(device_column="pump"))
    assert chunk.devices == ["b"]
    assert [bad.message for bad in chunk.bad] == ["pump has characters that are not UTF-8; save the file as UTF-8"] * 2


def test_times_are_cut_to_the_resolution_of_the_type(tmp_path: Path) -> None:
    fast = msgspec.structs.replace(PUMP, interval_s=1.0)
    (chunk,) = read_chunks(written(tmp_path, "2026-01-01T12:00:00.987Z,1,2"), mapping(), fast, 10)
    assert chunk.ts.tolist() == [NOON_MS + 900]


def test_sensors_that_the_type_does_not_have_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names sensors that type 'pump' does not have: flaw; it has flow, heat"):
        read(written(tmp_path, f"{NOON},1,2"), mapping(sensors={"flow": "flaw"}))


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match="pump-7.csv has no column 'heat'; it has 'time', 'flow'"):
        read(written(tmp_path, f"{NOON},1", header="time,flow"))


def test_a_header_alone_gives_nothing(tmp_path: Path) -> None:
    assert list(read_chunks(written(tmp_path), mapping(), PUMP, 10)) == []


def test_chunks_are_as_long_as_asked_for(tmp_path: Path) -> None:
    path = written(tmp_path, *(f"{NOON},{i},x" if i == 1500 else f"{NOON},{i},2" for i in range(2500)))
    chunks = list(read_chunks(path, mapping(), PUMP, 1000))
    assert sum(chunk.lines for chunk in chunks) == 2500
    assert max(chunk.lines for chunk in chunks) <= 1000
    assert [bad.line for chunk in chunks for bad in chunk.bad] == [1502]


def test_parquet_is_read_by_its_types(tmp_path: Path) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame(
        {
            "time": [datetime(2026, 1, 1, 13), datetime(2026, 1, 1, 14), None],
            "pump": [7, 8, 8],
            "flow": pl.Series([1, None, 3], dtype=pl.Int16),
            "heat": pl.Series([2.5, math.nan, 200.0], dtype=pl.Float32),
        }
    ).write_parquet(path)
    chunk = read(path, mapping(time={"column": "time", "zone": "Europe/Berlin"}, device_column="pump"))
    assert (chunk.devices, chunk.ts.tolist()) == (["7", "8"], [NOON_MS, NOON_MS + 3_600_000])
    np.testing.assert_array_equal(chunk.values, [[1.0, 2.5], [math.nan, math.nan]])
    assert [(bad.line, bad.message) for bad in chunk.bad] == [(3, "time is ''; expected a time")]


@pytest.mark.parametrize(
    ("column", "ms"),
    [
        (pl.Series([datetime(2026, 1, 1, 12, tzinfo=UTC)], dtype=pl.Datetime("ns", "UTC")), NOON_MS),
        (pl.Series([date(2026, 1, 1)]), NOON_MS - 43_200_000),
        (pl.Series([NOON]), NOON_MS),
        (pl.Series([NOON], dtype=pl.Categorical), NOON_MS),
        (pl.Series([NOON.encode()]), NOON_MS),
    ],
)
def test_times_of_parquet_may_have_any_type_of_time(tmp_path: Path, column: pl.Series, ms: int) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame({"time": column, "flow": [1.0], "heat": [2.0]}).write_parquet(path)
    assert read(path).ts.tolist() == [ms]


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        (pl.Series([[1.0, 2.0]]), "[1.0, 2.0]"),
        (pl.Series([{"x": 1}]), "{1}"),
        (pl.Series([b"\xff\xfe"]), r"b'\xff\xfe'"),
        (pl.Series([datetime(2026, 1, 2)]) - datetime(2026, 1, 1), "1 day, 0:00:00"),
    ],
)
def test_cells_of_parquet_that_are_no_numbers_are_said(tmp_path: Path, column: pl.Series, shown: str) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame({"time": [NOON], "flow": column, "heat": [2.0]}).write_parquet(path)
    assert complaint(path) == (1, "unparsable", f"flow is '{shown}'; expected a number")


def test_recordings_of_a_testbed(shared_data: Path) -> None:
    path = shared_data / "skab" / "valve1-00.csv"
    proposal = infer(path)
    chunks = list(read_chunks(path, proposal.mapping, proposal.device_type, 500))
    assert sum(len(chunk) for chunk in chunks) == 1147
    assert not any(chunk.bad for chunk in chunks)
    assert chunks[0].ts[0] == datetime(2020, 3, 9, 10, 14, 33, tzinfo=UTC).timestamp() * 1000
    assert chunks[0].values[0].tolist() == [0.0265878, 0.0401113, 1.3302, 0.054711, 79.3366, 26.0199, 233.062, 32.0]


def test_recordings_of_turbines_without_a_header(shared_data: Path) -> None:
    path = shared_data / "cmapss" / "train_FD001_odd_units.txt"
    proposal = infer(path)
    (chunk,) = read_chunks(path, proposal.mapping, proposal.device_type, 100_000)
    assert (len(chunk), chunk.bad) == (10_214, [])
    assert chunk.devices == [str(unit) for unit in range(1, 100, 2)]
    assert chunk.ts[0] == datetime(2000, 1, 1, 0, 1, tzinfo=UTC).timestamp() * 1000
    assert (np.diff(chunk.ts)[np.diff(chunk.device) == 0] == 60_000).all()


VALUES = st.none() | st.floats(-1e12, 1e12).map(lambda value: round(value, 6))
IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10).filter(
    lambda text: is_device_id(text) and "\ufffd" not in text
)


def table(rows: list[tuple[int, str, float | None]], separator: str, decimal: str, line_end: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=line_end)
    writer.writerow(["pump", "flow", "time"])
    for ms, name, value in rows:
        moment = datetime.fromtimestamp(ms / 1000, UTC)
        writer.writerow([name, "" if value is None else repr(value).replace(".", decimal), moment.isoformat()])
    return out.getvalue()


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 4_102_444_800).map(lambda seconds: seconds * 1000), IDS, VALUES), min_size=1
    ),
    signs=st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ","), (" ", ".")]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig"]),
)
def test_a_table_comes_back_whatever_signs_it_is_written_with(
    tmp_path: Path,
    rows: list[tuple[int, str, float | None]],
    signs: tuple[str, str],
    line_end: str,
    encoding: str,
) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(table(rows, *signs, line_end).encode(encoding))
    how = mapping(*signs, sensors={"flow": "flow"}, device_column="pump")
    chunk = read(path, how)
    assert chunk.bad == []
    assert [chunk.devices[number] for number in chunk.device] == [name for _, name, _ in rows]
    assert chunk.ts.tolist() == [ms for ms, _, _ in rows]
    np.testing.assert_array_equal(chunk.values[:, 0], [math.nan if value is None else value for _, _, value in rows])


def contents() -> Iterator[st.SearchStrategy[bytes]]:
    yield st.binary(max_size=200)
    for header in (b"time,flow,heat\n", b"time,flow,heat\n2026-01-01T12:00:00Z,1,2\n"):
        yield st.binary(max_size=100).map(header.__add__)
    cells = st.sampled_from(["", NOON, "1", "-1,5", "inf", '"', "\n", ",", ";", "ü", "1.5", "-"])
    yield st.lists(cells, max_size=30).map(lambda parts: ("time,flow,heat\n" + ",".join(parts)).encode())


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(*contents()),
    how=st.sampled_from(
        [
            mapping(),
            mapping(";", ","),
            mapping(device_column="heat", sensors={"flow": "flow"}),
            timed(format="seconds"),
            timed(format="steps"),
            timed(format="%d.%m.%Y %H:%M", zone="Europe/Berlin"),
            msgspec.structs.replace(mapping(), header=False, sensors={"2": "flow"}, time=TimeColumn(column="1")),
        ]
    ),
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes, how: Mapping) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(content)
    try:
        chunks = list(read_chunks(path, how, PUMP, 10))
    except IngestError as error:
        assert str(error).startswith(str(path))
    else:
        for chunk in chunks:
            assert np.isfinite(chunk.values[~np.isnan(chunk.values)]).all()
            assert all(bad.message and bad.line for bad in chunk.bad)
