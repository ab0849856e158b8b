"""Files are opened as frames of text with the number of each line; what can't be opened is named."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import IngestError
from ...telemetry.mapping import Mapping, TimeColumn
from ...telemetry.tables import LINE, MORE, columns_of, head_lines, is_parquet, read_frames


def mapping(*sensors: str, time: str = "time", separator: str = ",", header: bool = True, skip: int = 0) -> Mapping:
    return Mapping(
        time=TimeColumn(column=time),
        sensors={name: name for name in sensors or ("a",)},
        separator=separator,
        header=header,
        skip_lines=skip,
    )


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "readings.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rows_of(path: Path, how: Mapping, rows: int = 1000) -> list[dict[str, object]]:
    return [row for frame in read_frames(path, how, rows) for row in frame.to_dicts()]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; expected readings as CSV or Parquet"),
        (b"\n \n", "is empty"),
        ("time,a\n1,2\n".encode("utf-16"), "is written in UTF-16; save it as UTF-8"),
        ("time,a\n1,2\n".encode("utf-16-be"), "is neither CSV nor Parquet: it has bytes that no text has"),
        (b"\x1f\x8b\x08\x00rest", r"is packed \(gzip, zip or zstd\); unpack it first"),
        (b"PK\x03\x04rest", "is packed"),
        (b"\x28\xb5\x2f\xfdrest", "is packed"),
        (b"\x7fELF\x02\x01\x01\x00\x00", "is neither CSV nor Parquet"),
        (b"time,a\r1,2\r", "ends its lines with CR alone; save it with LF or CR LF at the end of lines"),
        (b"PAR1", r"can't be read \(.*\): it may be damaged or cut off; copy or write it anew"),
        (b"PAR1" + bytes(100) + b"PAR1", r"can't be read \(.*\): it may be damaged or cut off"),
        ("\ntime,a\n1,2\n", "line 1 is blank or missing; expected the table to begin there: set skip_lines"),
        ("time,a,a\n1,2,3\n", "has more than one column 'a'; give them different names"),
        ("time,a ,a\n1,2,3\n", "has more than one column 'a'"),
        ("time;a\n1;2\n", "has no column 'time'; it has 'time;a'"),
        ("time,b\n1,2\n", "has no column 'a'; it has 'time', 'b'"),
        ("time," + ",".join(f"c{i}" for i in range(40)), r"has no column 'a'; it has 'time', 'c0', .* 'c28' …"),
        ('time,a\n1,"2\n3,4\n', r"can't be read \(.*\): look for a quote that is not closed"),
        ("t" * 200_000 + ",a\n1,2\n", "is no table: field larger than field limit"),
    ],
)
def test_a_file_that_can_not_be_opened_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(IngestError, match=message) as caught:
        rows_of(path, mapping())
    assert str(caught.value).startswith(str(path))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IngestError, match=f"{tmp_path} can't be read: Is a directory"):
        is_parquet(tmp_path)
    with pytest.raises(IngestError, match="nowhere.csv can't be read: No such file or directory"):
        columns_of(tmp_path / "nowhere.csv")


def test_cells_stay_as_they_are_written_and_lines_are_numbered(tmp_path: Path) -> None:
    path = written(tmp_path, "time,b,a\n1,x, 2 \n\n3,y,\n")
    assert rows_of(path, mapping()) == [
        {LINE: 2, "time": "1", "a": " 2 ", MORE: None},
        {LINE: 3, "time": None, "a": None, MORE: None},
        {LINE: 4, "time": "3", "a": None, MORE: None},
    ]


def test_a_line_may_be_shorter_and_what_is_longer_stands_apart(tmp_path: Path) -> None:
    path = written(tmp_path, "time,a\n1\n1,2,3\n")
    assert [(row["a"], row[MORE]) for row in rows_of(path, mapping())] == [(None, None), ("2", "3")]


def test_a_separator_at_the_end_of_lines_makes_no_column(tmp_path: Path) -> None:
    path = written(tmp_path, "time;a;\n1;2;\n")
    assert columns_of(path, ";") == ["time", "a"]
    assert [(row["a"], row[MORE]) for row in rows_of(path, mapping(separator=";"))] == [("2", None)]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings_and_line_ends_of_windows_are_read(tmp_path: Path, encoding: str, line_end: str) -> None:
    path = written(tmp_path, line_end.join(["Zeit;Kühlung °C", "1;2", ""]).encode(encoding))
    assert columns_of(path, ";") == ["Zeit", "Kühlung °C"]
    rows = rows_of(path, mapping("Kühlung °C", time="Zeit", separator=";"))
    assert [(row["Zeit"], row["Kühlung °C"]) for row in rows] == [("1", "2")]


def test_columns_without_a_header_are_numbers_even_behind_a_byte_order_mark(tmp_path: Path) -> None:
    path = written(tmp_path, "1,2\n3,4\n".encode("utf-8-sig"))
    assert columns_of(path, header=False) == ["1", "2"]
    rows = rows_of(path, mapping("2", time="1", header=False))
    assert [(row[LINE], row["1"], row["2"]) for row in rows] == [(1, "1", "2"), (2, "3", "4")]


def test_lines_before_the_header_are_skipped_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, 'Logger "4711\n\ntime,a\n1,2\n')
    assert [(row[LINE], row["a"]) for row in rows_of(path, mapping(skip=2))] == [(4, "2")]


def test_a_header_alone_is_no_row(tmp_path: Path) -> None:
    assert rows_of(written(tmp_path, "time,a"), mapping()) == []


def test_parts_hold_at_most_so_many_rows_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, "time,a\n" + "".join(f"{i},{i}\n" for i in range(2500)))
    frames = list(read_frames(path, mapping(), 1000))
    assert max(frame.height for frame in frames) <= 1000
    assert pl.concat(frames)["a"].to_list() == [str(i) for i in range(2500)]


def test_parquet_keeps_its_types_and_numbers_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame({"time": [1, 2], "b": ["x", "y"], "a": [0.5, None]}).write_parquet(path)
    assert is_parquet(path)
    assert columns_of(path) == ["time", "b", "a"]
    assert rows_of(path, mapping()) == [{LINE: 1, "time": 1, "a": 0.5}, {LINE: 2, "time": 2, "a": None}]


def test_parquet_that_is_cut_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame({"time": range(1000), "a": range(1000)}).write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(IngestError, match=r"readings.parquet can't be read \(.*\): it may be damaged or cut off"):
        rows_of(path, mapping())


def test_parquet_with_damage_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "readings.parquet"
    pl.DataFrame({"time": range(1000), "a": range(1000)}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[4:1000] = b"\xa5" * 996
    path.write_bytes(content)
    with pytest.raises(IngestError, match=r"readings.parquet can't be read \(.*\): it may be damaged or cut off"):
        rows_of(path, mapping())


def test_a_first_line_of_another_line_end_than_lf_is_one_line(tmp_path: Path) -> None:
    assert head_lines(written(tmp_path, "time\u2028,a\x0b\n1,2\n")) == ["time\u2028,a\x0b", "1,2"]


TEXTS = st.text(st.characters(exclude_characters="\x00\n\r", codec="utf-8"), max_size=12)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cells=st.lists(st.tuples(TEXTS.filter(str.strip), TEXTS), min_size=1, max_size=20),
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
)
def test_any_text_comes_back_from_its_cell(tmp_path: Path, cells: list[tuple[str, str]], separator: str) -> None:
    path = tmp_path / "readings.csv"
    pl.DataFrame(cells, schema={"time": pl.String, "a": pl.String}, orient="row").write_csv(
        path, separator=separator, quote_style="always"
    )
    rows = rows_of(path, mapping(separator=separator))
    assert [(row["time"], row["a"] or "") for row in rows] == cells


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(lambda rest: b"time,a\n" + rest),
        st.binary(max_size=100).map(lambda rest: b"PAR1" + rest + b"PAR1"),
    )
)
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    try:
        rows_of(path, mapping())
    except IngestError as error:
        assert str(error).startswith(str(path))
