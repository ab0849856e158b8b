"""The ground truth: what was broken, from when to when, and how much of it is to be seen."""

from datetime import timedelta

import polars as pl
import pytest

from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from .conftest import START

NOON = START + timedelta(hours=12)
DAY = timedelta(days=1)


def test_every_fault_that_began_is_reported_for_its_device(faulty: Fleet) -> None:
    reports = faulty.fault_reports(START + timedelta(days=3))
    of_devices = reports.filter(pl.col("kind") != "site_outage")
    assert of_devices["device_id"].to_list() == [fault.device_id for fault in faulty.faults if fault.device_id]
    assert set(reports["source"]) == {"simulator"}
    assert set(reports["device_id"]) <= set(faulty.devices()["device_id"])


def test_a_fault_to_come_is_not_reported_and_one_that_lasts_has_no_end(healthy: Fleet) -> None:
    fleet = healthy.with_faults(
        [
            Fault(kind="silent", device_id="pump-001", start=NOON, end=NOON + DAY),
            Fault(kind="silent", device_id="pump-002", start=NOON, end=NOON + 3 * DAY),
            Fault(kind="silent", device_id="pump-003", start=NOON),
            Fault(kind="silent", device_id="pump-004", start=NOON + 2 * DAY),
        ]
    )
    reports = fleet.fault_reports(NOON + 2 * DAY)
    assert reports.select("device_id", "end").rows() == [
        ("pump-001", NOON + DAY),
        ("pump-002", None),
        ("pump-003", None),
    ]
    assert reports["effect_spreads"].is_null().all()
    assert fleet.fault_reports(START).is_empty() and fleet.fault_reports(START).schema == reports.schema


def test_the_outage_of_a_site_is_reported_for_each_of_its_devices(healthy: Fleet) -> None:
    dark = healthy.with_faults([Fault(kind="site_outage", site="market-hall", start=NOON, end=NOON + DAY)])
    there = healthy.devices().filter(pl.col("site") == "market-hall")["device_id"]
    assert dark.fault_reports(NOON + DAY)["device_id"].to_list() == there.to_list() != []


@pytest.mark.parametrize("severity", [0.2, 0.5, 1.0])
def test_the_effect_is_measured_in_normal_spreads(healthy: Fleet, severity: float) -> None:
    bias = Fault(
        kind="bias", device_id="pump-001", sensors=("suction_pressure",), start=NOON, end=NOON + DAY, severity=severity
    )
    (effect,) = healthy.with_faults([bias]).fault_reports(NOON + DAY)["effect_spreads"]
    assert abs(effect - 8 * severity) < 0.2


def test_faults_go_from_subtle_to_obvious() -> None:
    fleet = Fleet.plan(seed=2, devices=300, start=START, days=10, faults=0.4)
    effects = fleet.fault_reports(START + timedelta(days=14))["effect_spreads"].drop_nulls().to_numpy()
    assert (effects < 2).sum() > 5 and (effects > 6).sum() > 10
    assert (effects > 0).mean() > 0.95
