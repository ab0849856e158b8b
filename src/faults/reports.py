"""What several fault reports of a device come to: one label for each time, that of the report made last."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class Reported:
    """A device was faulty from `start_ms` to `end_ms` (None: still is), as somebody said at `said_ms`."""

    device_key: int
    start_ms: int
    end_ms: int | None
    kind: str
    said_ms: int


def without_overlaps(reports: Iterable[Reported]) -> list[Reported]:
    """Labels by device and start, no two of a device at one time.

    Reports of one kind that overlap or touch are one label. Where kinds contradict each other, what was said last
    holds, and of two said at once the later in `reports`. A report that ends before it begins is left as it is, for
    validation to tell of.
    """
    by_device: dict[int, list[Reported]] = {}
    wrong = []
    for report in reports:
        if report.end_ms is not None and report.end_ms < report.start_ms:
            wrong.append(report)
        else:
            by_device.setdefault(report.device_key, []).append(report)
    labels = [label for mine in by_device.values() for label in _of_device(mine)]
    return sorted([*labels, *wrong], key=lambda label: (label.device_key, label.start_ms, label.kind))


def _of_device(reports: Sequence[Reported]) -> list[Reported]:
    """Go through the times at which something begins or ends; the last said of those that hold is on top."""
    coming = sorted(range(len(reports)), key=lambda number: reports[number].start_ms, reverse=True)
    times = sorted({report.start_ms for report in reports} | {_end(report) for report in reports})
    held: list[tuple[int, int]] = []
    labels: list[Reported] = []
    for left, right in pairwise(times):
        while coming and reports[coming[-1]].start_ms <= left:
            number = coming.pop()
            heapq.heappush(held, (-reports[number].said_ms, -number))
        while held and _end(reports[-held[0][1]]) <= left:
            heapq.heappop(held)
        if held:
            _append(labels, reports[-held[0][1]], left, right)
    return labels


def _append(labels: list[Reported], top: Reported, left: int, right: int) -> None:
    start, said = left, top.said_ms
    if labels and _end(labels[-1]) == left and labels[-1].kind == top.kind:
        before = labels.pop()
        start, said = before.start_ms, max(said, before.said_ms)
    labels.append(Reported(top.device_key, start, None if right == FOREVER_MS else right, top.kind, said))


def _end(report: Reported) -> int:
    return FOREVER_MS if report.end_ms is None else report.end_ms
