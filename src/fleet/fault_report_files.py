"""Fault reports from a CSV file: all of them or none, and for each line that can't be taken, why."""

import csv
import io
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ..exceptions import ConfigError, DataValidationError, FaultwatchError
from ..telemetry.timestamps import explain_timestamp, parse_timestamps
from .access import Access
from .fault_reports import FaultReports, Made
from .principal import Principal

NEEDED = ("device_id", "kind", "start")
MOST_LINES = 2_000
MOST_TOLD = 20


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a file: how many reports it has, how many of them were new, and how many changed one's end."""

    reports: int
    new: int
    changed: int


def take(session: Session, principal: Principal, text: str, now_ms: int) -> Taken:
    """Report every line of a CSV file with the columns device_id, kind, start, and perhaps end and owner.

    Other columns are left alone. Raises DataValidationError that tells of each line that can't be taken, ConfigError
    where the file isn't such a file; who calls rolls back then. AccessError (403) for viewers.
    """
    principal.must_act()
    access, reports = Access(session, principal), FaultReports(session, principal, now_ms)
    rows = _rows(text)
    if not rows:
        raise ConfigError("the file has no line below its header; nothing was reported")
    wrong: list[str] = []
    made: list[str] = []
    for number, row in rows:
        try:
            made.append(_take(access, reports, row).what)
        except FaultwatchError as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise DataValidationError(_told(wrong, len(rows)))
    return Taken(len(made), made.count("new"), made.count("changed"))


def _rows(text: str) -> list[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        missing = [name for name in NEEDED if name not in header]
        if missing:
            raise ConfigError(
                f"the first line has to name the columns {', '.join(NEEDED)}, and may name end and owner, with commas"
                f" between; it lacks {', '.join(missing)}"
            )
        rows = []
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise ConfigError(f"line {reader.line_num} has {len(cells)} cells; the header has {len(header)}")
            rows.append((reader.line_num, dict(zip(header, (cell.strip() for cell in cells), strict=True))))
            if len(rows) > MOST_LINES:
                raise ConfigError(f"more than {MOST_LINES:,} lines; send them as several files")
    except csv.Error as error:
        raise ConfigError(f"line {reader.line_num} is no CSV ({error}); separate cells by commas") from error
    return rows


def _take(access: Access, reports: FaultReports, row: dict[str, str]) -> Made:
    """Report one line."""
    empty = [name for name in NEEDED if not row[name]]
    if empty:
        raise ConfigError(f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty")
    device = access.device(row["device_id"], row.get("owner") or None)
    start_ms = _time("start", row["start"])
    end_ms = _time("end", row["end"]) if row.get("end") else None
    return reports.add(device.key, row["kind"], start_ms, end_ms, "import")


def _time(name: str, text: str) -> int:
    parsed, good = parse_timestamps([text])
    if not good[0]:
        raise ConfigError(f"{name}: {explain_timestamp(text)}")
    return int(parsed[0])


def _told(wrong: list[str], count: int) -> str:
    more = f"\n… and {len(wrong) - MOST_TOLD} more" if len(wrong) > MOST_TOLD else ""
    return (
        f"{len(wrong)} of {count} lines can't be taken, so none was; mend them and send the file again\n"
        + "\n".join(wrong[:MOST_TOLD])
        + more
    )
