"""What the scorer said about a row, packed: the expected range, and the sensors that stood out.

Centre and width are float32 with their mantissa cut to 12 bits: a relative error of at most 2^-13, about a
hundredth of a per cent, and columns that compress to little more than half. The top three sensors and
their shares fit into an int32.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

TOP = 3
"""How many sensors a row's blame names."""

SHARE_STEPS = 15
"""A share is kept in fifteenths."""

MAX_SENSORS = 64

_DROPPED_BITS = 11
_SENSOR_BITS = 6
_SHARE_BITS = 4


def pack_bands(centre: npt.NDArray[np.float32], width: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return centres then widths, rounded to a mantissa of 12 bits, float32 (n, 2 * n_sensors).

    `centre` and `width` (n, n_sensors) are in the sensors' units; NaN (no expectation) stays NaN.
    """
    if centre.shape != width.shape or centre.ndim != 2:
        raise ValueError(f"centre {centre.shape} and width {width.shape}: expected the same (n, n_sensors)")
    both = np.concatenate([centre, width], axis=1, dtype=np.float32)
    bits = both.view(np.uint32)
    half = np.uint32(1 << (_DROPPED_BITS - 1))
    kept = np.uint32((0xFFFFFFFF << _DROPPED_BITS) & 0xFFFFFFFF)
    rounded = ((bits + half) & kept).view(np.float32)
    return np.where(np.isfinite(rounded) & np.isfinite(both), rounded, both)


def unpack_bands(packed: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return (centre, width), each float32 (n, n_sensors), from what `pack_bands` gave."""
    n_sensors = packed.shape[1] // 2
    return packed[:, :n_sensors], packed[:, n_sensors:]


def bands_column(packed: npt.NDArray[np.float32], rows: npt.NDArray[np.intp], n_rows: int) -> pl.Series:
    """Make the lake's column `bands` of `n_rows` rows: `packed` (m, 2 * n_sensors) at `rows` (m,), else null."""
    places = np.full(n_rows, -1, np.int64)
    places[rows] = np.arange(len(rows))
    lists = pl.Series("bands", np.ascontiguousarray(packed), dtype=pl.Array(pl.Float32, packed.shape[1]))
    index = pl.Series(places)
    return lists.cast(pl.List(pl.Float32)).gather(index.set(index < 0, None))


def bands_arrays(
    column: pl.Series, n_sensors: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return (rows with a band (m,), centre (m, n_sensors), width (m, n_sensors)) of the lake's column.

    Rows written before sensors were added have narrower bands; the sensors they lack are NaN.
    """
    rows = np.flatnonzero(column.is_not_null().to_numpy())
    lists = column.drop_nulls()
    centre = np.full((len(rows), n_sensors), np.nan, np.float32)
    width = centre.copy()
    lengths = lists.list.len().to_numpy()
    for length in np.unique(lengths):
        chosen = lengths == length
        packed = lists.filter(pl.Series(chosen)).explode().to_numpy().reshape(-1, int(length))
        known = min(int(length) // 2, n_sensors)
        parts = unpack_bands(packed.astype(np.float32, copy=False))
        centre[chosen, :known], width[chosen, :known] = parts[0][:, :known], parts[1][:, :known]
    return rows, centre, width


def pack_blame(contribution: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Pack the three sensors with the largest contributions and their shares of the whole, int32 (n,).

    `contribution` (n, n_sensors) is not negative; NaN counts as nothing. 0 says that nothing stood out.
    """
    n, n_sensors = contribution.shape
    if n_sensors > MAX_SENSORS:
        raise ValueError(f"{n_sensors} sensors: blame has room for the numbers of {MAX_SENSORS}")
    solid = np.nan_to_num(contribution.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    order = np.argsort(-solid, axis=1, kind="stable")[:, :TOP]
    total = solid.sum(axis=1, keepdims=True)
    share = np.take_along_axis(solid, order, axis=1) / np.where(total > 0, total, 1.0)
    steps = np.rint(share * SHARE_STEPS).astype(np.int32)
    packed = np.zeros(n, np.int32)
    for place in range(order.shape[1]):
        shift = place * (_SENSOR_BITS + _SHARE_BITS)
        entry = (steps[:, place] << _SENSOR_BITS) | order[:, place].astype(np.int32)
        packed |= np.where(steps[:, place] > 0, entry, 0) << shift
    return packed


def unpack_blame(packed: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Return (sensor numbers int8 (n, 3), -1 where none; shares float32 (n, 3)), largest share first."""
    shifts = np.arange(TOP, dtype=np.int32) * (_SENSOR_BITS + _SHARE_BITS)
    entries = packed[:, None] >> shifts
    sensors = (entries & ((1 << _SENSOR_BITS) - 1)).astype(np.int8)
    steps = (entries >> _SENSOR_BITS) & ((1 << _SHARE_BITS) - 1)
    return np.where(steps > 0, sensors, np.int8(-1)), (steps / SHARE_STEPS).astype(np.float32)
