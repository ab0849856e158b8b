"""A mapping that can't be used says why; one that can comes back from its JSON as it was."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import ConfigError
from ...telemetry.key_columns import TIME_PATTERNS
from ...telemetry.mapping import MISSING, Mapping, TimeColumn, decode_mapping, encode_mapping
from ...telemetry.schema import DeviceType, Sensor

TIME = '"time": {"column": "t"}'
SENSORS = '"sensors": {"Flow": "flow"}'
PUMP = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="heat"), Sensor(name="old", retired=True)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON: "),
        ("[]", "not a mapping: Expected `object`, got `array`"),
        ("{}", "not a mapping: Object missing required field `time`"),
        (f"{{{TIME}}}", "not a mapping: Object missing required field `sensors`"),
        (f'{{"time": {{}}, {SENSORS}}}', r"missing required field `column` - at `\$.time`"),
        (f'{{{TIME}, {SENSORS}, "seperator": ";"}}', "unknown field `seperator`"),
        (f'{{{TIME}, {SENSORS}, "header": "yes"}}', r"Expected `bool`, got `str` - at `\$.header`"),
        (f'{{{TIME}, "sensors": {{}}}}', "names no sensors; expected a sensor for each column of readings"),
        (f'{{{TIME}, "sensors": {{"a": "flow", "b": "flow"}}}}', "gives sensors two columns: flow"),
        (f'{{{TIME}, {SENSORS}, "separator": ";;"}}', "separator ';;': expected one character, such as ; or a tab"),
        (f'{{{TIME}, {SENSORS}, "separator": "§"}}', "separator '§': expected one character"),
        (f'{{{TIME}, {SENSORS}, "separator": "\\n"}}', r"separator '\\n': expected one character"),
        (f'{{{TIME}, {SENSORS}, "decimal": ","}}', "decimal ',': expected . or , and not the separator"),
        (f'{{{TIME}, {SENSORS}, "decimal": "p"}}', "decimal 'p': expected . or ,"),
        (f'{{{TIME}, {SENSORS}, "skip_lines": -1}}', "skip_lines -1: expected 0 or more lines before the header"),
    ],
)
def test_a_mapping_that_can_not_be_used_says_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        decode_mapping(text)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"format": "european"}, "time format 'european': expected iso, seconds, milliseconds, steps, or a pattern"),
        ({"format": "%Q"}, "time format '%Q' can't be used: cannot format"),
        ({"format": "100%"}, "time format '100%' can't be used"),
        ({"format": "%d.%m.%Y %H"}, "specify both hour and minute, or neither"),
        ({"format": "%H:%M"}, "doesn't read a whole date: it writes '12:30' for 2026-01-31 12:30"),
        ({"format": "%Y"}, "doesn't read a whole date: it writes '2026'"),
        ({"format": "%Y-%m-%d %H:%M:%S.%f"}, "%f counts nanoseconds; expected %.f for a fraction"),
        ({"zone": "Berlin"}, "time zone 'Berlin' is not known; expected one such as Europe/Berlin"),
        ({"zone": "Europe"}, "time zone 'Europe' is not known"),
        ({"zone": "localtime"}, "time zone 'localtime' is not known"),
        ({"zone": ""}, "time zone '' is not known"),
        ({"step_s": 0}, "step_s 0.0 must be above 0 seconds"),
        ({"step_s": 1e999}, "step_s inf must be above 0 seconds"),
        ({"start": "2026-01-31"}, "start '2026-01-31': expected a time with a zone, such as 2026-01-31T12:00:00Z"),
    ],
)
def test_a_column_of_times_that_can_not_be_read_says_why(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        msgspec.convert({"column": "t", **fields}, TimeColumn)


@pytest.mark.parametrize(
    "pattern",
    [
        *TIME_PATTERNS,
        "%d.%m.%Y",
        "%Y-%j",
        "%m/%d/%Y %I:%M:%S %p",
        "%Y-%m-%d %H:%M:%S,%3f",
        "%Y-%m-%d %H:%M:%S%z",
        "%Y-%m-%d %H:%M:%S%:z",
        "%Y-%m-%d %H:%M:%S%#z",
        "%Y-%m-%d %H:%M:%S %Z",
        "%s",
    ],
)
def test_patterns_that_name_a_day_are_taken(pattern: str) -> None:
    assert TimeColumn(column="t", format=pattern).format == pattern


def test_sensors_that_the_type_does_not_have_are_named() -> None:
    mapping = Mapping(time=TimeColumn(column="t"), sensors={"a": "flow", "b": "flaw", "c": "old"})
    with pytest.raises(ConfigError, match="that type 'pump' does not have: flaw, old; it has flow, heat"):
        mapping.check_against(PUMP)


def test_columns_are_named_once() -> None:
    mapping = Mapping(time=TimeColumn(column="t"), sensors={"a": "flow", "d": "heat"}, device_column="d")
    assert mapping.columns == ["t", "d", "a"]


def test_json_leaves_out_what_is_as_by_default() -> None:
    mapping = Mapping(time=TimeColumn(column="t", zone="Europe/Berlin"), sensors={"a": "flow"}, separator=";")
    assert msgspec.json.decode(encode_mapping(mapping)) == {
        "time": {"column": "t", "zone": "Europe/Berlin"},
        "sensors": {"a": "flow"},
        "separator": ";",
    }


def test_a_column_of_times_without_a_name_comes_back() -> None:  # as pandas writes its index
    mapping = Mapping(time=TimeColumn(column=""), sensors={"a": "flow"})
    assert decode_mapping(encode_mapping(mapping)) == mapping


TEXTS = st.text(max_size=8)
TIMES = st.builds(
    TimeColumn,
    column=TEXTS,
    format=st.sampled_from(["iso", "seconds", "milliseconds", "steps", *TIME_PATTERNS]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "+02:00", "America/New_York"]),
    start=st.sampled_from(["2000-01-01T00:00:00Z", "2026-01-31T12:00:00+02:00"]),
    step_s=st.floats(1e-3, 1e6),
)


@given(
    st.builds(
        Mapping,
        time=TIMES,
        sensors=st.lists(TEXTS, min_size=1, max_size=5, unique=True).map(
            lambda names: {name: f"s{number}" for number, name in enumerate(names)}
        ),
        device_column=st.none() | TEXTS,
        device=st.none() | TEXTS,
        site_column=st.none() | TEXTS,
        separator=st.sampled_from(";\t| "),
        decimal=st.sampled_from(".,"),
        header=st.booleans(),
        skip_lines=st.integers(0, 9),
        missing=st.sampled_from([MISSING, (), ("-999",)]),
    )
)
def test_a_mapping_comes_back(mapping: Mapping) -> None:
    assert decode_mapping(encode_mapping(mapping)) == mapping


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_other_text_is_refused(text: str | bytes) -> None:
    with pytest.raises(ConfigError, match="not (JSON|a mapping)"):
        decode_mapping(text)
