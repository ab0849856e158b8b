"""Seasons: what is known of an hour, and what holds where nothing is."""

import numpy as np

from ...detection.config import DAY_MS, DetectorConfig
from ...detection.seasons import BINS_PER_DAY, basis, known_times, season_table

MINUTE = 60_000


def test_an_hour_at_which_a_sensor_was_never_on_takes_over_the_nearest() -> None:
    ts = np.arange(2 * 1440, dtype=np.int64) * MINUTE
    hour = (ts % DAY_MS) / 3_600_000
    on = np.stack([(hour >= 6) & (hour < 18), np.ones(len(ts), bool)], axis=1)
    known = known_times(on, ts, np.array([True, False]))
    assert known[:, 1].all()
    np.testing.assert_array_equal(np.flatnonzero(known[:, 0]), np.arange(36, 108))
    config = DetectorConfig()
    waves = basis(ts, 2.0, config).shape[1]
    coefficients = np.stack([np.linspace(1.0, -1.0, waves)] * 2, axis=1)
    busy = np.stack([np.arange(BINS_PER_DAY, dtype=float)] * 2, axis=1)
    table = season_table(coefficients, busy, known, 2.0, config)
    assert table[30, 0, 0] == table[36, 0, 0] and table[120, 0, 0] == table[107, 0, 0]
    assert not np.array_equal(table[30, :, 1], table[36, :, 1]), "one that is always on has a season of its own there"


def test_a_sensor_that_was_never_on_is_known_nowhere_and_everywhere() -> None:
    ts = np.arange(1440, dtype=np.int64) * MINUTE
    assert known_times(np.zeros((1440, 1), bool), ts, np.array([True])).all()
