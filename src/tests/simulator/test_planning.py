"""A plan shares devices and faults out as it says."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...simulator.faults import FAULT_KINDS
from ...simulator.fleet import Fleet
from .conftest import START


def test_as_many_devices_get_a_fault_as_asked_and_all_kinds_occur() -> None:
    fleet = Fleet.plan(seed=1, devices=480, start=START, days=14, faults=0.05)
    of_devices = [fault for fault in fleet.faults if fault.device_id]
    assert len(of_devices) == 24 and len({fault.device_id for fault in of_devices}) == 24
    kinds = Counter(fault.kind for fault in fleet.faults)
    assert set(kinds) == set(FAULT_KINDS) and len(kinds) == 13
    assert kinds.pop("site_outage") == 2 and set(kinds.values()) == {2}


def test_there_are_no_faults_unless_asked_for() -> None:
    assert Fleet.plan(seed=1, devices=100, start=START).faults == ()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**63 - 1), days=st.floats(0.05, 60), devices=st.integers(1, 80))
def test_faults_begin_within_the_days_after_a_quiet_eighth(seed: int, days: float, devices: int) -> None:
    fleet = Fleet.plan(seed=seed, devices=devices, sites=3, start=START, days=days, faults=0.5)
    for fault in fleet.faults:
        assert timedelta(days=0.12 * days) <= fault.start - START + timedelta(minutes=1)
        assert fault.start - START <= timedelta(days=days)
        assert fault.end is not None and fault.end - fault.start <= timedelta(days=0.41 * days, minutes=1)
        assert 0.15 <= fault.severity <= 1.0
    assert fleet.faults == Fleet.plan(seed=seed, devices=devices, sites=3, start=START, days=days, faults=0.5).faults


def test_devices_stand_where_their_kind_stands() -> None:
    fleet = Fleet.plan(seed=1, devices=300, sites=10, start=START)
    for group in fleet.groups:
        hosts = [fleet.sites[number].hosts for number in group.site_of]
        assert all(not host or group.model.name in host for host in hosts)
        assert len(set(group.site_of)) >= 3


@pytest.mark.parametrize(("devices", "sites"), [(1, 1), (2, 1), (3, 40), (7, 2)])
def test_small_fleets_are_fleets(devices: int, sites: int) -> None:
    fleet = Fleet.plan(seed=1, devices=devices, sites=sites, start=START, faults=1.0)
    assert fleet.n_devices == len(fleet.devices()) == devices
    for device_type in fleet.types:
        assert len(fleet.readings(device_type.name, START, START + timedelta(minutes=5))) >= 1


def test_ids_sort_however_many_devices() -> None:
    ids = Fleet.plan(seed=1, devices=12_000, types=["pump_station"], start=START).group("pump_station").ids
    assert ids.is_sorted() and ids[0] == "pump-00001" and ids[-1] == "pump-12000"
