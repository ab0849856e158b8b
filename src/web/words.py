"""Times and figures as people read them, the same text that static/js/time.js writes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from urllib.parse import unquote
from zoneinfo import ZoneInfo

_MINUTE = 60
_DAY_MS = 86_400_000
_LONG_DAYS = 30
"""From so many days on, hours don't matter."""

_MANY_DAYS = 300
"""From this age on a date shows its year."""


def duration(ms: float) -> str:
    """A length of time: "12 s", "48 min", "3 h 12 min", "2 d 4 h", "2,480 d"."""
    seconds = max(0, int(ms // 1000))
    if seconds < _MINUTE:
        return f"{seconds} s"
    minutes = seconds // _MINUTE
    if minutes < 60:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} min" if minutes % 60 else f"{hours} h"
    days = hours // 24
    return f"{days} d {hours % 24} h" if hours % 24 and days < _LONG_DAYS else f"{days:,} d"


def iso(ms: int) -> str:
    """RFC 3339 in UTC, with milliseconds where there are any."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def number(value: float) -> str:
    """A count with thousands apart: "12,480"."""
    return f"{value:,.0f}"


def plural(n: int, one: str, many: str | None = None) -> str:
    """ "1 device", "3 devices"."""
    return f"{number(n)} {one if n == 1 else many or one + 's'}"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: their zone, whether their clock has 12 hours, and the time it is."""

    zone: tzinfo
    twelve: bool
    now_ms: int

    @classmethod
    def of(cls, cookies: Mapping[str, str], now_ms: int) -> "Reader":
        """From the cookies that static/js/theme.js sets; UTC and 24 hours before it ever ran."""
        return cls(_zone(unquote(cookies.get("fw_zone", ""))), cookies.get("fw_clock") == "12", now_ms)

    def clock(self, ms: int) -> str:
        """ "14:02", or "2:02 pm"."""
        at = self._at(ms)
        if not self.twelve:
            return f"{at:%H:%M}"
        return f"{at.hour % 12 or 12}:{at:%M} {'pm' if at.hour >= 12 else 'am'}"

    def day(self, ms: int) -> str:
        """ "3 Nov", with the year where it is long ago."""
        at = self._at(ms)
        year = f" {at:%Y}" if self.now_ms - ms > _MANY_DAYS * _DAY_MS else ""
        return f"{at.day} {_MONTHS[at.month - 1]}{year}"

    def text(self, ms: int, form: str = "moment") -> str:
        """A time in one of the forms of <time data-as>."""
        match form:
            case "since":
                return duration(self.now_ms - ms)
            case "ago":
                return f"{duration(self.now_ms - ms)} ago"
            case "clock":
                return self.clock(ms)
            case "day":
                return self.day(ms)
        today = self._at(ms).date() == self._at(self.now_ms).date()
        if today:
            return self.clock(ms)
        return self.day(ms) if form == "brief" else f"{self.day(ms)}, {self.clock(ms)}"

    def exact(self, ms: int) -> str:
        """With date, seconds and zone, for the hover."""
        at = self._at(ms)
        return f"{at:%a} {at.day} {_MONTHS[at.month - 1]} {at:%Y}, {at:%H:%M:%S} {at:%Z}"

    def _at(self, ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, self.zone)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec")
"""Abbreviated as browsers do in British English."""


def _zone(name: str) -> tzinfo:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", name):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):
        return UTC
