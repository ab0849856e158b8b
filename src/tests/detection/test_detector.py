"""The detector: replay is live, faults are seen, bad data degrades and never breaks."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ...detection.blocks import Block, Scores
from ...detection.config import DetectorConfig
from ...detection.detector import Detector
from ...detection.kernel import HABIT_STEPS, LEVEL
from ...detection.state import DetectorState
from ...detection.ways import Way
from ...exceptions import ModelError
from . import fleet


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector().fit(fleet.training(fleet.values(1, 24, 2 * 1440)))


def replay(detector: Detector, block: Block, batch: int, n_devices: int) -> tuple[bytes, DetectorState]:
    state = detector.new_state(n_devices)
    said = []
    for start in range(0, len(block), batch):
        part = slice(start, start + batch)
        scores = detector.update(state, Block(block.slots[part], block.ts[part], block.values[part]))
        said.append(tuple(getattr(scores, name) for name in Scores.__dataclass_fields__))
    return b"".join(np.concatenate(arrays).tobytes() for arrays in zip(*said, strict=True)), state


def test_batches_of_any_size_give_the_same_bytes(detector: Detector) -> None:
    rows = fleet.values(2, 9, 700)
    rows[400:, 3, 0] += 30
    block = fleet.block(rows)
    whole, state = replay(detector, block, 1000, 9)
    for batch in (1, 7):
        said, other = replay(detector, block, batch, 9)
        assert said == whole
        for name, array in state.to_arrays().items():
            assert other.to_arrays()[name].tobytes() == array.tobytes(), name


def test_the_order_of_devices_within_a_minute_changes_nothing(detector: Detector) -> None:
    rows = fleet.values(2, 9, 400)
    order = np.random.default_rng(0).permutation(9)
    straight = detector.update(detector.new_state(9), fleet.block(rows)).score.reshape(400, 9)
    shuffled = detector.update(detector.new_state(9), fleet.block(rows[:, order])).score.reshape(400, 9)
    assert straight[:, order].tobytes() == shuffled.tobytes()


def test_state_carries_on_after_a_checkpoint_and_after_growing(detector: Detector) -> None:
    rows = fleet.values(3, 4, 600)
    whole = detector.update(detector.new_state(4), fleet.block(rows)).score[4 * 350 :]
    state = detector.new_state(4)
    detector.update(state, fleet.block(rows[:350]))
    state = DetectorState.from_arrays(state.to_arrays())
    state.grow(50)
    assert len(state) >= 50
    assert detector.update(state, fleet.block(rows[350:], 350)).score.tobytes() == whole.tobytes()


def test_a_saved_detector_is_the_same_detector(detector: Detector, tmp_path: Path) -> None:
    detector.save(tmp_path / "a")
    loaded = Detector.load(tmp_path / "a")
    loaded.save(tmp_path / "b")
    for name in ("detector.npz", "detector.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    block = fleet.block(fleet.values(4, 3, 400))
    assert replay(loaded, block, 1000, 3)[0] == replay(detector, block, 1000, 3)[0]
    assert loaded.threshold(0.01) == detector.threshold(0.01)
    assert loaded.config == detector.config


def test_training_twice_gives_the_same_files(tmp_path: Path) -> None:
    rows = fleet.values(5, 6, 400)
    for name in "ab":
        Detector().fit(fleet.training(rows)).save(tmp_path / name)
    assert (tmp_path / "a" / "detector.npz").read_bytes() == (tmp_path / "b" / "detector.npz").read_bytes()


@pytest.mark.parametrize(
    "harm, complaint",
    [
        (lambda folder: (folder / "detector.npz").unlink(), "missing; train the type again"),
        (lambda folder: (folder / "detector.npz").write_bytes(b"PK nonsense"), "damaged"),
        (lambda folder: (folder / "detector.json").write_text("{"), "damaged"),
        (lambda folder: _change(folder, format=99), "format 99; this version reads format 3: update faultwatch"),
        (lambda folder: _change(folder, format=1), "format 1; this version reads format 3: train the type again"),
        (lambda folder: _change(folder, sensors=["flow"]), "damaged"),
    ],
)
def test_a_file_that_cant_be_read_says_what_to_do(
    detector: Detector, tmp_path: Path, harm: Callable[[Path], None], complaint: str
) -> None:
    detector.save(tmp_path)
    harm(tmp_path)
    with pytest.raises(ModelError, match=complaint):
        Detector.load(tmp_path)


def _change(folder: Path, **changes: object) -> None:
    head = json.loads((folder / "detector.json").read_text())
    (folder / "detector.json").write_text(json.dumps(head | changes))


def test_a_step_is_seen_at_once_and_blamed_on_its_sensor(detector: Detector) -> None:
    rows = fleet.values(6, 20, 1000, missing=0.0)
    rows[800:, 7, 1] += 3.0
    scores = detector.update(detector.new_state(20), fleet.block(rows))
    enter, leave = detector.threshold(1 / 30)
    score = scores.score.reshape(1000, 20)
    assert 0 < leave < enter
    assert (score[805:, 7] > enter).all()
    others = np.delete(score[500:], 7, axis=1)
    assert (others > enter).mean() < 0.01
    assert scores.alarm.reshape(1000, 20)[805:, 7].all()
    share = scores.contribution.reshape(1000, 20, 4)[810:, 7]
    assert (share.argmax(axis=1) == 1).mean() > 0.95
    np.testing.assert_allclose(share.sum(axis=1), 1.0, atol=1e-4)


def test_it_says_in_which_way_a_sensor_is_odd(detector: Detector) -> None:
    rows = fleet.values(6, 20, 1000, missing=0.0)
    wild = np.random.default_rng(1).normal(size=200)
    rows[800:, 7, 1] += 1.0  # for good
    rows[800:, 8, 1] += 0.8 * wild  # noisy
    rows[800::40, 9, 1] += 6.0  # single readings
    scores = detector.update(detector.new_state(20), fleet.block(rows))
    way, off = scores.way.reshape(1000, 20, 4), scores.off.reshape(1000, 20, 4)
    smoothed = (Way.MINUTES, Way.HOUR, Way.DAY)
    settled = way[880:, 7, 1]
    assert np.isin(settled, (*smoothed, Way.TOGETHER)).mean() > 0.9
    assert 0.5 < np.nanmedian(off[880:, 7, 1]) < 1.2, "in the sensor's own unit"
    assert (way[880:, 8, 1] == Way.NOISY).mean() > 0.5
    assert (way[980:, 9, 1] == Way.JUMPY).mean() > 0.5 and way[960, 9, 1] == Way.AT_ONCE
    has_level = np.isin(scores.way, (*smoothed, Way.TOGETHER))
    assert (np.isfinite(scores.off) == has_level).all()


def test_a_slow_drift_is_seen_and_not_learnt(detector: Detector) -> None:
    n = 4 * 1440
    rows = fleet.values(7, 6, n)
    rows[1440:, 2, 3] += np.linspace(0, 8, n - 1440)
    scores = detector.update(detector.new_state(6), fleet.block(rows))
    alarm = scores.alarm.reshape(n, 6)
    assert alarm[-500:, 2].all()
    assert alarm[:, [0, 1, 3, 4, 5]].mean() < 0.02


def test_a_stuck_sensor_is_named(detector: Detector) -> None:
    rows = fleet.values(8, 3, 700, missing=0.0)
    rows[500:, 1, 0] = rows[500, 1, 0]
    stuck = detector.update(detector.new_state(3), fleet.block(rows)).stuck.reshape(700, 3)
    assert stuck[600:, 1].tolist() == [1] * 100
    assert not stuck[:500].any() and not stuck[:, [0, 2]].any()


def test_the_band_holds_what_is_normal(detector: Detector) -> None:
    rows = fleet.values(9, 10, 1440, missing=0.0)
    scores = detector.update(detector.new_state(10), fleet.block(rows))
    observed = fleet.block(rows).values
    late = ~scores.learning
    inside = np.abs(observed - scores.centre)[late] <= scores.width[late]
    assert (inside.mean(axis=0) > 0.97).all()
    assert (scores.width[late].mean(axis=0) < 4 * np.nanstd(observed, axis=0)).all()


def test_missing_infinite_and_gappy_rows_degrade_and_never_break(detector: Detector) -> None:
    rows = fleet.values(10, 5, 900)
    rows[400:, 0, 2] = np.nan
    rows[500, 1] = np.inf
    rows[510, 2] = -np.inf
    rows[520:540, 3] = np.nan
    rows[600, 4, 0] = 1e300
    block = fleet.block(rows)
    late = block.ts + np.where(block.ts >= block.ts[0] + 700 * fleet.MINUTE, 3 * 86_400_000 + 17, 0)
    scores = detector.update(detector.new_state(5), Block(block.slots, late, block.values))
    for name in ("score", "centre", "width", "contribution", "off"):
        assert not np.isinf(getattr(scores, name)).any(), name
        assert name == "off" or not np.isnan(getattr(scores, name)).any(), name
    alarm = scores.alarm.reshape(900, 5)
    assert alarm[:, :4].mean() < 0.05
    assert not alarm[-30:, 4].any()


def test_a_row_that_isnt_newer_changes_nothing(detector: Detector) -> None:
    state = detector.new_state(1)
    block = fleet.block(fleet.values(11, 1, 20, missing=0.0))
    detector.update(state, block)
    before = {name: array.tobytes() for name, array in state.to_arrays().items()}
    again = detector.update(state, block)
    assert np.isnan(again.score).all()
    assert {name: array.tobytes() for name, array in state.to_arrays().items()} == before


def test_read_only_rows_and_empty_blocks_are_taken(detector: Detector) -> None:
    block = fleet.block(fleet.values(12, 2, 5))
    for array in (block.slots, block.ts, block.values):
        array.flags.writeable = False
    assert len(detector.update(detector.new_state(2), block).score) == 10
    nothing = Block(np.empty(0, np.int32), np.empty(0, np.int64), np.empty((0, 4)))
    assert len(detector.update(detector.new_state(0), nothing).score) == 0


def test_wrong_shapes_are_refused(detector: Detector) -> None:
    block = fleet.block(fleet.values(12, 2, 5))
    with pytest.raises(ModelError, match="rows of 3 sensors"):
        detector.update(detector.new_state(2), Block(block.slots, block.ts, block.values[:, :3]))
    with pytest.raises(IndexError, match="the state has 1 devices"):
        detector.update(detector.new_state(1), block)


def test_a_new_sensor_learns_while_the_others_go_on(detector: Detector) -> None:
    rows = fleet.values(13, 24, 2 * 1440 + 300)
    speed = 2 * rows[:, :, :1] + 8 * np.random.default_rng(13).normal(size=(*rows.shape[:2], 1))
    wide = np.concatenate([rows[:, :, ::-1], speed], axis=2)
    wider = Detector().fit(fleet.training(wide, (*fleet.NAMES[::-1], "speed")))
    state = detector.new_state(24)
    detector.update(state, fleet.block(rows[:600]))
    moved = wider.migrate(state, detector)
    more = wide[600:1500]
    scores = wider.update(moved, fleet.block(more, 600))
    assert not scores.learning.any()
    assert scores.alarm[: 24 * 300].mean() < 0.02
    assert scores.alarm.mean() < 0.25
    assert moved.seen[:, 4].max() <= 900 < moved.seen[:, :4].min()
    off = np.abs(scores.centre[:, 2] - fleet.block(more).values[:, 2])
    assert np.nanmean(off) < 0.3


def test_a_word_lets_the_level_move(detector: Detector) -> None:
    rows = fleet.values(14, 2, 1000, missing=0.0)
    rows[500:, :, 1] += 3.0
    state = detector.new_state(2)
    detector.update(state, fleet.block(rows[:600]))
    assert (state.alarm & np.uint64(2)).all()
    detector.word(state, np.array([0]), "new_normal")
    scores = detector.update(state, fleet.block(rows[600:], 600)).alarm.reshape(400, 2)
    assert not scores[100:, 0].any() and scores[:, 1].all()
    with pytest.raises(ModelError, match="new_normal, repaired"):
        detector.word(state, np.array([0]), "abracadabra")


def test_thresholds_rise_as_the_budget_shrinks(detector: Detector) -> None:
    entering = [detector.threshold(budget)[0] for budget in (1.0, 1 / 30, 1 / 300)]
    assert entering == sorted(entering)


@pytest.mark.parametrize(
    "n_devices, n_minutes, interval_ms",
    [(1, 400, 1000), (1, 4320, 60_000), (17, 400, 1000), (67, 64, 60_000), (3, 1000, 600_000), (40, 20, 60_000)],
)
def test_a_little_data_is_enough_to_begin(n_devices: int, n_minutes: int, interval_ms: int) -> None:
    rows = fleet.values(15, n_devices, n_minutes + 400)
    rows[:, :, 2] = 7.0
    rows[:, :, 3] = np.nan
    flat = fleet.training(rows[:n_minutes])
    slow = type(flat)(
        flat.device, flat.ts // 60_000 * interval_ms, flat.values, interval_ms, fleet.NAMES, flat.precisions
    )
    detector = Detector().fit(slow)
    block = fleet.block(rows)
    scores = detector.update(
        detector.new_state(n_devices), Block(block.slots, block.ts // 60_000 * interval_ms, block.values)
    )
    assert np.isfinite(scores.score).all()
    assert np.isfinite(detector.threshold(1 / 30)).all()
    assert scores.alarm.mean() < 0.1


def test_too_little_data_says_so() -> None:
    with pytest.raises(ModelError, match="100 readings to learn from"):
        Detector().fit(fleet.training(fleet.values(16, 10, 10)))


def test_state_is_small() -> None:
    assert DetectorState.new(1, 8).bytes_per_device <= 512


def test_checkpoints_that_dont_fit_are_refused() -> None:
    arrays = DetectorState.new(3, 4).to_arrays()
    with pytest.raises(ModelError, match="lacks alarm"):
        DetectorState.from_arrays({name: array for name, array in arrays.items() if name != "alarm"})
    with pytest.raises(ModelError, match="another version"):
        DetectorState.from_arrays(arrays | {"sensor": np.zeros((3, 4, 2), np.float32)})


def test_odd_constants_are_refused() -> None:
    with pytest.raises(Exception, match="three rising numbers"):
        DetectorConfig(half_lives=(10.0, 5.0, 720.0))


def test_rows_that_taught_leave_no_alarm_and_all_of_them_tell_the_level(detector: Detector) -> None:
    rows = fleet.values(17, 4, 2 * 1440, missing=0.0)
    rows[1440:, 0, 1] += 4.0
    taught, lived = detector.new_state(4), detector.new_state(4)
    detector.warm(taught, fleet.block(rows))
    assert detector.update(lived, fleet.block(rows)).alarm.reshape(-1, 4)[:, 0].any()
    assert not taught.alarm.any()
    before = detector.new_state(4)
    detector.warm(before, fleet.block(rows[:1440]))
    moved = (taught.sensor[0, 1, LEVEL] - before.sensor[0, 1, LEVEL]) * detector.arrays_["scale"][1, 1]
    assert moved > 0.5, "half of the rows are higher, each counted as three spreads at most"


def test_a_device_that_is_odd_by_nature_is_compared_with_itself(detector: Detector) -> None:
    rows = fleet.values(18, 8, 3 * 1440, missing=0.0)
    rows[::240, 5, 1] += 2.5  # a habit: every four hours a jolt
    taught, later = fleet.block(rows[: 2 * 1440]), fleet.block(rows[2 * 1440 :], 2 * 1440)
    state = detector.new_state(9)
    detector.take_habits(state, detector.warm(state, taught), taught.slots)
    assert state.habit[5, 1] == state.habit.max() > 0.2 * HABIT_STEPS
    assert state.habit[5].max() <= np.rint((detector.config.own_limit - 1) * HABIT_STEPS)
    assert np.median(state.habit[:8]) < 0.1 * HABIT_STEPS
    assert (state.habit[8] == 0).all(), "one that sent nothing is as usual"
    plain = detector.new_state(9)
    detector.warm(plain, taught)
    with_habit, without = detector.update(state, later), detector.update(plain, later)
    jolts = (later.slots == 5) & np.isin(np.arange(len(later)) // 8, np.arange(0, 1440, 240))
    assert (with_habit.score[jolts] < without.score[jolts]).all()
    few = detector.new_state(1000)
    scores = detector.warm(detector.new_state(8), taught)
    detector.take_habits(few, scores, np.arange(len(taught)) // 40)
    assert (few.habit == 0).all(), "too few rows of each to say"
