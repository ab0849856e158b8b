"""Faults as data: which kinds there are, how strong and how long they are, and one fault of one device or site."""

from datetime import datetime
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from ..exceptions import ConfigError

Where = Literal["physics", "sensor", "coupling", "device", "site"]


class FaultKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of fault.

    `where` it acts: on the physics of the device, on what a sensor says, on a sensor's coupling to the rest
    (it goes on as if it belonged to another device), on the whole device, on a whole site. `code` is its number
    in the compiled loops, `spreads` the change at severity 1 in normal spreads of the sensor (0 where that has
    no meaning), `hours` how long such a fault lasts.
    """

    code: int
    where: Where
    meaning: str
    spreads: float = 0.0
    hours: tuple[float, float]


DRIFT, BIAS, CALIBRATION, SPIKE, NOISE, STUCK, INTERMITTENT = range(7)
LEAK, WEAR, CYCLIC = range(3)

FAULT_KINDS: Final = MappingProxyType(
    {
        "drift": FaultKind(
            code=DRIFT, where="sensor", spreads=8.0, hours=(24, 120), meaning="a sensor moves off slowly, in a line"
        ),
        "stuck": FaultKind(code=STUCK, where="sensor", hours=(3, 24), meaning="a sensor repeats its last value"),
        "spike": FaultKind(
            code=SPIKE, where="sensor", spreads=14.0, hours=(6, 48), meaning="single readings jump far off, then back"
        ),
        "noise": FaultKind(code=NOISE, where="sensor", spreads=4.0, hours=(3, 36), meaning="a sensor becomes noisy"),
        "bias": FaultKind(
            code=BIAS, where="sensor", spreads=8.0, hours=(3, 48), meaning="a sensor is off by a constant"
        ),
        "loss_of_correlation": FaultKind(
            code=0,
            where="coupling",
            hours=(12, 72),
            meaning="a sensor keeps its range and its day, but no longer follows the others",
        ),
        "leak": FaultKind(
            code=LEAK,
            where="physics",
            hours=(6, 72),
            meaning="water, refrigerant or current is lost, over hours, then steadily",
        ),
        "wear": FaultKind(
            code=WEAR, where="physics", hours=(48, 168), meaning="a moving part wears out, slowly at first, then faster"
        ),
        "cyclic": FaultKind(
            code=CYCLIC, where="physics", hours=(3, 36), meaning="a controller hunts: everything swings with one period"
        ),
        "silent": FaultKind(code=0, where="device", hours=(0.4, 12), meaning="the device sends nothing"),
        "intermittent": FaultKind(
            code=INTERMITTENT,
            where="sensor",
            spreads=10.0,
            hours=(6, 48),
            meaning="a loose contact: in bursts of minutes the sensor drops or is missing",
        ),
        "calibration_step": FaultKind(
            code=CALIBRATION,
            where="sensor",
            spreads=7.0,
            hours=(24, 120),
            meaning="a sensor's gain changes at once, as after a bad calibration",
        ),
        "site_outage": FaultKind(
            code=0, where="site", hours=(0.3, 3), meaning="power or network of a site is gone: no device of it sends"
        ),
    }
)
"""Every kind of fault by name. Their meanings are the table of docs/how-to/simulate.md."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: of a device (`device_id`) or of a site (`site`), from `start` until `end` (null: for good).

    `severity` goes from 0 (nothing to see) to 1 (nobody can miss it); `sensors` are those the fault acts on, or
    for faults of the physics those that show it most.
    """

    kind: str
    start: datetime
    end: datetime | None = None
    device_id: str = ""
    site: str = ""
    severity: float = 0.6
    sensors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        kind = FAULT_KINDS.get(self.kind)
        if kind is None:
            raise ConfigError(f"fault kind {self.kind!r}: expected one of {', '.join(FAULT_KINDS)}")
        if self.start.tzinfo is None or (self.end is not None and self.end.tzinfo is None):
            raise ConfigError(f"fault {self.kind}: start and end need a time zone; add tzinfo=UTC")
        if self.end is not None and self.end <= self.start:
            raise ConfigError(f"fault {self.kind}: end {self.end} must be after start {self.start}")
        if not 0.0 < self.severity <= 1.0:
            raise ConfigError(f"fault {self.kind}: severity {self.severity} must be above 0 and at most 1")
        if kind.where == "site":
            if not self.site or self.device_id:
                raise ConfigError(f"fault {self.kind} is of a whole site: give site, and no device_id")
        elif not self.device_id or self.site:
            raise ConfigError(f"fault {self.kind} is of one device: give device_id, and no site")
        if kind.where in ("sensor", "coupling") and not self.sensors:
            raise ConfigError(f"fault {self.kind} of {self.device_id}: name the sensors it acts on")
