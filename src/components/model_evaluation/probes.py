"""Probes: known faults put into rows that a model hasn't seen, so that it can be judged where nobody labelled any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ...detection.blocks import Scores
from ...detection.detector import Detector
from ..replaying import DeviceRows, Settled, alerts, judge, thresholds

Floats = npt.NDArray[np.float64]
DAY_MS = 86_400_000
KINDS = ("step", "drift", "noise", "stuck")
STEP, DRIFT, NOISE = 4.0, 8.0, 4.0
"""Sizes in spreads of the sensor: a step, what a drift comes to within a day, and noise on top."""


@dataclass(frozen=True, slots=True)
class Probes:
    """Copies of devices with a fault in each: `of` (k,) the device's slot, `kind` (k,) its place in KINDS, `rows` of
    the copies, numbered 0 to k - 1, from `start_ms`, when the faults begin, back to the judged time and on to
    `end_ms`."""

    of: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    sensor: npt.NDArray[np.int64]
    rows: DeviceRows
    start_ms: int
    end_ms: int

    def chosen(self, kept: npt.NDArray[np.bool_]) -> "Probes":
        """Some of the copies (k,), numbered anew."""
        rows = self.rows.take(kept[self.rows.slots])
        slots = (np.cumsum(kept) - 1)[rows.slots].astype(np.int32)
        renumbered = replace(rows, keys=np.arange(int(kept.sum())), slots=slots, sites=rows.sites[kept])
        return replace(self, of=self.of[kept], kind=self.kind[kept], sensor=self.sensor[kept], rows=renumbered)


def plan(rows: DeviceRows, spread: Floats, candidates: Sequence[int], most: int) -> Probes | None:
    """Put each kind of fault into copies of up to `most` devices, in one sensor each, in turn.

    `rows` are judged rows; `spread` (S,) of a sensor's healthy values, 0 or NaN where it can't be told.
    """
    sensors = np.flatnonzero(np.nan_to_num(spread) > 0)
    present = np.bincount(rows.slots, minlength=len(rows.keys))
    chosen = [slot for slot in candidates if present[slot] > 10][:most]
    if not len(sensors) or not chosen:
        return None
    first, last = int(rows.ts.min()), int(rows.ts.max())
    start_ms = first + (last - first) // 10
    end_ms = min(last + 1, start_ms + DAY_MS)
    ends = np.searchsorted(rows.slots, np.arange(len(rows.keys) + 1))
    pieces: list[tuple[Floats, npt.NDArray[np.int64]]] = []
    of, kinds, blamed = [], [], []
    for number, slot in enumerate(chosen):
        mine = slice(ends[slot], ends[slot + 1])
        early = rows.ts[mine] < end_ms
        ts, values = rows.ts[mine][early], rows.values[mine][early]
        for kind in range(len(KINDS)):
            sensor = int(sensors[(number + kind) % len(sensors)])
            pieces.append((_with_fault(values, ts, kind, sensor, spread[sensor], start_ms, slot), ts))
            of.append(slot)
            kinds.append(kind)
            blamed.append(sensor)
    copies = DeviceRows(
        np.arange(len(pieces)),
        np.repeat(np.arange(len(pieces), dtype=np.int32), [len(ts) for _, ts in pieces]),
        np.concatenate([ts for _, ts in pieces]),
        np.concatenate([values for values, _ in pieces]),
        rows.sensors,
        np.full(len(pieces), -1),
    )
    return Probes(np.array(of), np.array(kinds), np.array(blamed), copies, start_ms, end_ms)


def _with_fault(
    values: Floats, ts: npt.NDArray[np.int64], kind: int, sensor: int, spread: float, start_ms: int, seed: int
) -> Floats:
    changed = values.copy()
    on = ts >= start_ms
    column = changed[:, sensor]
    if KINDS[kind] == "step":
        column[on] += STEP * spread
    elif KINDS[kind] == "drift":
        column[on] += DRIFT * spread * (ts[on] - start_ms) / DAY_MS
    elif KINDS[kind] == "noise":
        column[on] += NOISE * spread * np.random.default_rng((seed, kind)).standard_normal(int(on.sum()))
    else:
        held = column[on & np.isfinite(column)]
        column[on] = held[0] if len(held) else np.nan
    return changed


def caught(
    detector: Detector, settled: Settled, probes: Probes, false_alerts_per_device_day: float, interval_ms: int
) -> Floats:
    """Minutes (k,) from each probe's fault to the first alert that opened in it; infinite where none did.

    `settled` are the devices that the probes are copies of, before the judged time.
    """
    copies = settled.copies(probes.of)
    scores: Scores = judge(detector, copies, probes.rows)
    enter, leave = thresholds(detector, copies, false_alerts_per_device_day)
    opened = alerts(probes.rows, scores, enter, leave, interval_ms)
    minutes = np.full(len(probes.of), np.inf)
    fair = (opened.at_ms >= probes.start_ms) & (opened.at_ms < probes.end_ms)
    np.minimum.at(minutes, opened.slot[fair], (opened.at_ms[fair] - probes.start_ms) / 60_000)
    return minutes


def spreads(rows: DeviceRows) -> Floats:
    """The usual spread (S,) of each sensor within a device: the median over devices of their robust deviation."""
    ends = np.searchsorted(rows.slots, np.arange(len(rows.keys) + 1))
    each = []
    for slot in range(len(rows.keys)):
        values = rows.values[ends[slot] : ends[slot + 1]]
        if len(values) > 10:
            with np.errstate(invalid="ignore"):
                low, high = np.nanquantile(np.where(np.isfinite(values), values, np.nan), (0.16, 0.84), axis=0)
            each.append((high - low) / 2)
    return np.nanmedian(np.array(each), axis=0) if each else np.full(rows.values.shape[1], np.nan)


def by_kind(minutes: Floats, kind: npt.NDArray[np.int64]) -> Mapping[str, float]:
    """The share of each kind of probe that was caught."""
    return {
        name: float(np.isfinite(minutes[kind == place]).mean())
        for place, name in enumerate(KINDS)
        if (kind == place).any()
    }
