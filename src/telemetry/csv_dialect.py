"""Find out how a CSV file is written: what separates columns, the decimal sign, whether there is a header."""

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..exceptions import IngestError
from .tables import head_lines

LINES = 50
_COMMA_NUMBER = re.compile(r"^\s*-?\d+,\d+\s*$")
_NUMBER = re.compile(r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written, and what a person should know of how that was found."""

    separator: str = ","
    decimal: str = "."
    header: bool = True
    notes: list[str] = field(default_factory=list)


def sniff(path: Path) -> Dialect:
    """Look at the first lines of a file. Raises IngestError where it is no table of text."""
    lines = [line for line in head_lines(path)[:LINES] if line.strip()]
    separator = _separator(lines)
    if separator is None:
        raise IngestError(
            f"{path} is no table: its first line is {lines[0][:80]!r};"
            " expected columns with , ; a tab or | between them"
        )
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=separator))
    cells = [cell for row in rows[1:] for cell in row]
    in_commas = sum(bool(_COMMA_NUMBER.match(cell)) for cell in cells)
    decimal = "," if separator != "," and in_commas > 0.2 * len(cells) else "."
    header = not any(_is_number(cell, decimal) for cell in rows[0])
    notes = [] if header else ["the first line is no header: columns are called 1, 2, …"]
    return Dialect(separator, decimal, header, notes)


def _separator(lines: list[str]) -> str | None:
    """The first of ; tab | , blank that divides nearly all lines into the same number of cells."""
    best: tuple[float, str] | None = None
    for separator in (";", "\t", "|", ",", " "):
        counts = [len(row) for row in csv.reader(io.StringIO("\n".join(lines)), delimiter=separator)]
        usual = max(set(counts), key=counts.count)
        share = counts.count(usual) / len(counts)
        if usual >= 2 and share >= 0.8 and (best is None or share > best[0] + 0.1):
            best = (share, separator)
    return None if best is None else best[1]


def _is_number(cell: str, decimal: str) -> bool:
    return bool(_NUMBER.match(cell.replace(",", ".") if decimal == "," else cell))
