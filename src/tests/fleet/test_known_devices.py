"""An owner's devices by their ids, whatever their hashes are."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...fleet.known_devices import FEW, KnownDevices
from ...telemetry.records import DeviceEntry

IDS = st.text(max_size=3) | st.sampled_from([f"a device with a name of many letters {number}" for number in range(5)])


def _entry(device_id: str, key: int) -> DeviceEntry:
    return DeviceEntry(key, device_id, 3, 7, None if key % 3 else key)


@pytest.mark.parametrize("hash_bits", [64, 3, 0])
@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.lists(IDS, unique=True, max_size=80), max_size=4), asked=st.lists(IDS, max_size=20))
def test_it_knows_what_a_dictionary_would(hash_bits: int, batches: list[list[str]], asked: list[str]) -> None:
    known, expected = KnownDevices(7, hash_bits), dict[str, DeviceEntry]()
    for batch in batches:
        entries = [_entry(device_id, len(expected) + at + 1) for at, device_id in enumerate(batch)]
        known.put(entries)
        expected.update((entry.device_id, entry) for entry in entries)
    names = [*asked, *expected]
    found = known.find(pl.Series(names, dtype=pl.String))
    nothing = DeviceEntry(-1, "", -1, 7, -1)
    wanted = [expected.get(name, nothing) for name in names]
    assert found.keys.tolist() == [entry.key for entry in wanted]
    assert found.type_ids.tolist() == [entry.type_id for entry in wanted]
    assert found.site_ids.tolist() == [-1 if entry.site_id is None else entry.site_id for entry in wanted]
    assert list(known) == list(expected) and known.entries() == list(expected.values())


def test_a_device_that_moved_is_told_so_and_stands_where_it_stood() -> None:
    known = KnownDevices(7)
    known.put([_entry("a", 1), _entry("b", 2)])
    known.put([DeviceEntry(1, "a", 3, 7, 12)])
    assert known["a"] == DeviceEntry(1, "a", 3, 7, 12) and list(known) == ["a", "b"]


def test_one_that_is_unknown_is_named() -> None:
    known = KnownDevices(7)
    known.put([_entry("a", 1)])
    assert "a" in known and "b" not in known
    with pytest.raises(KeyError, match="b"):
        known.entries(["a", "b"])


def test_devices_that_come_one_by_one_are_found_as_quickly() -> None:
    known = KnownDevices(7)
    for number in range(500):
        known.put([_entry(f"a device with a long name, {number}", number + 1)])
    names = pl.Series([f"a device with a long name, {number}" for number in range(500)])
    assert np.array_equal(known.find(names).keys, np.arange(1, 501))


def test_a_few_are_found_as_many_are_and_once_they_are_known() -> None:
    devices = KnownDevices(7)
    names = [f"pump-{number}" for number in range(FEW)]
    assert (devices.find(pl.Series(names)).keys == -1).all()
    devices.put([DeviceEntry(number + 1, name, 3, 7) for number, name in enumerate(names)])
    strangers = [*names[:10], "other", *names[10:-1]]
    for _ in range(2):
        assert devices.find(pl.Series(names)).keys.tolist() == list(range(1, FEW + 1))
        few, many = devices.find(pl.Series(strangers)), devices.find(pl.Series([*strangers, "another"]))
        assert few.keys.tolist() == many.keys.tolist()[:-1]
        assert few.keys[10] == -1
