"""The compiled state machine: one pass over rows, one over devices at a tick, one for a word.

All of it stands in one file because numba's cache notices changes of the file a kernel is in and of no
other. Nothing is compiled before `compiled()` is first called.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import boolean, float32, float64, from_dtype, int32, int64, njit, types, uint8, uint64

from ..compiled import compiled as machine_code
from .kinds import Cause, Condition, Kind, Mark, Severity, State, WordKind
from .state import CONFIG, CONTROL, DEVICE, ENTRY, NEVER, OWNER, RULE, SITE
from .transitions import TRANSITION

ANOMALY, SENSOR, SILENT, SITE_KIND, THRESHOLD = (int(kind) for kind in Kind)
INACTIVE, PENDING, FIRING, RESOLVED = (int(state) for state in State)
INFO, WARNING, CRITICAL = (int(severity) for severity in Severity)
MISSING, STUCK, OUT_OF_RANGE = int(Condition.MISSING), int(Condition.STUCK), int(Condition.OUT_OF_RANGE)
HISTORIC, FLAPPING, IN_MAINTENANCE = int(Mark.HISTORIC), int(Mark.FLAPPING), int(Mark.MAINTENANCE)
CONFIRMED, OVER_BUDGET, HELD = int(Mark.CONFIRMED), int(Mark.OVER_BUDGET), int(Mark.HELD)
REPEAT = int(Mark.REPEAT)
BY_READING, BY_TIME, BY_SITE, BY_CAP = int(Cause.READING), int(Cause.TIME), int(Cause.SITE), int(Cause.CAP)
BY_MAINTENANCE, BY_SEVERITY, BY_COUNT = int(Cause.MAINTENANCE), int(Cause.SEVERITY), int(Cause.COUNT)
BY_DISMISSAL, BY_REPAIR = int(Cause.DISMISSED), int(Cause.REPAIRED)
BY_CONFIRMATION, BY_NEW_NORMAL, BY_RULE = int(Cause.CONFIRMED), int(Cause.NEW_NORMAL), int(Cause.RULE)
BY_LIVE = int(Cause.LIVE)
DISMISS, REPAIR, CONFIRM, NEW_NORMAL, NOT_FAULTY = (
    int(word)
    for word in (WordKind.DISMISS, WordKind.REPAIRED, WordKind.CONFIRM, WordKind.NEW_NORMAL, WordKind.NOT_FAULTY)
)

# Stages of an entry: the states an alert can be open in, and three that are not open.
WATCHED = INACTIVE  # a sensor's trouble too young to be pending
CLOSED = 4  # dismissed: nothing of it opens again until it has been over once
ABSORBED = 5  # a silent device whose site's alert stands for it

# Flags of a device; the lowest five are what status.status() decides from, in the order of its arguments.
F_MAINTENANCE, F_SILENT, F_FAULTY, F_SUSPECT, F_LEARNING, F_LIVE = 1, 2, 4, 8, 16, 32
F_TOLD = 64  # people were told of the device's anomaly, or of one that it repeats
F_OF_STATUS = 31
F_OF_ENTRIES = F_SILENT | F_SUSPECT

MARGIN = 512
"""More transitions, and more entries, than one device can take in one go: 64 sensors and 64 rules, three each."""
DAY_MS = 86_400_000
ONE = np.uint64(1)
NO_BIT = np.uint64(0)

Table = npt.NDArray[np.void]
Record = np.void
Bits = np.uint64
F = TypeVar("F", bound=Callable[..., object])


class World(NamedTuple):
    """All that a pass reads and writes."""

    device: Table
    due: npt.NDArray[np.int64]
    entry: Table
    site: Table
    owner: Table
    control: Table
    config: Table
    rule: Table
    codes: npt.NDArray[np.uint8]
    out: Table


class When(NamedTuple):
    """The moment of a transition: `at` by the wall clock, `time` by the clock that measures durations."""

    at: int
    time: int
    live: bool
    row: int


class Levels(NamedTuple):
    """Thresholds of a score."""

    enter: float
    leave: float
    far: float


class Ways(NamedTuple):
    """Sensors, a bit each, that are wrong, by the way in which they are."""

    missing: Bits
    stuck: Bits
    outside: Bits


def _inlined(function: F) -> F:
    """Compile with whoever calls it, and without an entry from Python, which would take a third of the time."""
    jit = cast(Callable[..., Callable[[F], F]], njit)  # numba's stubs don't know these two options
    return jit(nogil=True, error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)


# --- the pool and the lists -----------------------------------------------------------------------------------


@_inlined
def _room(table: Table, used: int) -> Table:
    """Return `table`, or a larger copy where it has no room for what one device may add."""
    if len(table) - used >= MARGIN:
        return table
    larger = np.empty(2 * len(table) + 2 * MARGIN, table.dtype)
    larger[:used] = table[:used]
    return larger


@_inlined
def _full(w: World) -> bool:
    control = w.control[0]
    return bool(len(w.entry) - control["used"] < MARGIN or len(w.out) - control["n_out"] < MARGIN)


@_inlined
def _roomy(w: World) -> World:
    """Return the world with room in pool and transitions for what one device may add."""
    entry, out = _room(w.entry, w.control[0]["used"]), _room(w.out, w.control[0]["n_out"])
    return World(w.device, w.due, entry, w.site, w.owner, w.control, w.config, w.rule, w.codes, out)


@_inlined
def _find(w: World, head: int, kind: int, rule: int) -> int:
    place = head
    while place >= 0 and not (w.entry[place]["kind"] == kind and w.entry[place]["rule"] == rule):
        place = w.entry[place]["next"]
    return place


@_inlined
def _add(w: World, holder: Record, slot: int, kind: int, rule: int) -> int:
    """Take an entry from the pool into the list of a device or a site, in order of (kind, rule); return its place."""
    place = w.control[0]["free"]
    if place >= 0:
        w.control[0]["free"] = w.entry[place]["next"]
    else:
        place = w.control[0]["used"]
        w.control[0]["used"] += 1
    before, after = -1, holder["head"]
    while after >= 0 and (w.entry[after]["kind"], w.entry[after]["rule"]) < (kind, rule):
        before, after = after, w.entry[after]["next"]
    e = w.entry[place]
    e["next"] = after
    if before < 0:
        holder["head"] = place
    else:
        w.entry[before]["next"] = place
    e["slot"], e["kind"], e["rule"] = slot, kind, rule
    e["first_signs"], e["pending_ms"], e["since"] = 0, 0, 0
    e["count"], e["of"], e["calm"], e["stage"], e["severity"], e["marks"], e["condition"] = 0, 0, 0, 0, 0, 0, 0
    return int(place)


@_inlined
def _drop(w: World, holder: Record, place: int) -> None:
    """Give an entry of a list back to the pool."""
    before, at = -1, holder["head"]
    while at != place:
        before, at = at, w.entry[at]["next"]
    if before < 0:
        holder["head"] = w.entry[place]["next"]
    else:
        w.entry[before]["next"] = w.entry[place]["next"]
    w.entry[place]["next"] = w.control[0]["free"]
    w.control[0]["free"] = place


# --- transitions ----------------------------------------------------------------------------------------------


@_inlined
def _emit(w: World, e: Record, origin: int, to: int, when: When, cause: int) -> None:
    o = w.out[w.control[0]["n_out"]]
    w.control[0]["n_out"] += 1
    o["slot"], o["kind"], o["rule"], o["row"] = e["slot"], e["kind"], e["rule"], when.row
    o["from_state"], o["to_state"], o["at_ms"], o["cause"] = origin, to, when.at, cause
    o["first_signs_ms"], o["pending_ms"] = e["first_signs"], e["pending_ms"]
    o["severity"], o["condition"], o["marks"] = e["severity"], e["condition"], e["marks"]
    o["count"], o["of"], o["historic"] = e["count"], e["of"], not when.live


@_inlined
def _update(w: World, e: Record, when: When, cause: int) -> None:
    _emit(w, e, e["stage"], e["stage"], when, cause)


@_inlined
def _comes_live(e: Record, when: When) -> bool:
    """Whether a reading makes an open alert, so far one of backfilled rows, one that people are told of."""
    if e["stage"] != FIRING or not when.live or not e["marks"] & HISTORIC:
        return False
    e["marks"] &= ~HISTORIC & 255
    return True


@_inlined
def _pend(w: World, e: Record, when: When, cause: int) -> None:
    e["stage"], e["pending_ms"], e["calm"], e["marks"] = PENDING, when.at, 0, 0
    e["first_signs"] = min(e["first_signs"], when.at)  # a device's clock may be ahead of ours
    if not when.live:
        e["marks"] = HISTORIC
    _emit(w, e, INACTIVE, PENDING, when, cause)


@_inlined
def _end(w: World, e: Record, when: When, cause: int) -> None:
    """Say that an alert is over, if it was open; what becomes of the entry is the caller's."""
    if e["stage"] == FIRING:
        if e["kind"] == ANOMALY:
            w.device[e["slot"]]["ended"] = when.time
        _emit(w, e, FIRING, RESOLVED, when, cause)
    elif e["stage"] == PENDING:
        _emit(w, e, PENDING, INACTIVE, when, cause)


@_inlined
def _capped(w: World, holder: Record, kind: int, time: int) -> bool:
    """Whether the hour of this device (site) and kind is full; counts one more where it isn't."""
    elapsed = time - holder["cap_start"][kind]
    if elapsed < 0 or elapsed >= w.config[0]["cap_ms"]:
        holder["cap_start"][kind] = time
        holder["cap_count"][kind] = 0
    if holder["cap_count"][kind] >= w.config[0]["cap"]:
        return True
    holder["cap_count"][kind] += 1
    return False


@_inlined
def _fire(w: World, e: Record, holder: Record, kind: int, when: When, cause: int) -> bool:
    """Fire a pending alert, unless its hour is full: then it is held, and marked as flapping."""
    # A device has no alert of its own for its site, so threshold takes that place among the caps.
    if _capped(w, holder, SITE_KIND if kind == THRESHOLD else kind, when.time):
        if not e["marks"] & FLAPPING:
            e["marks"] |= HELD | FLAPPING
            _update(w, e, when, BY_CAP)
        return False
    e["marks"] &= ~(HELD | IN_MAINTENANCE) & 255
    e["stage"] = FIRING
    _emit(w, e, PENDING, FIRING, when, cause)
    return True


@_inlined
def _fire_device(w: World, e: Record, d: Record, when: When, cause: int) -> bool:
    """Fire a pending alert of a device, unless it is in maintenance or its hour is full."""
    if d["maintenance_from"] <= when.at < d["maintenance_until"]:
        if not e["marks"] & IN_MAINTENANCE:
            e["marks"] |= HELD | IN_MAINTENANCE
            _update(w, e, when, BY_MAINTENANCE)
        return False
    return _fire(w, e, d, e["kind"], when, cause)


# --- status and maintenance -----------------------------------------------------------------------------------


@_inlined
def _refresh(w: World, d: Record, at: int) -> None:
    """Bring a device's status up to date with its entries and flags."""
    flags = d["flags"] & (255 - F_OF_ENTRIES)
    place = d["head"]
    while place >= 0:
        e = w.entry[place]
        if e["kind"] == SILENT:
            flags |= F_SILENT
        elif e["stage"] == FIRING or (e["stage"] == PENDING and e["marks"] & HELD):
            flags |= F_SUSPECT
        place = e["next"]
    d["flags"] = flags
    code = w.codes[flags & F_OF_STATUS]
    if code != d["status"]:
        d["status"] = code
        d["status_since"] = at


@_inlined
def _maintain(w: World, d: Record, when: When) -> None:
    """Enter or leave the device's maintenance window, and mark or unmark what is open."""
    inside = d["maintenance_from"] <= when.at < d["maintenance_until"]
    if inside == (d["flags"] & F_MAINTENANCE != 0):
        return
    d["flags"] ^= F_MAINTENANCE
    place = d["head"]
    while place >= 0:
        e = w.entry[place]
        if e["stage"] == FIRING and inside != (e["marks"] & IN_MAINTENANCE != 0):
            e["marks"] ^= IN_MAINTENANCE
            _update(w, e, when, BY_MAINTENANCE)
        place = e["next"]


# --- rows -----------------------------------------------------------------------------------------------------


@_inlined
def _count(bits: Bits) -> int:
    n = 0
    while bits != NO_BIT:
        bits &= bits - ONE
        n += 1
    return n


@_inlined
def _over_budget(w: World, number: int, when: When) -> bool:
    """Count an anomaly alert of an owner; True where those opened EARLIER this day have used the budget up.

    Alerts that open at the same moment don't count against each other, so their order doesn't matter.
    """
    o = w.owner[number]
    day = when.at // DAY_MS
    if o["day"] != day:
        o["day"], o["before"], o["at_once"] = day, 0, 0
    elif o["last_clock"] != when.time:
        o["before"] += o["at_once"]
        o["at_once"] = 0
    o["last_clock"] = when.time
    o["at_once"] += 1
    return bool(o["before"] >= min(o["devices"] / w.config[0]["budget_devices"], w.config[0]["budget_most"]))


@_inlined
def _fire_anomaly(w: World, e: Record, d: Record, when: When, grave: bool) -> None:
    """Fire an anomaly, as info where the owner's budget is used up, or where it repeats one that people know of.

    Such a repeat costs no budget: a device that flaps takes none away from others.
    """
    e["severity"] = CRITICAL if grave else WARNING
    place = w.control[0]["n_out"]
    if not _fire_device(w, e, d, when, BY_READING):
        return
    if 0 <= when.time - d["ended"] < w.config[0]["repeat_ms"]:
        e["marks"] |= REPEAT
    else:
        d["flags"] &= ~F_TOLD & 255
    if when.live:
        over = not d["flags"] & F_TOLD and _over_budget(w, d["owner"], when)
        if grave or not (over or d["flags"] & F_TOLD):
            d["flags"] |= F_TOLD
        else:
            e["severity"] = INFO
            if over:
                e["marks"] |= OVER_BUDGET
    w.out[place]["severity"], w.out[place]["marks"] = e["severity"], e["marks"]


@_inlined
def _anomaly_entry(w: World, d: Record, slot: int, ts: int, score: float, levels: Levels, when: When) -> int:
    """Return the device's anomaly entry, opened where this reading is the first sign of one; -1 for none."""
    if d["run_start"] == NEVER and score >= levels.leave:
        d["run_start"] = ts
    place = _find(w, d["head"], ANOMALY, -1)
    if place < 0 and score >= levels.enter:
        place = _add(w, d, slot, ANOMALY, -1)
        w.entry[place]["first_signs"], w.entry[place]["severity"] = d["run_start"], WARNING
        _pend(w, w.entry[place], when, BY_READING)
    elif place < 0 and score < levels.leave and d["past"] == 0:
        d["run_start"] = NEVER
    return place


@_inlined
def _anomaly(w: World, d: Record, slot: int, ts: int, score: float, levels: Levels, when: When) -> None:
    """Take one scored reading: k of n past `enter` fire, m in a row below `leave` clear."""
    window = (ONE << np.uint64(w.config[0]["anomaly_n"])) - ONE
    past = ((np.uint64(d["past"]) << ONE) | np.uint64(score >= levels.enter)) & window
    far = ((np.uint64(d["far"]) << ONE) | np.uint64(score >= levels.far)) & window
    d["past"], d["far"] = past, far
    place = _anomaly_entry(w, d, slot, ts, score, levels, when)
    if place < 0:
        return
    e = w.entry[place]
    e["calm"] = e["calm"] + 1 if score < levels.leave else 0
    over = e["calm"] >= w.config[0]["anomaly_clear"] and not e["marks"] & CONFIRMED
    if e["stage"] == PENDING and not e["marks"] & HELD:
        over = past == NO_BIT
    grave = _count(far) >= w.config[0]["anomaly_k"]
    if over:
        _end(w, e, when, BY_READING)
        _drop(w, d, place)
        d["past"], d["far"], d["run_start"] = 0, 0, NEVER
    elif e["stage"] == PENDING:
        if e["marks"] & HELD or _count(past) >= w.config[0]["anomaly_k"]:
            _fire_anomaly(w, e, d, when, grave)
    elif grave and e["severity"] < CRITICAL:
        if e["stage"] == CLOSED:
            _pend(w, e, when, BY_READING)
            _fire_anomaly(w, e, d, when, grave)
        else:
            e["severity"] = CRITICAL
            if when.live:
                d["flags"] |= F_TOLD
            _update(w, e, when, BY_LIVE if _comes_live(e, when) else BY_SEVERITY)
    elif score >= levels.enter and _count(past) >= w.config[0]["anomaly_k"] and _comes_live(e, when):
        if d["flags"] & F_TOLD:
            e["severity"] = INFO
        d["flags"] |= F_TOLD
        _update(w, e, when, BY_LIVE)


@_inlined
def _bad_sensor(w: World, e: Record, d: Record, condition: int, ts: int, when: When) -> None:
    """Take one bad reading of a sensor: pending after a few, firing after long enough."""
    e["calm"] = 0
    if e["stage"] <= PENDING and e["condition"] != condition:
        _end(w, e, when, BY_READING)
        e["stage"], e["condition"], e["severity"], e["marks"] = WATCHED, condition, WARNING, 0
        e["since"], e["first_signs"], e["count"] = ts, ts, 0
    e["count"] += 1
    if e["stage"] == WATCHED and e["count"] >= w.config[0]["sensor_pending"]:
        _pend(w, e, when, BY_READING)
    if e["stage"] == PENDING and ts - e["since"] >= w.config[0]["sensor_intervals"] * d["interval_ms"]:
        _fire_device(w, e, d, when, BY_READING)
    elif _comes_live(e, when):
        _update(w, e, when, BY_LIVE)


@_inlined
def _good_sensor(w: World, d: Record, place: int, when: When) -> None:
    """Take one good reading of a sensor in trouble."""
    e = w.entry[place]
    e["calm"] += 1
    if e["stage"] == WATCHED or (e["calm"] >= w.config[0]["sensor_clear"] and not e["marks"] & CONFIRMED):
        _end(w, e, when, BY_READING)
        _drop(w, d, place)


@_inlined
def _sensors(w: World, d: Record, slot: int, ts: int, known: Bits, ways: Ways, when: When) -> None:
    """Take one reading's word on each sensor in `known`; those bad in none of the three ways are good."""
    bad = ways.missing | ways.stuck | ways.outside
    place = d["head"]
    while place >= 0:
        following = w.entry[place]["next"]
        if w.entry[place]["kind"] == SENSOR:
            bit = ONE << np.uint64(w.entry[place]["rule"])
            if bad & bit != NO_BIT:
                _bad_sensor(w, w.entry[place], d, _condition(ways, bit), ts, when)
                bad &= ~bit
            elif known & bit != NO_BIT:
                _good_sensor(w, d, place, when)
        place = following
    rule = 0
    while bad != NO_BIT:
        if bad & ONE != NO_BIT:
            place = _add(w, d, slot, SENSOR, rule)
            _bad_sensor(w, w.entry[place], d, _condition(ways, ONE << np.uint64(rule)), ts, when)
        bad >>= ONE
        rule += 1


@_inlined
def _condition(ways: Ways, bit: Bits) -> int:
    if ways.outside & bit != NO_BIT:
        return OUT_OF_RANGE
    return MISSING if ways.missing & bit != NO_BIT else STUCK


@_inlined
def _first_rule(w: World, type_id: int, owner: int) -> int:
    """The place where the rules of an owner about a type begin, or would."""
    low, high = 0, len(w.rule)
    while low < high:
        middle = (low + high) // 2
        r = w.rule[middle]
        if r["type"] < type_id or (r["type"] == type_id and r["owner"] < owner):
            low = middle + 1
        else:
            high = middle
    return low


@_inlined
def _past_rule(w: World, e: Record, d: Record, r: Record, ts: int, gap: int, when: When) -> None:
    """Take one reading past a rule's limit; a device that was away for too long begins its time anew."""
    e["calm"] = 0
    if e["stage"] == PENDING and not e["marks"] & HELD and gap > d["silent_after_ms"]:
        _end(w, e, when, BY_READING)
        e["stage"] = WATCHED
    if e["stage"] == WATCHED:
        e["since"], e["first_signs"], e["severity"] = ts, ts, r["severity"]
        _pend(w, e, when, BY_READING)
    if e["stage"] == PENDING and (e["marks"] & HELD or ts - e["since"] >= r["hold_ms"]):
        _fire_device(w, e, d, when, BY_READING)
    elif _comes_live(e, when):
        _update(w, e, when, BY_LIVE)


@_inlined
def _rules(w: World, d: Record, slot: int, values: npt.NDArray[np.float64], ts: int, gap: int, when: When) -> None:
    """Take one reading's values (n_sensors,) by the rules of the device's owner; a missing one counts neither way."""
    at = _first_rule(w, d["type"], d["owner"])
    while at < len(w.rule) and w.rule[at]["type"] == d["type"] and w.rule[at]["owner"] == d["owner"]:
        r = w.rule[at]
        at += 1
        if (r["slot"] >= 0 and r["slot"] != slot) or r["sensor"] >= len(values) or np.isnan(values[r["sensor"]]):
            continue
        value = values[r["sensor"]]
        place = _find(w, d["head"], THRESHOLD, r["id"])
        if value > r["limit"] if r["above"] else value < r["limit"]:
            if place < 0:
                place = _add(w, d, slot, THRESHOLD, r["id"])
            _past_rule(w, w.entry[place], d, r, ts, gap, when)
        elif place >= 0:
            e = w.entry[place]
            back = value <= r["back"] if r["above"] else value >= r["back"]
            young = e["stage"] == PENDING and not e["marks"] & HELD
            if young or (back and not e["marks"] & CONFIRMED):
                _end(w, e, when, BY_READING)
                _drop(w, d, place)


@_inlined
def _arrive(w: World, d: Record, slot: int, when: When) -> None:
    """A device was heard from, live: it isn't silent."""
    if not d["flags"] & F_LIVE:
        d["flags"] |= F_LIVE
        w.control[0]["look"] = 1
    d["heard"], d["arrival_ms"] = w.control[0]["clock"], when.at
    w.due[slot] = d["heard"] + d["silent_after_ms"]
    w.control[0]["next_due"] = min(w.control[0]["next_due"], w.due[slot])
    if d["flags"] & F_SILENT:
        place = _find(w, d["head"], SILENT, -1)
        _end(w, w.entry[place], when, BY_READING)
        _drop(w, d, place)
        w.control[0]["look"] = 1


@_inlined
def _when(w: World, now: int, ts: int, live: bool, row: int) -> When:
    """When a row counts: at its arrival where live, at its own time where backfilled."""
    if live:
        return When(now, w.control[0]["clock"], True, row)
    return When(ts, ts, False, row)


def take_rows(
    slots: npt.NDArray[np.int32],
    times: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
    enters: npt.NDArray[np.float32],
    leaves: npt.NDArray[np.float32],
    presents: npt.NDArray[np.uint64],
    stucks: npt.NDArray[np.uint64],
    lives: npt.NDArray[np.bool_],
    learnings: npt.NDArray[np.bool_],
    values: npt.NDArray[np.float64],
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """Take rows in order; return the pool of entries and the transitions, grown where they had to."""
    w = World(device, due, entry, site, owner, controls, configs, rules, codes, out)
    for row in range(len(slots)):
        if _full(w):
            w = _roomy(w)
        slot, ts = int(slots[row]), times[row]
        d, when = device[slot], _when(w, now, ts, lives[row], row)
        if when.live:
            _arrive(w, d, slot, when)
        if ts > d["newest_ts"]:
            gap = ts - d["newest_ts"]
            d["newest_ts"] = ts
            if learnings[row] != (d["flags"] & F_LEARNING != 0):
                d["flags"] ^= F_LEARNING
            score, enter, leave = float(scores[row]), float(enters[row]), float(leaves[row])
            if not np.isnan(score + enter + leave):
                levels = Levels(enter, leave, enter * w.config[0]["critical_factor"])
                _anomaly(w, d, slot, ts, score, levels, when)
            ways = Ways(d["seen"] & ~presents[row], stucks[row] & presents[row], NO_BIT)
            d["seen"] |= presents[row]
            if d["head"] >= 0 or ways.missing | ways.stuck != NO_BIT:
                _sensors(w, d, slot, ts, d["seen"], ways, when)
            if len(rules):
                _rules(w, d, slot, values[row], ts, gap, when)
        # Most rows change nothing; a call costs more than looking whether one does.
        if d["head"] >= 0 or d["flags"] & F_OF_ENTRIES or w.codes[d["flags"] & F_OF_STATUS] != d["status"]:
            _refresh(w, d, when.at)
    return w.entry, w.out


def take_rejected(
    slots: npt.NDArray[np.int32],
    times: npt.NDArray[np.int64],
    sensors: npt.NDArray[np.uint64],
    lives: npt.NDArray[np.bool_],
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """Take rows that intake rejected as out of range; return the pool and the transitions."""
    w = World(device, due, entry, site, owner, controls, configs, rules, codes, out)
    for i in range(len(slots)):
        if _full(w):
            w = _roomy(w)
        slot, ts, outside = int(slots[i]), times[i], sensors[i]
        d, when = device[slot], _when(w, now, ts, lives[i], -1)
        if when.live:
            _arrive(w, d, slot, when)
        if ts > d["newest_ts"]:
            d["seen"] |= outside
            _sensors(w, d, slot, ts, outside, Ways(NO_BIT, NO_BIT, outside), when)
        _refresh(w, d, when.at)
    return w.entry, w.out


def take_heard(
    slots: npt.NDArray[np.int32],
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """Take the arrivals that are no rows; return the pool and the transitions."""
    w = World(device, due, entry, site, owner, controls, configs, rules, codes, out)
    when = When(now, w.control[0]["clock"], True, -1)
    for i in range(len(slots)):
        if _full(w):
            w = _roomy(w)
        slot = int(slots[i])
        _arrive(w, device[slot], slot, when)
        _refresh(w, device[slot], now)
    return w.entry, w.out


# --- time -----------------------------------------------------------------------------------------------------


def grant_grace(longer_than: int, device: Table, controls: Table) -> None:
    """Begin the silence window anew for every live device whose window is shorter than a gap in time."""
    for slot in range(len(device)):
        d = device[slot]
        if d["flags"] & F_LIVE and d["silent_after_ms"] < longer_than:
            d["heard"] = controls[0]["clock"]
    controls[0]["look"] = 1


@_inlined
def _overdue(w: World, d: Record, slot: int, when: When) -> int:
    """Open or withdraw a live device's silent entry; return its place or -1."""
    place = _find(w, d["head"], SILENT, -1) if d["flags"] & F_SILENT else -1
    overdue = w.control[0]["clock"] - d["heard"] >= d["silent_after_ms"]
    if place < 0 and overdue:
        place = _add(w, d, slot, SILENT, -1)
        e = w.entry[place]
        e["since"], e["first_signs"] = d["heard"] + d["silent_after_ms"], d["arrival_ms"]
        e["severity"] = WARNING
        _pend(w, e, when, BY_TIME)
    elif place >= 0 and not overdue and w.entry[place]["stage"] == PENDING:
        _end(w, w.entry[place], when, BY_TIME)
        _drop(w, d, place)
        place = -1
    return place


@_inlined
def _count_in_site(w: World, d: Record, place: int) -> None:
    """Count a live device in its site, as silent too where it has a silent entry."""
    s = w.site[d["site"]]
    s["live"] += 1
    if place < 0:
        return
    s["silent"] += 1
    if w.entry[place]["since"] > w.control[0]["clock"] - max(w.config[0]["site_window_ms"], 2 * d["interval_ms"]):
        s["recent"] += 1
        s["first_signs"] = min(s["first_signs"], d["arrival_ms"])


@_inlined
def _judge_site(w: World, number: int, when: When) -> None:
    """Open, keep or end a site's alert, by its counts."""
    s = w.site[number]
    share = w.config[0]["site_permille"] * s["live"]
    if s["head"] < 0:
        if s["recent"] < w.config[0]["site_least"] or s["recent"] * 1000 < share:
            return
        e = w.entry[_add(w, s, number, SITE_KIND, -1)]
        e["severity"], e["count"], e["of"], e["first_signs"] = CRITICAL, s["silent"], s["live"], s["first_signs"]
        _pend(w, e, when, BY_TIME)
    e = w.entry[s["head"]]
    if s["silent"] == 0 or s["silent"] * 1000 < share:
        _end(w, e, when, BY_TIME)
        _drop(w, s, s["head"])
    elif e["stage"] == PENDING:
        _fire(w, e, s, 0, when, BY_TIME)
    elif e["stage"] == FIRING and s["silent"] > e["count"]:
        e["count"], e["of"] = s["silent"], s["live"]
        _update(w, e, when, BY_COUNT)


@_inlined
def _settle_silent(w: World, e: Record, d: Record, absorbed: bool, wait: int, when: When) -> int:
    """Fire a silent alert, leave it to its site's, or let it wait; return when to look again."""
    if absorbed and (e["stage"] == PENDING or e["stage"] == FIRING):
        _end(w, e, when, BY_SITE)
        e["stage"] = ABSORBED
    cause, ready = BY_TIME, e["since"] + wait
    if e["stage"] == ABSORBED and not absorbed:
        cause, ready = BY_SITE, when.time
        _pend(w, e, when, BY_SITE)
    if e["stage"] != PENDING:
        return -NEVER
    if when.time < ready:
        return int(ready)
    if _fire_device(w, e, d, when, cause) or e["marks"] & IN_MAINTENANCE:
        return -NEVER
    return int(d["cap_start"][SILENT] + w.config[0]["cap_ms"])


@_inlined
def _judge_device(w: World, slot: int, when: When) -> None:
    """Bring a device's maintenance and silence up to the clock, and count it in its site."""
    d = w.device[slot]
    if d["maintenance_until"] > d["maintenance_from"]:
        _maintain(w, d, when)
        if when.at < d["maintenance_from"]:
            w.control[0]["next_boundary"] = min(w.control[0]["next_boundary"], d["maintenance_from"])
        elif when.at < d["maintenance_until"]:
            w.control[0]["next_boundary"] = min(w.control[0]["next_boundary"], d["maintenance_until"])
        _refresh(w, d, when.at)
    if d["flags"] & F_LIVE:
        place = _overdue(w, d, slot, when)
        _refresh(w, d, when.at)
        if d["site"] >= 0 and not d["flags"] & F_MAINTENANCE:
            _count_in_site(w, d, place)


@_inlined
def _settle_device(w: World, d: Record, when: When) -> int:
    """Settle a device's silent alert, now that its site is judged; return when to look again."""
    absorbed, wait = False, 0
    if d["site"] >= 0 and not d["flags"] & F_MAINTENANCE:
        s = w.site[d["site"]]
        absorbed = s["head"] >= 0
        wait = d["interval_ms"] if s["live"] >= w.config[0]["site_least"] else 0
    return _settle_silent(w, w.entry[_find(w, d["head"], SILENT, -1)], d, absorbed, wait, when)


def pass_time(
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """Judge maintenance windows and silence, then sites, then whose silent alerts fire; return pool, transitions."""
    w = World(device, due, entry, site, owner, controls, configs, rules, codes, out)
    when = When(now, w.control[0]["clock"], True, -1)
    w.control[0]["look"], w.control[0]["next_boundary"] = 0, -NEVER
    for number in range(len(site)):
        s = site[number]
        s["live"], s["silent"], s["recent"], s["first_signs"] = 0, 0, 0, -NEVER
    for slot in range(len(device)):
        d = device[slot]
        # Most devices have nothing to judge; a call costs more than looking whether one has.
        if d["maintenance_until"] > d["maintenance_from"] or d["flags"] & (F_SILENT | F_MAINTENANCE):
            pass
        elif not d["flags"] & F_LIVE:
            continue
        elif when.time - d["heard"] < d["silent_after_ms"]:
            if d["site"] >= 0:
                site[d["site"]]["live"] += 1
            continue
        if _full(w):
            w = _roomy(w)
        _judge_device(w, slot, when)
    for number in range(len(site)):
        if _full(w):
            w = _roomy(w)
        _judge_site(w, number, when)
    next_due = -NEVER
    for slot in range(len(device)):
        d = device[slot]
        if d["flags"] & F_LIVE:
            due[slot] = d["heard"] + d["silent_after_ms"]
            if d["flags"] & F_SILENT:
                if _full(w):
                    w = _roomy(w)
                due[slot] = _settle_device(w, d, when)
            next_due = min(next_due, due[slot])
    w.control[0]["next_due"] = next_due
    return w.entry, w.out


# --- words ----------------------------------------------------------------------------------------------------


@_inlined
def _close(w: World, head: int, kind: int, rule: int, when: When, cause: int) -> None:
    """Close open alerts; they don't open again until what they were about has been over once."""
    place = head
    while place >= 0:
        e = w.entry[place]
        chosen = (kind < 0 or e["kind"] == kind) and (rule < 0 or e["rule"] == rule)
        if chosen and (e["stage"] == PENDING or e["stage"] == FIRING):
            _end(w, e, when, cause)
            e["stage"], e["calm"], e["marks"] = CLOSED, 0, 0
        place = e["next"]


@_inlined
def _repair(w: World, d: Record, when: When) -> None:
    """Close all of a device and forget what led to it; what is still true is found anew."""
    while d["head"] >= 0:
        _end(w, w.entry[d["head"]], when, BY_REPAIR)
        _drop(w, d, d["head"])
    d["past"], d["far"], d["run_start"], d["ended"] = 0, 0, NEVER, NEVER
    d["flags"] &= ~(F_FAULTY | F_TOLD) & 255
    d["heard"] = w.control[0]["clock"]


@_inlined
def _confirm(w: World, d: Record, kind: int, rule: int, when: When) -> None:
    """An operator says it is a fault: the device is faulty, and its alert stays, until it is repaired."""
    d["flags"] |= F_FAULTY
    place = d["head"]
    while place >= 0:
        e = w.entry[place]
        chosen = (kind < 0 or e["kind"] == kind) and (rule < 0 or e["rule"] == rule)
        if chosen and e["stage"] == FIRING and not e["marks"] & CONFIRMED:
            e["marks"] |= CONFIRMED
            _update(w, e, when, BY_CONFIRMATION)
        place = e["next"]


@_inlined
def _take_back(w: World, d: Record) -> None:
    """What was said to be a fault is none: the device isn't faulty, and its alerts end as others do."""
    d["flags"] &= ~F_FAULTY & 255
    place = d["head"]
    while place >= 0:
        w.entry[place]["marks"] &= ~CONFIRMED & 255
        place = w.entry[place]["next"]


def take_word(
    word: int,
    slot: int,
    kind: int,
    rule: int,
    start: int,
    until: int,
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """Take an operator's word about a device, or about a site where `kind` is SITE; return pool, transitions."""
    w = _roomy(World(device, due, entry, site, owner, controls, configs, rules, codes, out))
    when = When(now, w.control[0]["clock"], True, -1)
    w.control[0]["look"] = 1
    if kind == SITE_KIND:
        _close(w, site[slot]["head"], kind, rule, when, BY_DISMISSAL)
        return w.entry, w.out
    d = device[slot]
    if word == DISMISS:
        _close(w, d["head"], kind, rule, when, BY_DISMISSAL)
    elif word == NEW_NORMAL:
        _close(w, d["head"], ANOMALY, -1, when, BY_NEW_NORMAL)
    elif word == REPAIR:
        _repair(w, d, when)
    elif word == CONFIRM:
        _confirm(w, d, kind, rule, when)
    elif word == NOT_FAULTY:
        _take_back(w, d)
    else:
        d["maintenance_from"], d["maintenance_until"] = start, until
        _maintain(w, d, when)
    _refresh(w, d, now)
    return w.entry, w.out


def drop_rule(
    number: int,
    now: int,
    device: Table,
    due: npt.NDArray[np.int64],
    entry: Table,
    site: Table,
    owner: Table,
    controls: Table,
    configs: Table,
    rules: Table,
    codes: npt.NDArray[np.uint8],
    out: Table,
) -> tuple[Table, Table]:
    """End the alerts of a rule that is no longer in force; return the pool and the transitions."""
    w = World(device, due, entry, site, owner, controls, configs, rules, codes, out)
    when = When(now, w.control[0]["clock"], True, -1)
    for slot in range(len(device)):
        d = device[slot]
        place = _find(w, d["head"], THRESHOLD, number)
        if place < 0:
            continue
        if _full(w):
            w = _roomy(w)
        _end(w, w.entry[place], when, BY_RULE)
        _drop(w, d, place)
        _refresh(w, d, now)
    return w.entry, w.out


# --- compiling ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled passes, each with the signature of the function of its name."""

    take_rows: Callable[..., tuple[Table, Table]]
    take_rejected: Callable[..., tuple[Table, Table]]
    take_heard: Callable[..., tuple[Table, Table]]
    grant_grace: Callable[..., None]
    pass_time: Callable[..., tuple[Table, Table]]
    take_word: Callable[..., tuple[Table, Table]]
    drop_rule: Callable[..., tuple[Table, Table]]


@cache
def compiled() -> Kernels:
    """Compile the kernels, once a machine: numba keeps them on disk."""
    tables = (DEVICE, ENTRY, SITE, OWNER, CONTROL, CONFIG, RULE, TRANSITION)
    device, entry, site, owner, control, config, rule, out = (
        types.Array(from_dtype(table), 1, "C") for table in tables
    )
    world = (device, int64[::1], entry, site, owner, control, config, rule, uint8[::1], out)
    # What is read only may be read-only: views of the log's records are.
    slots, times, scores, bits, marks = (
        types.Array(scalar, 1, "C", readonly=True) for scalar in (int32, int64, float32, uint64, boolean)
    )
    values = types.Array(float64, 2, "C", readonly=True)
    rows = (slots, times, scores, scores, scores, bits, bits, marks, marks, values, int64)
    rejected = (slots, times, bits, marks, int64)

    return Kernels(
        machine_code(take_rows, (*rows, *world)),
        machine_code(take_rejected, (*rejected, *world)),
        machine_code(take_heard, (slots, int64, *world)),
        machine_code(grant_grace, (int64, device, control)),
        machine_code(pass_time, (int64, *world)),
        machine_code(take_word, (*(int64,) * 7, *world)),
        machine_code(drop_rule, (int64, int64, *world)),
    )
