"""Lines for charts: every extreme survives whatever the number of points; ranges are joined where rows are."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ...telemetry.schema import DeviceType, Sensor
from ...web.series import series
from ...web.shapes import Place, site_map, spark

START = datetime(2026, 11, 1, tzinfo=UTC)
TYPE = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="heat")))


def rows(values: list[float | None], bands: list[list[float] | None] | None = None) -> pl.DataFrame:
    """Rows of the lake, one a minute."""
    n = len(values)
    return pl.DataFrame(
        {
            "timestamp": [START + timedelta(minutes=i) for i in range(n)],
            "score": [0.5] * n,
            "flow": values,
            "heat": [float(i) for i in range(n)],
            "bands": bands if bands is not None else [None] * n,
        },
        schema={
            "timestamp": pl.Datetime("us", "UTC"),
            "score": pl.Float32,
            "flow": pl.Float64,
            "heat": pl.Float64,
            "bands": pl.List(pl.Float32),
        },
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False)), min_size=30, max_size=400),
    st.integers(10, 60),
)
def test_extremes_and_the_newest_survive_any_number_of_points(values: list[float | None], points: int) -> None:
    whole = rows(values)
    answer = series(whole, TYPE, points, ["flow", "heat"])
    shown, all_values = answer.frame["flow"].drop_nulls(), whole["flow"].drop_nulls()
    assert (shown.min(), shown.max()) == (all_values.min(), all_values.max())
    assert set(shown) <= set(all_values)
    assert answer.frame["timestamp"].is_sorted()
    assert answer.frame["timestamp"][-1] == whole["timestamp"][-1]
    assert answer.frame["flow"][-1] == whole["flow"][-1]
    assert answer.frame.height <= points + 3


def test_a_spike_of_one_minute_is_seen_in_a_month() -> None:
    values: list[float | None] = [1.0] * 43_200
    values[20_000] = 50.0
    answer = series(rows(values), TYPE, 800, ["flow"])
    assert answer.frame["flow"].max() == 50.0 and answer.frame.height <= 801


def test_ranges_are_joined_between_where_they_were_stored() -> None:
    bands: list[list[float] | None] = [None] * 21
    bands[0], bands[10] = [10.0, 5.0, 1.0, 0.5], [20.0, 5.0, 1.0, 0.5]
    frame = series(rows([10.0] * 21, bands), TYPE, None, ["flow"]).frame
    assert frame["low_flow"][5] == 14.0 and frame["high_flow"][5] == 16.0
    assert frame["high_flow"][20] == 21.0, "carried on after the last"


def test_a_row_without_a_score_has_no_range() -> None:
    whole = rows([1.0] * 3, [[1.0, 1.0, 1.0, 1.0]] * 3).with_columns(
        pl.Series("score", [0.1, None, 0.1], dtype=pl.Float32)
    )
    assert series(whole, TYPE, None, ["flow"]).frame["low_flow"].to_list() == [0.0, None, 0.0]


def test_a_sensor_added_later_has_no_range_before() -> None:
    bands: list[list[float] | None] = [[10.0, 1.0]] + [None] * 40 + [[10.0, 5.0, 1.0, 0.5]]
    frame = series(rows([10.0] * 42, bands), TYPE, None, ["flow", "heat"]).frame
    assert frame["low_flow"][0] == 9.0 and frame["low_heat"][0] is None
    assert frame["high_heat"][41] == 5.5


def test_a_spark_changes_colour_where_the_alert_began() -> None:
    ts = np.arange(0, 360_000, 1000)
    line = spark(ts, np.sin(ts / 9000.0), 0, 360_000, 300_000)
    assert line.before.startswith("M0.0") and line.since.startswith("M")
    assert line.before.split("L")[-1] == line.since[1:].split("L")[0], "they share a point"
    assert spark(ts, np.full(len(ts), np.nan), 0, 360_000, 1).before == ""


def test_a_map_of_one_site_and_of_many_keeps_inside_its_frame() -> None:
    def place(i: int, latitude: float, longitude: float) -> Place:
        return Place(i, f"Site {i}", latitude, longitude, 10 + i, "healthy", str(i))

    for places in ([place(1, 52.0, 4.0)], [place(i, -50 + i * 4.0, -170 + i * 14.0) for i in range(25)]):
        drawn = site_map(places)
        assert len(drawn.dots) == len(places)
        assert all(0 < dot.x < drawn.width and 0 < dot.y < drawn.height for dot in drawn.dots)
        assert drawn.lines


def test_a_sensor_may_be_called_as_the_edge_of_another() -> None:
    odd = DeviceType(name="pump", sensors=(Sensor(name="flow"), Sensor(name="low_flow")))
    whole = rows([10.0, 10.0], [[10.0, 3.0, 1.0, 0.5]] * 2).rename({"heat": "low_flow"})
    answer = series(whole, odd, None, ["flow", "low_flow"])
    assert answer.frame["low_flow"].to_list() == [0.0, 1.0], "the sensor's own values"
    low, high = answer.edges["flow"]
    assert (answer.frame[low][0], answer.frame[high][0]) == (9.0, 11.0)
