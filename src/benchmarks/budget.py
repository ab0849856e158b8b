"""`faultwatch benchmark budget`: is the budget of false alerts kept on recordings in which nothing is wrong?

An alert is where the detector's own alarm begins, on rows it didn't learn from. The budget is stated per 1,000
intervals, and kept if the exact Poisson interval of what was counted touches half to twice of it.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..components.model_evaluation.intervals import rate
from ..detection.blocks import Block, TrainingRows
from ..detection.config import DAY_MS, DetectorConfig
from ..detection.detector import Detector
from ..exceptions import ConfigError
from . import protocol_cmapss
from .report import machine

SKAB_FILE = "anomaly-free.csv"
SKAB_LEARNT = 4_000
SKAB_PER_1000 = 4.0
"""Of 9,405 seconds without a fault so many teach; twenty alerts are allowed in the rest."""

CMAPSS_PER_1000 = 20.0
CMAPSS_LEARN = 20
"""The first third of each engine's life counts as healthy: about 70 cycles, of which a device learns from twenty."""

SECOND_MS, CYCLE_MS = 1_000, 3_600_000


def measure(skab: Path | None, cmapss: Path | None) -> dict[str, object]:
    """Figures of each recording that is named. Raises ConfigError where none is or one can't be read."""
    found = {}
    if skab is not None:
        found["skab"] = skab_run(skab)
    if cmapss is not None:
        found["cmapss"] = cmapss_thirds(cmapss)
    if not found:
        raise ConfigError("name at least one recording: --skab FOLDER or --cmapss FILE")
    return {"benchmark": "budget", "machine": machine(), "recordings": found}


def skab_run(folder: Path) -> dict[str, float | int | bool]:
    """SKAB's one run without anomalies, a reading a second: its first rows teach, the rest is judged."""
    path = next(iter(sorted(folder.rglob(SKAB_FILE))), None)
    if path is None:
        raise ConfigError(f"no {SKAB_FILE} in {folder}; github.com/waico/SKAB has it in data/")
    try:
        frame = pl.read_csv(path, separator=";").drop("datetime")
        values = frame.to_numpy().astype(np.float64)
    except (pl.exceptions.PolarsError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as CSV with `;` between columns: {error}") from error
    if len(values) < 2 * SKAB_LEARNT:
        raise ConfigError(f"{path} has {len(values)} rows; expected {2 * SKAB_LEARNT} or more")
    ts = np.arange(len(values)) * SECOND_MS
    slots = np.zeros(len(values), np.int32)
    taught = _rows(slots[:SKAB_LEARNT], ts[:SKAB_LEARNT], values[:SKAB_LEARNT], SECOND_MS, tuple(frame.columns))
    detector = Detector(_config(SKAB_PER_1000, SECOND_MS)).fit(taught)
    state = detector.new_state(1)
    before = Block(slots[:SKAB_LEARNT], ts[:SKAB_LEARNT], values[:SKAB_LEARNT])
    detector.take_habits(state, detector.warm(state, before), before.slots)
    after = Block(slots[SKAB_LEARNT:], ts[SKAB_LEARNT:], values[SKAB_LEARNT:])
    scores = detector.update(state, after)
    return _told(scores.alarm, scores.learning, after.slots, SKAB_PER_1000)


def cmapss_thirds(path: Path) -> dict[str, float | int | bool]:
    """The healthy third of each of NASA's engines: every other engine teaches, the rest are judged from new."""
    engines = protocol_cmapss.read(path)
    names, at = np.unique(engines.engine, return_inverse=True)
    longest = np.zeros(len(names), np.int64)
    np.maximum.at(longest, at, engines.left)
    cycle, life = longest[at] - engines.left + 1, longest[at] + 1
    healthy = cycle <= life / 3
    config = replace(_config(CMAPSS_PER_1000, CYCLE_MS), learn_readings=CMAPSS_LEARN)
    varies = engines.values.std(axis=0) > 1e-9
    parts = []
    for part in (names[::2], names[1::2]):
        rows = np.flatnonzero(healthy & np.isin(engines.engine, part))
        slots = np.searchsorted(part, engines.engine[rows]).astype(np.int32)
        ts = cycle[rows] * CYCLE_MS
        order = np.lexsort((slots, ts))
        parts.append((slots[order], ts[order], np.ascontiguousarray(engines.values[rows[order]][:, varies])))
    taught, judged = parts
    sensors = tuple(f"sensor_{number}" for number in range(int(varies.sum())))
    detector = Detector(config).fit(_rows(*taught, CYCLE_MS, sensors))
    scores = detector.update(detector.new_state(len(names[1::2])), Block(*judged))
    return _told(scores.alarm, scores.learning, judged[0], CMAPSS_PER_1000)


def _config(per_1000: float, interval_ms: int) -> DetectorConfig:
    return DetectorConfig(false_alerts_per_device_day=per_1000 / 1000 * DAY_MS / interval_ms)


def _rows(
    slots: npt.NDArray[np.int32],
    ts: npt.NDArray[np.int64],
    values: npt.NDArray[np.float64],
    interval_ms: int,
    sensors: tuple[str, ...],
) -> TrainingRows:
    return TrainingRows(slots.astype(np.int64), ts, values, interval_ms, sensors, np.full(len(sensors), np.nan))


def _told(
    alarm: npt.NDArray[np.bool_], learning: npt.NDArray[np.bool_], slots: npt.NDArray[np.int32], per_1000: float
) -> dict[str, float | int | bool]:
    order = np.argsort(slots, kind="stable")
    alarm, first = alarm[order], np.diff(slots[order], prepend=-1) != 0
    alerts = int((alarm & (first | ~np.roll(alarm, 1))).sum())
    intervals = int((~learning).sum())
    found = rate(alerts, intervals / 1000)
    return {
        "intervals": intervals,
        "budget_per_1000": per_1000,
        "allowed": round(per_1000 * intervals / 1000, 1),
        "alerts": alerts,
        "alerts_per_1000": round(found.value, 2),
        "low": round(found.low, 2),
        "high": round(found.high, 2),
        "in_alarm": round(float(alarm.mean()), 3),
        "kept": bool(found.high >= per_1000 / 2 and found.low <= 2 * per_1000),
    }
