"""Measures of a detector against labels: counts of rows, events, ranking. Nothing is point-adjusted.

A row that is alarmed in an anomaly counts, and no other row of that anomaly because of it (Kim et al., 2022, show
what point adjustment does to figures).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

WINDOW = 60


@dataclass(frozen=True, slots=True)
class Judged:
    """The rows of one device as a detector saw them, in order of time.

    `anomaly`, `alarm` bool (n,); `score` float64 (n,), higher where odder; `interval_minutes`, how long a row lasts.
    """

    anomaly: Bools
    alarm: Bools
    score: Floats
    interval_minutes: float

    def __len__(self) -> int:
        return len(self.anomaly)


def runs(mask: Bools) -> list[tuple[int, int]]:
    """First row and the row after the last of every stretch of True, in order."""
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows counted: true and false alarms, missed and quiet ones."""

    hit: int
    false: int
    missed: int
    quiet: int

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> "Rows":
        """Count the rows of all devices together."""
        anomaly = np.concatenate([one.anomaly for one in judged]) if judged else np.zeros(0, np.bool_)
        alarm = np.concatenate([one.alarm for one in judged]) if judged else np.zeros(0, np.bool_)
        hit = int((anomaly & alarm).sum())
        false = int((~anomaly & alarm).sum())
        missed = int((anomaly & ~alarm).sum())
        return cls(hit, false, missed, len(anomaly) - hit - false - missed)

    @property
    def f1(self) -> float | None:
        """Harmonic mean of precision and recall; None where there is neither an anomaly nor an alarm."""
        return _ratio(2 * self.hit, 2 * self.hit + self.false + self.missed)

    @property
    def far(self) -> float | None:
        """False alarm rate: the part of healthy rows that is alarmed."""
        return _ratio(self.false, self.false + self.quiet)

    @property
    def mar(self) -> float | None:
        """Missed alarm rate: the part of anomalous rows that isn't alarmed."""
        return _ratio(self.missed, self.missed + self.hit)

    @property
    def precision(self) -> float | None:
        """The part of alarmed rows that is anomalous."""
        return _ratio(self.hit, self.hit + self.false)

    @property
    def recall(self) -> float | None:
        """The part of anomalous rows that is alarmed."""
        return _ratio(self.hit, self.hit + self.missed)


@dataclass(frozen=True, slots=True)
class Events:
    """Anomalies and alarms counted as stretches of rows.

    `seen` of `anomalies` had an alarmed row; `delays` (minutes, one for each seen) from their first row to the first
    alarmed one; `false` alarms are stretches of alarm that touch no anomaly; `healthy_days`, how long devices were
    healthy.
    """

    anomalies: int
    seen: int
    delays: tuple[float, ...]
    false: int
    healthy_days: float

    @classmethod
    def of(cls, judged: Sequence[Judged]) -> "Events":
        """Count the events of all devices together."""
        anomalies = false = 0
        delays: list[float] = []
        healthy_minutes = 0.0
        for one in judged:
            for start, end in runs(one.anomaly):
                anomalies += 1
                alarmed = np.flatnonzero(one.alarm[start:end])
                if len(alarmed):
                    delays.append(float(alarmed[0]) * one.interval_minutes)
            false += sum(not one.anomaly[start:end].any() for start, end in runs(one.alarm))
            healthy_minutes += float((~one.anomaly).sum()) * one.interval_minutes
        return cls(anomalies, len(delays), tuple(delays), false, healthy_minutes / 1440.0)

    @property
    def recall(self) -> float | None:
        """The part of anomalies that had an alarmed row."""
        return _ratio(self.seen, self.anomalies)

    @property
    def false_a_day(self) -> float | None:
        """False alarms a device has in a day of health."""
        return _ratio(self.false, self.healthy_days)

    @property
    def median_delay(self) -> float | None:
        """Minutes from the start of an anomaly to its first alarmed row, for half of those that were seen."""
        return float(np.median(self.delays)) if self.delays else None


def average_precision(anomaly: Bools, score: Floats) -> float:
    """Area under precision against recall (AUC-PR), each threshold's precision weighted by the recall it adds.

    Rows of one score are taken in together. NaN where no row is anomalous. (Davis and Goadrich, 2006.)
    """
    total = int(anomaly.sum())
    if total == 0:
        return float("nan")
    order, last = _thresholds(score)
    hits = np.cumsum(anomaly[order])[last]
    precision = hits / (last + 1)
    return float(np.sum(np.diff(np.concatenate([[0], hits])) / total * precision))


def volume_under_surface(anomaly: Bools, score: Floats, window: int = WINDOW) -> float:
    """VUS-PR: the mean, over buffers of 0 to `window` rows, of the area under range precision against range recall.

    A buffer around each anomaly forgives alarms that come a little early or last a little long; recall also asks for
    the part of anomalies that is touched at all. NaN where no row is anomalous. (Paparrizos et al., 2022.)
    """
    if not anomaly.any():
        return float("nan")
    order, last = _thresholds(score)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    stretches = runs(anomaly)
    return float(np.mean([_range_area(anomaly, stretches, order, rank, last, size) for size in range(window + 1)]))


def softened(anomaly: Bools, stretches: Sequence[tuple[int, int]], buffer: int) -> Floats:
    """Labels (n,) between 0 and 1: 1 in anomalies, falling as a root to either side over half of `buffer` rows."""
    label = anomaly.astype(np.float64)
    n = len(label)
    for start, end in stretches:
        after = np.arange(end, min(end + buffer // 2, n))
        label[after] += np.sqrt(1.0 - (after - (end - 1)) / max(buffer, 1))
        before = np.arange(max(start - buffer // 2, 0), start)
        label[before] += np.sqrt(1.0 - (start - before) / max(buffer, 1))
    result: Floats = np.minimum(label, 1.0)
    return result


def _range_area(
    anomaly: Bools, stretches: Sequence[tuple[int, int]], order: Integers, rank: Integers, last: Integers, buffer: int
) -> float:
    label = softened(anomaly, stretches, buffer)
    hits = np.cumsum(label[order])[last]
    total = int(anomaly.sum())
    # What recall is asked of: half of it the anomalies themselves, half those and the part of buffers that was taken.
    wanted = total + np.cumsum(np.where(anomaly, 0.0, label)[order])[last] / 2.0
    touched = runs(label > 0)
    first = np.sort([int(rank[start:end].min()) for start, end in touched])
    existence = np.searchsorted(first, last, side="right") / len(touched)
    recall = np.minimum(hits / wanted, 1.0) * existence
    precision = hits / (last + 1)
    return float(np.sum(np.diff(np.concatenate([[0.0], recall])) * precision))


def _thresholds(score: Floats) -> tuple[Integers, Integers]:
    """Rows from odd to usual, (n,), and the places (k,) in that order at which a threshold can cut. NaN comes last."""
    clean = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-clean, kind="stable")
    ordered = clean[order]
    last = np.flatnonzero(np.concatenate([ordered[1:] != ordered[:-1], [True]]))
    return order, last


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
