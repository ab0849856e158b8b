"""What part of the time a reader of readings asks for, read from the address."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ..exceptions import IngestError

DAY_MS = 86_400_000
MAX_POINTS = 20_000
AUTO_POINTS = 1_000


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From `start_ms` (included) to `end_ms` (not included)."""

    start_ms: int
    end_ms: int


def parse_time(name: str, text: str) -> int:
    """Milliseconds of an RFC 3339 time. Raises IngestError (400) that names the parameter and shows a right one."""
    example = "expected RFC 3339 with a zone, such as 2026-11-24T04:00:00Z"
    # A plus sign that nobody escaped arrives as a space.
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "+") if "T" in text else text)
    except ValueError as error:
        raise IngestError(f"{name}={text!r} is not a time; {example}") from error
    if moment.tzinfo is None:
        raise IngestError(f"{name}={text!r} has no zone; {example}")
    return round(moment.timestamp() * 1000)


def parse_range(start: str | None, end: str | None, now_ms: int, default_ms: int = DAY_MS) -> TimeRange:
    """The range of `from` and `to`; without `to` it ends now, without `from` it is `default_ms` long.

    Raises IngestError (400) where a time can't be read or the range is empty.
    """
    end_ms = now_ms + 1 if end is None else parse_time("to", end)
    start_ms = end_ms - default_ms if start is None else parse_time("from", start)
    if start_ms >= end_ms:
        raise IngestError(f"from={start or 'a day before to'} is not before to={end or 'now'}; give an earlier from")
    return TimeRange(start_ms, end_ms)


def parse_resolution(text: str) -> int | None:
    """How many points, None for all rows. Raises IngestError (400) for anything but raw, auto or a number."""
    if text == "raw":
        return None
    if text == "auto":
        return AUTO_POINTS
    if text.isascii() and text.isdigit() and len(text) < 10 and 10 <= int(text) <= MAX_POINTS:
        return int(text)
    raise IngestError(f"resolution={text!r}: expected raw, auto, or a number of points from 10 to {MAX_POINTS:,}")


Format = Literal["json", "csv", "arrow"]
MEDIA: dict[Format, str] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "arrow": "application/vnd.apache.arrow.stream",
}


def choose_format(given: str | None, accept: str) -> Format:
    """The format named in the address, else the first known one of the Accept header, else JSON."""
    for name in MEDIA:
        if given == name:
            return name
    if given is not None:
        raise IngestError(f"format={given!r}: expected {', '.join(MEDIA)}")
    for part in accept.lower().split(","):
        media = part.split(";")[0].strip()
        for name, known in MEDIA.items():
            if media == known.split(";")[0]:
                return name
    return "json"
