"""Find out how a CSV file is written: what separates columns, the decimal sign, whether there is a header."""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import IngestError
from .tables import head_lines

LINES = 50
_COMMA_NUMBER = re.compile(r"^\s*[-+]?\d+,\d+([eE][-+]?\d+)?\s*$")
_POINT_NUMBER = re.compile(r"^\s*[-+]?\d+\.\d+([eE][-+]?\d+)?\s*$")
_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written, and what a person should know of how that was found."""

    separator: str = ","
    decimal: str = "."
    header: bool = True
    skip_lines: int = 0
    notes: list[str] = field(default_factory=list)


def sniff(path: Path) -> Dialect:
    """Look at the first lines of a file. Raises IngestError where it is no table of text."""
    lines = head_lines(path)[:LINES]
    try:
        separator = _separator([line for line in lines if line.strip()])
        if separator is None:
            first = next(line for line in lines if line.strip())
            raise IngestError(
                f"{path} is no table: its first line is {first[:80]!r};"
                " expected columns with , ; a tab or | between them"
            )
        skip_lines = next(i for i, line in enumerate(lines) if len(_rows([line], separator)[0]) > 1)
        rows = [row for row in _rows(lines[skip_lines:], separator) if row]
    except csv.Error as error:
        raise IngestError(f"{path} is no table: {error}") from error
    decimal = _decimal(separator, [cell for row in rows[1:] for cell in row])
    header = not any(_is_number(cell, decimal) for cell in rows[0])
    notes = [] if header else ["the first line is no header: columns are called 1, 2, …"]
    if any(line.strip() for line in lines[:skip_lines]):
        notes.append(f"what stands before the table is left out: {skip_lines} line(s)")
    return Dialect(separator, decimal, header, skip_lines, notes)


def _rows(lines: list[str], separator: str, *, strict: bool = False) -> list[list[str]]:
    """The cells of lines, none for a blank one. With `strict`, raises csv.Error on quotes out of place."""
    return list(csv.reader(io.StringIO("\n".join(lines) + "\n"), delimiter=separator, strict=strict))


def _decimal(separator: str, cells: list[str]) -> str:
    """A comma where more numbers have one than a point."""
    if separator == ",":
        return "."
    in_commas = sum(bool(_COMMA_NUMBER.match(cell)) for cell in cells)
    return "," if in_commas > sum(bool(_POINT_NUMBER.match(cell)) for cell in cells) else "."


def _separator(lines: list[str]) -> str | None:
    """The first of ; tab | , blank that divides nearly all lines into the same number of cells.

    Lines before the table, which a separator doesn't divide, don't count while they are fewer than those of it. One
    that stands within quotes, as in `time,"flow;"`, leaves quotes out of place: it counts only where all do.
    """
    return _dividing(lines, strict=True) or _dividing(lines, strict=False)


def _dividing(lines: list[str], *, strict: bool) -> str | None:
    best: tuple[float, str] | None = None
    for separator in (";", "\t", "|", ",", " "):
        try:
            every = [len(row) for row in _rows(lines, separator, strict=strict)]
        except csv.Error:
            if strict:
                continue
            raise
        before = next((i for i, count in enumerate(every) if count > 1), len(every))
        counts = every[before:]
        if before > len(counts):
            continue
        usual = max(set(counts), key=counts.count)
        share = counts.count(usual) / len(counts)
        if usual >= 2 and share >= 0.8 and (best is None or share > best[0] + 0.1):
            best = (share, separator)
    return None if best is None else best[1]


def _is_number(cell: str, decimal: str) -> bool:
    return bool(_NUMBER.match(cell.replace(",", ".") if decimal == "," else cell))
