"""The physics of a pump station: demand, speed, a pump curve against a system curve, heat and vibration."""

import numpy as np
from numpy.typing import NDArray

from ..compiled import compiled
from .drives import SLOT, fill_drives
from .randomness import Floats, add_wander, normal, subkey, uniform
from .weather import BUSINESS, DEMAND, GRID_VOLTAGE, LEAD, TEMPERATURE, USAGE

VIBRATION, BEARING, MOTOR, CURRENT, SPEED, FLOW, SUCTION, DISCHARGE = range(8)
CYCLES_BACK = 8


@compiled
def _duty(key: np.uint64, cycle: int, mode: int, start_s: float, clock_s: float) -> float:
    """Return the share of a cycle in which the pump runs: always, less at night, or by the hour."""
    if mode == 0:
        return 1.0
    hours = (start_s + clock_s) / 3600.0
    hour = hours - 24.0 * np.floor(hours / 24.0)
    chance = uniform(key, cycle)
    if mode == 1:
        return 0.38 + 0.3 * chance if hour < 5.0 or hour >= 22.5 else 1.0
    busy = 0.5 - 0.5 * np.cos((hour - 3.5) * np.pi / 12.0)
    return float(min(0.92, 0.3 + 0.45 * busy + 0.14 * chance))


@compiled
def _cool(warm: float, seconds: float) -> float:
    return warm * float(np.exp(-seconds / 2400.0))


@compiled
def _heat(warm: float, seconds: float) -> float:
    return 1.0 + (warm - 1.0) * float(np.exp(-seconds / 1500.0))


@compiled
def _warm_at_start(key: np.uint64, cycle: int, mode: int, period_s: float, phase_s: float, clock_s: float) -> float:
    """Return how warm the machine is, 0 to 1, when a cycle starts, from the cycles before it."""
    warm = 0.7
    for c in range(cycle - CYCLES_BACK, cycle):
        running = period_s * _duty(key, c, mode, float(c) * period_s - phase_s, clock_s)
        warm = _cool(_heat(warm, running), period_s - running)
    return warm


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

    Arguments: the number of the first reading, seconds between two, key and site of each device, the sites'
    channels and winter clocks (weather.py), and faults of the physics (drives.py).
    """
    n = out.shape[0]
    load, slow, heat, shake, level = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    faults = np.zeros((3, n))
    touched = False
    row = 0
    minute = 60.0 / interval_s
    for d in range(out.shape[1]):
        key = keys[d]
        site = channels[site_of[d]]
        clock = clock_s[site_of[d]]
        person = subkey(key, 1)
        nominal_flow = 110.0 * np.exp(0.35 * normal(person, 0))
        head = 34.0 * np.exp(0.18 * normal(person, 1))
        static = 0.45 * head * np.exp(0.05 * normal(person, 2))
        efficiency = 0.7 + 0.03 * normal(person, 3)
        homes = 0.55 + 0.45 * uniform(person, 4)
        slowest = 0.735 + 0.02 * normal(person, 5)
        span = 0.24 + 0.025 * normal(person, 6)
        nominal_rpm = 2930.0 if uniform(person, 7) < 0.4 else 1465.0
        quiet = 1.7 * np.exp(0.25 * normal(person, 8))
        resonance = 0.86 + 0.06 * normal(person, 9)
        bearing_rise = 24.0 + 3.0 * normal(person, 10)
        motor_rise = 41.0 + 5.0 * normal(person, 11)
        inlet = 1.5 + 0.35 * normal(person, 12)
        pick = uniform(person, 13)
        mode = 0 if pick < 0.55 else (1 if pick < 0.85 else 2)
        period_s = 2700.0 + 3600.0 * uniform(person, 14)
        phase_s = period_s * uniform(person, 15)
        rated = 9.81 * nominal_flow / 3600.0 * head / (efficiency * 0.92) / (0.4 * 1.732 * 0.86)

        load[:] = 0.0
        add_wander(load, subkey(key, 2), first, max(1, int(4 * minute)), 0.010)
        add_wander(load, subkey(key, 3), first, max(1, int(25 * minute)), 0.022)
        slow[:] = 0.0
        add_wander(slow, subkey(key, 4), first, max(1, int(150 * minute)), 0.030)
        heat[:] = 0.0
        add_wander(heat, subkey(key, 5), first, max(1, int(20 * minute)), 0.18)
        add_wander(heat, subkey(key, 6), first, max(1, int(240 * minute)), 0.55)
        shake[:] = 0.0
        add_wander(shake, subkey(key, 7), first, max(1, int(3 * minute)), 0.030)
        add_wander(shake, subkey(key, 8), first, max(1, int(30 * minute)), 0.035)
        add_wander(shake, subkey(key, 9), first, max(1, int(400 * minute)), 0.035)
        level[:] = 0.0
        add_wander(level, subkey(key, 10), first, max(1, int(90 * minute)), 0.030)
        add_wander(level, subkey(key, 11), first, max(1, int(700 * minute)), 0.045)
        if row < drives.shape[0] and int(drives[row, SLOT]) == d:
            row = fill_drives(faults, drives, row, first, d)
            touched = True
        elif touched:
            faults[:, :] = 0.0
            touched = False

        cycles = subkey(key, 12)
        cycle = -1
        warm_start, running_s = 1.0, period_s
        for i in range(n):
            seconds = float(first + i) * interval_s
            w = LEAD + i
            leak, wear, swing = faults[0, i], faults[1, i], faults[2, i]
            running, warm = True, 1.0
            if mode != 0:
                now = int(np.floor((seconds + phase_s) / period_s))
                if now != cycle:
                    cycle = now
                    warm_start = _warm_at_start(cycles, cycle, mode, period_s, phase_s, clock)
                    running_s = period_s * _duty(cycles, cycle, mode, float(cycle) * period_s - phase_s, clock)
                since = seconds + phase_s - float(cycle) * period_s
                running = since < running_s
                warm = _heat(warm_start, min(since, running_s))
                if not running:
                    warm = _cool(warm, since - running_s)
            demand = homes * site[DEMAND, w] + (1.0 - homes) * (0.25 + 0.75 * site[BUSINESS, w])
            demand = demand * (1.0 + 0.07 * site[USAGE, w]) + slow[i]
            steady = slowest + span * min(1.1, max(0.0, demand))
            speed = (slowest + span * min(1.1, max(0.0, demand + load[i]))) * (1.0 + 0.05 * swing)
            curve = 1.25 * (1.0 - 0.07 * wear) * head
            square = (curve * speed * speed - static) / ((head - static) * (1.0 - 0.55 * leak) + 0.25 * head)
            relative = np.sqrt(max(0.0, square)) if running else 0.0
            lift = curve * speed * speed - 0.25 * head * square if running else static
            flow = nominal_flow * relative
            grid = 1.0 + site[GRID_VOLTAGE, w] / 230.0
            point = relative / max(speed, 0.1) - 1.0
            yield_ = efficiency * (1.0 - 0.10 * wear) * (1.0 - 0.35 * point * point)
            power = 9.81 * flow / 3600.0 * lift / (yield_ * 0.92) + 0.05 * rated * speed
            current = (power / (0.4 * 1.732 * 0.86) + 0.08 * rated) / grid if running else 0.0
            ratio = current / rated
            room = 15.0 + 0.5 * (site[TEMPERATURE, w] - 10.0)
            suction = inlet - 0.14 * relative * relative - 0.12 * (site[DEMAND, w] - 0.5) + level[i]
            bump = (speed - resonance) / 0.022
            shaking = 0.04
            if running:
                shaking = quiet * (0.25 + 0.75 * speed * speed + 0.8 * point * point) * (1.0 + shake[i])
                shaking += 0.22 * quiet * np.exp(-0.5 * bump * bump)
                shaking *= 1.0 + 2.2 * wear
            o = out[i, d]
            o[VIBRATION] = shaking
            o[BEARING] = room + warm * (bearing_rise * (0.4 + 0.6 * steady * steady) + 24.0 * wear) + heat[i]
            stator = ratio * (steady / speed) ** 3 if running else 0.75
            o[MOTOR] = room + warm * motor_rise * (0.3 + 0.7 * stator * stator) + 1.6 * heat[i]
            o[CURRENT] = current
            o[SPEED] = nominal_rpm * speed if running else 0.0
            o[FLOW] = flow
            o[SUCTION] = suction
            o[DISCHARGE] = suction + 0.0981 * lift
