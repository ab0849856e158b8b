"""A made-up fleet for load: devices of one type, as many as wanted, with a trained detector and baselines that stand.

A few prototypes live through a history; every other device is a copy of one of them, in what it sends and in what the
shard remembers of it. So a million devices with baselines take seconds to make, and each is judged as if it had lived.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..detection.blocks import TrainingRows
from ..detection.config import DetectorConfig
from ..detection.detector import Detector
from ..telemetry.readings import Readings
from ..telemetry.schema import DeviceType, Sensor

MINUTE_MS = 60_000
PROTOTYPES = 1_000
HISTORY = 400
"""Minutes that prototypes live through before the run: more than a device learns from."""

TAUGHT = 40
TAUGHT_MINUTES = 1_500
"""The detector learns from so many prototypes over so many minutes."""

BROKEN = 500
"""The prototype that breaks, so many minutes before the run."""

BROKEN_FOR = 10
FAULT = 12.0
"""How far each sensor of a broken device is off, up and down in turn, where the noise of a minute is 1."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MadeFleet:
    """`devices` devices with `sensors` sensors each; minute 0 of the run is at `start_ms`.

    What a device sends in a minute depends on seed, prototype, minute and nothing else. One prototype, so one device
    in a thousand, breaks ten minutes before the run.
    """

    devices: int
    sensors: int
    start_ms: int
    seed: int = 1

    @property
    def device_type(self) -> DeviceType:
        """Their type."""
        names = (Sensor(name=f"sensor_{number}", unit="u", low=-1e6, high=1e6) for number in range(self.sensors))
        return DeviceType(name="made", sensors=tuple(names))

    @property
    def prototypes(self) -> int:
        """How many of the devices are no copies."""
        return min(PROTOTYPES, self.devices)

    def device_id(self, number: int) -> str:
        """What a device is called."""
        return f"made-{number:08d}"

    def is_faulty(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which devices (n,) are broken."""
        broken: npt.NDArray[np.bool_] = numbers % self.prototypes == BROKEN
        return broken

    def prototype_values(self, minute: int) -> Floats:
        """What prototypes send in a minute, (prototypes, sensors): their levels, a load all sensors share, noise."""
        level = np.random.Generator(np.random.Philox(key=self.seed)).normal(50.0, 10.0, (self.prototypes, self.sensors))
        random = np.random.Generator(np.random.Philox(key=(self.seed << 32) + minute + 2 * HISTORY + TAUGHT_MINUTES))
        load = np.sin(2 * np.pi * minute / 180 + np.arange(self.prototypes))[:, None]
        share = np.linspace(0.0, 2.0, self.sensors)[None, :]
        noise = random.normal(size=(self.prototypes, self.sensors))
        values: Floats = np.round(level + share * load + noise, 2)
        if minute >= -BROKEN_FOR:
            values[BROKEN : BROKEN + 1] += FAULT * np.where(np.arange(self.sensors) % 2, -1.0, 1.0)
        return values

    def values(self, numbers: npt.NDArray[np.int64], minute: int) -> Floats:
        """What some devices send in a minute of the run, (n, sensors)."""
        return self.prototype_values(minute)[numbers % self.prototypes]

    def history(self, type_id: int, keys: npt.NDArray[np.int64]) -> Iterator[Readings]:
        """What the prototypes, of these keys (prototypes,), sent before the run, minute by minute."""
        for minute in range(-HISTORY, 0):
            ts = np.full(self.prototypes, self.start_ms + minute * MINUTE_MS)
            yield Readings(type_id, keys, ts, self.prototype_values(minute))

    def detector(self) -> Detector:
        """A detector that has learnt what is normal from some prototypes."""
        minutes = range(-HISTORY - TAUGHT_MINUTES, -HISTORY)
        taught = min(TAUGHT, self.prototypes)
        values = np.stack([self.prototype_values(minute)[:taught] for minute in minutes])
        names = self.device_type.sensor_names
        rows = TrainingRows(
            device=np.tile(np.arange(taught), len(minutes)),
            ts=np.repeat(self.start_ms + np.array(minutes) * MINUTE_MS, taught),
            values=values.reshape(-1, self.sensors),
            interval_ms=MINUTE_MS,
            sensor_names=names,
            precisions=np.full(self.sensors, np.nan),
        )
        return Detector(DetectorConfig()).fit(rows)
