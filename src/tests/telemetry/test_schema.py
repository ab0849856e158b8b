"""A device type that can't be used says what is wrong with it; a new version keeps every column in its place."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import ConfigError
from ...telemetry.lake_files import PARTITIONS
from ...telemetry.lake_rows import COLUMNS
from ...telemetry.schema import MAX_SENSORS, RESERVED, DeviceType, Sensor, decode_type, encode_type

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True).filter(lambda name: name not in RESERVED)


def pump(*names: str, interval_s: float = 60.0, **fields: object) -> DeviceType:
    sensors = tuple(Sensor(name=name) for name in names or ("flow",))
    return msgspec.convert({"name": "pump", "interval_s": interval_s, **fields, "sensors": sensors}, DeviceType)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "pump"', "not JSON: "),
        ('{"name": "pump"}', "not a device type: Object missing required field `sensors`"),
        ('{"name": "pump", "sensors": [{"nam": "a"}]}', r"not a device type: .*`nam`.*sensors"),
        ('{"name": "Pump", "sensors": [{"name": "flow"}]}', "type name 'Pump': expected a lower-case letter"),
        ('{"name": "pump", "sensors": []}', "type 'pump' has 0 sensors; expected 1 to 64"),
        ('{"name": "pump", "sensors": [{"name": "a"}, {"name": "a"}]}', "names a sensor twice: a"),
        ('{"name": "pump", "sensors": [{"name": "score"}]}', "sensor name 'score': expected .* and none of"),
        ('{"name": "pump", "sensors": [{"name": "a", "low": 2, "high": 1}]}', "low 2.0 must be below high 1.0"),
        ('{"name": "pump", "sensors": [{"name": "a", "precision": 0}]}', "precision 0.0 must be above 0"),
        ('{"name": "pump", "sensors": [{"name": "a"}], "interval_s": 0}', "must be 0.1 to 86,400 seconds"),
        ('{"name": "pump", "sensors": [{"name": "a"}], "resolution_s": 30}', "to a tenth of the interval"),
        ('{"name": "pump", "sensors": [{"name": "a"}], "silent_after": 1}', "must be 2 intervals or more"),
        ('{"name": "pump", "sensors": [{"name": "a"}], "version": 0}', "version 0 must be 1 or more"),
    ],
)
def test_a_type_that_can_not_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        decode_type(text)


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True))
def test_a_type_comes_back(names: list[str]) -> None:
    device_type = pump(*names)
    assert decode_type(encode_type(device_type)) == device_type


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_other_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigError, match="not (JSON|a device type)"):
        decode_type(text)


def test_columns_of_the_lake_are_no_sensors() -> None:
    assert {*COLUMNS, *PARTITIONS} <= RESERVED


def test_too_many_sensors_are_refused() -> None:
    with pytest.raises(ConfigError, match="has 65 sensors"):
        pump(*(f"s{number}" for number in range(MAX_SENSORS + 1)))


def test_resolution_is_a_second_or_a_tenth_of_a_short_interval() -> None:
    assert (pump().interval_ms, pump().resolution_ms) == (60_000, 1000)
    assert pump(interval_s=5.0).resolution_ms == 500
    assert pump(interval_s=1.0, resolution_s=0.01).resolution_ms == 10


@given(
    old=st.lists(NAMES, min_size=1, max_size=5, unique=True), new=st.lists(NAMES, min_size=1, max_size=5, unique=True)
)
def test_a_new_version_appends_sensors_and_retires_in_place(old: list[str], new: list[str]) -> None:
    first, wanted = pump(*old), pump(*new)
    second = first.successor(wanted)
    assert second.version == 2
    assert second.sensor_names[: len(old)] == tuple(old)
    assert set(second.sensor_names[len(old) :]) == set(new) - set(old)
    assert {sensor.name for sensor in second.sensors if sensor.retired} == set(old) - set(new)


def test_what_a_new_version_may_not_change() -> None:
    with pytest.raises(ConfigError, match="interval_s can't change from 60.0 to 30.0; make a type of another name"):
        pump().successor(pump(interval_s=30.0))
    with pytest.raises(ConfigError, match="sends can't change"):
        pump().successor(pump(sends="parts"))
    with pytest.raises(ConfigError, match="type 'fan' can't be a version of type 'pump'"):
        pump().successor(DeviceType(name="fan", sensors=(Sensor(name="flow"),)))


def test_people_read_labels() -> None:
    assert Sensor(name="water_flow").title == "Water flow"
    assert Sensor(name="water_flow", label="Flow").title == "Flow"
    assert (pump().title, pump(label="Pump station").title) == ("Pump", "Pump station")
