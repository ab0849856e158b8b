"""`faultwatch benchmark cost`: what judging a row costs, by how many devices there are, and how long a start takes."""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

from ..detection.blocks import Block
from ..detection.detector import Detector
from ..detection.state import DetectorState
from .made_fleet import MINUTE_MS, MadeFleet
from .report import machine

START_MS = 1_767_225_600_000
SITE = 20
"""Devices of a site: they are peers, and nothing of the detector is left out."""

DAYS = 30
REPEATS = 3
START = "from {package}.detection.kernel import compiled; compiled()"


def judging(rows: int, fleets: tuple[int, ...], sensors: int = 8) -> dict[str, object]:
    """Figures by number of devices, each on about `rows` rows that come minute by minute; the best of a few runs.

    Rates are of processor time of one core; `replay_s` is one device's 30 days, by the clock.
    """
    fleet = MadeFleet(max(fleets), sensors, START_MS)
    detector = fleet.detector()
    by_devices = {str(devices): _judged(fleet, detector, devices, max(rows // devices, 1)) for devices in fleets}
    return {
        "benchmark": "cost",
        "machine": machine(),
        "sensors": sensors,
        "by_devices": by_devices,
        "replay_s": round(_replay(detector), 3),
    }


def starts() -> dict[str, float]:
    """Seconds by the clock from a new process to a detector that is ready.

    `first_start_s` where it has never been compiled, `start_s` ever after.
    """
    taken = []
    with tempfile.TemporaryDirectory(prefix="faultwatch-cost-") as folder:
        for _ in range(2):
            begun = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", START.format(package=__name__.partition(".")[0])],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
                check=True,
            )
            taken.append(round(time.perf_counter() - begun, 2))
    return {"first_start_s": taken[0], "start_s": taken[1]}


def _judged(fleet: MadeFleet, detector: Detector, devices: int, minutes: int) -> dict[str, float | int]:
    state = _lived(fleet, detector, devices)
    numbers, slots = np.arange(devices), np.arange(devices, dtype=np.int32)
    spent = []
    for repeat in range(REPEATS):
        seconds = 0.0
        for minute in range(repeat * minutes, (repeat + 1) * minutes):
            block = Block(slots, np.full(devices, START_MS + minute * MINUTE_MS), fleet.values(numbers, minute))
            since = time.process_time()
            detector.update(state, block)
            seconds += time.process_time() - since
        spent.append(seconds)
    return {
        "rows": devices * minutes,
        "rows_per_s": round(devices * minutes / min(spent)),
        "bytes_per_device": state.bytes_per_device,
    }


def _lived(fleet: MadeFleet, detector: Detector, devices: int) -> DetectorState:
    """The state of devices that have lived: every one a copy of a prototype's."""
    prototypes = detector.new_state(fleet.prototypes)
    slots = np.arange(fleet.prototypes, dtype=np.int32)
    for readings in fleet.history(0, slots.astype(np.int64)):
        detector.warm(prototypes, Block(slots, readings.ts, readings.values))
    copies = np.arange(devices) % fleet.prototypes
    state = detector.new_state(devices)
    state.put(np.arange(devices), prototypes.take(copies))
    state.place(np.arange(devices) // SITE)
    return state


def _replay(detector: Detector) -> float:
    alone, minutes = MadeFleet(1, detector.n_sensors, START_MS), DAYS * 1440
    values = np.concatenate([alone.prototype_values(minute) for minute in range(minutes)])
    block = Block(np.zeros(minutes, np.int32), START_MS + np.arange(minutes) * MINUTE_MS, values)
    taken = []
    for _ in range(REPEATS):
        state = detector.new_state(1)
        begun = time.perf_counter()
        detector.update(state, block)
        taken.append(time.perf_counter() - begun)
    return min(taken)
