"""How fast a fleet is simulated: device-rows a second on one core, as arrays, as frames, and minute by minute."""

import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

DEVICES = 600
FAULTS = 0.05
REPEATS = 3


def measure(devices: int = DEVICES) -> dict[str, object]:
    """Simulate a day of a fleet of three types with faults and return the figures.

    Rates are device-rows (of 8 sensors) a second of processor time, best of three; the loops run on one thread.
    """
    from .fleet import Fleet

    start = datetime(2026, 6, 1, tzinfo=UTC)
    fleet = Fleet.plan(seed=1, devices=devices, start=start, faults=FAULTS, days=1)
    arrays, frames, minutes = {}, {}, {}
    for device_type in fleet.types:
        name = device_type.name
        fleet.readings(name, start, start + timedelta(minutes=2))  # compiles
        rows = 1440 * len(fleet.group(name))
        arrays[name] = rows / _seconds(partial(fleet.values, name, 0, 1440))
        frames[name] = rows / _seconds(partial(fleet.readings, name, start, start + timedelta(days=1)))
        minutes[name] = len(fleet.group(name)) / _seconds(partial(fleet.values, name, 720, 1))
    return {
        "benchmark": "simulator",
        "machine": f"{platform.machine()}, {_processor()}, Python {platform.python_version()}",
        "devices": devices,
        "rows_per_s": {name: round(rate) for name, rate in arrays.items()},
        "rows_per_s_all_types": round(statistics.harmonic_mean(list(arrays.values()))),
        "rows_per_s_as_frames": {name: round(rate) for name, rate in frames.items()},
        "rows_per_s_minute_by_minute": {name: round(rate) for name, rate in minutes.items()},
    }


def benchmark(
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write the figures to this file too.", metavar="FILE")
    ] = None,
    devices: Annotated[int, typer.Option(min=3, help="How many devices of three types.")] = DEVICES,
) -> None:
    """Measure how fast a fleet is simulated, on one core."""
    import msgspec

    text = msgspec.json.format(msgspec.json.encode(measure(devices)), indent=2)
    typer.echo(text)
    if json_file is not None:
        json_file.write_bytes(text + b"\n")


def _seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        begun = time.process_time()
        work()
        taken.append(time.process_time() - begun)
    return min(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


if __name__ == "__main__":
    typer.run(benchmark)
