"""Rules of owners: past a limit for long enough fires, back by more than a hair's breadth clears."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
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
    Rows,
    Rule,
    Severity,
    State,
    Status,
    Transition,
    WordKind,
    step,
)
from ...alerts.state import MAX_RULES
from .fleet import CALM, ENTER, LEAVE, MINUTE, START, Fleet, endings, firings

RULE = Rule(id=7, owner=0, type=0, sensor=1, above=True, limit=12.0, back=10.0, hold_ms=10 * MINUTE)
NAN = float("nan")


def fleet_with(*rules: Rule, n: int = 1, config: EngineConfig | None = None) -> Fleet:
    """A fleet of owner 0 and type 0 with these rules in force."""
    fleet = Fleet(n, config=config)
    fleet.step(Observations(rules=rules))
    return fleet


def send(fleet: Fleet, value: float, slot: int = 0, *, ts: int | None = None, live: bool = True) -> list[Transition]:
    """One reading, now, whose sensor 1 has this value."""
    when = fleet.now if ts is None else ts
    values = [[1.0, value]]
    rows = Rows.of(slot, when, CALM, enter=ENTER, leave=LEAVE, present=0b11, live=live, values=values)
    return fleet.step(Observations(rows=rows))


def minutes(fleet: Fleet, values: Iterable[float], slot: int = 0) -> list[Transition]:
    """One reading a minute."""
    changed = []
    for value in values:
        fleet.now += MINUTE
        changed += send(fleet, value, slot)
    return changed


def test_a_value_past_the_limit_for_long_enough_fires_once() -> None:
    fleet = fleet_with(RULE)
    assert firings(minutes(fleet, [12.5] * 10)) == []
    [fired] = firings(minutes(fleet, [12.5] * 5))
    assert (fired.kind, fired.rule, fired.severity) == (Kind.THRESHOLD, 7, Severity.WARNING)
    assert fired.first_signs_ms == fired.pending_ms == START + MINUTE
    assert fired.at_ms == START + 11 * MINUTE
    assert fleet.status() == Status.SUSPECT


def test_without_a_duration_the_first_reading_past_the_limit_fires() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0, severity=Severity.CRITICAL))
    [fired] = firings(minutes(fleet, [12.1]))
    assert fired.severity == Severity.CRITICAL


def test_a_value_on_the_limit_is_not_past_it() -> None:
    assert minutes(fleet_with(replace(RULE, hold_ms=0)), [12.0]) == []


def test_one_reading_within_the_limit_begins_the_time_anew() -> None:
    fleet = fleet_with(RULE)
    changed = minutes(fleet, [13.0] * 9 + [11.0] + [13.0] * 10)
    assert [each.to_state for each in changed] == [State.PENDING, State.INACTIVE, State.PENDING]
    assert len(firings(minutes(fleet, [13.0]))) == 1


def test_it_clears_only_when_the_value_is_back_past_the_second_limit() -> None:
    fleet = fleet_with(RULE)
    minutes(fleet, [13.0] * 11)
    assert minutes(fleet, [11.9, 10.1, 12.5, 10.1]) == [], "between the two limits nothing changes"
    [over] = endings(minutes(fleet, [10.0]))
    assert over.cause == Cause.READING
    assert fleet.status() == Status.HEALTHY


def test_a_rule_below_a_limit_is_the_same_upside_down() -> None:
    fleet = fleet_with(replace(RULE, above=False, limit=3.0, back=4.0, hold_ms=0))
    assert len(firings(minutes(fleet, [3.0, 2.9]))) == 1
    assert endings(minutes(fleet, [3.9])) == []
    assert len(endings(minutes(fleet, [4.0]))) == 1


def test_a_missing_value_counts_neither_way() -> None:
    fleet = fleet_with(RULE)
    assert len(firings(minutes(fleet, [13.0] * 5 + [NAN] * 3 + [13.0] * 3))) == 1
    assert minutes(fleet, [NAN] * 20) == []


def test_a_device_that_was_away_for_its_silence_window_begins_the_time_anew() -> None:
    fleet = fleet_with(RULE)
    minutes(fleet, [13.0] * 5)
    fleet.now += 6 * MINUTE
    assert firings(send(fleet, 13.0)) == []
    assert firings(minutes(fleet, [13.0] * 9)) == []
    assert len(firings(minutes(fleet, [13.0]))) == 1


def test_a_rule_is_about_its_owners_devices_of_its_type_and_maybe_about_one() -> None:
    fleet = Fleet(4)
    fleet.step(
        Observations(
            devices=Devices.of(
                range(4), interval_ms=MINUTE, silent_after_ms=5 * MINUTE, owner=[0, 1, 0, 0], type=[0, 0, 1, 0]
            ),
            rules=[replace(RULE, hold_ms=0), replace(RULE, id=8, slot=3, hold_ms=0, limit=5.0, back=5.0)],
        )
    )
    fired = {slot: [each.rule for each in firings(send(fleet, 12.5, slot))] for slot in range(4)}
    assert fired == {0: [7], 1: [], 2: [], 3: [7, 8]}


def test_a_rule_that_is_removed_ends_its_alerts_and_one_put_again_changes_nothing() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0), n=3)
    for slot in range(3):
        send(fleet, 13.0, slot)
    assert fleet.step(Observations(rules=[replace(RULE, hold_ms=0)])) == []
    ended = endings(fleet.step(Observations(rules=[replace(RULE, active=False)])))
    assert [(each.slot, each.cause) for each in ended] == [(0, Cause.RULE), (1, Cause.RULE), (2, Cause.RULE)]
    assert fleet.status(1) == Status.HEALTHY
    assert minutes(fleet, [13.0] * 20) == []


def test_a_rule_that_changes_ends_what_the_old_one_said() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0))
    send(fleet, 13.0)
    [ended] = endings(fleet.step(Observations(rules=[replace(RULE, hold_ms=0, limit=20.0)])))
    assert ended.cause == Cause.RULE
    assert minutes(fleet, [13.0]) == []


def test_words_hold_for_it_as_for_other_alerts() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0))
    minutes(fleet, [13.0])
    assert len(endings(fleet.say(WordKind.DISMISS, alert=Kind.THRESHOLD, rule=7))) == 1
    assert minutes(fleet, [13.0, 11.0, 13.0]) == [], "it has not been over yet"
    minutes(fleet, [9.0])
    assert len(firings(minutes(fleet, [13.0]))) == 1
    fleet.say(WordKind.CONFIRM, alert=Kind.THRESHOLD, rule=7)
    assert minutes(fleet, [9.0] * 5) == [], "a confirmed fault stays until it is repaired"
    assert len(endings(fleet.say(WordKind.REPAIRED))) == 1


def test_in_maintenance_it_waits_and_fires_afterwards_if_it_is_still_true() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0))
    fleet.say(WordKind.MAINTENANCE, minutes=(-1, 5))
    [pending, held] = minutes(fleet, [13.0])
    assert held.marks & Mark.MAINTENANCE and held.to_state == State.PENDING
    assert firings(minutes(fleet, [13.0] * 3)) == []
    assert len(firings(minutes(fleet, [13.0] * 3))) == 1


def test_one_device_fires_it_four_times_an_hour_at_most() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0))
    assert len(firings(minutes(fleet, [13.0, 9.0] * 20))) == 4


def test_a_late_row_and_a_backfilled_one() -> None:
    fleet = fleet_with(replace(RULE, hold_ms=0))
    minutes(fleet, [11.0])
    assert send(fleet, 99.0, ts=fleet.now - MINUTE) == []
    [fired] = firings(send(fleet, 13.0, ts=fleet.now + 1, live=False))
    assert fired.historic
    [told] = send(fleet, 13.0, ts=fleet.now + 2)
    assert (told.cause, told.historic, told.from_state) == (Cause.LIVE, False, told.to_state)


def test_what_makes_no_sense_is_refused_and_changes_nothing() -> None:
    fleet = fleet_with(RULE)
    for wrong in (
        replace(RULE, back=12.5),
        replace(RULE, limit=NAN),
        replace(RULE, hold_ms=-1),
        replace(RULE, sensor=-1),
    ):
        with pytest.raises(ValueError, match="expected a finite limit"):
            fleet.step(Observations(rules=[wrong]))
    many = [replace(RULE, id=100 + number) for number in range(MAX_RULES)]
    with pytest.raises(ValueError, match="65 rules of one owner"):
        fleet.step(Observations(rules=many))
    assert len(fleet.state.rule) == 1


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.sampled_from([9.0, 10.0, 11.0, 12.0, 12.5, NAN])), min_size=1, max_size=60
    ),
    st.sampled_from([0, 1, 3]),
)
def test_it_is_what_the_plainest_model_says(story: list[tuple[int, float]], hold: int) -> None:
    """The model: since when it has been past the limit without a break, and whether it has come back."""
    state = EngineState.new(config=EngineConfig(cap=255))
    devices = Devices.of([0], interval_ms=MINUTE, silent_after_ms=5 * MINUTE)
    step(state, Observations(devices=devices, rules=[replace(RULE, hold_ms=hold * MINUTE)]), START)
    now, since, fires, seen = START, None, False, State.INACTIVE
    for wait, value in story:
        now += wait * MINUTE
        rows = Rows.of(0, now, CALM, enter=ENTER, leave=LEAVE, present=0b11, values=np.array([[0.0, value]]))
        for each in step(state, Observations(rows=rows), now):
            seen = each.to_state
        if value > 12:
            since = now if since is None else since
            fires = fires or now - since >= hold * MINUTE
        elif value <= 10 or (value <= 12 and not fires):
            since, fires = None, False
        assert (seen == State.FIRING) == fires
        assert (state.status[0] == Status.SUSPECT) == fires
