"""The engine's state: growth, the checkpoint and back, what it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from ...alerts.engine import (
    Devices,
    EngineConfig,
    EngineState,
    Kind,
    Mark,
    Observations,
    Rejected,
    Rows,
    Severity,
    Word,
    WordKind,
    present_bits,
    step,
)
from ...alerts.state import DEVICE, ENTRY
from ...exceptions import ConfigError, StorageError
from .fleet import ALL, CALM, ENTER, LEAVE, MINUTE, ODD, START, Fleet, firings


def busy() -> Fleet:
    """A fleet with alerts of every kind, open and closed again, so that the pool has holes."""
    fleet = Fleet(8, site=[0, 0, 0, 0, 1, 1, 1, 1])
    fleet.minutes(2, range(8))
    for slot in (6, 2, 4):
        fleet.run([ODD] * 3, slot)
    fleet.send(6, present=0b0001)
    fleet.run([CALM] * 10, 4)
    fleet.minutes(8, [4, 6, 7], ODD)
    return fleet


def test_checkpoint_and_back_goes_on_as_if_nothing_had_happened() -> None:
    fleet, twin = busy(), busy()
    twin.state = EngineState.from_arrays(twin.state.to_arrays())
    for each in (fleet, twin):
        each.seen.clear()
        each.run([ODD] * 5, 7)
        each.minutes(30, [0, 4, 6])
        each.say(WordKind.REPAIRED, 6)
    assert fleet.seen
    assert fleet.seen == twin.seen
    assert same(fleet.state, twin.state)


def test_checkpoint_does_not_depend_on_the_order_in_which_entries_came_and_went() -> None:
    first, second = Fleet(3), Fleet(3)
    for fleet, order in ((first, (0, 1, 2)), (second, (2, 1, 0))):
        for _ in range(3):
            fleet.now += MINUTE
            fleet.send(order, ODD)
    assert same(first.state, second.state)


def test_grows_and_never_shrinks() -> None:
    state = EngineState.new(2)
    state.grow(5)
    state.grow(3)
    assert len(state) == len(state.status) == len(state.status_since) == 5
    assert state.bytes_per_device == DEVICE.itemsize + 8 <= 160
    assert ENTRY.itemsize <= 64


def test_status_since_is_when_the_device_came_until_it_changes() -> None:
    assert Fleet().state.status_since[0] == START


def test_checkpoint_of_before_repeats_were_known_is_taken_over() -> None:
    fleet = Fleet(60)
    fleet.run([ODD] * 3 + [CALM] * 10)
    arrays = fleet.state.to_arrays()
    assert arrays.pop("device.ended")[0] == fleet.now
    fleet.state = EngineState.from_arrays(arrays)
    (fired,) = firings(fleet.run([ODD] * 3))
    assert (fired.severity, fired.marks) == (Severity.WARNING, 0), "what came before isn't known"
    fleet.state = EngineState.from_arrays(fleet.state.to_arrays())
    (fired,) = firings(fleet.run([CALM] * 10 + [ODD] * 3))
    assert (fired.severity, fired.marks) == (Severity.INFO, Mark.REPEAT)


def test_damaged_checkpoint_is_refused_by_name() -> None:
    arrays = busy().state.to_arrays()
    with pytest.raises(StorageError, match=r"column device\.heard: no such array"):
        EngineState.from_arrays({name: array for name, array in arrays.items() if name != "device.heard"})
    with pytest.raises(StorageError, match=r"column device\.cap_start: shape \(8,\)"):
        EngineState.from_arrays(arrays | {"device.cap_start": arrays["device.heard"]})
    with pytest.raises(StorageError, match=r"column device\.heard has 2 rows, expected 8"):
        EngineState.from_arrays(arrays | {"device.heard": arrays["device.heard"][:2]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"anomaly_k": 6}, "6 of 5 readings"),
        ({"anomaly_n": 33}, "3 of 33 readings"),
        ({"cap": 0}, "cap is 0"),
        ({"repeat_ms": -1}, "repeat_ms is -1"),
        ({"sensor_clear": 0}, "sensor_clear is 0"),
        ({"site_permille": 1001}, "site_permille is 1001"),
        ({"critical_factor": 0.5}, "critical_factor"),
    ],
)
def test_configuration_that_makes_no_sense_is_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EngineConfig(**settings)


ROW = {"enter": ENTER, "leave": LEAVE, "present": ALL}


@pytest.mark.parametrize(
    ("observations", "message"),
    [
        (Observations(rows=Rows.of(3, START, CALM, **ROW)), "rows: slots from 3 to 3"),
        (Observations(rows=Rows.of(-1, START, CALM, **ROW)), "rows: slots from -1 to -1"),
        (Observations(rejected=Rejected.of(7, START, 1)), "rejected: slots from 7 to 7"),
        (Observations(heard=np.array([9], np.int32)), "heard: slots from 9 to 9"),
        (Observations(devices=Devices.of(-1, interval_ms=1, silent_after_ms=1)), "slot and owner"),
        (Observations(devices=Devices.of(1, interval_ms=0, silent_after_ms=1)), "interval_ms"),
        (Observations(words=[Word(5, WordKind.REPAIRED)]), "slots from 5 to 5"),
        (Observations(words=[Word(0, WordKind.CONFIRM, Kind.SITE)]), "can be dismissed"),
        (Observations(words=[Word(0, WordKind.DISMISS, Kind.SITE)]), "can be dismissed"),
        (Observations(words=[Word(0, WordKind.MAINTENANCE, from_ms=2, until_ms=1)]), "must end after it begins"),
        (
            Observations(rejected=replace(Rejected.of(0, START, 1), live=np.ones(2, np.bool_))),
            "columns of one length",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(observations: Observations, message: str) -> None:
    fleet = Fleet(2)
    before = fleet.state.to_arrays()
    with pytest.raises(ValueError, match=message):
        step(fleet.state, observations, fleet.now + MINUTE)
    assert all(np.array_equal(before[name], array) for name, array in fleet.state.to_arrays().items())


def test_slot_between_registered_ones_is_not_registered() -> None:
    fleet = Fleet(1)
    fleet.step(Observations(devices=Devices.of(4, interval_ms=1000, silent_after_ms=5000)))
    with pytest.raises(ValueError, match="not all were registered"):
        fleet.send(2)


def test_present_bits_are_the_sensors_with_a_value() -> None:
    values = np.full((2, 64), np.nan)
    values[0, [0, 63]] = 1.0
    assert present_bits(values).tolist() == [2**63 + 1, 0]


def test_rows_and_transitions_are_taken_by_mask_or_place() -> None:
    rows = Rows.of([0, 1], [1, 2], 0.5, **ROW).take(np.array([1]))
    assert (len(rows), rows.slot[0], rows.ts[0]) == (1, 1, 2)
    fleet = Fleet(2)
    fleet.now += MINUTE
    changed = step(fleet.state, Observations(rows=Rows.of([1, 0], fleet.now, ODD, **ROW)), fleet.now)
    assert changed.slot.tolist() == [0, 1]
    assert changed.row.tolist() == [1, 0]
    taken = changed.take(changed.slot == 1)
    assert len(taken) == 1
    assert (taken.kind[0], taken.rule[0], taken.from_state[0], taken.to_state[0]) == (0, -1, 0, 1)
    assert (taken.at_ms[0], taken.historic[0]) == (fleet.now, False)


def same(first: EngineState, second: EngineState) -> bool:
    """Whether two states are equal to the byte."""
    ours, theirs = first.to_arrays(), second.to_arrays()
    return ours.keys() == theirs.keys() and all(np.array_equal(ours[name], theirs[name]) for name in ours)
