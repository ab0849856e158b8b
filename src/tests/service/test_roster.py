"""Slots of devices stay, whatever comes later."""

import numpy as np

from ...service.roster import Roster
from ...telemetry.records import DeviceEntry


def _device(key: int, type_id: int = 1, owner_id: int = 1, site_id: int | None = None) -> DeviceEntry:
    return DeviceEntry(key, f"pump-{key}", type_id, owner_id, site_id)


def test_devices_get_slots_in_order_and_places_in_their_type() -> None:
    roster = Roster()
    assert list(roster.put([_device(5), _device(9, type_id=2), _device(7)])) == [0, 1, 2]
    assert list(roster.slots(np.array([9, 7, 5, 6, 10_000, -3]))) == [1, 2, 0, -1, -1, -1]
    assert list(roster.type_slots) == [0, 0, 1]
    assert list(roster.slots_of_type(1)) == [0, 2]
    assert roster.of_type(2) == 1


def test_only_new_and_changed_devices_are_reported() -> None:
    roster = Roster()
    roster.put([_device(1), _device(2, site_id=4)])
    assert list(roster.put([_device(2, site_id=4), _device(1, site_id=3), _device(3), _device(3)])) == [0, 2]
    assert list(roster.site_ids) == [3, 4, -1]


def test_a_checkpoint_gives_the_same_roster() -> None:
    roster = Roster()
    roster.put([_device(key, type_id=key % 3, site_id=key % 5) for key in range(1, 200)])
    again = Roster()
    again.load(roster.to_arrays())
    assert np.array_equal(again.keys, roster.keys)
    assert np.array_equal(again.type_slots, roster.type_slots)
    assert np.array_equal(again.slots(np.arange(250)), roster.slots(np.arange(250)))


def test_an_empty_roster_survives_a_checkpoint() -> None:
    again = Roster()
    again.load(Roster().to_arrays())
    assert len(again) == 0
    assert len(again.put([])) == 0
