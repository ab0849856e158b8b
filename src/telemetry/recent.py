"""`RecentRows`: the rows of the last minutes, held to tell repeated rows from new ones before the lake has them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

KEEP_MS = 120_000
"""How long rows stay at least: two commits to the lake, which come once a minute."""

MAX_ROWS = 500_000
"""How many rows of a type are held at most; what is dropped early is settled by the lake's commit instead."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of n readings: `found` bool (n,), `unsettled` bool (n,), `values` float64 (n, n_sensors).

    `unsettled` marks readings of which the lake may hold more than is in memory; `values` is NaN where no
    value of that sensor is known.
    """

    found: Bools
    unsettled: Bools
    values: Floats


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows sorted by `order`; once merged, each reading stands once."""

    order: npt.NDArray[np.uint64]
    keys: Ints
    ts: Ints
    values: Floats
    unsettled: Bools

    def __len__(self) -> int:
        return len(self.order)


def reading_order(keys: Ints, ts: Ints) -> npt.NDArray[np.uint64]:
    """One number per reading, for sorting and searching: equal readings get equal numbers.

    Unequal readings may only share one where their times are 49.7 days apart or their keys 2^32, so a match
    is to be verified.
    """
    return (keys.astype(np.uint64) << np.uint64(32)) | (ts.astype(np.uint64) & np.uint64(0xFFFF_FFFF))


def first_values(values: Floats, starts: npt.NDArray[np.intp]) -> tuple[Floats, npt.NDArray[np.intp]]:
    """The first value of each sensor in each segment of rows.

    `values` (n, s), NaN = missing; `starts` (m,), where segments begin. Returns the values (m, s) and the
    rows they stand in (m, s), which is n where a segment has none.
    """
    n = len(values)
    where = np.where(np.isnan(values), n, np.arange(n)[:, None])
    rows = np.minimum.reduceat(where, starts, axis=0)
    padded = np.concatenate([values, np.full((1, values.shape[1]), np.nan)])
    return np.take_along_axis(padded, rows, axis=0), rows


class RecentRows:
    """The accepted rows of ONE device type of at least the last `keep_ms`, at most `max_rows`.

    Adding costs nothing but the reference; sorting is put off until somebody asks. Two generations take
    turns, so that old rows go without being looked at one by one.
    """

    def __init__(self, keep_ms: int = KEEP_MS, max_rows: int = MAX_ROWS) -> None:
        self.keep_ms = keep_ms
        self.max_rows = max_rows
        self._older: list[_Run] = []
        self._runs: list[_Run] = []
        self._pending: list[tuple[Ints, Ints, Floats, Bools]] = []
        self._rows = 0
        self._since_ms: int | None = None

    def add(self, keys: Ints, ts: Ints, values: Floats, unsettled: Bools, now_ms: int) -> None:
        """Hold accepted rows: keys, ts (n,), values (n, s); `unsettled` (n,) as in `Known`."""
        if self._since_ms is None:
            self._since_ms = now_ms
        if now_ms - self._since_ms >= self.keep_ms or self._rows + len(keys) > self.max_rows // 2:
            self._sort_pending()
            self._older, self._runs, self._rows, self._since_ms = self._runs, [], 0, now_ms
        self._pending.append((keys, ts, values, unsettled))
        self._rows += len(keys)

    def find(self, keys: Ints, ts: Ints, n_sensors: int) -> Known:
        """What is known of the readings keys, ts (n,), over `n_sensors` sensors; earlier rows go before later ones."""
        self._sort_pending()
        known = Known(np.zeros(len(keys), bool), np.zeros(len(keys), bool), np.full((len(keys), n_sensors), np.nan))
        order = reading_order(keys, ts)
        for run in (*self._older, *self._runs):
            at = np.minimum(np.searchsorted(run.order, order), len(run) - 1)
            hit = np.flatnonzero((run.keys[at] == keys) & (run.ts[at] == ts))
            row = at[hit]
            known.found[hit] = True
            known.unsettled[hit] |= run.unsettled[row]
            width = min(n_sensors, run.values.shape[1])
            have = known.values[hit, :width]
            known.values[hit, :width] = np.where(np.isnan(have), run.values[row, :width], have)
        return known

    def _sort_pending(self) -> None:
        if not self._pending:
            return
        width = max(values.shape[1] for _, _, values, _ in self._pending)
        run = _sorted_run(
            np.concatenate([keys for keys, _, _, _ in self._pending]),
            np.concatenate([ts for _, ts, _, _ in self._pending]),
            np.concatenate([_widened(values, width) for _, _, values, _ in self._pending]),
            np.concatenate([unsettled for _, _, _, unsettled in self._pending]),
        )
        self._pending = []
        # Runs at least double in size from new to old, so there are few, and a row is merged log2 times.
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = _merged(self._runs.pop(), run)
        if len(run):
            self._runs.append(run)


def _widened(values: Floats, width: int) -> Floats:
    missing = width - values.shape[1]
    return np.concatenate([values, np.full((len(values), missing), np.nan)], axis=1) if missing else values


def _merged(older: _Run, newer: _Run) -> _Run:
    width = max(older.values.shape[1], newer.values.shape[1])
    return _sorted_run(
        np.concatenate([older.keys, newer.keys]),
        np.concatenate([older.ts, newer.ts]),
        np.concatenate([_widened(older.values, width), _widened(newer.values, width)]),
        np.concatenate([older.unsettled, newer.unsettled]),
    )


def _sorted_run(keys: Ints, ts: Ints, values: Floats, unsettled: Bools) -> _Run:
    order = reading_order(keys, ts)
    index = np.argsort(order, kind="stable")
    order, keys, ts, values, unsettled = order[index], keys[index], ts[index], values[index], unsettled[index]
    first = np.ones(len(order), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (ts[1:] != ts[:-1])
    if first.all():
        return _Run(order, keys, ts, values, unsettled)
    starts = np.flatnonzero(first)
    joined, _ = first_values(values, starts)
    return _Run(order[starts], keys[starts], ts[starts], joined, np.logical_or.reduceat(unsettled, starts))
