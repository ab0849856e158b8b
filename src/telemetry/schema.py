"""Device types as data: their sensors, how often they report, and how they send.

A type is immutable; a change is a new version. Sensors are never reordered: a new version keeps the
sensors of the one before at their places (a retired one is marked, not removed) and appends its own, so
that columns merge and state moves over by position as well as by name.
"""

import math
import re
from typing import Literal

import msgspec

from ..exceptions import ConfigError

MAX_SENSORS = 64
SLUG = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED = frozenset(
    """device_id device_key timestamp type site score model_version late ingest_seq ingest_day ingest_hour
    bands blame arrived shard""".split()
)
"""Column names of the lake and of requests that no sensor may take."""


class Sensor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sensor of a device type.

    `name` is the column name (a slug); `label` what people read (default: the name with spaces);
    `low` and `high` the valid range in `unit`, both inclusive, open where null; `precision` the smallest
    step the sensor reports, null where unknown.
    """

    name: str
    label: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    precision: float | None = None
    retired: bool = False

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.name) or self.name in RESERVED:
            raise ConfigError(
                f"sensor name {self.name!r}: expected a lower-case letter, then letters, digits or _ (at most 63),"
                f" and none of {', '.join(sorted(RESERVED))}"
            )
        for field in ("low", "high", "precision"):
            value = getattr(self, field)
            if value is not None and not math.isfinite(value):
                raise ConfigError(f"sensor {self.name!r}: {field} is {value}; expected a finite number or null")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ConfigError(f"sensor {self.name!r}: low {self.low} must be below high {self.high}")
        if self.precision is not None and self.precision <= 0:
            raise ConfigError(f"sensor {self.name!r}: precision {self.precision} must be above 0")

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").capitalize()


class DeviceType(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model of device: its sensors and its reporting interval.

    `sends` is `rows` where a reading comes whole, `parts` where sensors come one by one. A reading's
    timestamp is cut to `resolution_s`; a device is silent after `silent_after` intervals without a reading.
    """

    name: str
    sensors: tuple[Sensor, ...]
    version: int = 1
    label: str = ""
    interval_s: float = 60.0
    resolution_s: float | None = None
    sends: Literal["rows", "parts"] = "rows"
    silent_after: int = 5

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.name):
            raise ConfigError(f"type name {self.name!r}: expected a lower-case letter, then letters, digits or _")
        if not 1 <= len(self.sensors) <= MAX_SENSORS:
            raise ConfigError(f"type {self.name!r} has {len(self.sensors)} sensors; expected 1 to {MAX_SENSORS}")
        names = [sensor.name for sensor in self.sensors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ConfigError(f"type {self.name!r} names a sensor twice: {', '.join(twice)}")
        if self.version < 1:
            raise ConfigError(f"type {self.name!r}: version {self.version} must be 1 or more")
        if not (math.isfinite(self.interval_s) and 0.1 <= self.interval_s <= 86_400):
            raise ConfigError(f"type {self.name!r}: interval_s {self.interval_s} must be 0.1 to 86,400 seconds")
        if self.resolution_s is not None and not 0.001 <= self.resolution_s <= self.interval_s / 10:
            raise ConfigError(
                f"type {self.name!r}: resolution_s {self.resolution_s} must be 0.001 to a tenth of the interval"
            )
        if self.silent_after < 2:
            raise ConfigError(f"type {self.name!r}: silent_after {self.silent_after} must be 2 intervals or more")

    @property
    def title(self) -> str:
        """What people read."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def interval_ms(self) -> int:
        """The reporting interval in milliseconds."""
        return round(self.interval_s * 1000)

    @property
    def resolution_ms(self) -> int:
        """What a timestamp is cut to, in milliseconds: 1 s, or a tenth of a shorter interval."""
        if self.resolution_s is not None:
            return round(self.resolution_s * 1000)
        return max(1, min(1000, self.interval_ms // 10))

    @property
    def sensor_names(self) -> tuple[str, ...]:
        """Names of all sensors, in the order of columns."""
        return tuple(sensor.name for sensor in self.sensors)

    def successor(self, new: "DeviceType") -> "DeviceType":
        """Return `new` as the version after this one, its sensors in this type's order.

        Sensors of this version that `new` lacks are retired in place; those it adds are appended.
        Raises ConfigError where `new` is another type, or changes the interval or the way of sending.
        """
        if new.name != self.name:
            raise ConfigError(f"type {new.name!r} can't be a version of type {self.name!r}")
        for field in ("interval_s", "sends", "resolution_ms"):
            if getattr(new, field) != getattr(self, field):
                raise ConfigError(
                    f"type {self.name!r}: {field} can't change from {getattr(self, field)} to {getattr(new, field)};"
                    " make a type of another name"
                )
        given = {sensor.name: sensor for sensor in new.sensors}
        kept = [
            given.pop(old.name) if old.name in given else msgspec.structs.replace(old, retired=True)
            for old in self.sensors
        ]
        return msgspec.structs.replace(new, version=self.version + 1, sensors=(*kept, *given.values()))


def decode_type(data: bytes | str) -> DeviceType:
    """Read a device type from JSON. Raises ConfigError with what is wrong and where."""
    try:
        return msgspec.json.decode(data, type=DeviceType)
    except msgspec.ValidationError as error:
        raise ConfigError(f"not a device type: {error}") from error
    except msgspec.DecodeError as error:
        raise ConfigError(f"not JSON: {error}") from error


def encode_type(device_type: DeviceType) -> bytes:
    """Write a device type as JSON."""
    return msgspec.json.encode(device_type)
