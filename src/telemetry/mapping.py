"""`Mapping`: which columns of a file are time, device and sensors, and how its cells are written."""

import math
from datetime import UTC, datetime

import msgspec
import polars as pl
from polars.exceptions import PanicException, PolarsError

from ..exceptions import ConfigError
from .schema import DeviceType
from .timestamps import parse_pattern, parse_timestamps

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "?")
"""Cells that say that there is no value."""


class TimeColumn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The column of the time, and how it is written.

    `format` is `iso` (RFC 3339, the zone may be missing), `seconds` or `milliseconds` (numbers since 1970),
    `steps` (a number that counts steps of `step_s` seconds from `start`), or a strptime pattern such as
    `%d.%m.%Y %H:%M`, with a fraction of a second as `%.f`. `zone` is the time zone of times without an
    offset, such as Europe/Berlin or +02:00.
    """

    column: str
    format: str = "iso"
    zone: str = "UTC"
    start: str = "2000-01-01T00:00:00Z"
    step_s: float = 60.0

    def __post_init__(self) -> None:
        if self.format not in ("iso", "seconds", "milliseconds", "steps") and "%" not in self.format:
            raise ConfigError(
                f"time format {self.format!r}: expected iso, seconds, milliseconds, steps, or a pattern such as"
                " '%d.%m.%Y %H:%M:%S'"
            )
        if "%" in self.format:
            _check_pattern(self.format)
        _check_zone(self.zone)
        if not self.step_s > 0 or not math.isfinite(self.step_s):
            raise ConfigError(f"step_s {self.step_s} must be above 0 seconds")
        if not parse_timestamps([self.start])[1][0]:
            raise ConfigError(f"start {self.start!r}: expected a time with a zone, such as 2026-01-31T12:00:00Z")

    @property
    def start_ms(self) -> int:
        """Where steps are counted from, ms since 1970."""
        return int(parse_timestamps([self.start])[0][0])


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to read a file of readings.

    `sensors` gives the sensor's name by the file's column. The device is in `device_column`, or is `device`
    for the whole file; with neither it is called as the file. A file without a header has columns named
    `1`, `2`, …. `separator`, `decimal`, `skip_lines` (lines before the header) and `missing` are for CSV.
    """

    time: TimeColumn
    sensors: dict[str, str]
    device_column: str | None = None
    device: str | None = None
    site_column: str | None = None
    separator: str = ","
    decimal: str = "."
    header: bool = True
    skip_lines: int = 0
    missing: tuple[str, ...] = MISSING

    def __post_init__(self) -> None:
        if len(self.separator) != 1 or not self.separator.isascii() or self.separator in '"\n\r':
            raise ConfigError(f"separator {self.separator!r}: expected one character, such as ; or a tab")
        if self.decimal not in (".", ",") or self.decimal == self.separator:
            raise ConfigError(f"decimal {self.decimal!r}: expected . or , and not the separator")
        if self.skip_lines < 0:
            raise ConfigError(f"skip_lines {self.skip_lines}: expected 0 or more lines before the header")
        if not self.sensors:
            raise ConfigError("the mapping names no sensors; expected a sensor for each column of readings")
        names = list(self.sensors.values())
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"the mapping gives sensors two columns: {', '.join(twice)}")

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        named = [self.time.column, self.device_column, self.site_column, *self.sensors]
        return list(dict.fromkeys(name for name in named if name is not None))

    def check_against(self, device_type: DeviceType) -> None:
        """Raise ConfigError where a sensor is not one of the type."""
        theirs = [sensor.name for sensor in device_type.sensors if not sensor.retired]
        if strange := [name for name in self.sensors.values() if name not in theirs]:
            raise ConfigError(
                f"the mapping names sensors that type {device_type.name!r} does not have: {', '.join(strange)};"
                f" it has {', '.join(theirs)}"
            )


def decode_mapping(data: bytes | str) -> Mapping:
    """Read a mapping from JSON. Raises ConfigError with what is wrong and where."""
    try:
        return msgspec.json.decode(data, type=Mapping)
    except msgspec.ValidationError as error:
        raise ConfigError(f"not a mapping: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"not JSON: {error}") from error


def encode_mapping(mapping: Mapping) -> bytes:
    """Write a mapping as JSON, what is as by default left out."""
    full = msgspec.to_builtins(mapping)
    plain = msgspec.to_builtins(Mapping(time=TimeColumn(column=""), sensors={"": ""}))
    kept = {name: value for name, value in full.items() if name in ("time", "sensors") or value != plain[name]}
    kept["time"] = {
        name: value for name, value in full["time"].items() if name == "column" or value != plain["time"][name]
    }
    return msgspec.json.format(msgspec.json.encode(kept), indent=2)


def _check_pattern(pattern: str) -> None:
    """Raise ConfigError where a strptime pattern doesn't read the day that it wrote."""
    if "%f" in pattern:
        raise ConfigError(f"time format {pattern!r}: %f counts nanoseconds; expected %.f for a fraction with its point")
    moment = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    try:
        # `%#z` reads offsets of any form and writes none.
        written = pl.Series([moment]).dt.strftime(pattern.replace("%#z", "%z"))
        read = parse_pattern(written, pattern)[0]
    except (PolarsError, PanicException) as error:
        raise ConfigError(f"time format {pattern!r} can't be used: {str(error).splitlines()[0]}") from error
    if read is None or read.date() != moment.date():
        raise ConfigError(
            f"time format {pattern!r} doesn't read a whole date: it writes {written[0]!r} for 2026-01-31 12:30;"
            " expected a pattern such as '%d.%m.%Y %H:%M:%S'"
        )


def _check_zone(zone: str) -> None:
    """Raise ConfigError where times can't be read in a zone. What counts is what Polars knows, not the system."""
    try:
        known = bool(zone) and pl.Series([0]).cast(pl.Datetime("ms")).dt.replace_time_zone(zone).len() == 1
    except PolarsError as error:
        raise ConfigError(f"time zone {zone!r} is not known; expected one such as Europe/Berlin") from error
    if not known:
        raise ConfigError("time zone '' is not known; expected one such as Europe/Berlin")
