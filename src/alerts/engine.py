"""The alert engine: `step` takes what was observed and says which alerts changed.

Pure and deterministic: the same observations in the same order give the same transitions, however they are
cut into steps. No clock is read; `now_ms` comes from the log.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from . import kernel
from .kinds import Cause, Condition, Kind, Mark, Severity, State, WordKind
from .observations import Devices, Observations, Rejected, Rows, Rule, Word, present_bits
from .state import MAX_RULES, NEVER, RULE, EngineConfig, EngineState
from .status import Status
from .transitions import TRANSITION, Transition, Transitions

__all__ = [
    "Cause",
    "Condition",
    "Devices",
    "EngineConfig",
    "EngineState",
    "Kind",
    "Mark",
    "Observations",
    "Rejected",
    "Rows",
    "Rule",
    "Severity",
    "State",
    "Status",
    "Transition",
    "Transitions",
    "Word",
    "WordKind",
    "present_bits",
    "step",
]

Table = npt.NDArray[np.void]


def step(state: EngineState, observations: Observations, now_ms: int) -> Transitions:
    """Take what was observed at `now_ms` (ms, from the log) into `state`, in place; return what changed.

    The parts of `observations` are taken in the order of its fields. A `now_ms` before the newest one stands for
    no time at all. Raises ValueError, with the state untouched, where a slot was never registered through
    `Observations.devices`, where columns differ in length, or where a word or a rule makes no sense.
    """
    _check(state, observations)
    _advance(state, now_ms)
    control = state.control[0]
    control["n_out"] = 0
    if observations.started:
        kernel.compiled().grant_grace(-NEVER, state.device, state.control)
        control["tick_clock"] = control["clock"]
    if len(observations.devices):
        _register(state, observations.devices, now_ms)
    out = np.empty(0, TRANSITION)
    for rule in observations.rules:
        out = _take_rule(state, rule, now_ms, out)
    for word in observations.words:
        out = _take_word(state, word, now_ms, out)
    out = _take_arrivals(state, observations, now_ms, out)
    if observations.tick:
        out = _tick(state, now_ms, out)
    out = out[: int(control["n_out"])]
    return Transitions(_ordered(out) if len(out) else out)


def _advance(state: EngineState, now_ms: int) -> None:
    """Move the engine's clock by the time that passed; it measures durations, and never goes back."""
    control = state.control[0]
    if control["clock"] == NEVER:
        control["clock"] = control["tick_clock"] = now_ms
    elif now_ms > control["now_ms"]:
        control["clock"] += now_ms - control["now_ms"]
    elif now_ms < control["now_ms"]:
        control["look"] = 1
    control["now_ms"] = now_ms


def _world(state: EngineState, out: Table) -> tuple[np.ndarray, ...]:
    tables = (state.device, state.due, state.entry, state.site, state.owner, state.control)
    return (*tables, state.settings, state.rule, state.codes, out)


def _take_rule(state: EngineState, rule: Rule, now_ms: int, out: Table) -> Table:
    """Put a rule in force, or take it back; the alerts of one that is replaced end with it."""
    new = np.zeros(1, RULE)
    for name in RULE.names or ():
        new[name] = getattr(rule, name)
    known = state.rule["id"] == rule.id
    if rule.active and known.any() and state.rule[known] == new:
        return out
    if known.any():
        state.rule = state.rule[~known]
        state.entry, out = kernel.compiled().drop_rule(rule.id, now_ms, *_world(state, out))
    if rule.active:
        table = np.concatenate([state.rule, new])
        state.rule = table[np.lexsort((table["id"], table["owner"], table["type"]))]
    return out


def _take_word(state: EngineState, word: Word, now_ms: int, out: Table) -> Table:
    start, until = (0, 0) if word.kind == WordKind.MAINTENANCE_END else (word.from_ms, word.until_ms)
    alert = -1 if word.alert is None else int(word.alert)
    arguments = (int(word.kind), word.slot, alert, word.rule, start, until, now_ms)
    state.entry, out = kernel.compiled().take_word(*arguments, *_world(state, out))
    return out


def _take_arrivals(state: EngineState, observations: Observations, now_ms: int, out: Table) -> Table:
    kernels = kernel.compiled()
    rows, rejected = observations.rows, observations.rejected
    if len(rows):
        columns = (rows.slot, rows.ts, rows.score, rows.enter, rows.leave, rows.present, rows.stuck)
        marks = (rows.live, rows.learning)
        state.entry, out = kernels.take_rows(*columns, *marks, rows.values, now_ms, *_world(state, out))
    if len(rejected):
        bad = (rejected.slot, rejected.ts, rejected.sensors, rejected.live)
        state.entry, out = kernels.take_rejected(*bad, now_ms, *_world(state, out))
    if len(observations.heard):
        state.entry, out = kernels.take_heard(observations.heard, now_ms, *_world(state, out))
    return out


def _tick(state: EngineState, now_ms: int, out: Table) -> Table:
    """Let time pass: a gap longer than a device's silence window was our own downtime, not its silence."""
    control = state.control[0]
    gap = int(control["clock"] - control["tick_clock"])
    control["tick_clock"] = control["clock"]
    if gap > state.config.least_downtime_ms:
        kernel.compiled().grant_grace(gap, state.device, state.control)
    if control["look"] or control["clock"] >= control["next_due"] or now_ms >= control["next_boundary"]:
        state.entry, out = kernel.compiled().pass_time(now_ms, *_world(state, out))
    return out


def _register(state: EngineState, devices: Devices, now_ms: int) -> None:
    """Take in new or changed devices; a device is `learning` until a row says otherwise."""
    state.grow(int(devices.slot.max()) + 1)
    state.grow_sites(int(devices.site.max()) + 1)
    state.grow_owners(int(devices.owner.max()) + 1)
    columns = (devices.slot, devices.interval_ms, devices.silent_after_ms, devices.site, devices.owner, devices.type)
    for slot, interval, silent_after, site, owner, type_id in zip(*columns, strict=True):
        device = state.device[slot]
        if device["owner"] < 0:
            device["flags"] = kernel.F_LEARNING
            device["status"], device["status_since"] = Status.LEARNING, now_ms
        else:
            state.owner[device["owner"]]["devices"] -= 1
        state.owner[owner]["devices"] += 1
        device["interval_ms"], device["silent_after_ms"] = interval, silent_after
        device["site"], device["owner"], device["type"] = site, owner, type_id
    state.control["look"] = 1


def _ordered(out: Table) -> Table:
    """Sites first, then by slot: an order that doesn't depend on the order of devices in the batch."""
    return out[np.lexsort((out["slot"], out["kind"] != Kind.SITE))]


def _check(state: EngineState, observations: Observations) -> None:
    """Raise ValueError before anything is changed."""
    devices, rows, rejected = observations.devices, observations.rows, observations.rejected
    parts = (("rows", rows), ("rejected", rejected), ("devices", devices))
    for name, part in parts:
        _same_length(part, name)
    _check_rules(state, observations.rules)
    if not (len(devices) or len(rows) or len(rejected) or len(observations.heard) or observations.words):
        return
    owner = state.device["owner"]
    if len(devices):
        _check_devices(devices)
        owner = np.concatenate([owner, np.full(max(0, int(devices.slot.max()) + 1 - len(owner)), -1, np.int32)])
        owner[devices.slot] = devices.owner
    for name, slots in (("rows", rows.slot), ("rejected", rejected.slot), ("heard", observations.heard)):
        if len(slots):
            _registered(owner, slots, name)
    sites = max(len(state.site), int(devices.site.max(initial=-1)) + 1)
    for word in observations.words:
        _check_word(word, owner, sites)


def _check_rules(state: EngineState, rules: Sequence[Rule]) -> None:
    if not rules:
        return
    by_id = {rule.id: rule for rule in rules}
    for rule in by_id.values():
        apart = rule.limit - rule.back if rule.above else rule.back - rule.limit
        if not 0 <= apart < np.inf or rule.hold_ms < 0 or rule.sensor < 0 or rule.id < 0:
            raise ValueError(
                f"{rule}: expected a finite limit, `back` on its other side or on it, and hold_ms, sensor and id of 0"
                " or more"
            )
    changed = np.isin(state.rule["id"], list(by_id))
    whose = [(int(one["type"]), int(one["owner"])) for one in state.rule[~changed]]
    most = Counter([*whose, *((rule.type, rule.owner) for rule in by_id.values() if rule.active)]).most_common(1)
    if most and most[0][1] > MAX_RULES:
        raise ValueError(f"{most[0][1]} rules of one owner about one type; expected at most {MAX_RULES}")


def _check_devices(devices: Devices) -> None:
    lowest = min(int(devices.slot.min()), int(devices.owner.min()))
    if lowest < 0 or int(devices.interval_ms.min()) < 1 or int(devices.silent_after_ms.min()) < 1:
        raise ValueError("devices: slot and owner must be 0 or more, interval_ms and silent_after_ms 1 or more")


def _check_word(word: Word, owner: npt.NDArray[np.int32], sites: int) -> None:
    if word.alert == Kind.SITE:
        if word.kind != WordKind.DISMISS or not 0 <= word.slot < sites:
            raise ValueError(f"{word}: a site's alert can be dismissed, for a site from 0 to {sites - 1}; nothing else")
        return
    _registered(owner, np.array([word.slot], np.int32), f"{word}")
    if word.kind == WordKind.MAINTENANCE and not word.from_ms < word.until_ms:
        raise ValueError(f"{word}: maintenance must end after it begins")


def _registered(owner: npt.NDArray[np.int32], slots: npt.NDArray[np.int32], name: str) -> None:
    low, high = int(slots.min()), int(slots.max())
    if low < 0 or high >= len(owner) or (owner[slots] < 0).any():
        raise ValueError(f"{name}: slots from {low} to {high}; not all were registered with Observations.devices")


def _same_length(part: Rows | Rejected | Devices, name: str) -> None:
    lengths = {field: len(getattr(part, field)) for field in part.__dataclass_fields__}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{name}: columns of one length expected, received {lengths}")
