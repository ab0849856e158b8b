"""What the alert engine is told in one step: rows, rejected rows, arrivals, words, devices, rules, time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .kinds import Kind, Severity, WordKind

FOREVER_MS = 2**62
"""The end of a maintenance window without an end."""

Scalar = TypeVar("Scalar", bound=np.generic)


def _column(value: npt.ArrayLike, dtype: type[Scalar], n: int) -> npt.NDArray[Scalar]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(value, dtype), n))


@dataclass(frozen=True, slots=True)
class Rows:
    """Scored rows, one entry a row; rows of one device in time order, devices in any order.

    `slot` the device's place in the state; `ts` its time in ms; `score` NaN where it wasn't scored; `enter` and
    `leave` the two thresholds of its type, in units of score; `present` a bit for each sensor that sent a value
    (set those of retired sensors too); `stuck` a bit for each sensor the detector calls stuck; `live` False for
    backfilled rows; `learning` the detector is still learning the device. All (n,). `values` (n, n_sensors) is what the
    sensors sent, NaN where one sent nothing, for the owners' rules; (n, 0) where no rule looks at them.
    """

    slot: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    score: npt.NDArray[np.float32]
    enter: npt.NDArray[np.float32]
    leave: npt.NDArray[np.float32]
    present: npt.NDArray[np.uint64]
    stuck: npt.NDArray[np.uint64]
    live: npt.NDArray[np.bool_]
    learning: npt.NDArray[np.bool_]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        slot: npt.ArrayLike,
        ts: npt.ArrayLike,
        score: npt.ArrayLike,
        *,
        enter: npt.ArrayLike,
        leave: npt.ArrayLike,
        present: npt.ArrayLike,
        stuck: npt.ArrayLike = 0,
        live: npt.ArrayLike = True,
        learning: npt.ArrayLike = False,
        values: npt.ArrayLike | None = None,
    ) -> "Rows":
        """Make rows from arrays (n,) or single values that hold for every row."""
        n = len(np.atleast_1d(np.asarray(slot)))
        return cls(
            _column(slot, np.int32, n),
            _column(ts, np.int64, n),
            _column(score, np.float32, n),
            _column(enter, np.float32, n),
            _column(leave, np.float32, n),
            _column(present, np.uint64, n),
            _column(stuck, np.uint64, n),
            _column(live, np.bool_, n),
            _column(learning, np.bool_, n),
            np.zeros((n, 0)) if values is None else np.ascontiguousarray(values, np.float64),
        )

    def __len__(self) -> int:
        return len(self.slot)

    def take(self, index: npt.NDArray[np.bool_] | npt.NDArray[np.intp]) -> "Rows":
        """Return the rows chosen by a mask or by positions."""
        return Rows(*(np.ascontiguousarray(getattr(self, name)[index]) for name in ROW_FIELDS))


ROW_FIELDS = tuple(Rows.__dataclass_fields__)


NO_ROWS = Rows.of([], [], [], enter=[], leave=[], present=[], stuck=[], live=[], learning=[])


def present_bits(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """Return, uint64 (n,), a bit for each sensor with a value in `values` (n, n_sensors <= 64); NaN is missing."""
    bits = np.zeros(len(values), np.uint64)
    for sensor in range(values.shape[1]):
        bits |= (~np.isnan(values[:, sensor])).astype(np.uint64) << np.uint64(sensor)
    return bits


@dataclass(frozen=True, slots=True)
class Rejected:
    """Rows that intake rejected as out of range: the device is heard from, and the sensors in `sensors` are wrong.

    `slot` (n,), `ts` (n,) ms, `sensors` (n,) a bit for each sensor out of its range, `live` (n,).
    """

    slot: npt.NDArray[np.int32]
    ts: npt.NDArray[np.int64]
    sensors: npt.NDArray[np.uint64]
    live: npt.NDArray[np.bool_]

    @classmethod
    def of(
        cls, slot: npt.ArrayLike, ts: npt.ArrayLike, sensors: npt.ArrayLike, *, live: npt.ArrayLike = True
    ) -> "Rejected":
        """Make rejected rows from arrays (n,) or single values that hold for every row."""
        n = len(np.atleast_1d(np.asarray(slot)))
        return cls(
            _column(slot, np.int32, n),
            _column(ts, np.int64, n),
            _column(sensors, np.uint64, n),
            _column(live, np.bool_, n),
        )

    def __len__(self) -> int:
        return len(self.slot)


NO_REJECTED = Rejected.of([], [], [])


@dataclass(frozen=True, slots=True)
class Devices:
    """New or changed devices: what the engine needs to know of each. All (n,).

    `slot`; `interval_ms` and `silent_after_ms` of its type; `site` and `owner` as small numbers (arrays are sized
    by the largest), site -1 for none; `type` is what rules call its type.
    """

    slot: npt.NDArray[np.int32]
    interval_ms: npt.NDArray[np.int64]
    silent_after_ms: npt.NDArray[np.int64]
    site: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]
    type: npt.NDArray[np.int32]

    @classmethod
    def of(
        cls,
        slot: npt.ArrayLike,
        *,
        interval_ms: npt.ArrayLike,
        silent_after_ms: npt.ArrayLike,
        site: npt.ArrayLike = -1,
        owner: npt.ArrayLike = 0,
        type: npt.ArrayLike = 0,
    ) -> "Devices":
        """Make devices from arrays (n,) or single values that hold for every device."""
        n = len(np.atleast_1d(np.asarray(slot)))
        return cls(
            _column(slot, np.int32, n),
            _column(interval_ms, np.int64, n),
            _column(silent_after_ms, np.int64, n),
            _column(site, np.int32, n),
            _column(owner, np.int32, n),
            _column(type, np.int32, n),
        )

    def __len__(self) -> int:
        return len(self.slot)


NO_DEVICES = Devices.of([], interval_ms=[], silent_after_ms=[])


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of an owner: an alert where a sensor is past `limit` for `hold_ms`, over once it is back at `back`.

    It is about the devices of `owner` and `type`, or about the one in `slot` (-1: all of them). `sensor` is its
    number; `above` says on which side of `limit` the alert is; `back` lies on the other side of it, or on it. An
    inactive rule is one that was removed. A rule of an `id` that is known, and another, takes its place.
    """

    id: int
    owner: int
    type: int
    sensor: int
    above: bool
    limit: float
    back: float
    hold_ms: int = 0
    slot: int = -1
    severity: Severity = Severity.WARNING
    active: bool = True


@dataclass(frozen=True, slots=True)
class Word:
    """An operator's word about the device in `slot` (the site, where `alert` is `Kind.SITE`).

    `alert` and `rule` choose alerts for dismiss and confirm: None and -1 mean all. `from_ms` and `until_ms` are the
    window of maintenance; a device has one window, a new word replaces it.
    """

    slot: int
    kind: WordKind
    alert: Kind | None = None
    rule: int = -1
    from_ms: int = 0
    until_ms: int = FOREVER_MS


@dataclass(frozen=True, slots=True)
class Observations:
    """All that one step is told. Any part may be empty; they are taken in the order in which they stand here.

    `started`: the process started, so time before it is nobody's silence. `heard`: slots of devices that sent
    something live that isn't a row yet (a part of one, a duplicate). `tick`: time has passed up to `now_ms`;
    silence, sites and maintenance windows are judged at ticks only.
    """

    started: bool = False
    devices: Devices = NO_DEVICES
    rules: Sequence[Rule] = ()
    words: Sequence[Word] = ()
    rows: Rows = NO_ROWS
    rejected: Rejected = NO_REJECTED
    heard: npt.NDArray[np.int32] = field(default_factory=lambda: NO_DEVICES.slot)
    tick: bool = False
