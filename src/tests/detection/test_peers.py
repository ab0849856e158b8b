"""Peers: what the devices of a site share is no fault, what one of them does alone is."""

import numpy as np
import pytest

from ...detection.blocks import Block, Scores, TrainingRows
from ...detection.detector import Detector
from ...detection.kernel import LEVEL, PEERS
from ...detection.state import DetectorState
from . import fleet

SITE = 8
DAYS = 3


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Taught by three sites of eight devices."""
    rows = fleet.training(fleet.values(1, 3 * SITE, 2 * 1440))
    return Detector().fit(
        TrainingRows(
            rows.device,
            rows.ts,
            rows.values,
            rows.interval_ms,
            rows.sensor_names,
            rows.precisions,
            site=rows.device // SITE,
        )
    )


@pytest.fixture(scope="module")
def healthy() -> np.ndarray:
    return fleet.values(2, SITE, (DAYS + 1) * 1440, missing=0.0)


def lived(detector: Detector, rows: np.ndarray, *, peers: bool) -> DetectorState:
    """State of devices that have lived through the days before."""
    state = detector.new_state(SITE)
    if peers:
        state.place(np.zeros(SITE, np.int64))
    detector.warm(state, fleet.block(rows[: DAYS * 1440]))
    return state


def last_day(detector: Detector, rows: np.ndarray, *, peers: bool) -> Scores:
    """What is said of the last day."""
    state = lived(detector, rows, peers=peers)
    return detector.update(state, fleet.block(rows[DAYS * 1440 :], DAYS * 1440))


@pytest.mark.parametrize("minutes", [30, 240, 1000])
def test_what_all_devices_of_a_site_do_is_hardly_odd_among_them(
    detector: Detector, healthy: np.ndarray, minutes: int
) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, :, 3] += 6.0 * np.minimum(np.arange(1340) / minutes, 1.0)[:, None]
    among, alone = (last_day(detector, rows, peers=peers) for peers in (True, False))
    expected = [scores.centre[-300 * SITE :, 3].mean() for scores in (among, alone)]
    assert np.isclose(expected[0], rows[-300:, :, 3].mean(), atol=0.1), "12 spreads of its noise higher"
    assert rows[-300:, :, 3].mean() - expected[1] > 3.0, "levels alone follow slowly"
    late = [np.median(scores.score[-300 * SITE :]) for scores in (among, alone)]
    assert late[0] < 0.4 * late[1] and among.alarm.sum() < alone.alarm.sum()


def test_a_device_that_departs_from_its_peers_is_found(detector: Detector, healthy: np.ndarray) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, 5, 3] += 6.0
    share = last_day(detector, rows, peers=True).alarm.reshape(-1, SITE).mean(axis=0)
    assert share[5] > 0.5 and np.delete(share, 5).max() < 0.05


def past(detector: Detector, scores: Scores, device: int) -> int:
    """Rows of a device at which an alert would open: three of the last five past the level."""
    enter, _ = detector.threshold(1 / 30)
    high = (scores.score.reshape(-1, SITE)[:, device] >= enter).astype(int)
    return int((np.convolve(high, np.ones(5, int)) >= 3).sum())


def test_a_burst_of_noise_that_all_share_opens_next_to_nothing_and_that_of_one_does(
    detector: Detector, healthy: np.ndarray
) -> None:
    burst = np.random.default_rng(5).normal(0.0, 1.5, 40)
    shared, own = healthy.copy(), healthy.copy()
    shared[DAYS * 1440 + 100 : DAYS * 1440 + 140, :, 3] += burst[:, None]
    own[DAYS * 1440 + 100 : DAYS * 1440 + 140, 5, 3] += burst
    among, alone = (last_day(detector, shared, peers=peers) for peers in (True, False))
    assert sum(past(detector, among, device) > 0 for device in range(SITE)) <= 1
    assert sum(past(detector, alone, device) > 0 for device in range(SITE)) == SITE, "each by itself is odd"
    found = last_day(detector, own, peers=True)
    assert [device for device in range(SITE) if past(detector, found, device)] == [5]


def test_batches_and_the_order_of_peers_change_nothing(detector: Detector, healthy: np.ndarray) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, :, 3] += 6.0
    block = fleet.block(rows[DAYS * 1440 : DAYS * 1440 + 300], DAYS * 1440)
    start = lived(detector, rows, peers=True)
    whole = detector.update(start.copy(), block)
    state, said = start.copy(), []
    order = np.random.default_rng(0).permutation(SITE)
    for minute in range(300):
        at = minute * SITE + order
        said.append(detector.update(state, Block(block.slots[at], block.ts[at], block.values[at])).score)
    np.testing.assert_array_equal(np.concatenate(said), whole.score.reshape(300, SITE)[:, order].ravel())


def test_a_clock_that_is_ahead_changes_nothing_for_the_rest(detector: Detector, healthy: np.ndarray) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, :, 3] += 6.0
    start = lived(detector, rows, peers=True)
    expected = detector.update(start.copy(), fleet.block(rows[DAYS * 1440 :], DAYS * 1440))
    block = fleet.block(rows[DAYS * 1440 :], DAYS * 1440)
    ahead = Block(block.slots, np.where(block.slots == 0, block.ts + 4 * fleet.MINUTE, block.ts), block.values)
    state = start.copy()
    scores = detector.update(state, ahead)
    rest = block.slots != 0
    among = np.abs(scores.centre[rest, 3] - expected.centre[rest, 3])
    assert np.median(among) < 0.1 and np.isfinite(state.shared).all()
    assert np.abs(state.shared[0, 0, 3]) < 4.0
    far = np.where(block.slots == 0, block.ts + 300 * fleet.MINUTE, block.ts)
    lonely = detector.update(start.copy(), Block(block.slots, far, block.values))
    assert np.isfinite(lonely.centre).all(), "no peers then, and nothing worse"


def test_after_hours_without_a_word_nothing_is_shared(detector: Detector, healthy: np.ndarray) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, :, 3] += 6.0
    state = lived(detector, rows, peers=True)
    detector.update(state, fleet.block(rows[DAYS * 1440 : DAYS * 1440 + 400], DAYS * 1440))
    assert state.shared[0, 0, 3] > 1.0
    later, alone = state.copy(), state.copy()
    alone.group[:] = -1
    one = fleet.block(healthy[-1:], DAYS * 1440 + 800)
    assert detector.update(later, one).centre.tobytes() == detector.update(alone, one).centre.tobytes()


def test_gains_begin_anew_where_what_is_shared_does(detector: Detector, healthy: np.ndarray) -> None:
    state = lived(detector, healthy, peers=True)
    assert state.sensor[:, :, PEERS].any()
    fresh = detector.migrate(state, detector)
    assert not fresh.sensor[:, :, PEERS].any() and (fresh.sensor[:, :, LEVEL] == state.sensor[:, :, LEVEL]).all()
    other = detector.new_state(SITE)
    other.put(np.arange(SITE), state)
    assert not other.sensor[:, :, PEERS].any() and (other.seen == state.seen).all()


def test_a_checkpoint_keeps_what_peers_share(detector: Detector, healthy: np.ndarray) -> None:
    rows = healthy.copy()
    rows[DAYS * 1440 + 100 :, :, 3] += 6.0
    one = lived(detector, rows, peers=True)
    detector.update(one, fleet.block(rows[DAYS * 1440 : DAYS * 1440 + 201], DAYS * 1440))
    other = DetectorState.from_arrays(one.to_arrays())
    rest = fleet.block(rows[DAYS * 1440 + 201 :], DAYS * 1440 + 201)
    assert detector.update(one, rest).score.tobytes() == detector.update(other, rest).score.tobytes()
