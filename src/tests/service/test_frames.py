"""Scored rows as the lake and the pages get them."""

from collections.abc import Sequence

import numpy as np
import polars as pl
import pytest

from ...detection.detector import Detector
from ...service.frames import Logged, lake_frame, snapshot_frame
from ...service.type_state import Installed, LearningSettings, TypeState
from ...telemetry.bands import bands_arrays, unpack_blame
from ...telemetry.schema import DeviceType, Sensor
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS

WIDER = PUMP.successor(DeviceType(name="pump", sensors=(*PUMP.sensors, Sensor(name="noise"))))


@pytest.fixture(scope="module")
def detector() -> Detector:
    """One that knows these pumps."""
    return fleet_of.detector()


def _state(detector: Detector | None) -> TypeState:
    state = TypeState(
        1, PUMP, LearningSettings(10_000, 30, 1 / 30, 3.0), lambda _, learnt, source: Installed("m", 1, learnt)
    )
    state.resize(3)
    state.set_owner_devices(np.full(3, 3))
    if detector is not None:
        state.install(Installed("m", 5, detector))
    return state


def _logged(
    state: TypeState, seq: int, devices: Sequence[int], minutes: range, *, faulty: bool = False
) -> list[Logged]:
    rows = fleet_of.readings(1, devices, minutes, faulty=devices if faulty else ())
    now_ms = START_MS + minutes[-1] * MINUTE_MS + 2_000
    return [Logged(batch, seq, now_ms) for batch in state.apply(rows, rows.keys - 1, now_ms)]


def test_rows_of_a_type_without_a_model_have_values_and_nothing_else() -> None:
    frame = lake_frame(_logged(_state(None), 4, [1, 2], range(3)), PUMP)
    assert frame.columns[:5] == ["device_key", "timestamp", "flow", "load", "heat"]
    for name in ("score", "model_version", "bands", "blame"):
        assert frame[name].null_count() == 6, name
    assert frame["ingest_seq"].to_list() == [4] * 6
    assert frame["arrived"].dt.epoch("ms").to_list() == [START_MS + 2 * MINUTE_MS + 2_000] * 6
    assert frame.schema["bands"] == pl.List(pl.Float32)


def test_each_row_tells_its_record_its_score_and_the_version_that_gave_it(detector: Detector) -> None:
    state = _state(detector)
    logged = (
        _logged(state, 4, [1, 2], range(2)) + _logged(state, 5, [1], range(2, 3)) + _logged(state, 6, [1], range(1, 2))
    )
    frame = lake_frame(logged, PUMP)
    assert frame["ingest_seq"].to_list() == [4] * 4 + [5, 6]
    assert frame["model_version"].to_list() == [5] * 5 + [None]
    assert frame["score"].is_null().to_list() == [False] * 5 + [True]
    assert frame["late"].to_list() == frame["unchecked"].to_list() == [False] * 5 + [True]


def test_expected_ranges_and_blame_stand_in_the_rows_that_keep_them(detector: Detector) -> None:
    state = _state(detector)
    logged = _logged(state, 4, [1], range(60)) + _logged(state, 5, [1], range(60, 63), faulty=True)
    frame = lake_frame(logged, PUMP)
    kept = np.concatenate([item.batch.kept for item in logged])
    assert kept[-3:].all() and 7 <= kept.sum() < 40
    assert frame["bands"].is_not_null().to_list() == frame["blame"].is_not_null().to_list() == kept.tolist()
    rows, centre, width = bands_arrays(frame["bands"], 3)
    scores = logged[-1].batch.scores
    assert scores is not None and rows[-3:].tolist() == [60, 61, 62]
    np.testing.assert_allclose(centre[-3:], scores.centre, rtol=2.0**-11)
    np.testing.assert_allclose(width[-3:], scores.width, rtol=2.0**-11)
    sensors, shares = unpack_blame(frame["blame"].drop_nulls().to_numpy())
    assert (sensors[-3:, 0] == 2).all() and (shares[-3:, 0] > 0.5).all(), "heat is what is wrong"


def test_rows_of_before_a_sensor_was_added_are_widened(detector: Detector) -> None:
    state = _state(detector)
    logged = _logged(state, 4, [1], range(30))
    state.upgrade(WIDER)
    logged += _logged(state, 5, [1], range(30, 60))
    frame = lake_frame(logged, WIDER)
    assert frame["noise"].null_count() == 60 and frame["score"].null_count() == 0
    _, centre, _ = bands_arrays(frame["bands"], 4)
    assert np.isnan(centre[:, 3]).all() and not np.isnan(centre[:, :3]).any()


def test_the_snapshot_tells_every_devices_last_reading_and_what_was_expected(detector: Detector) -> None:
    state = _state(detector)
    _logged(state, 4, [1, 2], range(40))
    frame = snapshot_frame(
        state, np.array([1, 2, 3]), np.array([1, 2, 0], np.uint8), np.array([START_MS, START_MS, START_MS])
    )
    assert frame["last_ts"].to_list() == [START_MS + 39 * MINUTE_MS] * 2 + [None]
    assert frame["last_arrival"].to_list() == [START_MS + 39 * MINUTE_MS + 2_000] * 2 + [None]
    assert frame["n_readings"].to_list() == [40, 40, 0]
    last = fleet_of.readings(1, [1, 2], range(39, 40))
    assert frame["value_heat"].to_list() == [*last.values[:, 2].tolist(), None]
    assert frame["score"].is_null().to_list() == [False, False, True]
    known = frame.head(2)
    assert (known["low_heat"] < known["value_heat"]).all() and (known["value_heat"] < known["high_heat"]).all()
    assert frame["low_heat"][2] is None and np.isfinite(frame["threshold"].to_numpy()).all()
