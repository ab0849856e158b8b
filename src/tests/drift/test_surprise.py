"""Surprises: what sensors, hour and neighbours explain is taken off, what a device changed itself is left."""

import numpy as np

from ...drift.surprise import surprises

DEVICES, SITES = 60, 4


def weeks(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Cells (5, 7, 12, n_devices, 3): a load that moves the first two sensors, weather of the site in the third; and
    the sites. The load of the newest week is another."""
    rng = np.random.default_rng(seed)
    shape = (5, 7, 12, DEVICES)
    sites = np.arange(DEVICES) % SITES
    load = rng.normal(size=shape) + rng.normal(size=DEVICES)
    load[4] += rng.normal(size=DEVICES)
    weather = rng.normal(size=(5, 7, 12, SITES)).cumsum(axis=1)[..., sites]
    cells = np.stack([load, 3 * load + load**2 / 4, weather], axis=-1)
    return cells + 0.1 * rng.normal(size=cells.shape), sites


def test_what_others_explain_is_taken_off_and_a_devices_own_change_is_left() -> None:
    cells, sites = weeks()
    spread = cells[:4].std(axis=(0, 1, 2))
    changed = cells.copy()
    changed[4, ..., :6, 1] += spread[:6, 1]
    left = surprises(changed, sites)[4].mean(axis=0)
    plain = ((changed[4] - changed[:4].mean(axis=0)) / spread).mean(axis=(0, 1))
    assert np.abs(left[6:, 1]).mean() < 0.3 * np.abs(plain[6:, 1]).mean(), "the load explains it"
    assert np.abs(left[6:, 2]).mean() < 0.3 * np.abs(plain[6:, 2]).mean(), "the neighbours had that weather too"
    assert 0.7 < left[:6, 1].mean() < 1.3


def test_a_sensor_that_seldom_speaks_explains_nothing_and_missing_values_are_left_out() -> None:
    cells, sites = weeks()
    cells[:, :, 1:, :, 2] = np.nan
    cells[4, 0, :, 3] = np.nan
    left = surprises(cells, sites)
    assert left.shape == (5, 7, DEVICES, 3)
    assert np.isnan(left[4, 0, 3]).all() and np.isfinite(np.delete(left[4, 0], 3, axis=0)).all()
