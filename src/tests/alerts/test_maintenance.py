"""Maintenance: nothing fires in its window, what is open is marked, after it the truth."""

from ...alerts.engine import Cause, Kind, Mark, State, Status, WordKind
from .fleet import CALM, HOUR, MINUTE, ODD, Fleet, firings, moves

A, S, I, P, F, R = Kind.ANOMALY, Kind.SILENT, State.INACTIVE, State.PENDING, State.FIRING, State.RESOLVED


def test_nothing_fires_in_the_window_and_what_is_still_true_fires_after_it() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE, minutes=(0, 30))
    assert fleet.status() == Status.MAINTENANCE
    changed = fleet.minutes(20, [0], ODD)
    assert moves(changed) == [(A, I, P), (A, P, P)]
    assert (changed[1].cause, changed[1].marks) == (Cause.MAINTENANCE, Mark.MAINTENANCE | Mark.HELD)
    changed = fleet.minutes(11, [0], ODD)
    assert moves(changed) == [(A, P, F)]
    assert changed[0].marks == Mark(0)
    assert fleet.status() == Status.SUSPECT


def test_what_is_over_by_the_end_of_the_window_never_fires() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE, minutes=(0, 30))
    fleet.minutes(5, [0], ODD)
    fleet.minutes(40, [0], CALM)
    assert not firings(fleet.seen)
    assert fleet.status() == Status.HEALTHY


def test_window_to_come_begins_and_ends_at_a_tick_and_marks_what_is_open() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE, minutes=(10, 20))
    fleet.minutes(9, [0], ODD)
    assert fleet.status() == Status.SUSPECT
    (marked,) = fleet.minutes(1, [0], ODD)
    assert (marked.is_update, marked.marks, marked.cause) == (True, Mark.MAINTENANCE, Cause.MAINTENANCE)
    assert fleet.status() == Status.MAINTENANCE
    (unmarked,) = fleet.minutes(10, [0], ODD)
    assert (unmarked.is_update, unmarked.marks) == (True, Mark(0))
    assert fleet.status() == Status.SUSPECT
    assert fleet.state.status_since[0] == fleet.now


def test_open_ended_window_ends_by_word() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE)
    fleet.minutes(300, [0], ODD)
    assert not firings(fleet.seen)
    fleet.say(WordKind.MAINTENANCE_END)
    assert fleet.status() == Status.SUSPECT
    assert firings(fleet.minutes(1, [0], ODD))


def test_silence_in_the_window_fires_after_it() -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    fleet.say(WordKind.MAINTENANCE, minutes=(0, 60))
    assert moves(fleet.minutes(59)) == [(S, I, P), (S, P, P)]
    assert moves(fleet.minutes(1)) == [(S, P, F)]


def test_device_in_maintenance_is_not_of_its_site() -> None:
    fleet = Fleet(4, site=0)
    fleet.minutes(1, range(4))
    for slot in range(3):
        fleet.say(WordKind.MAINTENANCE, slot, minutes=(0, 60))
    fleet.minutes(30, [3])
    assert not firings(fleet.seen)
    changed = fleet.minutes(31, [3])
    assert [each.kind for each in firings(changed)] == [S, S, S]


def test_silent_device_given_to_maintenance_leaves_the_alert_of_its_site() -> None:
    fleet = Fleet(8, site=0)
    fleet.minutes(1, range(8))
    fleet.minutes(6)
    fleet.say(WordKind.MAINTENANCE, 0, minutes=(0, 60))
    assert moves(fleet.minutes(1)) == [(S, I, P), (S, P, P)]
    assert moves(fleet.minutes(60)) == [(S, P, I)]
    assert fleet.status(0) == Status.SILENT


def test_backfilled_rows_are_held_by_their_own_time() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE, minutes=(-600, -300))
    for minute in range(600, 0, -60):
        fleet.send(0, ODD, ts=fleet.now - minute * MINUTE, live=False)
    (fired,) = firings(fleet.seen)
    assert fired.at_ms == fleet.now - 5 * HOUR
    assert fired.historic


def test_clock_back_into_the_window_is_in_it_again() -> None:
    fleet = Fleet()
    fleet.say(WordKind.MAINTENANCE, minutes=(0, 10))
    fleet.minutes(11, [0])
    assert fleet.status() == Status.HEALTHY
    fleet.now -= 5 * MINUTE
    fleet.tick()
    assert fleet.status() == Status.MAINTENANCE
