"""The physics of a solar inverter: sun, clouds, cells that get warm, clipping, and its fan."""

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .drives import SLOT, fill_drives
from .randomness import Floats, add_wander, normal, subkey, uniform
from .weather import CLOUD, EAST, GRID_FREQUENCY, GRID_VOLTAGE, LEAD, SUN, TEMPERATURE

IRRADIANCE, MODULE, DC_VOLTAGE, DC_CURRENT, AC_POWER, AC_VOLTAGE, FREQUENCY, HEAT_SINK = range(8)
MEMORY = 14


@compiled
def _light(sun: float, east: float, cloud: float, tilt: float, facing: float) -> float:
    """Return the irradiance in W/m2 on a module: direct sun through the clouds, and light from the sky."""
    if sun <= 0.0:
        return 0.0
    clear = 1.0 - 0.88 * cloud**1.7
    air = np.exp(-0.13 / max(sun, 0.02))
    direct = 1150.0 * air * clear * max(0.0, tilt * sun + facing * east + 0.06)
    sky = 135.0 * np.sqrt(sun) * (0.5 + 0.9 * cloud * (1.0 - 0.55 * cloud))
    return float(direct + sky)


@compiled
def simulate(
    out: Floats,
    first: int,
    interval_s: float,
    keys: NDArray[np.uint64],
    site_of: NDArray[np.int32],
    channels: Floats,
    clock_s: Floats,
    drives: Floats,
) -> None:
    """Write what the eight quantities are, before any sensor, to `out` (n, n_devices, 8).

    Arguments as in pump_station.simulate.
    """
    n = out.shape[0]
    passing, breeze, mains, hunt = np.empty(n + MEMORY), np.empty(n), np.empty(n), np.empty(n)
    light = np.empty(n + MEMORY)
    faults = np.zeros((3, n))
    touched = False
    row = 0
    minute = 60.0 / interval_s
    for d in range(out.shape[1]):
        key = keys[d]
        site = channels[site_of[d]]
        person = subkey(key, 1)
        choice = uniform(person, 0)
        rated = 8.0 if choice < 0.3 else (15.0 if choice < 0.65 else (25.0 if choice < 0.9 else 50.0))
        oversize = 1.17 + 0.07 * normal(person, 1)
        nominal_voltage = 640.0 + 30.0 * normal(person, 2)
        tilt = 0.93 + 0.03 * normal(person, 3)
        facing = 0.12 * normal(person, 4)
        soiling = 0.97 + 0.012 * normal(person, 5)
        best = 0.974 + 0.003 * normal(person, 6)
        mounting = 0.027 + 0.0025 * normal(person, 7)
        sink_rise = 31.0 + 2.5 * normal(person, 8)
        cable = 2.6 + 0.7 * normal(person, 9)
        tap = 231.5 + 1.6 * normal(person, 10)

        passing[:] = 0.0
        add_wander(passing, subkey(key, 2), first - MEMORY, max(1, int(2 * minute)), 0.7)
        add_wander(passing, subkey(key, 3), first - MEMORY, max(1, int(9 * minute)), 0.7)
        breeze[:] = 0.0
        add_wander(breeze, subkey(key, 4), first, max(1, int(5 * minute)), 0.35)
        add_wander(breeze, subkey(key, 5), first, max(1, int(60 * minute)), 0.6)
        mains[:] = 0.0
        add_wander(mains, subkey(key, 6), first, max(1, int(3 * minute)), 0.18)
        add_wander(mains, subkey(key, 7), first, max(1, int(40 * minute)), 0.30)
        hunt[:] = 0.0
        add_wander(hunt, subkey(key, 8), first, max(1, int(2 * minute)), 0.0022)
        add_wander(hunt, subkey(key, 9), first, max(1, int(30 * minute)), 0.0022)
        for i in range(n + MEMORY):
            w = LEAD - MEMORY + i
            cloud = site[CLOUD, w]
            cloud = min(1.0, max(0.0, cloud + 0.22 * cloud * (1.0 - cloud) * passing[i]))
            light[i] = _light(site[SUN, w], site[EAST, w], cloud, tilt, facing)
        if row < drives.shape[0] and int(drives[row, SLOT]) == d:
            row = fill_drives(faults, drives, row, first, d)
            touched = True
        elif touched:
            faults[:, :] = 0.0
            touched = False

        array = rated * oversize * soiling
        for i in range(n):
            w = LEAD + i
            leak, wear, swing = faults[0, i], faults[1, i], faults[2, i]
            sun = light[i + MEMORY]
            recent, weight, total = 0.0, 1.0, 0.0
            for back in range(MEMORY):
                recent += weight * light[i + MEMORY - back]
                total += weight
                weight *= 0.86
            recent /= total
            air = site[TEMPERATURE, w]
            module = air + mounting * recent + breeze[i] * (0.25 + recent * 0.0016) - (1.6 if sun == 0.0 else 0.0)
            grid = site[GRID_VOLTAGE, w] + mains[i]
            voltage = power = dc_current = 0.0
            if sun > 8.0:
                voltage = nominal_voltage * (1.0 - 0.0034 * (module - 25.0)) * (1.0 + 0.028 * np.log(sun / 1000.0))
                voltage *= 1.0 + hunt[i]
                dc_power = array * sun / 1000.0 * (1.0 - 0.0038 * (module - 25.0)) * (1.0 - 0.45 * leak)
                hunted = 1.0 + 0.10 * swing
                ceiling = rated * (1.0 - 0.30 * max(0.0, wear - 0.35))
                share = min(1.0, dc_power / rated)
                efficiency = best - 0.012 / max(share, 0.02) * 0.5 - 0.008 * share - 0.012 * wear
                efficiency = max(0.2, efficiency)
                limit = ceiling / efficiency
                if dc_power > limit:
                    voltage *= 1.0 + 0.12 * (1.0 - limit / dc_power)
                    dc_power = limit
                voltage *= hunted
                dc_power *= 1.0 - 1.6 * abs(swing) * 0.05
                dc_current = 1000.0 * dc_power / voltage
                power = dc_power * efficiency
            share = recent / 1000.0 * array / rated
            share = min(1.0, share) * (1.0 - 0.45 * leak)
            fan = 0.22 * min(1.0, max(0.0, share - 0.35) / 0.3)
            heat = sink_rise * share * (1.0 - fan) * (1.0 + 0.65 * wear) + 5.0 * (1.0 if sun > 8.0 else 0.0) * wear
            o = out[i, d]
            o[IRRADIANCE] = sun
            o[MODULE] = module
            o[DC_VOLTAGE] = voltage
            o[DC_CURRENT] = dc_current
            o[AC_POWER] = power
            o[AC_VOLTAGE] = tap + grid + cable * power / rated
            o[FREQUENCY] = 50.0 + site[GRID_FREQUENCY, w]
            o[HEAT_SINK] = air + 3.0 + heat + 0.5 * breeze[i]
