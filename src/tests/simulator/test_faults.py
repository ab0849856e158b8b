"""Each kind of fault does to the readings what its name says, where it says, while it lasts."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from ...exceptions import ConfigError
from ...simulator.faults import FAULT_KINDS, Fault
from ...simulator.fleet import Fleet
from ...simulator.models import model_of
from .conftest import START

ONSET, HOURS = START + timedelta(days=2), 24
FIRST, LAST = 2 * 1440, 3 * 1440
Values = NDArray[np.float64]


def trace(fleet: Fleet, device_id: str, fault: Fault | None) -> Values:
    """Four days of one device's readings (n_minutes, n_sensors)."""
    group = next(group for group in fleet.groups if group.has(device_id))
    member = np.array([group.place(device_id)])
    return fleet.with_faults([fault] if fault else []).values(group.model.name, 0, 4 * 1440, member)[:, 0]


def change(
    fleet: Fleet, kind: str, device_id: str, sensor: str = "", severity: float = 0.8
) -> tuple[Values, Values, list[str]]:
    """Readings with a fault of a day less those without, in normal spreads; those with it; the sensors' names."""
    where = FAULT_KINDS[kind].where
    fault = Fault(
        kind=kind,
        device_id=device_id,
        sensors=(sensor,) if where in ("sensor", "coupling") else (),
        start=ONSET,
        end=ONSET + timedelta(hours=HOURS),
        severity=severity,
    )
    model = next(group.model for group in fleet.groups if group.has(device_id))
    spreads = np.array([model.sensors[name].spread for name in model.type.sensor_names])
    with_it, without = trace(fleet, device_id, fault), trace(fleet, device_id, None)
    difference = (with_it - without) / spreads
    outside = np.ones(len(difference), bool)
    outside[FIRST:LAST] = False
    assert np.array_equal(with_it[outside], without[outside], equal_nan=True), "the fault is seen outside its time"
    return difference, with_it, list(model.type.sensor_names)


def mean(values: NDArray[np.float64] | NDArray[np.bool_]) -> float:
    return float(np.nanmean(values))


SENSOR_KINDS = [name for name, kind in FAULT_KINDS.items() if kind.where in ("sensor", "coupling")]


@pytest.mark.parametrize("kind", SENSOR_KINDS)
def test_a_fault_of_a_sensor_leaves_the_others_alone(healthy: Fleet, kind: str) -> None:
    difference, _, names = change(healthy, kind, "pump-001", "bearing_temperature")
    hit = names.index("bearing_temperature")
    others = np.delete(difference, hit, axis=1)
    assert np.nanmax(np.abs(others)) == 0.0
    assert np.nanmax(np.abs(difference[:, hit])) > 1.0


def test_drift_grows_in_a_line(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "drift", "pump-001", "suction_pressure")
    moved = np.abs(difference[FIRST:LAST, names.index("suction_pressure")])
    quarters = [mean(quarter) for quarter in np.array_split(moved, 4)]
    assert np.allclose(quarters, [0.8, 2.4, 4.0, 5.6], atol=0.1)


def test_bias_is_constant(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "bias", "display-001", "store_temperature", severity=0.5)
    moved = np.abs(difference[FIRST:LAST, names.index("store_temperature")])
    assert np.allclose(moved[~np.isnan(moved)], 4.0, atol=0.3)


def test_calibration_step_changes_the_gain(healthy: Fleet) -> None:
    _, faulty, names = change(healthy, "calibration_step", "inverter-001", "ac_power")
    before = trace(healthy, "inverter-001", None)[:, names.index("ac_power")]
    after = faulty[:, names.index("ac_power")]
    high = before > 1.0
    high[:FIRST] = high[LAST:] = False
    ratio = after[high] / before[high]
    assert np.nanstd(ratio) < 0.01 and abs(np.nanmean(ratio) - 1) > 0.2
    assert np.nanmax(np.abs((after - before)[before == 0])) == 0


def test_stuck_repeats_the_value_at_its_onset(healthy: Fleet) -> None:
    _, faulty, names = change(healthy, "stuck", "pump-001", "flow")
    held = faulty[FIRST:LAST, names.index("flow")]
    assert len(np.unique(held[~np.isnan(held)])) == 1
    assert abs(held[5] - faulty[FIRST - 1, names.index("flow")]) < 10


def test_spikes_are_rare_and_large(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "spike", "display-001", "cabinet_temperature")
    moved = np.abs(difference[FIRST:LAST, names.index("cabinet_temperature")])
    assert 0.005 < mean(moved > 0) < 0.05
    assert mean(moved[moved > 0]) > 5


def test_noise_is_white_and_around_nothing(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "noise", "pump-001", "suction_pressure")
    moved = difference[FIRST:LAST, names.index("suction_pressure")]
    moved = moved[~np.isnan(moved)]
    assert abs(mean(moved)) < 0.4 and abs(moved.std() - 3.2) < 0.3
    assert abs(np.corrcoef(moved[1:], moved[:-1])[0, 1]) < 0.1


def test_intermittent_comes_in_bursts_and_loses_values(healthy: Fleet) -> None:
    _, faulty, names = change(healthy, "intermittent", "pump-001", "bearing_temperature")
    before = trace(healthy, "pump-001", None)[:, names.index("bearing_temperature")]
    after = faulty[:, names.index("bearing_temperature")]
    hit = ((np.isnan(after) & ~np.isnan(before)) | (after < before))[FIRST:LAST]
    assert 0.02 < hit.mean() < 0.5
    assert np.isnan(after[FIRST:LAST]).sum() > np.isnan(before[FIRST:LAST]).sum() + 10
    assert hit[1:][hit[:-1]].mean() > 2 * hit.mean()


def test_loss_of_correlation_keeps_range_and_day(healthy: Fleet) -> None:
    _, faulty, names = change(healthy, "loss_of_correlation", "inverter-001", "dc_current", severity=0.3)
    power, current = faulty[:, names.index("ac_power")], faulty[:, names.index("dc_current")]

    def together(first: int, last: int) -> float:
        day = (power[first:last] > 0.5) & (current[first:last] > 0.5)
        return float(np.corrcoef(power[first:last][day], current[first:last][day])[0, 1])

    assert together(0, FIRST) > 0.99 > together(FIRST, LAST)
    assert np.nanmax(current[FIRST:LAST]) < 1.3 * np.nanmax(current[:FIRST])
    assert np.nanmax(current[FIRST : FIRST + 120]) < 0.2


def test_a_leak_of_a_pump_lowers_pressure_and_raises_flow_and_current(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "leak", "pump-001")
    late = difference[LAST - 600 : LAST]
    assert mean(late[:, names.index("discharge_pressure")]) < -0.5
    assert mean(late[:, names.index("flow")]) > 1
    assert mean(late[:, names.index("motor_current")]) > 0.2
    onset = np.abs(difference[FIRST : FIRST + 10])
    assert mean(onset) < 0.2 * mean(np.abs(late)), "a leak comes slowly"


def test_a_leak_of_refrigerant_warms_the_cabinet(healthy: Fleet) -> None:
    difference, faulty, names = change(healthy, "leak", "display-001")
    late = difference[LAST - 720 : LAST]
    assert mean(late[:, names.index("evaporator_temperature")]) > 0.5
    assert mean(late[:, names.index("cabinet_temperature")]) > 1
    running = faulty[:, names.index("compressor_current")] > 1
    assert running[LAST - 720 : LAST].mean() > running[:FIRST].mean() + 0.15


def test_a_leak_of_an_inverter_loses_current_but_not_sun(healthy: Fleet) -> None:
    difference, _, names = change(healthy, "leak", "inverter-001")
    noon = difference[FIRST + 600 : FIRST + 900]
    assert mean(noon[:, names.index("dc_current")]) < -0.5
    assert np.nanmax(np.abs(noon[:, names.index("irradiance")])) == 0


@pytest.mark.parametrize("device_id", ["pump-001", "display-001", "inverter-001"])
def test_wear_grows_ever_faster_and_shows_where_it_should(healthy: Fleet, device_id: str) -> None:
    difference, _, names = change(healthy, "wear", device_id)
    model = next(group.model for group in healthy.groups if group.has(device_id))
    first = names.index(model.shows["wear"][0])
    hours = np.nanmean(difference[FIRST:LAST, first].reshape(24, 60), axis=1)
    noon, last = hours[10:13].mean(), hours[16:19].mean()
    assert last > 0 and noon >= 0 and hours[:3].mean() < 0.3 * hours[10:19].max()
    if device_id == "pump-001":
        assert mean(difference[LAST - 300 : LAST, names.index("bearing_temperature")]) > 1
        assert hours[-2:].mean() > 2 * hours[10:13].mean()


@pytest.mark.parametrize(("device_id", "sensor"), [("pump-001", "flow"), ("inverter-001", "dc_voltage")])
def test_cyclic_swings_with_one_period(healthy: Fleet, device_id: str, sensor: str) -> None:
    difference, _, names = change(healthy, "cyclic", device_id)
    swing = np.nan_to_num(difference[FIRST + 540 : FIRST + 1020, names.index(sensor)])
    power = np.abs(np.fft.rfft((swing - swing.mean()) * np.hanning(len(swing)))) ** 2
    peak = int(power[1:].argmax()) + 1
    assert 18 <= len(swing) / peak <= 60
    assert power[peak - 2 : peak + 3].sum() > 0.5 * power[1:].sum()


def test_a_silent_device_sends_nothing(healthy: Fleet) -> None:
    fault = Fault(kind="silent", device_id="display-003", start=ONSET, end=ONSET + timedelta(hours=2))
    frame = healthy.with_faults([fault]).readings("refrigerated_display", ONSET, ONSET + timedelta(hours=3))
    counts = dict(frame.group_by("device_id").len().iter_rows())
    assert 55 <= counts["display-003"] <= 60 < counts["display-004"]


def test_a_site_outage_silences_every_device_of_the_site_of_every_type() -> None:
    fleet = Fleet.plan(seed=1, devices=60, sites=1, start=START)
    dark = fleet.with_faults(
        [Fault(kind="site_outage", site="harbour-east", start=ONSET, end=ONSET + timedelta(hours=1))]
    )
    for device_type in dark.types:
        assert dark.readings(device_type.name, ONSET, ONSET + timedelta(hours=1)).is_empty()
        assert len(dark.readings(device_type.name, ONSET + timedelta(hours=1), ONSET + timedelta(hours=2))) > 1000


def test_a_fault_without_an_end_stays(healthy: Fleet) -> None:
    fault = Fault(kind="bias", device_id="pump-001", sensors=("flow",), start=ONSET, severity=0.5)
    moved = trace(healthy, "pump-001", fault) - trace(healthy, "pump-001", None)
    assert np.nanmin(np.abs(moved[FIRST:, model_of("pump_station").type.sensor_names.index("flow")])) > 1


def test_two_faults_of_one_device_add_up(healthy: Fleet) -> None:
    faults = [
        Fault(kind="bias", device_id="pump-001", sensors=("flow",), start=ONSET, severity=0.5),
        Fault(kind="noise", device_id="pump-001", sensors=("vibration",), start=ONSET, severity=0.5),
    ]
    member = np.array([0])
    both = healthy.with_faults(faults).values("pump_station", FIRST, 300, member)[:, 0]
    one, other = (healthy.with_faults([fault]).values("pump_station", FIRST, 300, member)[:, 0] for fault in faults)
    names = list(model_of("pump_station").type.sensor_names)
    assert np.array_equal(both[:, names.index("flow")], one[:, names.index("flow")], equal_nan=True)
    assert np.array_equal(both[:, names.index("vibration")], other[:, names.index("vibration")], equal_nan=True)


NAIVE = datetime(2026, 6, 1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"kind": "rust"}, "fault kind 'rust': expected one of drift, stuck"),
        ({"start": NAIVE}, "start and end need a time zone"),
        ({"end": START}, "must be after start"),
        ({"severity": 0.0}, "severity 0.0 must be above 0 and at most 1"),
        ({"device_id": ""}, "is of one device: give device_id"),
        ({"site": "harbour-east"}, "is of one device: give device_id, and no site"),
        ({"sensors": ()}, "name the sensors it acts on"),
        ({"kind": "site_outage"}, "is of a whole site: give site, and no device_id"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(wrong: dict[str, object], said: str) -> None:
    right: dict[str, object] = {"kind": "bias", "device_id": "pump-001", "sensors": ("flow",), "start": ONSET}
    with pytest.raises(ConfigError, match=said):
        Fault(**{**right, **wrong})  # type: ignore[arg-type]
