"""Anomaly alerts: k of n readings past the threshold, hysteresis, severity, budget, cap, backfill."""

import math

import pytest

from ...alerts.engine import Cause, EngineConfig, Kind, Mark, Severity, State, Status, WordKind
from .fleet import BETWEEN, CALM, GRAVE, HOUR, MINUTE, ODD, START, Fleet, endings, firings, moves

A, I, P, F, R = Kind.ANOMALY, State.INACTIVE, State.PENDING, State.FIRING, State.RESOLVED


def test_first_odd_reading_is_pending_and_the_third_of_five_fires() -> None:
    fleet = Fleet()
    assert moves(fleet.run([CALM, ODD])) == [(A, I, P)]
    assert moves(fleet.run([CALM, ODD, CALM])) == []
    assert fleet.status() == Status.HEALTHY
    assert moves(fleet.run([ODD])) == [(A, P, F)]
    assert fleet.status() == Status.SUSPECT
    assert fleet.state.status_since[0] == fleet.now


def test_three_odd_readings_further_apart_than_five_do_not_fire() -> None:
    fleet = Fleet()
    assert not firings(fleet.run([ODD, CALM, CALM, CALM, CALM, ODD, CALM, CALM, CALM, CALM, ODD]))


def test_pending_that_comes_to_nothing_goes_back() -> None:
    fleet = Fleet()
    assert moves(fleet.run([ODD, CALM, CALM, CALM, CALM, CALM])) == [(A, I, P), (A, P, I)]


def test_clears_after_ten_calm_readings_in_a_row_only() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    assert moves(fleet.run([CALM] * 9 + [BETWEEN] + [CALM] * 9)) == []
    assert moves(fleet.run([CALM])) == [(A, F, R)]
    assert fleet.status() == Status.HEALTHY


def test_unscored_readings_count_neither_way() -> None:
    fleet = Fleet()
    assert moves(fleet.run([ODD, math.nan, ODD, math.nan, math.nan, math.nan, ODD])) == [(A, I, P), (A, P, F)]
    assert not endings(fleet.run([CALM] * 9 + [math.nan] * 5))
    assert endings(fleet.run([CALM]))


def test_says_when_the_first_signs_were_which_reading_did_it_and_when_it_was_pending() -> None:
    fleet = Fleet()
    fleet.run([BETWEEN, CALM, BETWEEN, BETWEEN, ODD, ODD])
    (fired,) = firings(fleet.run([ODD]))
    assert fired.first_signs_ms == START + 3 * MINUTE  # the reading at 1 was over before it came to anything
    assert (fired.pending_ms, fired.at_ms, fired.row) == (START + 5 * MINUTE, START + 7 * MINUTE, 0)
    assert (fired.severity, fired.cause, fired.rule) == (Severity.WARNING, Cause.READING, -1)


def test_far_past_is_critical_at_once_or_as_an_update_of_the_open_alert() -> None:
    (fired,) = firings(Fleet().run([GRAVE] * 3))
    assert fired.severity == Severity.CRITICAL
    fleet = Fleet()
    fleet.run([ODD] * 3)
    (update,) = fleet.run([GRAVE] * 5)
    assert update.is_update
    assert (update.severity, update.cause) == (Severity.CRITICAL, Cause.SEVERITY)
    assert not fleet.run([ODD] * 5)


def test_past_the_owners_budget_of_the_day_alerts_open_as_info_but_critical_stays_critical() -> None:
    fleet = Fleet(90)  # 90 devices: three a day
    for slot in range(4):
        fleet.run([ODD] * 3, slot)
    *within, over = firings(fleet.seen)
    assert [each.severity for each in within] == [Severity.WARNING] * 3
    assert (over.severity, over.marks) == (Severity.INFO, Mark.OVER_BUDGET)
    assert fleet.status(3) == Status.SUSPECT
    (grave,) = firings(fleet.run([GRAVE] * 3, 5))
    assert grave.severity == Severity.CRITICAL
    assert [each.severity for each in fleet.run([GRAVE] * 3, 3)] == [Severity.CRITICAL]
    fleet.now += 24 * HOUR
    assert firings(fleet.run([ODD] * 3, 6))[0].severity == Severity.WARNING


def test_a_device_that_flaps_all_day_is_told_of_once_and_takes_no_budget_from_the_others() -> None:
    fleet = Fleet(200)  # three a day
    fleet.now += 2 * HOUR  # past midnight
    for _ in range(8):
        fleet.run([ODD] * 3 + [CALM] * 10, 7)
        fleet.now += 2 * HOUR
    first, *again = firings(fleet.seen)
    assert (first.severity, first.marks) == (Severity.WARNING, 0)
    assert [(each.severity, each.marks) for each in again] == [(Severity.INFO, Mark.REPEAT)] * 7
    assert fleet.run([ODD] * 2, 7) and fleet.run([ODD], 7) and fleet.status(7) == Status.SUSPECT
    told = [firings(fleet.run([ODD] * 3, slot))[0] for slot in (11, 12, 13)]
    assert [each.severity for each in told] == [Severity.WARNING, Severity.WARNING, Severity.INFO]
    assert told[-1].marks == Mark.OVER_BUDGET


def test_a_repeat_is_within_a_day_of_the_end_of_the_last_one() -> None:
    for hours, severity in ((23.9, Severity.INFO), (24, Severity.WARNING)):
        fleet = Fleet(200)
        fleet.run([ODD] * 3)
        fleet.now += 30 * HOUR  # a long one: it is its end that counts
        (over,) = endings(fleet.run([CALM] * 10))
        fleet.now = over.at_ms + round(hours * HOUR) - 3 * MINUTE
        assert firings(fleet.run([ODD] * 3))[0].severity == severity


def test_a_repeat_that_becomes_critical_is_told_of_as_such() -> None:
    fleet = Fleet(200)
    fleet.run([ODD] * 3 + [CALM] * 10 + [ODD] * 3)
    (worse,) = fleet.run([GRAVE] * 3)
    assert (worse.severity, worse.cause, worse.marks) == (Severity.CRITICAL, Cause.SEVERITY, Mark.REPEAT)
    (grave,) = firings(fleet.run([CALM] * 10 + [GRAVE] * 3))
    assert (grave.severity, grave.marks) == (Severity.CRITICAL, Mark.REPEAT)


def test_what_comes_back_after_a_repair_is_no_repeat() -> None:
    fleet = Fleet(200)
    fleet.run([ODD] * 3)
    fleet.say(WordKind.REPAIRED)
    assert firings(fleet.run([ODD] * 3))[0].severity == Severity.WARNING


def test_a_repeat_of_what_nobody_was_told_of_is_told_once_there_is_budget() -> None:
    fleet = Fleet(30)
    fleet.run([ODD] * 3, 1)
    (over,) = firings(fleet.run([ODD] * 3 + [CALM] * 10))
    assert over.marks == Mark.OVER_BUDGET
    (still,) = firings(fleet.run([ODD] * 3 + [CALM] * 10))
    assert (still.severity, still.marks) == (Severity.INFO, Mark.OVER_BUDGET | Mark.REPEAT)
    fleet.now += 23 * HOUR
    (told,) = firings(fleet.run([ODD] * 3 + [CALM] * 10))
    assert (told.severity, told.marks) == (Severity.WARNING, Mark.REPEAT)
    assert firings(fleet.run([ODD] * 3))[0].severity == Severity.INFO
    assert firings(fleet.run([ODD] * 3, 2))[0].marks == Mark.OVER_BUDGET, "telling of it used the day's budget"


def test_a_live_alert_is_told_of_although_it_repeats_a_historic_one() -> None:
    fleet = Fleet(200)
    for minute in range(13):
        fleet.send(0, ODD if minute < 3 else CALM, ts=START - HOUR + minute * MINUTE, live=False)
    (fired,) = firings(fleet.run([ODD] * 3))
    assert (fired.severity, fired.marks) == (Severity.WARNING, Mark.REPEAT)


def test_alerts_that_open_at_the_same_moment_do_not_use_up_each_others_budget() -> None:
    fleet = Fleet(30)
    for _ in range(3):
        fleet.now += MINUTE
        fleet.send(range(20), ODD)
    assert {each.severity for each in firings(fleet.seen)} == {Severity.WARNING}
    assert firings(fleet.run([ODD] * 3, 25))[0].severity == Severity.INFO


def test_at_most_four_an_hour_then_held_and_once_the_hour_is_over_fired_once_as_flapping() -> None:
    fleet = Fleet(config=EngineConfig(anomaly_clear=2))
    for _ in range(4):
        assert len(firings(fleet.run([ODD, ODD, ODD, CALM, CALM]))) == 1
    changed = fleet.run([ODD] * 5)
    assert moves(changed) == [(A, I, P), (A, P, P)]
    assert changed[1].cause == Cause.CAP
    assert changed[1].marks == Mark.FLAPPING | Mark.HELD
    assert fleet.status() == Status.SUSPECT
    (fired,) = fleet.run([ODD] * 40)
    assert moves([fired]) == [(A, P, F)]
    assert fired.marks == Mark.FLAPPING | Mark.REPEAT
    assert fired.at_ms >= START + 3 * MINUTE + HOUR


def test_held_alert_that_is_over_before_the_hour_is_never_fires() -> None:
    fleet = Fleet(config=EngineConfig(anomaly_clear=2, cap=1))
    fleet.run([ODD, ODD, ODD, CALM, CALM])
    assert moves(fleet.run([ODD, ODD, ODD, BETWEEN, BETWEEN, BETWEEN, BETWEEN, BETWEEN, BETWEEN])) == [
        (A, I, P),
        (A, P, P),
    ]
    assert moves(fleet.run([CALM, CALM])) == [(A, P, I)]


def test_backfilled_rows_open_historic_alerts_by_their_own_time_and_the_state_carries_on_into_live() -> None:
    fleet = Fleet()
    then = START - 100 * HOUR
    for minute in range(3):
        fleet.send(0, ODD, ts=then + minute * MINUTE, live=False)
    (fired,) = firings(fleet.seen)
    assert (fired.historic, fired.at_ms, fired.marks) == (True, then + 2 * MINUTE, Mark.HISTORIC)
    assert fired.severity == Severity.WARNING
    assert fleet.status() == Status.SUSPECT
    (over,) = fleet.run([CALM] * 10)
    assert (over.historic, over.marks, over.to_state) == (False, Mark.HISTORIC, State.RESOLVED)


def test_a_historic_alert_that_live_readings_bear_out_is_told_of_once() -> None:
    fleet = Fleet()
    for minute in range(3):
        fleet.send(0, ODD, ts=START - HOUR + minute * MINUTE, live=False)
    assert fleet.run([CALM, CALM]) == [], "calm ones bear nothing out"
    told, worse = fleet.run([ODD, ODD, GRAVE, GRAVE, GRAVE])
    assert moves([told, worse]) == [(A, F, F)] * 2
    assert (told.cause, told.historic, told.marks, told.severity) == (Cause.LIVE, False, 0, Severity.WARNING)
    assert told.first_signs_ms == START - HOUR
    assert (worse.cause, worse.severity) == (Cause.SEVERITY, Severity.CRITICAL)


def test_historic_alerts_use_no_budget() -> None:
    fleet = Fleet(30)
    for minute in range(3):
        fleet.send(0, ODD, ts=START - HOUR + minute * MINUTE, live=False)
    assert firings(fleet.run([ODD] * 3, 1))[0].severity == Severity.WARNING


def test_late_rows_never_reopen_the_past() -> None:
    fleet = Fleet()
    fleet.run([CALM])
    for minute in range(10):
        assert fleet.send(0, GRAVE, ts=fleet.now - minute * MINUTE) == []


@pytest.mark.parametrize("learning", [True, False])
def test_learning_is_a_status_until_something_worse_is_true(learning: bool) -> None:
    fleet = Fleet()
    assert fleet.status() == Status.LEARNING
    fleet.now += MINUTE
    fleet.send(learning=learning)
    assert fleet.status() == (Status.LEARNING if learning else Status.HEALTHY)
    for _ in range(3):
        fleet.now += MINUTE
        fleet.send(0, ODD, learning=learning)
    assert fleet.status() == Status.SUSPECT


def test_dismissed_alert_does_not_open_again_before_it_has_been_over_once() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    (closed,) = fleet.say(WordKind.DISMISS, alert=Kind.ANOMALY)
    assert (closed.to_state, closed.cause) == (State.RESOLVED, Cause.DISMISSED)
    assert fleet.status() == Status.HEALTHY
    assert fleet.run([ODD] * 20) == []
    assert fleet.run([CALM] * 10) == []
    assert moves(fleet.run([ODD] * 3)) == [(A, I, P), (A, P, F)]


def test_dismissed_alert_opens_again_when_it_becomes_critical() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    fleet.say(WordKind.DISMISS)
    assert moves(fleet.run([GRAVE] * 3)) == [(A, I, P), (A, P, F)]


def test_new_normal_closes_anomalies_and_pending_ones() -> None:
    fleet = Fleet()
    fleet.run([ODD])
    (closed,) = fleet.say(WordKind.NEW_NORMAL)
    assert (closed.from_state, closed.to_state, closed.cause) == (P, I, Cause.NEW_NORMAL)


def test_confirmed_alert_stays_and_its_device_is_faulty_until_repaired() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    (update,) = fleet.say(WordKind.CONFIRM, alert=Kind.ANOMALY)
    assert (update.marks, update.is_update) == (Mark.CONFIRMED, True)
    assert fleet.say(WordKind.CONFIRM, alert=Kind.ANOMALY) == []
    assert fleet.run([CALM] * 30) == []
    assert fleet.status() == Status.FAULTY
    (closed,) = fleet.say(WordKind.REPAIRED)
    assert (closed.to_state, closed.cause) == (R, Cause.REPAIRED)
    assert fleet.status() == Status.HEALTHY
    assert moves(fleet.run([ODD] * 3)) == [(A, I, P), (A, P, F)]


def test_what_was_confirmed_and_taken_back_ends_as_others_do() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    fleet.say(WordKind.CONFIRM, alert=Kind.ANOMALY)
    assert fleet.run([CALM] * 30) == []
    assert fleet.say(WordKind.NOT_FAULTY) == []
    assert fleet.status() == Status.SUSPECT
    assert moves(fleet.run([CALM])) == [(A, F, R)]
    assert fleet.status() == Status.HEALTHY


def test_confirmed_and_then_dismissed_leaves_nothing() -> None:
    fleet = Fleet()
    fleet.run([ODD] * 3)
    fleet.say(WordKind.CONFIRM, alert=Kind.ANOMALY)
    fleet.say(WordKind.NOT_FAULTY)
    (closed,) = fleet.say(WordKind.DISMISS, alert=Kind.ANOMALY)
    assert (closed.to_state, closed.cause) == (R, Cause.DISMISSED)
    assert fleet.status() == Status.HEALTHY
    assert fleet.run([CALM] * 30) == []
