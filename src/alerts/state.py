"""What the alert engine remembers: arrays by device slot, a pool of open alerts, sites, owners, rules, one clock.

A healthy device takes one record; what is wrong with it is a short list in the pool, so that 64 sensors cost
nothing until one of them fails.
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field, fields

import numpy as np
import numpy.typing as npt

from ..exceptions import ConfigError, StorageError
from .status import codes_of_flags

NEVER = -(2**62)
"""A time before all others."""

DEVICE = np.dtype(
    [
        ("interval_ms", "i8"),
        ("silent_after_ms", "i8"),
        ("heard", "i8"),
        ("arrival_ms", "i8"),
        ("newest_ts", "i8"),
        ("run_start", "i8"),
        ("maintenance_from", "i8"),
        ("maintenance_until", "i8"),
        ("status_since", "i8"),
        ("ended", "i8"),
        ("cap_start", "i8", (4,)),
        ("seen", "u8"),
        ("past", "u4"),
        ("far", "u4"),
        ("site", "i4"),
        ("owner", "i4"),
        ("type", "i4"),
        ("head", "i4"),
        ("cap_count", "u1", (4,)),
        ("flags", "u1"),
        ("status", "u1"),
    ],
    align=True,
)
"""A device. `heard` and `cap_start` are on the engine's clock; `past` and `far` are bits, the newest reading lowest;
`ended` is when its last anomaly alert was over, NEVER where none was or it was repaired since.

The hourly caps are those of the kinds anomaly, sensor, silent and threshold.
"""

ENTRY = np.dtype(
    [
        ("first_signs", "i8"),
        ("pending_ms", "i8"),
        ("since", "i8"),
        ("next", "i4"),
        ("slot", "i4"),
        ("rule", "i4"),
        ("count", "i4"),
        ("of", "i4"),
        ("calm", "i4"),
        ("kind", "u1"),
        ("stage", "u1"),
        ("severity", "u1"),
        ("marks", "u1"),
        ("condition", "u1"),
    ],
    align=True,
)
"""An alert that isn't over, one per (device or site, kind, rule); chained by `next` in order of (kind, rule)."""

SITE = np.dtype(
    [
        ("first_signs", "i8"),
        ("cap_start", "i8", (1,)),
        ("head", "i4"),
        ("live", "i4"),
        ("silent", "i4"),
        ("recent", "i4"),
        ("cap_count", "u1", (1,)),
    ],
    align=True,
)

OWNER = np.dtype(
    [("day", "i8"), ("last_clock", "i8"), ("before", "i4"), ("at_once", "i4"), ("devices", "i4")], align=True
)
"""An owner's anomaly alerts of the day: those before `last_clock`, and those at it."""

CONTROL = np.dtype(
    [
        ("clock", "i8"),
        ("now_ms", "i8"),
        ("tick_clock", "i8"),
        ("next_due", "i8"),
        ("next_boundary", "i8"),
        ("free", "i4"),
        ("used", "i4"),
        ("n_out", "i4"),
        ("look", "u1"),
    ],
    align=True,
)
"""The engine's clock, the pool's free list, and when a tick has to look at the devices again."""

RULE = np.dtype(
    [
        ("limit", "f8"),
        ("back", "f8"),
        ("hold_ms", "i8"),
        ("id", "i4"),
        ("owner", "i4"),
        ("type", "i4"),
        ("slot", "i4"),
        ("sensor", "i4"),
        ("above", "u1"),
        ("severity", "u1"),
    ],
    align=True,
)
"""A rule of an owner that is in force; the table is sorted by (type, owner, id)."""

MAX_RULES = 64
"""Rules an owner may have about one type: what a row costs is bounded, and so is what it can change."""

ADDED = {"device.ended": NEVER}
"""Columns that checkpoints of earlier versions lack, and what stands in for them."""

TABLES = {"device": DEVICE, "entry": ENTRY, "site": SITE, "owner": OWNER, "control": CONTROL, "rule": RULE}


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Every constant of the engine.

    `anomaly_k` of the last `anomaly_n` scored readings past `enter` fire an anomaly; `anomaly_clear` readings in a
    row below `leave` clear it; `critical_factor` times `enter` is far past. An owner's budget of anomaly alerts
    a day is devices / `budget_devices`, at most `budget_most`. A sensor alert is pending after `sensor_pending` bad
    readings, fires after `sensor_intervals` intervals of bad readings and clears after `sensor_clear` good ones. A site
    alert needs `site_least` devices and `site_permille` of the site's live ones to fall silent within
    `site_window_ms`. At most `cap` alerts of a kind fire for a device within `cap_ms`. A gap between ticks is
    downtime when longer than a device's silence window and than `least_downtime_ms`, which keeps types with
    windows of seconds from being in downtime all the time. An anomaly that
    fires less than `repeat_ms` after the end of its device's last one is a repeat of it.
    """

    anomaly_k: int = 3
    anomaly_n: int = 5
    anomaly_clear: int = 10
    critical_factor: float = 2.0
    budget_devices: float = 30.0
    budget_most: float = 3.0
    sensor_pending: int = 5
    sensor_intervals: int = 30
    sensor_clear: int = 5
    site_least: int = 3
    site_permille: int = 300
    site_window_ms: int = 600_000
    cap: int = 4
    cap_ms: int = 3_600_000
    least_downtime_ms: int = 120_000
    repeat_ms: int = 86_400_000

    def __post_init__(self) -> None:
        if not 1 <= self.anomaly_k <= self.anomaly_n <= 32:
            raise ConfigError(f"anomaly: {self.anomaly_k} of {self.anomaly_n} readings; expected 1 <= k <= n <= 32")
        if not 0 < self.cap <= 255:
            raise ConfigError(f"cap is {self.cap} alerts an hour; expected 1 to 255")
        for name in ("anomaly_clear", "sensor_pending", "sensor_intervals", "sensor_clear", "site_least", "cap_ms"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; expected 1 or more")
        if not 0 < self.site_permille <= 1000:
            raise ConfigError(f"site_permille is {self.site_permille}; expected 1 to 1000")
        if self.repeat_ms < 0:
            raise ConfigError(f"repeat_ms is {self.repeat_ms}; expected 0 (nothing repeats) or more")
        if self.critical_factor < 1 or self.budget_devices <= 0 or self.budget_most < 0:
            raise ConfigError("expected critical_factor >= 1, budget_devices > 0 and budget_most >= 0")


CONFIG = np.dtype(
    [(constant.name, "f8" if constant.type is float else "i8") for constant in fields(EngineConfig)], align=True
)


@dataclass(slots=True)
class EngineState:
    """All the engine remembers; `step` changes it in place. Owned by one writer, the shard."""

    config: EngineConfig
    device: npt.NDArray[np.void]
    due: npt.NDArray[np.int64]
    entry: npt.NDArray[np.void]
    site: npt.NDArray[np.void]
    owner: npt.NDArray[np.void]
    control: npt.NDArray[np.void]
    rule: npt.NDArray[np.void]
    settings: npt.NDArray[np.void] = field(init=False)
    codes: npt.NDArray[np.uint8] = field(init=False)

    def __post_init__(self) -> None:
        self.settings = np.array([astuple(self.config)], CONFIG)
        self.codes = codes_of_flags()

    @classmethod
    def new(cls, n_devices: int = 0, config: EngineConfig | None = None) -> "EngineState":
        """Return the state of `n_devices` slots that nothing is known about yet."""
        control = np.zeros(1, CONTROL)
        for name in ("clock", "now_ms", "tick_clock"):
            control[name] = NEVER
        control["next_due"] = control["next_boundary"] = -NEVER
        control["free"] = -1
        state = cls(
            config or EngineConfig(),
            np.zeros(0, DEVICE),
            np.zeros(0, np.int64),
            np.zeros(0, ENTRY),
            np.zeros(0, SITE),
            np.zeros(0, OWNER),
            control,
            np.zeros(0, RULE),
        )
        state.grow(n_devices)
        return state

    def __len__(self) -> int:
        return len(self.device)

    def grow(self, n_devices: int) -> None:
        """Make room for slots below `n_devices`; what is there stays. Never shrinks."""
        first = len(self.device)
        if n_devices <= first:
            return
        self.device = _grown(self.device, n_devices)
        new = self.device[first:]
        new["heard"] = new["arrival_ms"] = new["newest_ts"] = new["run_start"] = new["cap_start"] = new["ended"] = NEVER
        new["site"] = new["owner"] = new["type"] = new["head"] = -1
        self.due = np.concatenate([self.due, np.full(n_devices - first, -NEVER, np.int64)])

    def grow_sites(self, n_sites: int) -> None:
        """Make room for sites below `n_sites`."""
        first = len(self.site)
        if n_sites > first:
            self.site = _grown(self.site, n_sites)
            self.site[first:]["head"] = -1
            self.site[first:]["cap_start"] = NEVER

    def grow_owners(self, n_owners: int) -> None:
        """Make room for owners below `n_owners`."""
        if n_owners > len(self.owner):
            self.owner = _grown(self.owner, n_owners)

    @property
    def status(self) -> npt.NDArray[np.uint8]:
        """`Status` codes by slot, (n_devices,); a view."""
        return self.device["status"]

    @property
    def status_since(self) -> npt.NDArray[np.int64]:
        """Since when each device has its status, ms, (n_devices,); a view."""
        return self.device["status_since"]

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """Which devices were heard from live, (n_devices,): only those can fall silent."""
        heard: npt.NDArray[np.bool_] = self.device["arrival_ms"] != NEVER
        return heard

    @property
    def bytes_per_device(self) -> int:
        """Bytes a device takes while nothing is wrong with it."""
        return DEVICE.itemsize + self.due.itemsize

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return plain arrays for the checkpoint, the pool compacted: equal states give equal arrays."""
        compact, heads, site_heads = _compacted(self)
        control = self.control.copy()
        control["free"], control["used"], control["n_out"] = -1, len(compact), 0
        tables = {"device": self.device, "entry": compact, "site": self.site, "owner": self.owner, "control": control}
        tables["rule"] = self.rule
        arrays: dict[str, np.ndarray] = {"due": self.due.copy()}
        for table, values in tables.items():
            for column in TABLES[table].names or ():
                arrays[f"{table}.{column}"] = np.array(values[column], order="C")
        arrays["device.head"], arrays["site.head"] = heads, site_heads
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], config: EngineConfig | None = None) -> "EngineState":
        """Return the state that `to_arrays` wrote. Raises StorageError where a column is absent or another shape."""
        tables = {}
        for table, dtype in TABLES.items():
            columns = {
                name: _column(arrays, f"{table}.{name}", dtype[name])
                for name in dtype.names or ()
                if f"{table}.{name}" in arrays or f"{table}.{name}" not in ADDED
            }
            tables[table] = np.zeros(len(next(iter(columns.values()))), dtype)
            for name in set(dtype.names or ()) - set(columns):
                tables[table][name] = ADDED[f"{table}.{name}"]
            for name, values in columns.items():
                if len(values) != len(tables[table]):
                    raise StorageError(
                        f"alert engine's state: column {table}.{name} has {len(values)} rows, expected"
                        f" {len(tables[table])}; restore an older checkpoint or replay the log"
                    )
                tables[table][name] = values
        due = _column(arrays, "due", np.dtype(np.int64)).astype(np.int64)
        return cls(config or EngineConfig(), due=due, **tables)


def _grown(table: npt.NDArray[np.void], n: int) -> npt.NDArray[np.void]:
    new = np.zeros(n, table.dtype)
    new[: len(table)] = table
    return new


def _column(arrays: Mapping[str, np.ndarray], name: str, dtype: np.dtype[np.generic]) -> np.ndarray:
    if name not in arrays or arrays[name].shape[1:] != dtype.shape:
        found = f"shape {arrays[name].shape}" if name in arrays else "no such array"
        raise StorageError(
            f"alert engine's state: column {name}: {found}; expected (n, {', '.join(map(str, dtype.shape))}) of"
            f" {dtype.base}. The checkpoint was written by another version: remove it, the log is replayed"
        )
    return arrays[name]


def _compacted(state: EngineState) -> tuple[npt.NDArray[np.void], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the pool without holes, lists in the order of slots, devices before sites; and the new heads."""
    entries: list[int] = []
    both = []
    for old in (state.device["head"], state.site["head"]):
        heads = np.full(len(old), -1, np.int32)
        for slot in np.flatnonzero(old >= 0):
            heads[slot] = len(entries)
            place = int(old[slot])
            while place >= 0:
                entries.append(place)
                place = int(state.entry[place]["next"])
        both.append(heads)
    compact = state.entry[entries]
    last = compact["next"] < 0
    compact["next"] = np.where(last, -1, np.arange(1, len(compact) + 1))
    return compact, both[0], both[1]
