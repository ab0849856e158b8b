"""Expected ranges are joined between the rows of a device that have one, and stay away where there is no score."""

import math

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ...telemetry.expected import edge_names, with_expected
from ...telemetry.schema import DeviceType, Sensor
from ...web.series import series
from .frames import scored

PUMP = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="heat")))
Bands = list[float] | None


def rows(key: int, bands: list[Bands], scores: list[float | None] | None = None) -> pl.DataFrame:
    """Rows of a device, one a minute."""
    n = len(bands)
    return scored([key] * n, range(n), flow=[float(i) for i in range(n)]).with_columns(
        pl.Series("score", [1.0] * n if scores is None else scores, dtype=pl.Float32),
        pl.Series("bands", bands, dtype=pl.List(pl.Float32)),
    )


def test_centre_and_width_become_low_and_high() -> None:
    frame = with_expected(rows(1, [[10.0, 20.0, 1.0, 2.0]]), PUMP, ["flow", "heat"])
    assert frame.columns == [
        *("device_key", "timestamp", "score", "flow", "heat", "low_flow", "high_flow", "low_heat", "high_heat")
    ]
    assert frame.row(0)[2:] == (1.0, 0.0, None, 9.0, 11.0, 18.0, 22.0)


def test_ranges_are_joined_within_a_device_and_not_across() -> None:
    both = pl.concat([rows(1, [[1.0, 0.5], None, [3.0, 0.5], None]), rows(2, [None, [9.0, 0.5]])])
    flow = with_expected(both, PUMP, ["flow"])["low_flow"]
    assert flow.to_list() == [0.5, 1.5, 2.5, 2.5, 8.5, 8.5]


def test_ranges_are_carried_on_over_few_rows() -> None:
    low = with_expected(rows(1, [[1.0, 0.5], *[None] * 30]), PUMP, ["flow"])["low_flow"]
    assert low.is_not_null().to_list() == [True] * 21 + [False] * 10


def test_a_row_without_a_score_has_no_range() -> None:
    frame = with_expected(rows(1, [[1.0, 0.5], None, [1.0, 0.5]], [1.0, None, 1.0]), PUMP, ["flow"])
    assert frame["high_flow"].to_list() == [1.5, None, 1.5]


def test_rows_from_before_a_sensor_was_added_have_no_range_of_it() -> None:
    frame = with_expected(rows(1, [[1.0, 0.5], [math.nan, 5.0, 0.5, 1.0]]), PUMP, ["flow", "heat"])
    assert frame["low_flow"].to_list() == [0.5, 0.5]
    assert frame["low_heat"].to_list() == [4.0, 4.0]


def test_a_sensor_called_as_a_range_keeps_its_name() -> None:
    device_type = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="low_flow")))
    assert edge_names("flow", device_type) == ("low_flow_", "high_flow_")
    frame = with_expected(rows(1, [[1.0, 2.0, 0.5, 0.5]]), device_type, device_type.sensor_names)
    assert frame.row(0)[3:] == (0.0, None, 0.5, 1.5, 1.5, 2.5)


NUMBERS = st.floats(-1e3, 1e3, width=16) | st.just(math.nan)
BANDS = st.none() | st.lists(NUMBERS, min_size=4, max_size=4) | st.lists(NUMBERS, min_size=2, max_size=2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.tuples(BANDS, st.none() | st.just(0.5)), min_size=1, max_size=40), min_size=1, max_size=3))
def test_many_devices_at_once_are_as_each_alone_in_its_chart(devices: list[list[tuple[Bands, float | None]]]) -> None:
    frames = [
        rows(key, [bands for bands, _ in device], [score for _, score in device]) for key, device in enumerate(devices)
    ]
    charts = [series(frame, PUMP, None, PUMP.sensor_names).frame for frame in frames]
    together = with_expected(pl.concat(frames), PUMP, PUMP.sensor_names)
    assert together.drop("device_key").equals(pl.concat(charts))
