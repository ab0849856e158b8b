"""`faultwatch benchmark drift`: how often stable weeks are called drift, and how often a small shift is seen.

A simulated fleet without faults, with weather and seasons, week after week: each is compared with the four before it.
Then, week by week and sensor by sensor in turn, a tenth of the devices is shifted by 0.3 spreads. Readings are taken at
random minutes, `PER_DAY` a day: less than a lake holds, so what is noise in a reading is more of it here. One
type and fewer weeks are a part of it that ends sooner; another seed is another fleet.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ..detection.blocks import F64, I64
from ..drift.by_device import DeviceDrift, device_drift
from ..drift.pooled import ALPHA, Slice, plain_ks, pooled_drift
from ..drift.surprise import surprises
from ..simulator.fleet import Fleet
from .report import machine

BEFORE = 4
PER_DAY = 12
SHIFT = 0.3
SHIFTED = 0.1
START = datetime(2024, 1, 1, tzinfo=UTC)
DAY_MINUTES = 1440


@dataclass(frozen=True, slots=True)
class Scale:
    """How many devices of each type, over how many weeks."""

    devices: int
    weeks: dict[str, int]


SCALES = {
    "ci": Scale(200, {"pump_station": 10}),
    "full": Scale(1000, {"pump_station": 72, "solar_inverter": 72, "refrigerated_display": 72}),
}


@dataclass(frozen=True, slots=True)
class Weeks:
    """Readings float32 (n_weeks, 7, PER_DAY, n_devices, S), a sample of readings of each week (n_weeks, k, S), sites
    (n_devices,), and the normal spread (S,) and name of each sensor."""

    cells: npt.NDArray[np.float32]
    readings: F64
    sites: I64
    spreads: F64
    sensors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """By week after the first four: whether each level called it drift as it was, and with the shift (by device)."""

    plain: list[bool]
    pooled: list[bool]
    by_device: list[bool]
    shifted_pooled: list[bool]
    seen: list[tuple[str, bool]]


def run(
    size: Literal["ci", "full"],
    json_file: Path,
    say: Callable[[str], None],
    only: Mapping[str, int] | None = None,
    seed: int = 1,
) -> str:
    """Measure, write the JSON file and a table beside it; return the table. `only`: so many weeks of these types,
    instead of the size's."""
    scale = SCALES[size]
    types = {}
    for name, weeks in (only or scale.weeks).items():
        say(f"{name}: {weeks} weeks of {scale.devices} devices")
        types[name] = figures_of(judge(simulate(name, weeks, scale.devices, seed)))
    text = table(types)
    json_file.with_suffix(".md").write_text(text, encoding="utf-8")
    told = {
        "benchmark": "drift",
        "size": size,
        "machine": machine(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "devices": scale.devices,
        "seed": seed,
        "shift_spreads": SHIFT,
        "shifted_share": SHIFTED,
        "types": types,
    }
    json_file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    return text


def simulate(type_name: str, weeks: int, devices: int, seed: int = 1) -> Weeks:
    """Weeks of a fleet without faults, at random minutes of each part of the day."""
    fleet = Fleet.plan(seed=seed, devices=devices, sites=50, start=START, types=[type_name], days=weeks * 7)
    group = fleet.groups[0]
    n_sensors = len(group.model.type.sensors)
    chance = np.random.default_rng(seed)
    cells = np.empty((weeks, 7, PER_DAY, devices, n_sensors), np.float32)
    readings = []
    for week in range(weeks):
        minutes = [
            week * 7 * DAY_MINUTES + int((part + chance.random()) * DAY_MINUTES / PER_DAY)
            for part in range(7 * PER_DAY)
        ]
        block = np.stack([fleet.values(type_name, minute, 1)[0] for minute in minutes])
        cells[week] = block.reshape(7, PER_DAY, devices, n_sensors)
        some = chance.integers(0, len(block), 20)
        readings.append(block[some].reshape(-1, n_sensors)[::2])
    spreads = np.array([group.model.sensors[name].spread for name in group.model.type.sensor_names])
    return Weeks(cells, np.stack(readings), group.site_of.astype(np.int64), spreads, group.model.type.sensor_names)


def judge(weeks: Weeks) -> Verdicts:
    """One verdict a week on each level; then the same week with a tenth of the devices shifted in one sensor."""
    chance = np.random.default_rng(0)
    n_devices = len(weeks.sites)
    found = Verdicts([], [], [], [], [])
    for week in range(BEFORE, len(weeks.cells)):
        recent = weeks.cells[week - BEFORE : week + 1].astype(np.float64)
        slices = _slices(weeks, week)
        found.plain.append(any(plain_ks(one.before, one.current) < ALPHA for one in slices))
        found.pooled.append(any(one.drifted for one in pooled_drift(slices)))
        found.by_device.append(any(one.drifted for one in _by_device(weeks, recent)))
        sensor = week % len(weeks.sensors)
        members = chance.permutation(n_devices)[: round(SHIFTED * n_devices)]
        recent[-1][..., members, sensor] += SHIFT * weeks.spreads[sensor]
        found.seen.append((weeks.sensors[sensor], _by_device(weeks, recent)[sensor].drifted))
        moved = weeks.readings[week].copy()
        hit = chance.random(len(moved)) < SHIFTED
        moved[hit, sensor] += SHIFT * weeks.spreads[sensor]
        slices[sensor] = Slice("all", weeks.sensors[sensor], slices[sensor].before, moved[:, sensor])
        found.shifted_pooled.append(pooled_drift(slices)[sensor].drifted)
    return found


def _by_device(weeks: Weeks, recent: F64) -> list[DeviceDrift]:
    parts = surprises(recent, weeks.sites)
    return device_drift(parts[:-1], parts[-1], weeks.sites, weeks.sensors)


def _slices(weeks: Weeks, week: int) -> list[Slice]:
    return [
        Slice("all", name, [weeks.readings[at, :, s] for at in range(week - BEFORE, week)], weeks.readings[week, :, s])
        for s, name in enumerate(weeks.sensors)
    ]


def figures_of(found: Verdicts) -> dict[str, float | int | dict[str, float]]:
    """Shares of weeks: false alarms of each level, and power by device, over all sensors and for each."""
    names = sorted({name for name, _ in found.seen})
    by_sensor = {name: float(np.mean([seen for one, seen in found.seen if one == name])) for name in names}
    return {
        "weeks": len(found.plain),
        "plain_ks_false_alarms": round(float(np.mean(found.plain)), 3),
        "pooled_false_alarms": round(float(np.mean(found.pooled)), 3),
        "by_device_false_alarms": round(float(np.mean(found.by_device)), 3),
        "pooled_power": round(float(np.mean(found.shifted_pooled)), 3),
        "by_device_power": round(float(np.mean([seen for _, seen in found.seen])), 3),
        "by_device_power_of": {name: round(power, 2) for name, power in by_sensor.items()},
    }


def table(types: dict[str, dict[str, float | int | dict[str, float]]]) -> str:
    """Figures by type as a Markdown table."""
    lines = [
        "| type | weeks | plain KS: false alarms | pooled: false alarms | by device: false alarms | pooled: power"
        " | by device: power | of each sensor |",
        "| --- |" + " ---: |" * 6 + " --- |",
    ]
    for name, each in types.items():
        of = each["by_device_power_of"]
        sensors = ", ".join(f"{sensor} {power}" for sensor, power in of.items()) if isinstance(of, dict) else ""
        cells = " | ".join(str(value) for key, value in each.items() if key != "by_device_power_of")
        lines.append(f"| {name} | {cells} | {sensors} |")
    return "\n".join(lines) + "\n"
