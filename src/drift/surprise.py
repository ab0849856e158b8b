"""What readings of devices say beyond what was to be expected: of a sensor, net of the device's other sensors, the
hour, and what the devices beside it read at the time.

Weather, seasons and load move sensors of a device together, and devices of a site together. Those relations are
learnt from the earlier periods, for all devices at once, and taken off: what is left moves where a device has changed.
"""

from itertools import combinations_with_replacement

import numpy as np
import numpy.typing as npt

from ..detection.blocks import F64, I64

FARTHEST = 8.0
"""A value counts as at most so many of its device's spreads from its level, a product of two as a little more."""

FARTHEST_PRODUCT = 10.0
RIDGE = 1e-3
MOST_PRODUCTS = 12
"""Types of more sensors than this are explained without products of two, whose number grows as the square."""

SPEAKS = 0.5
"""A sensor explains others where it spoke in this share of the cells."""


def surprises(cells: F64, groups: I64) -> F64:
    """Means of each part beyond the expected, (n_periods, n_parts, n_devices, S), in the device's own spreads; NaN
    where a device said nothing.

    `cells` (n_periods, n_parts, n_cells, n_devices, S) are values at times within the parts (days) of periods (weeks),
    NaN where missing; the last period is the newest. `groups` (n_devices,): devices of one number share their
    surroundings. What is expected of an earlier period is learnt from the other earlier ones, of the newest from all
    of those. Needs two earlier periods at least.
    """
    earlier = cells[:-1]
    with np.errstate(all="ignore"):
        level = _mean(earlier, (0, 1, 2))
        spread = np.sqrt(_mean((earlier - level) ** 2, (0, 1, 2)))
    usual = np.array([np.median(each[np.isfinite(each)]) if np.isfinite(each).any() else 0.0 for each in spread.T])
    spread = np.hypot(spread, 0.1 * usual)
    spread[~(spread > 0.0)] = 1.0
    speaks = np.isfinite(earlier).mean(axis=(0, 1, 2, 3)) >= SPEAKS
    periods, _, _, _, sensors = cells.shape
    uses = _uses(sensors)
    grams, means = [], []
    for period in cells:
        gram, mean = _summed((period - level) / spread, groups, speaks)
        grams.append(gram)
        means.append(mean)
    left = np.stack(means)[..., 1 : 1 + sensors]
    for period in range(periods):
        gram = sum((grams[at] for at in range(periods - 1) if at != period), np.zeros_like(grams[0]))
        if not gram[0, 0]:
            continue
        for sensor in np.flatnonzero(speaks):
            by = np.flatnonzero(~uses[:, sensor])
            held = gram[np.ix_(by, by)] + RIDGE * gram[0, 0] * np.eye(len(by))
            expected = means[period][..., by] @ np.linalg.solve(held, gram[by, 1 + sensor])
            left[period, ..., sensor] -= expected
    return left


def _summed(period: F64, groups: I64, speaks: npt.NDArray[np.bool_]) -> tuple[F64, F64]:
    """The Gram matrix of a period's rows over all devices, and their mean by part and device."""
    parts, cells, devices, sensors = period.shape
    rows = period.reshape(parts * cells, devices, sensors)
    finite = np.isfinite(rows)
    there: npt.NDArray[np.bool_] = np.asarray(finite.any(axis=-1) & finite[..., speaks].all(axis=-1))
    known = np.where(there[..., None] & finite, np.clip(rows, -FARTHEST, FARTHEST), 0.0)
    hour = np.tile((np.arange(cells) + 0.5) / cells, parts)
    design = _design(known, _beside(known, there, groups), hour, there)
    flat = design.reshape(-1, design.shape[-1])
    count = there.reshape(parts, cells, devices).sum(axis=1)[..., None]
    total = design.reshape(parts, cells, devices, -1).sum(axis=1)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    for sensor in np.flatnonzero(~speaks):
        mean[..., 1 + sensor] = _mean(period[..., sensor], (1,))
    return flat.T @ flat, mean


def _design(known: F64, beside: F64, hour: F64, there: npt.NDArray[np.bool_]) -> F64:
    """One, the sensors, their products, the sensors of those beside, and the hour; zero where a row isn't there."""
    rows, devices, sensors = known.shape
    pairs = _pairs(sensors)
    out = np.empty((rows, devices, 1 + 2 * sensors + len(pairs) + 4))
    out[..., 0] = 1.0
    out[..., 1 : 1 + sensors] = known
    for at, (one, other) in enumerate(pairs, 1 + sensors):
        out[..., at] = np.clip(known[..., one] * known[..., other], -FARTHEST_PRODUCT, FARTHEST_PRODUCT)
    out[..., -4 - sensors : -4] = beside
    for at, wave in enumerate((np.sin, np.cos)):
        for times in (1, 2):
            out[..., -4 + 2 * at + times - 1] = wave(2 * np.pi * times * hour)[:, None]
    out *= there[..., None]
    return out


def _uses(sensors: int) -> npt.NDArray[np.bool_]:
    """Whether a column of the design is made from a sensor of the device itself, (n_columns, S)."""
    pairs = _pairs(sensors)
    uses = np.zeros((1 + 2 * sensors + len(pairs) + 4, sensors), np.bool_)
    uses[1 : 1 + sensors] = np.eye(sensors, dtype=np.bool_)
    for at, pair in enumerate(pairs, 1 + sensors):
        uses[at, list(pair)] = True
    return uses


def _pairs(sensors: int) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(sensors), 2)) if sensors <= MOST_PRODUCTS else []


def _beside(known: F64, there: npt.NDArray[np.bool_], groups: I64) -> F64:
    """The mean of the other devices of the group at the same time; zero where there is none."""
    out = np.zeros_like(known)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        count = there[:, members].sum(axis=1, keepdims=True) - there[:, members]
        others = known[:, members].sum(axis=1, keepdims=True) - known[:, members]
        out[:, members] = others / np.maximum(count, 1)[..., None]
    return out


def _mean(values: F64, axes: tuple[int, ...]) -> F64:
    """The mean of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axes)
    mean: F64 = np.where(count > 0, np.where(finite, values, 0.0).sum(axis=axes) / np.maximum(count, 1), np.nan)
    return mean
