"""The device types that can be simulated: physics, what their sensors are like, and what faults do to them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..exceptions import ConfigError
from ..telemetry.schema import DeviceType, decode_type
from . import pump_station, refrigerated_display, solar_inverter
from .randomness import Floats
from .sensing import N_SPECS

Physics = Callable[[Floats, int, float, NDArray[np.uint64], NDArray[np.int32], Floats, Floats, Floats], None]


@dataclass(frozen=True, slots=True)
class SensorModel:
    """One simulated sensor, in its unit.

    `noise` is the deviation of its noise, `relative` the part of it that grows with the value, `offset` and
    `gain` how devices differ, `typical` a usual value, and `spread` how much a healthy device at work
    moves around its own course of the day: the yardstick for the size of faults.
    """

    noise: float
    relative: float
    offset: float
    gain: float
    typical: float
    spread: float


@dataclass(frozen=True, slots=True)
class DeviceModel:
    """A device type that can be simulated.

    `prefix` begins the names of its devices; `family` is its number in the tree of random keys and never
    changes; `shows` names the sensors on which each fault of the physics is seen; `follows` are the sensors
    that go with others, where a loss of correlation means something; `switches` those that mostly rest.
    """

    type: DeviceType
    prefix: str
    family: int
    physics: Physics
    sensors: Mapping[str, SensorModel]
    shows: Mapping[str, tuple[str, ...]]
    follows: tuple[str, ...]
    switches: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the device type."""
        return self.type.name

    def specs(self) -> Floats:
        """Return what `sensing.sense` needs to know of the sensors, (n_sensors, N_SPECS)."""
        out = np.empty((len(self.type.sensors), N_SPECS))
        for row, sensor in zip(out, self.type.sensors, strict=True):
            model = self.sensors[sensor.name]
            low = -np.inf if sensor.low is None else sensor.low
            high = np.inf if sensor.high is None else sensor.high
            row[:] = (model.noise, model.relative, model.offset, model.gain, low, high, 0.0, model.typical)
            if sensor.precision is not None:
                row[6] = round(1 / sensor.precision) if sensor.precision <= 1 else -sensor.precision
        return out


_PUMP_SENSORS: Final = MappingProxyType(
    {
        "vibration": SensorModel(0.02, 0.025, 0.03, 0.03, 1.7, 0.2),
        "bearing_temperature": SensorModel(0.12, 0.0, 0.6, 0.005, 40.0, 1.4),
        "motor_temperature": SensorModel(0.15, 0.0, 0.8, 0.005, 50.0, 2.8),
        "motor_current": SensorModel(0.02, 0.006, 0.05, 0.01, 26.0, 1.8),
        "motor_speed": SensorModel(0.3, 0.0006, 0.5, 0.001, 1700.0, 45.0),
        "flow": SensorModel(0.05, 0.008, 0.2, 0.012, 90.0, 5.0),
        "suction_pressure": SensorModel(0.007, 0.0, 0.02, 0.003, 1.4, 0.055),
        "discharge_pressure": SensorModel(0.01, 0.002, 0.03, 0.004, 4.3, 0.13),
    }
)
_DISPLAY_SENSORS: Final = MappingProxyType(
    {
        "cabinet_temperature": SensorModel(0.06, 0.0, 0.25, 0.003, 3.0, 0.6),
        "evaporator_temperature": SensorModel(0.12, 0.0, 0.3, 0.003, -5.0, 2.2),
        "condenser_temperature": SensorModel(0.15, 0.0, 0.4, 0.004, 34.0, 1.5),
        "compressor_current": SensorModel(0.012, 0.008, 0.01, 0.01, 6.4, 0.3),
        "defrost_current": SensorModel(0.006, 0.006, 0.004, 0.01, 5.2, 0.3),
        "door_open": SensorModel(0.0, 0.0, 0.0, 0.0, 5.0, 5.0),
        "humidity": SensorModel(0.5, 0.0, 1.5, 0.01, 60.0, 2.7),
        "store_temperature": SensorModel(0.08, 0.0, 0.3, 0.003, 21.5, 0.4),
    }
)
_SOLAR_SENSORS: Final = MappingProxyType(
    {
        "irradiance": SensorModel(0.4, 0.008, 0.0, 0.015, 400.0, 130.0),
        "module_temperature": SensorModel(0.15, 0.0, 0.4, 0.004, 25.0, 2.7),
        "dc_voltage": SensorModel(0.0, 0.0012, 0.0, 0.003, 620.0, 10.0),
        "dc_current": SensorModel(0.0, 0.006, 0.0, 0.006, 12.0, 2.5),
        "ac_power": SensorModel(0.0, 0.005, 0.0, 0.005, 8.0, 1.5),
        "ac_voltage": SensorModel(0.12, 0.0, 0.4, 0.001, 231.0, 1.1),
        "grid_frequency": SensorModel(0.003, 0.0, 0.001, 0.0, 50.0, 0.018),
        "heat_sink_temperature": SensorModel(0.15, 0.0, 0.5, 0.004, 30.0, 2.7),
    }
)


def _bundled(name: str) -> DeviceType:
    return decode_type((files(__package__) / "types" / f"{name}.json").read_bytes())


def pump() -> DeviceModel:
    """Return the pump station."""
    return DeviceModel(
        type=_bundled("pump_station"),
        prefix="pump",
        family=2,
        physics=pump_station.simulate,
        sensors=_PUMP_SENSORS,
        shows={
            "leak": ("flow", "discharge_pressure", "motor_current"),
            "wear": ("vibration", "bearing_temperature"),
            "cyclic": ("motor_speed", "flow", "discharge_pressure", "motor_current"),
        },
        follows=("vibration", "bearing_temperature", "motor_current", "flow", "discharge_pressure"),
    )


def display() -> DeviceModel:
    """Return the refrigerated display."""
    return DeviceModel(
        type=_bundled("refrigerated_display"),
        prefix="display",
        family=3,
        physics=refrigerated_display.simulate,
        sensors=_DISPLAY_SENSORS,
        shows={
            "leak": ("evaporator_temperature", "cabinet_temperature", "compressor_current"),
            "wear": ("condenser_temperature", "compressor_current"),
            "cyclic": ("evaporator_temperature", "compressor_current"),
        },
        follows=("cabinet_temperature", "evaporator_temperature", "compressor_current", "condenser_temperature"),
        switches=("defrost_current", "door_open"),
    )


def solar() -> DeviceModel:
    """Return the solar inverter."""
    return DeviceModel(
        type=_bundled("solar_inverter"),
        prefix="inverter",
        family=4,
        physics=solar_inverter.simulate,
        sensors=_SOLAR_SENSORS,
        shows={
            "leak": ("dc_current", "ac_power"),
            "wear": ("heat_sink_temperature", "ac_power"),
            "cyclic": ("dc_voltage", "dc_current", "ac_power"),
        },
        follows=("irradiance", "module_temperature", "dc_current", "ac_power", "heat_sink_temperature"),
    )


MODELS: Final = MappingProxyType({"pump_station": pump, "refrigerated_display": display, "solar_inverter": solar})
"""How to make the model of each device type, by the type's name."""


def model_of(wanted: str | DeviceType) -> DeviceModel:
    """Return the model of a type by its name, or of a bundled type with another interval or way of sending.

    Raises ConfigError for a type that has no model, or whose sensors are not the model's.
    """
    name = wanted if isinstance(wanted, str) else wanted.name
    make = MODELS.get(name)
    if make is None:
        raise ConfigError(f"device type {name!r} can't be simulated; expected one of {', '.join(MODELS)}")
    model = make()
    if isinstance(wanted, str):
        return model
    if wanted.sensor_names != model.type.sensor_names:
        raise ConfigError(
            f"device type {name!r} to simulate has sensors {', '.join(wanted.sensor_names)}; expected the bundled"
            f" ones, {', '.join(model.type.sensor_names)}: change its interval or way of sending only"
        )
    return replace(model, type=wanted)
