"""Open CSV and Parquet files as frames of their own columns, a part at a time, with the number of each line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError

from ..exceptions import IngestError
from .mapping import Mapping

LINE = "\x00line"
"""The column with the number of the line (CSV) or row (Parquet), from 1. No file has a column of that name."""

MORE = "\x00more"
"""The column with what stands behind the last column of the header."""

HEAD_BYTES = 1 << 20

_CUT_OFF = "it may be damaged or cut off; copy or write it anew"
_OPEN_QUOTE = "look for a quote that is not closed"


def is_parquet(path: Path) -> bool:
    """Whether a file is Parquet, by its first bytes. Raises IngestError where it can't be opened."""
    return head(path)[:4] == b"PAR1"


def head(path: Path) -> bytes:
    """The first bytes of a file. Raises IngestError where it can't be opened or holds no readings."""
    try:
        with path.open("rb") as file:
            data = file.read(HEAD_BYTES)
    except OSError as error:
        raise IngestError(f"{path} can't be read: {error.strerror or error}") from error
    if not data.strip():
        raise IngestError(f"{path} is empty; expected readings as CSV or Parquet")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise IngestError(f"{path} is written in UTF-16; save it as UTF-8")
    if data.startswith((b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd")):
        raise IngestError(f"{path} is packed (gzip, zip or zstd); unpack it first")
    if data.startswith(b"PAR1"):
        return data
    if b"\x00" in data[:4096]:
        raise IngestError(f"{path} is neither CSV nor Parquet: it has bytes that no text has")
    if b"\r" in data and b"\n" not in data:
        raise IngestError(f"{path} ends its lines with CR alone; save it with LF or CR LF at the end of lines")
    return data


def head_lines(path: Path) -> list[str]:
    """The whole lines a text file begins with. Raises IngestError where there is none, or none that isn't blank."""
    data = head(path)
    is_cut = len(data) == HEAD_BYTES
    if is_cut:
        data = data[: data.rfind(b"\n") + 1]
    # LF alone ends a line, as it does when rows are read; `splitlines` knows more ends than that.
    lines = [line.removesuffix("\r") for line in as_text(data.removeprefix(b"\xef\xbb\xbf")).split("\n")]
    if not any(line.strip() for line in lines):
        if is_cut:
            raise IngestError(f"{path} is no table: its first line is longer than {HEAD_BYTES:,} bytes")
        raise IngestError(f"{path} is empty; expected readings as CSV or Parquet")
    return lines if lines[-1] else lines[:-1]


def as_text(data: bytes) -> str:
    """Bytes as text: UTF-8, else what Windows writes."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def columns_of(path: Path, separator: str = ",", header: bool = True, skip_lines: int = 0) -> list[str]:
    """The names of a file's columns, `1`, `2`, … where it has no header."""
    if is_parquet(path):
        try:
            return list(pl.read_parquet_schema(path))
        except (PolarsError, PanicException, OSError) as error:
            raise _unreadable(path, error, _CUT_OFF) from error
    lines = head_lines(path)[skip_lines:]
    try:
        fields = next(csv.reader(io.StringIO("\n".join(lines[:50])), delimiter=separator), [])
    except csv.Error as error:
        raise IngestError(f"{path} is no table: {error}") from error
    if not fields:
        raise IngestError(
            f"{path}: line {skip_lines + 1} is blank or missing; expected the table to begin there: set skip_lines of"
            " the mapping to how many lines stand before it"
        )
    names = [name.strip() for name in fields] if header else [str(i + 1) for i in range(len(fields))]
    while names and not names[-1] and header:
        names.pop()  # a separator at the end of the line
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise IngestError(f"{path} has more than one column {twice[0]!r}; give them different names")
    return names


def read_frames(path: Path, mapping: Mapping, rows: int) -> Iterator[pl.DataFrame]:
    """Parts of a file of at most `rows` rows: the mapping's columns and `LINE`; for CSV all of text, with `MORE`.

    Raises IngestError where the file can't be read or lacks a column.
    """
    names = columns_of(path, mapping.separator, mapping.header, mapping.skip_lines)
    if lacking := [name for name in mapping.columns if name not in names]:
        shown = ", ".join(repr(name) for name in names[:30]) + (" …" if len(names) > 30 else "")
        raise IngestError(f"{path} has no column {lacking[0]!r}; it has {shown or 'none'}")
    parquet = is_parquet(path)
    frame = _scan_parquet(path, mapping) if parquet else _scan_csv(path, mapping, names)
    try:
        for part in frame.collect_batches(chunk_size=rows, maintain_order=True):
            yield from part.iter_slices(rows)
    except (PolarsError, PanicException, OSError) as error:
        raise _unreadable(path, error, _CUT_OFF if parquet else _OPEN_QUOTE) from error


def _scan_parquet(path: Path, mapping: Mapping) -> pl.LazyFrame:
    return pl.scan_parquet(path, row_index_name=LINE, row_index_offset=1).select(LINE, *mapping.columns)


def _scan_csv(path: Path, mapping: Mapping, names: list[str]) -> pl.LazyFrame:
    before = mapping.skip_lines + int(mapping.header)
    # Columns by their place: the header was read apart, whatever its encoding.
    every = {**{name: pl.String() for name in names}, MORE: pl.String()}
    return pl.scan_csv(
        path,
        separator=mapping.separator,
        has_header=False,
        skip_lines=before,
        schema=every,
        missing_columns="insert",
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        row_index_name=LINE,
        row_index_offset=before + 1,
        raise_if_empty=False,
    ).select(LINE, *mapping.columns, MORE)


def _unreadable(path: Path, error: BaseException, advice: str) -> IngestError:
    reason = (str(error).splitlines() or ["it is damaged"])[0][:300]
    return IngestError(f"{path} can't be read ({reason}): {advice}")
