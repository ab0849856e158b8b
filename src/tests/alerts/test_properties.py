"""What holds for every log: generated fleets, readings, rules, words, restarts and clocks that jump."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ...alerts.engine import (
    Cause,
    Devices,
    EngineConfig,
    EngineState,
    Kind,
    Mark,
    Observations,
    Rejected,
    Rows,
    Rule,
    Severity,
    State,
    Status,
    Transition,
    Word,
    WordKind,
    step,
)
from .fleet import BETWEEN, CALM, ENTER, GRAVE, HOUR, LEAVE, MINUTE, ODD, START

N = 8
WINDOW = 5 * MINUTE
DAY = 24 * HOUR
CONFIG = EngineConfig(anomaly_clear=3, sensor_pending=2, sensor_intervals=3, sensor_clear=2, cap=2)
DEVICES = Devices.of(
    range(N),
    interval_ms=MINUTE,
    silent_after_ms=WINDOW,
    site=[0, 0, 0, 0, 1, 1, 1, -1],
    owner=[0, 0, 0, 1, 1, 1, 1, 0],
    type=[0, 0, 1, 1, 0, 0, 1, 1],
)


@dataclass(frozen=True)
class Reading:
    """One row to be."""

    slot: int
    score: float
    present: int
    stuck: int
    live: bool
    skew: int
    value: float = 0.0


@dataclass(frozen=True)
class Happening:
    """One thing that happens: `wait` minutes pass, then some of the rest is observed."""

    wait: float = 1
    started: bool = False
    readings: tuple[Reading, ...] = ()
    rejected: tuple[int, ...] = ()
    heard: tuple[int, ...] = ()
    rules: tuple[Rule, ...] = ()
    words: tuple[Word, ...] = ()
    tick: bool = True


readings = st.builds(
    Reading,
    slot=st.integers(0, N - 1),
    score=st.sampled_from([CALM, CALM, BETWEEN, ODD, ODD, GRAVE, float("nan")]),
    present=st.sampled_from([0b11, 0b11, 0b11, 0b01, 0b00]),
    stuck=st.sampled_from([0, 0, 0, 0b10]),
    live=st.sampled_from([True, True, True, False]),
    skew=st.sampled_from([0, 0, 0, -1, 2, -10]),
    value=st.sampled_from([0.0, 5.0, 9.0, 11.0, 11.0, float("nan")]),
)
rules = st.builds(
    Rule,
    id=st.integers(0, 3),
    owner=st.integers(0, 1),
    type=st.integers(0, 1),
    sensor=st.integers(0, 1),
    above=st.just(True),
    limit=st.just(10.0),
    back=st.sampled_from([10.0, 7.0]),
    hold_ms=st.sampled_from([0, 0, 2 * MINUTE]),
    slot=st.sampled_from([-1, -1, 0]),
    severity=st.sampled_from(Severity),
    active=st.sampled_from([True, True, True, False]),
)
words = st.builds(
    Word,
    slot=st.integers(0, N - 1),
    kind=st.sampled_from(WordKind),
    alert=st.sampled_from([None, Kind.ANOMALY, Kind.SENSOR, Kind.SILENT, Kind.THRESHOLD]),
    rule=st.sampled_from([-1, -1, 0, 1]),
    from_ms=st.integers(START, START + HOUR),
    until_ms=st.integers(START + HOUR + 1, START + 3 * HOUR),
) | st.builds(Word, slot=st.integers(0, 1), kind=st.just(WordKind.DISMISS), alert=st.just(Kind.SITE))
slots = st.lists(st.integers(0, N - 1), max_size=3).map(tuple)
steady = st.builds(
    Happening,
    wait=st.sampled_from([0, 0.25, 1, 1, 1, 3]),
    readings=st.lists(readings, max_size=10).map(tuple)
    | st.sampled_from([ODD, CALM]).map(
        lambda score: tuple(Reading(slot, score, 0b11, 0, True, 0, 2 * score) for slot in range(N))
    ),
    rejected=st.just(()) | slots,
    heard=st.just(()) | slots,
    rules=st.just(()) | st.just(()) | st.lists(rules, max_size=2).map(tuple),
    words=st.just(()) | st.just(()) | st.lists(words, max_size=2).map(tuple),
    tick=st.sampled_from([True, True, False]),
)
upset = st.builds(Happening, wait=st.sampled_from([-30, 300])) | st.just(Happening(wait=30, started=True))
spells = st.builds(
    lambda who, score, wait, live, words: [
        Happening(readings=tuple(Reading(slot, score, 0b11, 0, live, 0) for slot in who)) for _ in range(3)
    ]
    + [Happening(wait=wait, words=words)],
    who=st.lists(st.integers(0, 4), min_size=1, max_size=2, unique=True),
    score=st.sampled_from([ODD, ODD, GRAVE, CALM, CALM]),
    wait=st.sampled_from([0, 0, 30, 600]),
    live=st.sampled_from([True, True, True, False]),
    words=st.just(()) | st.just(()) | st.lists(words, max_size=1).map(tuple),
)
"""Devices odd or calm for long enough to change an alert."""
stories = st.lists(spells, min_size=4, max_size=25).map(lambda parts: [each for part in parts for each in part])
logs = st.lists(steady | steady | steady | upset, min_size=1, max_size=40)
quick = settings(max_examples=60, deadline=None)


def observations(happening: Happening, now: int, number: int) -> Observations:
    """What the engine is told of a happening; a backfilled row is of four days ago."""
    rows = happening.readings
    ts = [now + each.skew * MINUTE - (0 if each.live else 96 * HOUR) for each in rows]
    return Observations(
        started=happening.started,
        devices=DEVICES if number == 0 else Observations().devices,
        rules=happening.rules,
        words=happening.words,
        rows=Rows.of(
            [each.slot for each in rows],
            ts,
            [each.score for each in rows],
            enter=ENTER,
            leave=LEAVE,
            present=[each.present for each in rows],
            stuck=[each.stuck for each in rows],
            live=[each.live for each in rows],
            values=np.array([[each.value, 0.0] for each in rows]).reshape(-1, 2),
        ),
        rejected=Rejected.of(happening.rejected, now, 0b10),
        heard=np.array(happening.heard, np.int32),
        tick=happening.tick,
    )


def told(log: Sequence[Happening]) -> Iterator[tuple[Observations, int]]:
    """The log as the engine is told it."""
    now = START
    for number, happening in enumerate(log):
        now += round(happening.wait * MINUTE)
        yield observations(happening, now, number), now


def play(parts: Sequence[tuple[Observations, int]], state: EngineState | None = None) -> list[Transition]:
    """All transitions of a log; `row` is left out, because it says where in its batch a row stood."""
    state = EngineState.new(config=CONFIG) if state is None else state
    changed = []
    for part, now in parts:
        changed += [replace(each, row=-1) for each in step(state, part, now)]
    return changed


def by_alert(changed: Sequence[Transition]) -> dict[tuple[bool, int], list[Transition]]:
    """Transitions of each device and each site, in their order."""
    each_own: dict[tuple[bool, int], list[Transition]] = defaultdict(list)
    for each in changed:
        each_own[each.kind == Kind.SITE, each.slot].append(each)
    return each_own


def arrays_equal(first: EngineState, second: EngineState) -> bool:
    """Whether two states are equal to the byte."""
    ours, theirs = first.to_arrays(), second.to_arrays()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)


def split(part: Observations) -> list[Observations]:
    """The same observations, one thing a step."""
    pieces = [Observations(started=part.started, devices=part.devices)]
    pieces += [Observations(rules=[rule]) for rule in part.rules]
    pieces += [Observations(words=[word]) for word in part.words]
    pieces += [Observations(rows=part.rows.take(np.array([row]))) for row in range(len(part.rows))]
    rejected = part.rejected
    pieces += [
        Observations(
            rejected=Rejected(*(getattr(rejected, name)[i : i + 1] for name in ("slot", "ts", "sensors", "live")))
        )
        for i in range(len(rejected))
    ]
    pieces += [Observations(heard=part.heard[i : i + 1]) for i in range(len(part.heard))]
    return [*pieces, Observations(tick=part.tick)]


@quick
@given(logs)
def test_every_alert_goes_from_pending_to_firing_to_resolved_and_is_open_at_most_once(log: list[Happening]) -> None:
    stands: dict[tuple[Kind, int, int], State] = defaultdict(lambda: State.INACTIVE)
    allowed = {
        (State.INACTIVE, State.PENDING),
        (State.PENDING, State.INACTIVE),
        (State.PENDING, State.FIRING),
        (State.FIRING, State.RESOLVED),
        (State.PENDING, State.PENDING),
        (State.FIRING, State.FIRING),
    }
    for each in play(list(told(log))):
        alert = each.kind, each.slot, each.rule
        assert (each.from_state, each.to_state) in allowed
        assert each.from_state == stands[alert]
        assert each.first_signs_ms <= each.pending_ms
        stands[alert] = State.INACTIVE if each.to_state == State.RESOLVED else each.to_state


@quick
@given(logs)
def test_replay_gives_the_same_and_so_does_a_checkpoint_anywhere_in_it(log: list[Happening]) -> None:
    parts = list(told(log))
    state = EngineState.new(config=CONFIG)
    whole = play(parts, state)
    half = len(parts) // 2
    restored = EngineState.new(config=CONFIG)
    first = play(parts[:half], restored)
    restored = EngineState.from_arrays(restored.to_arrays(), CONFIG)
    assert first + play(parts[half:], restored) == whole
    assert arrays_equal(state, restored)


@quick
@given(logs, st.permutations(range(N)))
def test_order_of_devices_in_a_batch_does_not_matter(log: list[Happening], order: list[int]) -> None:
    shuffled = [
        replace(each, readings=tuple(sorted(each.readings, key=lambda reading: order[reading.slot]))) for each in log
    ]
    first, second = EngineState.new(config=CONFIG), EngineState.new(config=CONFIG)
    assert play(list(told(log)), first) == play(list(told(shuffled)), second)
    assert arrays_equal(first, second)


@quick
@given(logs)
def test_cutting_a_batch_into_single_rows_does_not_matter(log: list[Happening]) -> None:
    parts = list(told(log))
    pieces = [(piece, now) for part, now in parts for piece in split(part)]
    first, second = EngineState.new(config=CONFIG), EngineState.new(config=CONFIG)
    assert by_alert(play(parts, first)) == by_alert(play(pieces, second))
    assert arrays_equal(first, second)


@quick
@given(logs)
def test_nothing_changes_without_an_observation_or_a_due_time(log: list[Happening]) -> None:
    state = EngineState.new(config=CONFIG)
    for part, now in told(log):
        play([(part, now)], state)
        play([(Observations(tick=True), now)], state)
        before = state.to_arrays()
        assert play([(Observations(), now), (Observations(tick=True), now)], state) == []
        assert all(np.array_equal(before[name], array) for name, array in state.to_arrays().items())


@quick
@given(logs)
def test_late_rows_change_nothing_but_silence(log: list[Happening]) -> None:
    state = EngineState.new(config=CONFIG)
    for part, now in told(log):
        play([(part, now)], state)
        newest = state.device["newest_ts"].copy()
        values = np.full((N, 2), 99.0)
        late = Rows.of(range(N), newest, GRAVE, enter=ENTER, leave=LEAVE, present=0, live=False, values=values)
        assert play([(Observations(rows=late), now)], state) == []
        live = replace(late, live=np.ones(N, np.bool_))
        twin = EngineState.from_arrays(state.to_arrays(), CONFIG)
        assert {each.kind for each in play([(Observations(rows=live), now)], twin)} <= {Kind.SILENT}


@quick
@given(logs)
def test_restart_and_clocks_that_jump_make_no_device_silent(log: list[Happening]) -> None:
    state = EngineState.new(config=CONFIG)
    now = START
    for part, now in told(log):
        play([(part, now)], state)
    play([(Observations(tick=True), now)], state)
    silent_before = state.status == Status.SILENT
    for later, started in ((-2 * HOUR, False), (9 * HOUR, False), (20 * HOUR, True)):
        twin = EngineState.from_arrays(state.to_arrays(), CONFIG)
        changed = play([(Observations(tick=True, started=started), now + later)], twin)
        opened = [each for each in changed if each.kind == Kind.SILENT and each.cause == Cause.TIME]
        assert not [each for each in opened if each.to_state == State.PENDING]
        assert not ((twin.status == Status.SILENT) & ~silent_before & (state.status != Status.MAINTENANCE)).any()


@quick
@given(stories | logs, st.sampled_from([20 * MINUTE, 24 * HOUR, 24 * HOUR]))
def test_who_is_told_of_an_anomaly_follows_from_what_came_before(log: list[Happening], repeat_ms: int) -> None:
    """Against the plainest model: ends of alerts, whether people know of them, and each owner's day."""
    state = EngineState.new(config=replace(CONFIG, repeat_ms=repeat_ms))
    ended: dict[int, int] = {}
    known: set[int] = set()
    spent: dict[tuple[int, int], list[int]] = defaultdict(list)
    clock, last = START, START
    for part, now in told(log):
        clock, last = clock + max(0, now - last), now
        repaired = {word.slot for word in part.words if word.kind == WordKind.REPAIRED}
        for slot in repaired:
            ended.pop(slot, None)
        known -= repaired
        for each in step(state, part, now):
            if each.kind != Kind.ANOMALY or State.FIRING not in (each.from_state, each.to_state):
                continue
            time = each.at_ms if each.historic else clock
            if each.to_state == State.RESOLVED:
                if each.slot not in repaired or each.cause == Cause.READING:
                    ended[each.slot] = time
                continue
            again = each.slot in ended and 0 <= time - ended[each.slot] < repeat_ms
            grave = each.severity == Severity.CRITICAL
            if each.is_update:
                if not each.historic and each.cause in (Cause.LIVE, Cause.SEVERITY):
                    assert grave or (each.severity == Severity.INFO) == (each.slot in known)
                    known.add(each.slot)
                continue
            assert bool(each.marks & Mark.REPEAT) == again
            if not again:
                known.discard(each.slot)
            if each.historic:
                assert each.severity != Severity.INFO
                continue
            over = False
            if each.slot not in known:
                day = spent[int(DEVICES.owner[each.slot]), now // DAY]
                over = sum(earlier != clock for earlier in day) >= 4 / 30
                day.append(clock)
            assert bool(each.marks & Mark.OVER_BUDGET) == (over and not grave)
            assert grave or (each.severity == Severity.INFO) == (over or each.slot in known)
            if each.severity != Severity.INFO:
                known.add(each.slot)


@quick
@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 1.0]), st.lists(st.integers(0, N - 1), max_size=N, unique=True)),
        min_size=1,
        max_size=60,
    ),
    st.booleans(),
)
def test_silence_fires_when_due_and_clears_with_the_first_reading(
    story: list[tuple[float, list[int]]], sites: bool
) -> None:
    """Against the plainest model: when each device was last heard, and nothing else."""
    state = EngineState.new(config=replace(CONFIG, cap=255))
    devices = DEVICES if sites else replace(DEVICES, site=np.full(N, -1, np.int32))
    now = START
    heard: dict[int, int] = {}
    alerts: dict[int, State] = defaultdict(lambda: State.INACTIVE)
    site_open = {0: False, 1: False}
    step(state, Observations(devices=devices), now)
    for wait, sending in story:
        now += round(wait * MINUTE)
        rows = Rows.of(sending, now, CALM, enter=ENTER, leave=LEAVE, present=1)
        for each in step(state, Observations(rows=rows, tick=True), now):
            if each.kind == Kind.SITE:
                site_open[each.slot] = each.to_state == State.FIRING
            else:
                alerts[each.slot] = each.to_state
        heard |= dict.fromkeys(sending, now)
        for slot, last in heard.items():
            silent = now - last >= WINDOW
            site = int(devices.site[slot])
            assert (state.status[slot] == Status.SILENT) == silent
            if not silent:
                assert alerts[slot] in (State.INACTIVE, State.RESOLVED)
            elif site < 0:
                assert alerts[slot] == State.FIRING
            elif now - last >= WINDOW + MINUTE:
                assert (alerts[slot] == State.FIRING) != site_open[site]
