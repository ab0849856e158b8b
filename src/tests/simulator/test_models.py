"""Healthy devices look like devices: seasons, modes, correlated smooth signals, and each its own."""

import numpy as np
import pytest
from numpy.typing import NDArray

from ...simulator.fleet import Fleet
from ...simulator.models import MODELS, model_of
from ...simulator.sensing import N_SPECS

DAYS = 14
Values = NDArray[np.float64]


@pytest.fixture(scope="module")
def fortnight(healthy: Fleet) -> dict[str, Values]:
    """Fourteen days of twenty devices of each type, (n_minutes, n_devices, n_sensors)."""
    return {name: healthy.values(name, 0, DAYS * 1440) for name in MODELS}


def column(values: Values, name: str, sensor: str) -> Values:
    found: Values = values[:, :, model_of(name).type.sensor_names.index(sensor)]
    return found


def residuals(x: Values) -> Values:
    """Deviation from the device's own course of the day, by the hour, (n_minutes, n_devices)."""
    days = x.reshape(DAYS, 24, 60, -1)
    return np.asarray(days - np.nanmean(days, axis=(0, 2), keepdims=True), np.float64).reshape(x.shape)


def correlation(a: Values, b: Values) -> float:
    """Median over devices of the correlation of minute-by-minute residuals."""
    found = []
    for one, other in zip(residuals(a).T, residuals(b).T, strict=True):
        both = ~np.isnan(one) & ~np.isnan(other)
        found.append(np.corrcoef(one[both], other[both])[0, 1])
    return float(np.median(found))


def at_work(values: Values, name: str) -> NDArray[np.bool_]:
    """Whether each device was at work: running and not defrosting, or in the sun, (n_minutes, n_devices)."""
    if name == "pump_station":
        return column(values, name, "motor_current") > 1.0
    if name == "refrigerated_display":
        return (column(values, name, "compressor_current") > 1.0) & (column(values, name, "defrost_current") < 1.0)
    return column(values, name, "irradiance") > 50.0


@pytest.mark.parametrize("name", MODELS)
def test_the_declared_spread_is_what_healthy_devices_show(fortnight: dict[str, Values], name: str) -> None:
    model = model_of(name)
    working = at_work(fortnight[name], name)
    for sensor, declared in model.sensors.items():
        if sensor in model.switches:
            continue
        x = np.where(working, column(fortnight[name], name, sensor), np.nan)
        days = x.reshape(DAYS, 24, 60, -1)
        enough = (~np.isnan(days)).sum(axis=(0, 2), keepdims=True) > 300
        days = np.where(enough, days, np.nan)
        centre = np.nansum(days, axis=(0, 2), keepdims=True) / np.maximum(
            1, (~np.isnan(days)).sum((0, 2), keepdims=True)
        )
        spread = float(np.median(np.nanstd((days - centre).reshape(x.shape), axis=0)))
        assert 0.4 < spread / declared.spread < 2.5, f"{sensor}: declared {declared.spread}, shown {spread:.3g}"


@pytest.mark.parametrize("name", MODELS)
def test_devices_are_individuals_and_models_complete(fortnight: dict[str, Values], name: str) -> None:
    model = model_of(name)
    assert tuple(model.sensors) == model.type.sensor_names
    assert set(model.shows) == {"leak", "wear", "cyclic"}
    assert model.specs().shape == (8, N_SPECS)
    means = np.nanmean(fortnight[name], axis=0)
    for sensor, mean in zip(model.type.sensor_names, means.T, strict=True):
        if sensor != "grid_frequency":
            assert mean.std() > 0.03 * model.sensors[sensor].spread, sensor


@pytest.mark.parametrize(
    ("name", "one", "other", "at_least"),
    [
        ("pump_station", "motor_speed", "flow", 0.9),
        ("pump_station", "flow", "motor_current", 0.85),
        ("pump_station", "flow", "discharge_pressure", 0.6),
        ("pump_station", "bearing_temperature", "motor_temperature", 0.4),
        ("refrigerated_display", "cabinet_temperature", "evaporator_temperature", 0.5),
        ("refrigerated_display", "cabinet_temperature", "humidity", 0.4),
        ("refrigerated_display", "condenser_temperature", "store_temperature", 0.15),
        ("solar_inverter", "irradiance", "dc_current", 0.95),
        ("solar_inverter", "dc_current", "ac_power", 0.95),
        ("solar_inverter", "module_temperature", "heat_sink_temperature", 0.8),
    ],
)
def test_sensors_of_a_device_go_together(
    fortnight: dict[str, Values], name: str, one: str, other: str, at_least: float
) -> None:
    values = fortnight[name]
    assert correlation(column(values, name, one), column(values, name, other)) > at_least


def test_slow_quantities_are_smooth(fortnight: dict[str, Values]) -> None:
    for name, sensor, share in [
        ("pump_station", "bearing_temperature", 0.2),
        ("pump_station", "suction_pressure", 0.4),
        ("refrigerated_display", "store_temperature", 0.4),
        ("solar_inverter", "module_temperature", 0.2),
    ]:
        x = column(fortnight[name], name, sensor)
        assert np.nanstd(np.diff(x, axis=0)) < share * np.nanmedian(np.nanstd(residuals(x), axis=0)), sensor


def test_pumps_run_by_day_and_some_stop_at_night(fortnight: dict[str, Values]) -> None:
    current = column(fortnight["pump_station"], "pump_station", "motor_current")
    off = (current < 1.0).mean(axis=0)
    assert (off == 0).sum() >= 5 and (off > 0.05).sum() >= 3
    flow = np.nanmean(column(fortnight["pump_station"], "pump_station", "flow").reshape(DAYS, 24, 60, -1), axis=(0, 2))
    assert (flow.max(axis=0) > 1.2 * flow.min(axis=0)).all()


def test_displays_cycle_and_defrost_three_or_four_times_a_day(fortnight: dict[str, Values]) -> None:
    values = fortnight["refrigerated_display"]
    current = column(values, "refrigerated_display", "compressor_current")
    starts = ((current[1:] > 1.0) & (current[:-1] < 1.0)).sum(axis=0) / DAYS
    assert (starts > 40).all() and (starts < 120).all()
    heater = column(values, "refrigerated_display", "defrost_current")
    defrosts = ((heater[1:] > 1.0) & (heater[:-1] < 1.0)).sum(axis=0) / DAYS
    assert set(np.rint(defrosts)) <= {3.0, 4.0}
    door = column(values, "refrigerated_display", "door_open").reshape(DAYS, 24, 60, -1)
    assert np.nanmean(door[:, 11:17]) > 3 * np.nanmean(door[:, 0:4])


def test_inverters_sleep_at_night_and_work_with_the_sun(fortnight: dict[str, Values]) -> None:
    values = fortnight["solar_inverter"]
    power, sun = (column(values, "solar_inverter", sensor) for sensor in ("ac_power", "irradiance"))
    assert np.nanmax(power[sun < 5]) < 0.1
    assert (np.nanmax(power, axis=0) > 5).all()
    voltage = column(values, "solar_inverter", "dc_voltage")
    assert np.nanmax(voltage[sun < 5]) < 50 and np.nanmedian(voltage[sun > 100]) > 500


def test_neighbours_share_their_weather(healthy: Fleet, fortnight: dict[str, Values]) -> None:
    group = healthy.group("solar_inverter")
    sun = residuals(column(fortnight["solar_inverter"], "solar_inverter", "irradiance"))
    sites = group.site_of
    pairs = [(i, j) for i in range(len(group)) for j in range(i)]

    def mean(pairs: list[tuple[int, int]]) -> float:
        found = []
        for i, j in pairs:
            both = ~np.isnan(sun[:, i]) & ~np.isnan(sun[:, j])
            found.append(np.corrcoef(sun[both, i], sun[both, j])[0, 1])
        return float(np.mean(found))

    together = [pair for pair in pairs if sites[pair[0]] == sites[pair[1]]][:10]
    apart = [pair for pair in pairs if sites[pair[0]] != sites[pair[1]]][:10]
    assert mean(together) > 0.8
    assert not apart or mean(apart) < 0.5
