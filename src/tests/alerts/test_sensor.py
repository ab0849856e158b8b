"""Sensor alerts: one sensor missing, stuck or out of range for long enough."""

import pytest

from ...alerts.engine import Condition, EngineConfig, Kind, Severity, State, Status, WordKind
from .fleet import ALL, HOUR, MINUTE, Fleet, firings, moves

S, I, P, F, R = Kind.SENSOR, State.INACTIVE, State.PENDING, State.FIRING, State.RESOLVED


def minutes(fleet: Fleet, n: int, *, present: int = ALL, stuck: int = 0) -> list[tuple[Kind, State, State]]:
    """`n` readings, one a minute; what they changed."""
    changed = []
    for _ in range(n):
        fleet.now += MINUTE
        changed += fleet.send(present=present, stuck=stuck)
    return moves(changed)


@pytest.mark.parametrize(
    ("present", "stuck", "condition"), [(0b1011, 0, Condition.MISSING), (ALL, 0b0100, Condition.STUCK)]
)
def test_fires_for_its_sensor_after_thirty_intervals_and_clears_after_five_good_readings(
    present: int, stuck: int, condition: Condition
) -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    began = fleet.now + MINUTE
    assert minutes(fleet, 4, present=present, stuck=stuck) == []
    assert minutes(fleet, 1, present=present, stuck=stuck) == [(S, I, P)]
    assert minutes(fleet, 25, present=present, stuck=stuck) == []
    assert minutes(fleet, 1, present=present, stuck=stuck) == [(S, P, F)]
    (fired,) = firings(fleet.seen)
    assert (fired.rule, fired.condition, fired.severity) == (2, condition, Severity.WARNING)
    assert fired.first_signs_ms == began
    assert fleet.status() == Status.SUSPECT
    assert minutes(fleet, 4) == []
    assert minutes(fleet, 1, present=present, stuck=stuck) == []
    assert minutes(fleet, 5) == [(S, F, R)]
    assert fleet.status() == Status.HEALTHY


def test_rows_rejected_as_out_of_range_fire_and_say_so() -> None:
    fleet = Fleet()
    for _ in range(31):
        fleet.now += MINUTE
        fleet.reject(sensors=0b1000)
    (fired,) = firings(fleet.seen)
    assert (fired.rule, fired.condition, fired.row) == (3, Condition.OUT_OF_RANGE, -1)
    assert minutes(fleet, 5) == [(S, F, R)]


def test_rejected_row_older_than_the_newest_says_nothing_about_its_sensors() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    for _ in range(10):
        fleet.reject()
    assert fleet.seen == []


def test_sensor_that_never_sent_is_not_missing() -> None:
    fleet = Fleet()
    assert minutes(fleet, 60, present=0b0011) == []
    minutes(fleet, 1)
    assert minutes(fleet, 31, present=0b0011) == [(S, I, P), (S, I, P), (S, P, F), (S, P, F)]


def test_single_missing_values_change_nothing_and_a_sensor_mostly_gone_still_fires() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    for _ in range(20):
        assert minutes(fleet, 2, present=0b0111) + minutes(fleet, 1) == []
    minutes(fleet, 6, present=0b0111)
    for _ in range(6):
        minutes(fleet, 4, present=0b0111)
        minutes(fleet, 1)
    assert len(firings(fleet.seen)) == 1


def test_pending_sensor_that_recovers_goes_back() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    assert minutes(fleet, 10, present=0b0111) + minutes(fleet, 5) == [(S, I, P), (S, P, I)]


def test_another_condition_begins_anew_while_pending_but_keeps_an_open_alert_open() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    assert minutes(fleet, 20, stuck=1) == [(S, I, P)]
    assert minutes(fleet, 5, present=0b1110) == [(S, P, I), (S, I, P)]
    assert minutes(fleet, 26, present=0b1110) == [(S, P, F)]
    assert minutes(fleet, 60, stuck=1) == []
    assert [each.condition for each in firings(fleet.seen)] == [Condition.MISSING]


def test_each_of_sixty_four_sensors_has_an_alert_of_its_own() -> None:
    fleet = Fleet(config=EngineConfig(cap=64))
    minutes(fleet, 1, present=2**64 - 1)
    minutes(fleet, 31, present=0)
    assert [each.rule for each in firings(fleet.seen)] == list(range(64))
    assert minutes(fleet, 5, present=2**64 - 1) == [(S, F, R)] * 64


def test_hourly_cap_is_for_the_device_and_the_kind_together() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    minutes(fleet, 31, present=0)
    assert len(firings(fleet.seen)) == 4
    fleet = Fleet(config=EngineConfig(cap=3))
    minutes(fleet, 1)
    minutes(fleet, 31, present=0)
    assert [each.rule for each in firings(fleet.seen)] == [0, 1, 2]
    assert minutes(fleet, 60, present=0) == [(S, P, F)]


def test_dismissed_sensor_stays_closed_until_it_recovered_once() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    minutes(fleet, 31, present=0b1110)
    assert moves(fleet.say(WordKind.DISMISS, alert=S, rule=1)) == []
    assert moves(fleet.say(WordKind.DISMISS, alert=S, rule=0)) == [(S, F, R)]
    assert minutes(fleet, 120, present=0b1110) == []
    assert minutes(fleet, 5) == []
    assert minutes(fleet, 31, present=0b1110) == [(S, I, P), (S, P, F)]


def test_confirmed_sensor_stays_until_repaired() -> None:
    fleet = Fleet()
    minutes(fleet, 1)
    minutes(fleet, 31, present=0b1110)
    fleet.say(WordKind.CONFIRM, alert=S, rule=0)
    assert minutes(fleet, 30) == []
    assert moves(fleet.say(WordKind.REPAIRED)) == [(S, F, R)]


def test_backfilled_readings_fire_by_their_own_time() -> None:
    fleet = Fleet()
    then = fleet.now - 10 * HOUR
    for minute in range(60):
        fleet.send(present=ALL if minute < 2 else 0b0111, ts=then + minute * MINUTE, live=False)
    (fired,) = firings(fleet.seen)
    assert (fired.historic, fired.first_signs_ms, fired.at_ms) == (True, then + 2 * MINUTE, then + 32 * MINUTE)
    assert minutes(fleet, 3, present=0b0111) == [(S, F, F)], "live readings bear it out: told of, once"
    assert not fleet.seen[-1].historic
