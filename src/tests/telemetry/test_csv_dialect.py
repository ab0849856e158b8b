"""How a CSV file is written is found out from its first lines."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import IngestError
from ...telemetry.csv_dialect import Dialect, sniff


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "readings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("time,a,b\n2026-01-01 00:00:00,1.5,2\n", Dialect()),
        ("time;a;b\n2026-01-01 00:00:00;1.5;2\n", Dialect(";")),
        ("time;a;b\n2026-01-01 00:00:00;1,5;2\n", Dialect(";", ",")),
        ("time\ta\n2026-01-01 00:00:00\t1,5\n", Dialect("\t", ",")),
        ("time|a\r\n2026-01-01 00:00:00|1.5\r\n", Dialect("|")),
        ("time a b\n1767225600 1.5 2\n", Dialect(" ")),
        ('"time","a, in bar"\n"2026-01-01 00:00:00","1"\n', Dialect()),
        ('time,"flow;"\n2026-01-01 00:00:00,1\n', Dialect()),
        ("\n\n  \ntime;a\n2026-01-01;1\n", Dialect(";", skip_lines=3)),
    ],
)
def test_separator_and_decimal_sign_are_found(tmp_path: Path, content: str, expected: Dialect) -> None:
    assert sniff(written(tmp_path, content)) == expected


def test_one_sensor_with_decimals_among_whole_numbers_is_enough(tmp_path: Path) -> None:
    rows = "".join(f"2026-01-01 00:{i:02};1;2;3;4;5;6;7;{i},5\n" for i in range(20))
    assert sniff(written(tmp_path, f"time;a;b;c;d;e;f;g;h\n{rows}")).decimal == ","


def test_a_file_without_a_header_is_noticed(tmp_path: Path) -> None:
    found = sniff(written(tmp_path, "1 1 -0.0007 518.67\n1 2 0.0019 518.67\n"))
    assert found == Dialect(" ", header=False, notes=["the first line is no header: columns are called 1, 2, …"])
    assert not sniff(written(tmp_path, "2026-01-01;pump;1,5\n2026-01-02;pump;2,5\n")).header


def test_lines_before_the_table_are_left_out(tmp_path: Path) -> None:
    found = sniff(written(tmp_path, "Logger 4711\n\ntime;a\n2026-01-01;1\n2026-01-02;2\n"))
    assert found == Dialect(";", skip_lines=2, notes=["what stands before the table is left out: 2 line(s)"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected readings as CSV or Parquet"),
        (b" \n\t\n", "is empty; expected readings"),
        (b"\xef\xbb\xbf \n", "is empty; expected readings"),
        ("\u0085\n", "is empty; expected readings"),
        ("just some words\nand more\nthan a table has\n", "is no table: its first line is 'just some words'; expected"),
        ("2026-01-01#1\n2026-01-02#2\n", "expected columns with , ; a tab or | between them"),
        (b"x" * (1 << 21), "is no table: its first line is longer than 1,048,576 bytes"),
        ("a,b\n" + "1" * 200_000 + ",2\n", "is no table: field larger than field limit"),
        ("time,a\n1,2\n".encode("utf-16"), "is written in UTF-16; save it as UTF-8"),
        (b"time,a\r2026-01-01,2\r", "ends its lines with CR alone; save it with LF or CR LF"),
    ],
)
def test_what_is_no_table_is_said(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(IngestError, match=message) as caught:
        sniff(path)
    assert str(caught.value).startswith(str(path))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    separator=st.sampled_from([";", "\t", "|", ","]),
    with_comma=st.booleans(),
    values=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=1, max_size=60),
)
def test_a_table_is_known_by_its_lines(
    tmp_path: Path, separator: str, with_comma: bool, values: list[list[float]]
) -> None:
    decimal = "," if with_comma and separator != "," else "."
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator)
    writer.writerow(["time", "a", "b", "c"])
    for minute, row in enumerate(values):
        cells = [f"{value:.3f}".replace(".", decimal) for value in row]
        writer.writerow([f"2026-01-01 00:{minute:02}:00", *cells])
    assert sniff(written(tmp_path, out.getvalue())) == Dialect(separator, decimal)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=300), st.text(alphabet=',;\t| "\n\r1.aä\x85', max_size=80)))
def test_any_content_is_a_table_or_refused(tmp_path: Path, content: bytes | str) -> None:
    path = written(tmp_path, content)
    try:
        found = sniff(path)
    except IngestError as error:
        assert str(error).startswith(str(path))
    else:
        assert found.decimal != found.separator


def test_recordings_of_a_testbed(shared_data: Path) -> None:
    assert sniff(shared_data / "skab" / "anomaly-free.csv") == Dialect(";")


def test_recordings_of_turbines_have_no_header(shared_data: Path) -> None:
    found = sniff(shared_data / "cmapss" / "train_FD001_odd_units.txt")
    assert (found.separator, found.decimal, found.header) == (" ", ".", False)
