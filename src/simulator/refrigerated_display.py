"""The physics of a refrigerated display: compressor cycles, defrosts, doors and the store around it."""

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .drives import SLOT, fill_drives
from .randomness import Floats, add_wander, normal, subkey, uniform
from .weather import BUSINESS, GRID_VOLTAGE, HUMIDITY, LEAD, TEMPERATURE

CABINET, EVAPORATOR, CONDENSER, CURRENT, DEFROST, DOOR, MOISTURE, STORE = range(8)
MEMORY = 12


@compiled
def _door(key: np.uint64, reading: int, busy: float, visits: float, interval_s: float) -> float:
    """Return the seconds per minute that a door stood open: most minutes none when quiet, more when busy."""
    chance = uniform(key, reading)
    wanted = min(0.95, busy * visits * interval_s / 60.0)
    if chance >= wanted:
        return 0.0
    length = chance / wanted
    return min(60.0, 3.0 + 9.0 * length + 26.0 * length**6)


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
    store, chill, grip = np.empty(n), np.empty(n), np.empty(n)
    doors = np.empty(n + MEMORY)
    faults = np.zeros((3, n))
    touched = False
    row = 0
    minute = 60.0 / interval_s
    for d in range(out.shape[1]):
        key = keys[d]
        site = channels[site_of[d]]
        person = subkey(key, 1)
        freezer = uniform(person, 0) < 0.3
        target = (-19.5 if freezer else 3.2) + 0.8 * normal(person, 1)
        swing_k = 0.75 + 0.12 * normal(person, 2)
        period_s = 840.0 + 600.0 * uniform(person, 3)
        need = 0.5 + 0.045 * normal(person, 4)
        nominal = 6.4 * np.exp(0.16 * normal(person, 5))
        visits = 0.55 * np.exp(0.3 * normal(person, 6))
        defrost_s = 21600.0 if uniform(person, 7) < 0.7 else 28800.0
        defrost_phase = defrost_s * uniform(person, 8)
        melt_s = (22.0 + 5.0 * uniform(person, 9)) * 60.0
        heater = 5.2 * np.exp(0.12 * normal(person, 10))
        pull_s = 1500.0 + 600.0 * uniform(person, 11)
        indoor = 21.0 + 0.9 * normal(person, 12)
        approach = 13.0 + 1.4 * normal(person, 13)
        gap = 7.5 + 0.7 * normal(person, 14)
        damp = 58.0 + 4.0 * normal(person, 15)

        store[:] = 0.0
        add_wander(store, subkey(key, 2), first, max(1, int(12 * minute)), 0.12)
        add_wander(store, subkey(key, 3), first, max(1, int(90 * minute)), 0.25)
        chill[:] = 0.0
        add_wander(chill, subkey(key, 4), first, max(1, int(6 * minute)), 0.05)
        add_wander(chill, subkey(key, 5), first, max(1, int(50 * minute)), 0.10)
        add_wander(chill, subkey(key, 6), first, max(1, int(500 * minute)), 0.12)
        grip[:] = 0.0
        add_wander(grip, subkey(key, 7), first, max(1, int(5 * minute)), 0.006)
        add_wander(grip, subkey(key, 8), first, max(1, int(200 * minute)), 0.010)
        hinges = subkey(key, 9)
        for i in range(n + MEMORY):
            busy = site[BUSINESS, LEAD - MEMORY + i]
            doors[i] = _door(hinges, first - MEMORY + i, busy, visits, interval_s)
        if row < drives.shape[0] and int(drives[row, SLOT]) == d:
            row = fill_drives(faults, drives, row, first, d)
            touched = True
        elif touched:
            faults[:, :] = 0.0
            touched = False

        jitter = subkey(key, 10)
        window = -1
        melting_s, cycle_s = melt_s, period_s
        for i in range(n):
            seconds = float(first + i) * interval_s
            w = LEAD + i
            leak, wear, swing = faults[0, i], faults[1, i], faults[2, i]
            now = int(np.floor((seconds + defrost_phase) / defrost_s))
            if now != window:
                window = now
                melting_s = melt_s * (0.92 + 0.16 * uniform(jitter, 2 * window))
                cycle_s = period_s * (0.94 + 0.12 * uniform(jitter, 2 * window + 1))
            since = seconds + defrost_phase - float(window) * defrost_s
            melting = since < melting_s
            after = since - melting_s

            recent, weight, total = 0.0, 1.0, 0.0
            for back in range(MEMORY):
                recent += weight * doors[i + MEMORY - back]
                total += weight
                weight *= 0.78
            warmth = recent / total / 12.0

            room = indoor + 0.13 * (site[TEMPERATURE, w] - 12.0) + 0.9 * site[BUSINESS, w] + store[i]
            wanted = need + 0.017 * (room - 21.0) + 0.09 * site[BUSINESS, w] + 0.42 * leak + 0.16 * wear
            duty = min(1.0, max(0.15, wanted))
            overload = max(0.0, wanted - 0.93)
            calm = min(1.0, 4.0 * (1.0 - duty))
            phase = (after - pull_s) / cycle_s
            phase -= np.floor(phase)
            pulling = not melting and after < pull_s
            running = not melting and (pulling or phase < duty)
            if pulling or melting:
                saw = 0.0
            elif phase < duty:
                saw = 1.0 - 2.0 * phase / duty
            else:
                saw = 2.0 * (phase - duty) / (1.0 - duty) - 1.0
            saw *= calm
            if melting:
                bump = (1.0 - np.exp(-1.6 * since / melting_s)) / (1.0 - np.exp(-1.6))
                ice = 1.0 - np.exp(-3.0 * since / melting_s)
                spun = np.exp(-since / 420.0)
            else:
                bump = np.exp(-after / 1100.0)
                ice = np.exp(-after / 330.0)
                spun = 1.0 - np.exp(-after / 420.0)
            core = target + swing_k * saw + chill[i] + 0.03 * (room - 21.0)
            core += 0.75 * warmth + 14.0 * overload + 1.1 * leak + 0.25 * swing
            cabinet = core + (3.6 if freezer else 2.6) * bump
            cold = target - gap - (2.6 if pulling else 0.0) * (1.0 - ice) + 2.4 * saw + chill[i]
            cold += 0.5 * warmth + 4.5 * leak + 14.0 * overload + 0.8 * wear + 4.5 * swing
            evaporator = cold + ((7.5 + 0.3 * gap) - cold) * ice * 0.96
            effort = duty * spun
            condenser = room + 3.0 + approach * (effort + 0.32 * (1.0 if pulling else 0.0) * spun) - 2.2 * saw * effort
            condenser += 11.0 * wear * effort - 3.0 * leak * effort
            grid = 1.0 + site[GRID_VOLTAGE, w] / 230.0
            draw = nominal * (1.0 + 0.011 * (condenser - 34.0) + 0.006 * (evaporator - target + gap)) * (1.0 + grip[i])
            draw *= (1.0 + 0.18 * wear - 0.16 * leak + 0.12 * swing) / grid
            o = out[i, d]
            o[CABINET] = cabinet
            o[EVAPORATOR] = evaporator
            o[CONDENSER] = condenser
            o[CURRENT] = draw if running else 0.06
            o[DEFROST] = heater * grid if melting else 0.0
            o[DOOR] = doors[i + MEMORY]
            moist = damp + 0.3 * (site[HUMIDITY, w] - 70.0) + 6.5 * warmth + 9.0 * bump + 2.2 * saw
            o[MOISTURE] = min(98.0, max(15.0, moist + 4.0 * overload + 2.5 * chill[i]))
            o[STORE] = room
