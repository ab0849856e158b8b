"""All a shard knows of a type: what it learns from, whom it may bother how often, what comes too late."""

from collections.abc import Sequence

import numpy as np
import pytest

from ...components.learnt import Learnt
from ...detection.detector import Detector
from ...service.type_state import Batch, Installed, LearningSettings, TypeState
from ...telemetry.readings import Readings, concat
from ...telemetry.schema import DeviceType, Sensor
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS

WIDER = PUMP.successor(DeviceType(name="pump", sensors=(*PUMP.sensors, Sensor(name="noise"))))


@pytest.fixture(scope="module")
def detector() -> Detector:
    """One that knows these pumps."""
    return fleet_of.detector()


def _state(devices: int = 4, *, type_readings: int = 300, installed: Installed | None = None) -> TypeState:
    """A type with so many devices of one owner, in slots 0, 1, …"""
    settings = LearningSettings(type_readings, 30, 1 / 30, 3.0)
    state = TypeState(1, PUMP, settings, lambda _, learnt, source: Installed("learnt", 7, learnt))
    state.resize(devices)
    state.set_owner_devices(np.full(devices, devices))
    if installed is not None:
        state.install(installed)
    return state


def _rows(devices: Sequence[int], minutes: range) -> tuple[Readings, np.ndarray]:
    """Rows, and the slots of their devices: the first device is in slot 0."""
    readings = fleet_of.readings(1, devices, minutes)
    return readings, readings.keys - 1


def _apply(state: TypeState, devices: Sequence[int], minutes: range) -> list[Batch]:
    return state.apply(*_rows(devices, minutes), START_MS)


def _kinds(batches: Sequence[Batch]) -> list[tuple[str, int]]:
    """What became of rows, and of how many."""
    return [
        ("late" if batch.late else "unscored" if batch.scores is None else "scored", len(batch.readings))
        for batch in batches
    ]


def test_a_type_learns_from_its_first_readings_and_scores_those_behind_them() -> None:
    state = _state()
    assert _kinds(_apply(state, range(1, 5), range(0, 70))) == [("unscored", 280)]
    assert _kinds(_apply(state, range(1, 5), range(70, 80))) == [("unscored", 20), ("scored", 20)]
    assert state.learning is None and state.installed is not None and state.installed.version == 7
    assert np.isfinite(state.devices.float32("enter")).all()


def test_it_is_kept_what_a_type_learnt_from() -> None:
    kept: list[Learnt] = []

    def install_as(_: int, detector: Detector, source: Learnt) -> Installed:
        kept.append(source)
        return Installed("learnt", 7, detector)

    state = TypeState(1, PUMP, LearningSettings(300, 30, 1 / 30, 3.0), install_as)
    state.resize(5)
    state.set_owner_devices(np.full(5, 5))
    _apply(state, range(1, 5), range(0, 80))
    readings, _ = _rows(range(1, 5), range(0, 75))
    assert kept == [Learnt([1, 2, 3, 4], int(readings.ts.min()), int(readings.ts.max()) + 1)]


def test_what_taught_a_type_warms_its_devices_too() -> None:
    state = _state()
    _apply(state, range(1, 5), range(0, 75))
    (batch,) = _apply(state, range(1, 5), range(75, 90))
    assert batch.scores is not None and not batch.scores.learning.any(), "each had 75 readings, more than the 30"


def test_too_little_to_learn_from_is_collected_on(detector: Detector) -> None:
    state = _state(1, type_readings=10)
    assert _kinds(_apply(state, [1], range(0, 12))) == [("unscored", 10), ("unscored", 2)]
    assert state.installed is None
    assert state.learning is not None and (len(state.learning), state.learning.target) == (10, 20)
    state.install(Installed("trained", 1, detector))
    assert _kinds(_apply(state, [1], range(12, 14))) == [("scored", 2)], "a model from elsewhere ends the learning"


def test_a_file_teaches_with_as_many_rows_as_it_says() -> None:
    state = _state(type_readings=10_000)
    assert _kinds(state.study(*_rows(range(1, 5), range(0, 40)), START_MS, last=False)) == [("unscored", 160)]
    assert state.is_learning().all()
    assert _kinds(state.study(*_rows(range(1, 5), range(40, 90)), START_MS, last=True)) == [("unscored", 200)]
    assert state.installed is not None
    assert _kinds(_apply(state, range(1, 5), range(90, 92))) == [("scored", 8)]


def test_rows_not_newer_than_the_last_scored_one_are_late_and_leave_what_is_known_alone(detector: Detector) -> None:
    state = _state(installed=Installed("m", 1, detector))
    _apply(state, [1, 2], range(10, 20))
    before = {name: state.devices[name].copy() for name in ("scored_ts", "score", "readings", "value", "centre")}
    assert _kinds(_apply(state, [1, 2], range(5, 20))) == [("late", 30)]
    for name, array in before.items():
        np.testing.assert_array_equal(state.devices[name], array, name)


def test_a_row_that_stands_twice_in_a_request_is_scored_once(detector: Detector) -> None:
    state = _state(installed=Installed("m", 1, detector))
    twice, _ = _rows([1, 2], range(3))
    readings = concat([twice, twice])
    batches = state.apply(readings, readings.keys - 1, START_MS)
    assert _kinds(batches) == [("late", 6), ("scored", 6)]
    assert state.devices.int64("readings")[:2].tolist() == [3, 3]


def test_rows_are_scored_in_the_order_of_time_however_they_come(detector: Detector) -> None:
    forward, backward = (_state(installed=Installed("m", 1, detector)) for _ in range(2))
    rows, slots = _rows(range(1, 5), range(40))
    (straight,) = forward.apply(rows, slots, START_MS)
    reverse = np.arange(len(rows))[::-1]
    (turned,) = backward.apply(rows.take(reverse), slots[reverse], START_MS)
    assert straight.scores is not None and turned.scores is not None
    order, turned_order = (np.lexsort((b.readings.ts, b.slots)) for b in (straight, turned))
    np.testing.assert_array_equal(straight.scores.score[order], turned.scores.score[turned_order])


def test_the_more_devices_an_owner_has_the_higher_is_the_threshold_of_each(detector: Detector) -> None:
    state = _state(6, installed=Installed("m", 1, detector))
    state.set_owner_devices(np.array([1, 1, 90, 90, 9000, 9000]))
    enter, leave = state.devices.float32("enter"), state.devices.float32("leave")
    assert enter[0] == enter[2], "up to 90 devices, one alert a month each is within three a day"
    assert enter[4] > enter[2]
    assert (leave < enter).all()
    np.testing.assert_allclose(enter[4], detector.threshold(3.0 / 9000)[0])


def test_the_only_device_of_an_owner_has_thresholds_when_it_comes_after_the_model(detector: Detector) -> None:
    state = _state(2, installed=Installed("m", 1, detector))
    state.resize(3)
    state.set_owner_devices(np.array([2, 2, 1]))
    assert np.isfinite(state.devices.float32("enter")).all()
    assert np.isfinite(state.devices.float32("leave")).all()


def test_a_device_is_learning_for_its_own_first_readings(detector: Detector) -> None:
    state = _state(2, installed=Installed("m", 1, detector))
    _apply(state, [1], range(30))
    _apply(state, [2], range(29))
    assert state.is_learning().tolist() == [False, True]
    assert _state(2).is_learning().all(), "without a model all are"


def test_a_sensor_that_is_added_is_learnt_while_the_model_in_use_goes_on(detector: Detector) -> None:
    state = _state(installed=Installed("m", 1, detector))
    _apply(state, range(1, 5), range(0, 60))
    level = state.devices.float32("centre")[:, :3].copy()
    state.upgrade(WIDER)
    rows, slots = _rows(range(1, 5), range(60, 134))
    rows = rows.widen(4)
    rows.values[:, 3] = 5 + 0.1 * np.random.default_rng(1).normal(size=len(rows))
    assert _kinds(state.apply(rows, slots, START_MS)) == [("scored", 296)]
    last = rows.take(np.arange(292, 296))
    last.ts[:] += MINUTE_MS
    (batch,) = state.apply(last, last.keys - 1, START_MS)
    assert state.installed is not None and state.installed.version == 7, "300 readings with the new sensor taught it"
    assert state.installed.detector.sensor_names_ == WIDER.sensor_names
    assert batch.model_version == 1 and np.isnan(state.devices.float32("centre")[:, 3]).all()
    moved = np.abs(state.devices.float32("centre")[:, :3] - level)
    assert (moved < 10 * state.devices.float32("width")[:, :3]).all(), "what devices had learnt moved over by name"


def test_a_checkpoint_while_the_type_learns_changes_nothing() -> None:
    one, other = _state(), _state()
    first, second = _rows(range(1, 5), range(0, 50)), _rows(range(1, 5), range(50, 80))
    one.apply(*first, START_MS)
    other.apply(*first, START_MS)
    again = _state()
    again.load(other.to_arrays(), None)
    expected, found = one.apply(*second, START_MS), again.apply(*second, START_MS)
    assert _kinds(found) == _kinds(expected) == [("unscored", 100), ("scored", 20)]
    assert found[1].scores is not None and expected[1].scores is not None
    np.testing.assert_array_equal(found[1].scores.score, expected[1].scores.score)
