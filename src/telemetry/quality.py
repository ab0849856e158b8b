"""Row checks: which rows are taken, which are not and why, which are here already; vectorised, over one device type."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from .recent import Bools, Floats, Ints, RecentRows, first_values, reading_order
from .schema import DeviceType, Sensor
from .timestamps import show_time

Codes = npt.NDArray[np.uint8]


class Reason(IntEnum):
    """Why a row was not taken; `fine` where it was. `duplicate` is no fault: the row is here already."""

    fine = 0
    unparsable = 1
    unknown_device = 2
    forbidden_device = 3
    unknown_type = 4
    wrong_type = 5
    unknown_sensor = 6
    not_finite = 7
    out_of_range = 8
    future = 9
    too_old = 10
    duplicate = 11
    conflict = 12


REASONS: tuple[str, ...] = tuple(reason.name for reason in Reason)
"""The word of each code, by the code."""


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """How far from the wall clock a live reading may be: `ahead_ms` in the future, `age_ms` in the past."""

    ahead_ms: int = 5 * 60_000
    age_ms: int = 48 * 3_600_000


@dataclass(frozen=True, slots=True)
class Settled:
    """What `settle` said of n rows.

    `codes` uint8 (n,): fine, duplicate or conflict. `unchecked` bool (n,): taken, and yet to be told from
    duplicates by the lake. `present`: for a row in conflict, the values (n_sensors,) that stay.
    """

    codes: Codes
    unchecked: Bools
    present: dict[int, Floats] = field(default_factory=dict)


def cut_timestamps(ts: Ints, resolution_ms: int) -> Ints:
    """Cut times in ms (n,) to the type's resolution, downwards."""
    return ts if resolution_ms <= 1 else ts - ts % resolution_ms


def check_rows(ts: Ints, values: Floats, device_type: DeviceType, now_ms: int, limits: LiveLimits | None) -> Codes:
    """Check rows one by one: ts (n,), values (n, n_sensors), NaN = missing. Returns a `Reason` code per row (n,).

    Infinite values are `not_finite`, values of retired sensors `unknown_sensor`; ranges are inclusive.
    `limits` None checks no time: backfill takes any.
    """
    codes = np.zeros(len(ts), np.uint8)
    if limits is not None:
        codes[ts < now_ms - limits.age_ms] = Reason.too_old
        codes[ts > now_ms + limits.ahead_ms] = Reason.future
    low = np.array([-np.inf if s.low is None else s.low for s in device_type.sensors])
    high = np.array([np.inf if s.high is None else s.high for s in device_type.sensors])
    outside = ((values < low) | (values > high)).any(axis=1)
    codes[outside] = Reason.out_of_range
    codes[np.isinf(values).any(axis=1)] = Reason.not_finite
    retired = [i for i, sensor in enumerate(device_type.sensors) if sensor.retired]
    if retired:
        codes[~np.isnan(values[:, retired]).all(axis=1)] = Reason.unknown_sensor
    return codes


def outside_bits(values: Floats, device_type: DeviceType) -> int:
    """A bit for each sensor of a row (n_sensors,) whose value is out of its range."""
    row = zip(device_type.sensors, values.tolist(), strict=True)
    return sum(1 << at for at, (sensor, value) in enumerate(row) if value == value and not _within(sensor, value))


def explain_row(
    code: int, ts_ms: int, values: Floats, device_type: DeviceType, now_ms: int, limits: LiveLimits | None
) -> str:
    """Say in a sentence why `check_rows` did not take a row; `values` (n_sensors,)."""
    if code == Reason.future and limits is not None:
        return (
            f"timestamp {show_time(ts_ms)} is {_span(ts_ms - now_ms)} ahead of this server's clock;"
            f" it may be {_span(limits.ahead_ms)} at most: set the device's clock"
        )
    if code == Reason.too_old and limits is not None:
        return (
            f"timestamp {show_time(ts_ms)} is {_span(now_ms - ts_ms)} old; live readings may be {_span(limits.age_ms)}"
            " old at most: send older ones as a file with `faultwatch ingest`"
        )
    for sensor, value in zip(device_type.sensors, values.tolist(), strict=True):
        if value != value:
            continue
        if code == Reason.not_finite and value in (float("inf"), float("-inf")):
            return not_finite(sensor.name, value)
        if code == Reason.unknown_sensor and sensor.retired:
            return f"sensor {sensor.name!r} of type {device_type.name!r} is retired: leave it out"
        if code == Reason.out_of_range and not _within(sensor, value):
            return f"{sensor.name} is {_number(value, sensor.unit)}; {_range(sensor)}"
    raise ValueError(f"code {code} does not fit the row")


def not_finite(sensor: str, value: float) -> str:
    """Say that a value is NaN or infinite."""
    return f"{sensor} is {value}, not a finite number: send null where there is no value"


def unknown_sensor(names: Sequence[str], device_type: DeviceType) -> str:
    """Say that a row names sensors that its type does not have."""
    theirs = ", ".join(sensor.name for sensor in device_type.sensors if not sensor.retired)
    listed = ", ".join(repr(name[:80]) for name in names[:5])
    what = f"sensor {listed} is" if len(names) == 1 else f"sensors {listed}{' …' if len(names) > 5 else ''} are"
    return f"{what} not of type {device_type.name!r}, which has {theirs}"


def explain_conflict(ts_ms: int, values: Floats, present: Floats, device_type: DeviceType) -> str:
    """Say which value of a row differs from the one that is here; both (n_sensors,)."""
    for sensor, value, stays in zip(device_type.sensors, values.tolist(), present.tolist(), strict=True):
        if value == value and stays == stays and value != stays:
            return (
                f"there is a reading of {show_time(ts_ms)} already, with {sensor.name} {_number(stays, sensor.unit)}"
                f" instead of {_number(value, sensor.unit)}: the first one stays"
            )
    raise ValueError("the row is in no conflict with what is present")


def settle(keys: Ints, ts: Ints, values: Floats, newest: Ints, recent: RecentRows) -> Settled:
    """Tell new rows from those that are here already.

    `keys`, `ts` (n,), `values` (n, n_sensors) in the order of arrival; `newest` int64, indexed by device key,
    the newest accepted timestamp of each device. A newer row can't be a duplicate. Any other is compared
    with the rows before it in this batch and with `recent`: equal values are a duplicate, other sensors a
    late part that is taken, another value of a sensor that is there a conflict. What can't be found
    in memory is taken and marked unchecked.
    """
    settled = Settled(np.zeros(len(keys), np.uint8), np.zeros(len(keys), bool))
    behind = ts <= newest[keys]
    order = reading_order(keys, ts)
    in_order = np.sort(order)
    if not behind.any() and not (in_order[1:] == in_order[:-1]).any():
        return settled
    index = np.lexsort((ts, keys))  # stable: equal readings stay in the order of arrival
    same = (keys[index][1:] == keys[index][:-1]) & (ts[index][1:] == ts[index][:-1])
    doubtful = behind[index]
    doubtful[1:] |= same
    doubtful[:-1] |= same
    _compare(index[doubtful], keys, ts, values, behind, recent, settled)
    return settled


def _compare(
    rows: npt.NDArray[np.intp],
    keys: Ints,
    ts: Ints,
    values: Floats,
    behind: Bools,
    recent: RecentRows,
    settled: Settled,
) -> None:
    """Settle `rows`, sorted by reading and arrival, into `settled`."""
    if not len(rows):
        return
    sub_keys, sub_ts, sub_values = keys[rows], ts[rows], values[rows]
    is_start = np.ones(len(rows), bool)
    is_start[1:] = (sub_keys[1:] != sub_keys[:-1]) | (sub_ts[1:] != sub_ts[:-1])
    starts = np.flatnonzero(is_start)
    segment = np.cumsum(is_start) - 1
    known = recent.find(sub_keys[starts], sub_ts[starts], values.shape[1])

    in_batch, first_rows = first_values(sub_values, starts)
    had = np.where(np.isnan(known.values), in_batch, known.values)
    sent = ~np.isnan(sub_values)
    fresh = sent & np.isnan(known.values)[segment] & (first_rows[segment] == np.arange(len(rows))[:, None])
    differs = (sent & (sub_values != had[segment])).any(axis=1)
    opens = is_start & ~known.found[segment]
    codes = np.where(opens | fresh.any(axis=1), Reason.fine, Reason.duplicate).astype(np.uint8)

    # Where a row differs, what it would have brought does not count for the rows after it: go one by one.
    for number in np.unique(segment[differs]).tolist():
        first = int(starts[number])
        last = int(starts[number + 1]) if number + 1 < len(starts) else len(rows)
        have = known.values[number].copy()
        found = bool(known.found[number])
        for at in range(first, last):
            codes[at] = _one_by_one(sub_values[at], have, found)
            if codes[at] == Reason.conflict:
                settled.present[int(rows[at])] = have.copy()
            else:
                have = np.where(np.isnan(have), sub_values[at], have)
                found = True
    settled.codes[rows] = codes
    doubt = behind[rows] & (~known.found | known.unsettled)[segment]
    settled.unchecked[rows] = doubt & (codes == Reason.fine)


def _one_by_one(row: Floats, have: Floats, found: bool) -> Reason:
    both = ~np.isnan(row) & ~np.isnan(have)
    if (row[both] != have[both]).any():
        return Reason.conflict
    brings = (~np.isnan(row) & np.isnan(have)).any()
    return Reason.fine if brings or not found else Reason.duplicate


def _within(sensor: Sensor, value: float) -> bool:
    return (sensor.low is None or value >= sensor.low) and (sensor.high is None or value <= sensor.high)


def _range(sensor: Sensor) -> str:
    if sensor.low is None:
        return f"its valid range ends at {_number(sensor.high or 0.0, sensor.unit)}"
    if sensor.high is None:
        return f"its valid range begins at {_number(sensor.low, sensor.unit)}"
    return f"its valid range is {sensor.low:.10g} to {_number(sensor.high, sensor.unit)}"


def _number(value: float, unit: str) -> str:
    return f"{value:.10g} {unit}".rstrip()


def _span(ms: int) -> str:
    for unit, size in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000), ("second", 1000)):
        # 48 hours is what people say; days only from the third on.
        if ms >= (3 * size if unit == "day" else size):
            count = round(ms / size)
            return f"{count:,} {unit}{'s' if count != 1 else ''}"
    return f"{ms} ms"
