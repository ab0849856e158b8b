"""What is proposed from is the first rows of a file, all of its columns."""

import math
from pathlib import Path

import polars as pl
import pytest

from ...exceptions import IngestError
from ...telemetry.mapping import TimeColumn
from ...telemetry.sample import Sample, listed


def written(folder: Path, content: str | bytes) -> Path:
    path = folder / "pump.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected readings as CSV or Parquet"),
        ("time,flow\n", "has a header and no rows; expected readings"),
        ("time,flow\n,\n,\n", "has only blank rows; expected readings"),
        ("time;\n1;\n", r"has 1 column\(s\), 'time'; expected a time and at least one reading. Is it a table with , ;"),
        ("time,flow,flow\n1,2,3\n", "has more than one column 'flow'; give them different names"),
        ("time\n1\n", "is no table: its first line is 'time'; expected columns with , ; a tab or |"),
    ],
)
def test_a_file_that_nothing_can_be_proposed_from_says_why(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(IngestError, match=message):
        Sample.read(written(tmp_path, content))


def test_columns_are_numbers_where_nearly_all_they_hold_are(tmp_path: Path) -> None:
    rows = [f"{i},{'x' if i == 7 else i},{'-' if i % 2 else 1},{'inf' if i % 2 else 1},," for i in range(40)]
    sample = Sample.read(written(tmp_path, "all,nearly,missing,infinite,none,end\n" + "\n".join(rows)))
    assert [name for name in sample.columns if sample.is_numeric(name)] == ["all", "nearly", "missing"]
    assert sample.numbers("infinite").null_count() == 20
    assert sample.numbers("nearly")[7] is None


def test_nan_in_parquet_is_a_missing_number(tmp_path: Path) -> None:
    path = tmp_path / "pump.parquet"
    pl.DataFrame({"a": [math.nan] * 9 + [1.0], "b": [[1]] * 10}).write_parquet(path)
    sample = Sample.read(path)
    assert sample.is_numeric("a") and not sample.is_numeric("b")
    assert sample.numbers("a").drop_nulls().to_list() == [1.0]


def test_a_mapping_of_its_columns_reads_the_file_as_it_is_written(tmp_path: Path) -> None:
    sample = Sample.read(written(tmp_path, "a logger\n\nzeit;fluss\n1;2,5\n2;3,5\n"))
    how = sample.mapping(TimeColumn(column="zeit"), None, None, {"fluss": "flow"})
    assert (how.separator, how.decimal, how.header, how.skip_lines) == (";", ",", True, 2)
    assert how.columns == ["zeit", "fluss"]


def test_columns_are_listed_up_to_the_twentieth() -> None:
    assert listed(["a", "b c"]) == "'a', 'b c'"
    assert listed([]) == "none"
    assert listed([str(i) for i in range(30)]).endswith("'19' …")
