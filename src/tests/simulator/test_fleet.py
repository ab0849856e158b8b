"""A reading depends on seed, device and time alone, and a frame says what the devices send."""

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...exceptions import ConfigError
from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from ...simulator.models import MODELS, model_of
from .conftest import START

TYPES = tuple(MODELS)


@pytest.mark.parametrize("name", TYPES)
def test_the_same_bytes_in_one_go_in_pieces_and_minute_by_minute(faulty: Fleet, name: str) -> None:
    whole = faulty.values(name, 0, 3 * 1440)
    chance = np.random.default_rng(1)
    pieces, at = [], 0
    while at < 3 * 1440:
        n = min(int(chance.integers(1, 1900)), 3 * 1440 - at)
        pieces.append(faulty.values(name, at, n))
        at += n
    assert np.concatenate(pieces).tobytes() == whole.tobytes()
    for start in (0, 700, 1439, 4000):
        live = np.concatenate([faulty.values(name, start + i, 1) for i in range(60)])
        assert live.tobytes() == whole[start : start + 60].tobytes()


@settings(max_examples=25, deadline=None)
@given(
    name=st.sampled_from(TYPES),
    first=st.integers(-5000, 9000),
    n=st.integers(1, 300),
    cut=st.integers(0, 300),
    members=st.sets(st.integers(0, 29), min_size=1, max_size=6),
)
def test_any_stretch_of_any_devices_is_the_same(
    faulty: Fleet, name: str, first: int, n: int, cut: int, members: set[int]
) -> None:
    chosen = np.array(sorted(members))
    whole = faulty.values(name, first, n)
    cut = min(cut, n)
    few = np.concatenate([faulty.values(name, first, cut, chosen), faulty.values(name, first + cut, n - cut, chosen)])
    assert few.tobytes() == np.ascontiguousarray(whole[:, chosen]).tobytes()


def test_frames_in_pieces_are_the_frame_in_one_go(faulty: Fleet) -> None:
    for name in TYPES:
        whole = faulty.readings(name, START, START + timedelta(hours=30))
        pieces = [
            faulty.readings(name, START + timedelta(hours=h), START + timedelta(hours=h + 5)) for h in range(0, 30, 5)
        ]
        assert pl.concat(pieces).equals(whole)


def test_a_device_keeps_its_self_in_a_larger_fleet(healthy: Fleet) -> None:
    larger = Fleet.plan(seed=1, devices=600, sites=5, start=START)
    for name in TYPES:
        assert larger.values(name, 0, 300)[:, :20].tobytes() == healthy.values(name, 0, 300).tobytes()


def test_another_seed_is_another_fleet(healthy: Fleet) -> None:
    other = Fleet.plan(seed=2, devices=60, sites=5, start=START)
    assert not np.array_equal(other.values("pump_station", 0, 5), healthy.values("pump_station", 0, 5), equal_nan=True)


def test_devices_have_names_sites_and_places(healthy: Fleet) -> None:
    devices = healthy.devices()
    assert devices.columns == ["device_id", "type", "site", "latitude", "longitude"]
    assert devices["device_id"][0] == "pump-001" and devices["device_id"].n_unique() == len(devices) == 60
    assert devices.null_count().sum_horizontal().item() == 0
    assert devices["type"].value_counts()["count"].to_list() == [20, 20, 20]
    assert set(devices["site"]) <= {site.id for site in healthy.sites}


def test_a_frame_is_what_devices_send(healthy: Fleet) -> None:
    frame = healthy.readings("solar_inverter", START, START + timedelta(days=1))
    assert frame.columns == ["device_id", "timestamp", *model_of("solar_inverter").type.sensor_names]
    assert frame.schema["timestamp"] == pl.Datetime("us", "UTC")
    assert all(dtype == pl.Float64 for dtype in frame.dtypes[2:])
    sensors = frame.select(pl.exclude("device_id", "timestamp"))
    assert not sensors.select(pl.all_horizontal(pl.all().is_null())).to_series().any()
    assert not sensors.select(pl.any_horizontal(pl.all().is_nan())).to_series().any()
    lost = 1 - len(frame) / (1440 * 20)
    assert 0 < lost < 0.01
    missing = sensors.null_count().sum_horizontal().item() / sensors.height
    assert 0 < missing < 0.01


@pytest.mark.parametrize("name", TYPES)
def test_values_are_in_range_and_on_the_sensors_steps(faulty: Fleet, name: str) -> None:
    values = faulty.values(name, 0, 3 * 1440)
    for s, sensor in enumerate(faulty.group(name).model.type.sensors):
        column = values[:, :, s][~np.isnan(values[:, :, s])]
        assert sensor.low is not None and sensor.high is not None and sensor.precision is not None
        assert column.min() >= sensor.low and column.max() <= sensor.high
        steps = column / sensor.precision
        assert np.abs(steps - np.rint(steps)).max() < 1e-6


def test_clocks_are_off_by_seconds_and_never_go_back() -> None:
    fleet = Fleet.plan(seed=3, devices=600, sites=5, start=START, types=["pump_station"])
    frame = fleet.readings("pump_station", START, START + timedelta(hours=1))
    nominal = frame["timestamp"].dt.round("1m")
    off = (frame["timestamp"] - nominal).dt.total_milliseconds().abs().to_numpy()
    assert np.median(off) < 3000 and off.max() > 5000
    steps = frame.sort("device_id", "timestamp", maintain_order=True).select(
        step=pl.col("timestamp").diff().over("device_id")
    )["step"]
    assert steps.drop_nulls().dt.total_seconds().to_numpy().min() > 50
    ahead = frame.filter(pl.col("timestamp") > START + timedelta(minutes=61))
    assert ahead.is_empty()


@pytest.mark.parametrize(("interval_s", "readings"), [(10.0, 360), (60.0, 60), (300.0, 12), (0.5, 7200)])
def test_other_intervals(interval_s: float, readings: int) -> None:
    wanted = msgspec.structs.replace(model_of("pump_station").type, interval_s=interval_s)
    fleet = Fleet.plan(seed=1, devices=4, sites=1, start=START, types=[wanted])
    frame = fleet.readings("pump_station", START, START + timedelta(hours=1))
    per_device = frame.group_by("device_id").len()["len"].to_numpy()
    assert readings * 0.95 < per_device.min() <= per_device.max() <= readings
    by_device = frame.sort("device_id", maintain_order=True)
    steps = by_device.select(step=pl.col("timestamp").diff().over("device_id"))["step"].drop_nulls()
    assert steps.dt.total_microseconds().to_numpy().min() > 0
    assert fleet.values("pump_station", 0, 60).shape == (readings, 4, 8)


def test_a_type_may_send_parts() -> None:
    wanted = msgspec.structs.replace(model_of("solar_inverter").type, sends="parts")
    fleet = Fleet.plan(seed=1, devices=5, start=START, types=[wanted])
    assert fleet.types[0].sends == "parts"


NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"devices": 0}, "0 devices on 10 sites: expected at least one"),
        ({"faults": 1.5}, "faults 1.5 is a share of the devices; expected 0 to 1"),
        ({"days": 0}, "days 0: expected more than 0"),
        ({"seed": -1}, "seed -1: expected a whole number"),
        ({"types": []}, "types is empty"),
        ({"types": ["toaster"]}, "'toaster' can't be simulated; expected one of pump_station"),
        ({"types": ["pump_station", "pump_station"]}, "names one twice"),
        ({"start": datetime(2026, 6, 1)}, "has no time zone"),
    ],
)
def test_a_plan_that_makes_no_fleet_is_refused(wrong: dict[str, object], said: str) -> None:
    arguments: dict[str, object] = {"seed": 1, "devices": 5, "start": NOON, **wrong}
    with pytest.raises(ConfigError, match=said):
        Fleet.plan(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Fault(kind="silent", device_id="pump-999", start=NOON), "no device 'pump-999'"),
        (Fault(kind="silent", device_id="pump-1", start=NOON), "no device 'pump-1'"),
        (Fault(kind="site_outage", site="atlantis", start=NOON), "no site 'atlantis'; expected one of harbour-east"),
        (
            Fault(kind="bias", device_id="pump-001", sensors=("ac_power",), start=NOON),
            "no sensor 'ac_power'; a pump_station has vibration",
        ),
    ],
)
def test_a_fault_of_nothing_there_is_refused(healthy: Fleet, fault: Fault, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        healthy.with_faults([fault])


def test_questions_that_make_no_sense_are_refused(healthy: Fleet) -> None:
    with pytest.raises(ConfigError, match="no device of type 'toaster'"):
        healthy.values("toaster", 0, 1)
    with pytest.raises(ConfigError, match="the end is before the start"):
        healthy.readings("pump_station", NOON, START)
    with pytest.raises(ConfigError, match="no pump_station 'pump-777'; expected pump-001 to pump-020"):
        healthy.readings("pump_station", START, NOON, ["pump-777"])


def test_a_type_with_other_sensors_is_refused() -> None:
    pump = model_of("pump_station").type
    with pytest.raises(ConfigError, match="change its interval or way of sending only"):
        model_of(msgspec.structs.replace(pump, sensors=pump.sensors[:3]))
