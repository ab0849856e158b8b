"""The first rows of a file of readings, of all its columns: what a type and a mapping are proposed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl

from ..exceptions import IngestError
from .csv_dialect import Dialect, sniff
from .files import numbers_in
from .mapping import Mapping, TimeColumn
from .tables import LINE, MORE, columns_of, is_parquet, read_frames

SAMPLE_ROWS = 200_000
"""How many rows of a file are looked at."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The rows of `frame`, blank ones left out, and how the file is written. `everything` maps all its columns."""

    path: Path
    dialect: Dialect
    columns: list[str]
    frame: pl.DataFrame
    everything: Mapping

    @classmethod
    def read(cls, path: Path) -> "Sample":
        """Read the first rows. Raises IngestError where the file is no table, or one without columns or rows."""
        dialect = Dialect() if is_parquet(path) else sniff(path)
        columns = columns_of(path, dialect.separator, dialect.header, dialect.skip_lines)
        if len(columns) < 2:
            raise IngestError(
                f"{path} has {len(columns)} column(s), {listed(columns)}; expected a time and at least one reading."
                " Is it a table with , ; a tab or | between columns?"
            )
        everything = Mapping(
            time=TimeColumn(column=columns[0]),
            sensors={name: str(i) for i, name in enumerate(columns)},
            separator=dialect.separator,
            decimal=dialect.decimal,
            header=dialect.header,
            skip_lines=dialect.skip_lines,
        )
        frame = next(read_frames(path, everything, SAMPLE_ROWS), None)
        if frame is None or not frame.height:
            raise IngestError(f"{path} has a header and no rows; expected readings")
        frame = frame.drop(LINE, *([MORE] if MORE in frame.columns else []))
        filled = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        if not filled.height:
            raise IngestError(f"{path} has only blank rows; expected readings")
        return cls(path, dialect, columns, filled, everything)

    def mapping(
        self, time: TimeColumn, device_column: str | None, site_column: str | None, sensors: dict[str, str]
    ) -> Mapping:
        """A mapping of some columns of this file."""
        return msgspec.structs.replace(
            self.everything, time=time, device_column=device_column, site_column=site_column, sensors=sensors
        )

    def numbers(self, column: str) -> pl.Series:
        """A column as finite numbers, null where it holds none."""
        numbers = numbers_in(self.frame[column], self.everything)
        return numbers.set(~numbers.is_finite().fill_null(False), None)

    def is_numeric(self, column: str) -> bool:
        """Whether nearly all that a column holds are numbers; an empty one holds none."""
        cells = self.frame[column]
        held = cells.is_not_null()
        if cells.dtype == pl.String:
            held &= ~cells.str.strip_chars().is_in(list(self.everything.missing)).fill_null(False)
        elif cells.dtype.is_float():
            held &= cells.is_not_nan().fill_null(False)
        numbers = self.numbers(column)
        return bool(held.any()) and int(numbers.is_not_null().sum()) >= 0.95 * int(held.sum())


def listed(columns: Sequence[str]) -> str:
    """Names of columns as people read them, the first 20."""
    shown = ", ".join(repr(column) for column in columns[:20])
    return shown + (" …" if len(columns) > 20 else "") or "none"
