"""Silence of devices and of sites, restarts, clocks that jump."""

import numpy as np
import pytest

from ...alerts.engine import Cause, Devices, Kind, Mark, Observations, Rows, Severity, State, Status, WordKind
from .fleet import ALL, CALM, ENTER, HOUR, LEAVE, MINUTE, START, Fleet, endings, firings, moves

S, SITE, I, P, F, R = Kind.SILENT, Kind.SITE, State.INACTIVE, State.PENDING, State.FIRING, State.RESOLVED


def test_fires_at_the_first_tick_of_its_due_time_and_clears_with_the_first_reading() -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    last = fleet.now
    assert fleet.minutes(4) == []
    changed = fleet.minutes(1)
    assert moves(changed) == [(S, I, P), (S, P, F)]
    (fired,) = firings(changed)
    assert (fired.first_signs_ms, fired.at_ms, fired.severity) == (last, last + 5 * MINUTE, Severity.WARNING)
    assert (fired.cause, fired.row) == (Cause.TIME, -1)
    assert fleet.status() == Status.SILENT
    assert fleet.minutes(600) == []
    fleet.now += MINUTE
    (over,) = fleet.send()
    assert (over.to_state, over.cause, over.row) == (R, Cause.READING, 0)
    assert fleet.status() == Status.HEALTHY


def test_device_is_silent_only_after_its_first_live_reading() -> None:
    fleet = Fleet(2)
    fleet.send(0, ts=START - HOUR, live=False)
    assert fleet.minutes(120) == []
    assert fleet.status(1) == Status.LEARNING


@pytest.mark.parametrize("way", ["late row", "rejected row", "arrival"])
def test_whatever_it_sends_live_breaks_its_silence(way: str) -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    fleet.minutes(9)
    if way == "late row":
        changed = fleet.send(ts=START)
    elif way == "rejected row":
        changed = fleet.reject()
    else:
        changed = fleet.step(Observations(heard=np.zeros(1, np.int32)))
    assert moves(changed) == [(S, F, R)]
    assert fleet.minutes(4) == []


def test_arrival_of_a_device_never_seen_makes_it_live() -> None:
    fleet = Fleet()
    fleet.step(Observations(heard=np.zeros(1, np.int32)))
    assert firings(fleet.minutes(5))


def test_restart_gives_one_silence_window_of_grace_and_then_the_truth() -> None:
    fleet = Fleet(2)
    fleet.minutes(1, [0, 1])
    fleet.now += 8 * HOUR
    assert fleet.step(Observations(started=True)) == []
    assert fleet.minutes(4, [1]) == []
    (fired,) = firings(fleet.minutes(1, [1]))
    assert (fired.slot, fired.first_signs_ms) == (0, START + MINUTE)


def test_restart_keeps_an_open_silent_alert_open_and_withdraws_a_waiting_one() -> None:
    fleet = Fleet(4, site=0)
    fleet.minutes(1, range(4))
    fleet.minutes(5, range(1, 4))
    assert moves(fleet.seen) == [(S, I, P)]
    fleet.step(Observations(started=True))
    assert moves(fleet.minutes(1, range(1, 4))) == [(S, P, I)]
    assert firings(fleet.minutes(6, range(1, 4)))
    fleet.step(Observations(started=True))
    assert fleet.minutes(3, range(1, 4)) == []
    assert fleet.status(0) == Status.SILENT


def test_clock_that_jumps_ahead_is_downtime() -> None:
    fleet = Fleet(2)
    fleet.minutes(3, [0, 1])
    fleet.now += 3 * HOUR
    assert fleet.tick() == []
    assert fleet.minutes(10, [0, 1]) == []
    assert len(firings(fleet.minutes(6, [0]))) == 1


def test_clock_that_goes_back_changes_nothing_and_silence_is_still_found() -> None:
    fleet = Fleet(2)
    fleet.minutes(3, [0, 1])
    fleet.now -= 3 * HOUR
    assert fleet.tick() == []
    assert fleet.minutes(3, [0]) == []
    assert [each.slot for each in firings(fleet.minutes(2, [0]))] == [1]


def test_windows_of_seconds_are_not_downtime_between_two_ticks() -> None:
    fleet = Fleet()
    fast = Devices.of(1, interval_ms=1000, silent_after_ms=5000)
    fleet.step(Observations(devices=fast))
    fleet.minutes(1, [1])
    assert len(firings(fleet.minutes(1))) == 1


def test_site_alert_stands_for_the_silent_alerts_of_its_devices() -> None:
    fleet = Fleet(8, site=3)
    fleet.minutes(2, range(8))
    last = fleet.now
    changed = fleet.minutes(5)
    assert [each.kind for each in firings(changed)] == [SITE]
    (site,) = firings(changed)
    assert (site.slot, site.count, site.of, site.severity) == (3, 8, 8, Severity.CRITICAL)
    assert site.first_signs_ms == last
    assert moves(changed)[:2] == [(SITE, I, P), (SITE, P, F)]
    assert {each.cause for each in changed if each.kind == S and each.to_state == I} == {Cause.SITE}
    assert {fleet.status(slot) for slot in range(8)} == {Status.SILENT}
    assert fleet.minutes(60) == []


def test_site_alert_ends_below_thirty_per_cent_and_those_still_silent_get_their_own() -> None:
    fleet = Fleet(8, site=0)
    fleet.minutes(2, range(8))
    fleet.minutes(6)
    assert fleet.minutes(5, range(3)) == []
    changed = fleet.minutes(1, range(6))
    assert [each.kind for each in endings(changed)] == [SITE]
    assert [(each.slot, each.cause) for each in firings(changed)] == [(6, Cause.SITE), (7, Cause.SITE)]
    assert len(endings(fleet.minutes(1, range(8)), S)) == 2


def test_site_alert_that_is_over_at_once_leaves_nothing_open() -> None:
    fleet = Fleet(4, site=0)
    fleet.minutes(2, range(4))
    fleet.minutes(6)
    assert moves(fleet.minutes(1, range(4))) == [(SITE, F, R)]
    assert {fleet.status(slot) for slot in range(4)} == {Status.HEALTHY}


def test_silent_alert_of_a_site_waits_one_interval_for_the_others() -> None:
    fleet = Fleet(10, site=0)
    fleet.minutes(2, range(10))
    assert moves(fleet.minutes(5, range(1, 10))) == [(S, I, P)]
    assert fleet.status(0) == Status.SILENT
    assert moves(fleet.minutes(1, range(1, 10))) == [(S, P, F)]


def test_open_silent_alert_is_taken_over_by_its_site_and_more_devices_update_it() -> None:
    fleet = Fleet(10, site=0)
    fleet.minutes(2, range(10))
    fleet.minutes(2, range(1, 10))
    fleet.minutes(5, range(3, 10))
    changed = fleet.minutes(1, range(6, 10))
    assert [(each.kind, each.cause) for each in endings(fleet.seen)] == [(S, Cause.SITE)]
    assert [each.count for each in firings(fleet.seen, SITE)] == [3]
    changed = fleet.minutes(5, range(6, 10))
    assert [(each.count, each.of, each.cause) for each in changed if each.is_update] == [(6, 10, Cause.COUNT)]


def test_slow_trickle_of_silence_is_no_site_alert() -> None:
    fleet = Fleet(8, site=0)
    fleet.minutes(2, range(8))
    for n in range(1, 6):
        fleet.minutes(20, range(n, 8))
    assert not firings(fleet.seen, SITE)
    assert len(firings(fleet.seen, S)) == 5


def test_two_devices_are_not_a_site() -> None:
    fleet = Fleet(2, site=0)
    fleet.minutes(2, range(2))
    assert moves(fleet.minutes(5)) == [(S, I, P), (S, P, F)] * 2


def test_dismissed_site_alert_stays_closed_with_its_devices_until_they_recover() -> None:
    fleet = Fleet(4, site=0)
    fleet.minutes(2, range(4))
    fleet.minutes(6)
    assert moves(fleet.say(WordKind.DISMISS, 0, SITE)) == [(SITE, F, R)]
    assert fleet.minutes(30) == []
    assert fleet.minutes(1, range(4)) == []
    assert [each.kind for each in firings(fleet.minutes(6))] == [SITE]


def test_device_moved_to_another_site_gets_its_own_alert() -> None:
    fleet = Fleet(4, site=0)
    fleet.minutes(2, range(4))
    fleet.minutes(6)
    moved = Devices.of(0, interval_ms=MINUTE, silent_after_ms=5 * MINUTE, site=1)
    fleet.step(Observations(devices=moved))
    assert [(each.kind, each.slot) for each in firings(fleet.minutes(1))] == [(S, 0)]
    assert fleet.state.owner["devices"][0] == 4


def test_dismissed_silence_stays_closed_until_a_reading_and_the_device_is_still_silent() -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    fleet.minutes(6)
    assert moves(fleet.say(WordKind.DISMISS, alert=S)) == [(S, F, R)]
    assert fleet.minutes(60) == []
    assert fleet.status() == Status.SILENT
    assert fleet.minutes(1, [0]) == []
    assert firings(fleet.minutes(5))


def test_repaired_begins_the_silence_window_anew() -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    fleet.minutes(6)
    assert moves(fleet.say(WordKind.REPAIRED)) == [(S, F, R)]
    assert fleet.minutes(4) == []
    assert firings(fleet.minutes(1))


def test_confirmed_silence_still_clears_with_the_first_reading_and_the_device_stays_faulty() -> None:
    fleet = Fleet()
    fleet.minutes(1, [0])
    fleet.minutes(6)
    fleet.say(WordKind.CONFIRM)
    assert fleet.status() == Status.SILENT
    assert moves(fleet.minutes(1, [0])) == [(S, F, R)]
    assert fleet.status() == Status.FAULTY


def test_device_silent_again_and_again_is_held_after_four_and_fires_once_after_the_hour() -> None:
    fleet = Fleet()
    for _ in range(5):
        fleet.minutes(1, [0])
        fleet.minutes(5)
    assert len(firings(fleet.seen)) == 4
    assert fleet.seen[-1].cause == Cause.CAP
    assert fleet.seen[-1].is_update
    (fired,) = fleet.minutes(60)
    assert fired.marks == Mark.FLAPPING
    assert fired.at_ms == firings(fleet.seen)[0].at_ms + HOUR


def test_rows_read_from_the_log_may_be_read_only() -> None:
    fleet = Fleet()
    slot = np.zeros(1, np.int32)
    slot.flags.writeable = False
    rows = Rows.of(slot, START, CALM, enter=ENTER, leave=LEAVE, present=ALL)
    rows.ts.flags.writeable = False
    assert fleet.step(Observations(rows=rows)) == []
    assert fleet.status() == Status.HEALTHY
