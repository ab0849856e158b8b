"""What the scorer said comes back close enough to draw and to explain."""

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ...telemetry.bands import (
    bands_arrays,
    bands_column,
    pack_bands,
    pack_blame,
    unpack_bands,
    unpack_blame,
)

Floats = npt.NDArray[np.float32]
SHAPES = st.tuples(st.integers(0, 9), st.integers(1, 64))
NOTHING = st.just(float("nan"))
VALUES = st.one_of(st.floats(-(2.0**100), 2.0**100, width=32), NOTHING)
POSITIVE = st.one_of(st.floats(0, 2.0**60, width=32), NOTHING)


@given(hnp.arrays(np.float32, SHAPES, elements=VALUES))
def test_bands_keep_twelve_bits(centre: Floats) -> None:
    packed = pack_bands(centre, np.abs(centre))
    assert packed.dtype == np.float32 and packed.shape == (len(centre), 2 * centre.shape[1])
    assert not (packed.view(np.uint32)[np.isfinite(packed)] & 0x7FF).any()
    back, width = unpack_bands(packed)
    normal = np.abs(centre) > 1e-37
    np.testing.assert_allclose(back[normal], centre[normal], rtol=2.0**-13)
    np.testing.assert_array_equal(width, np.abs(back))
    np.testing.assert_array_equal(np.isnan(back), np.isnan(centre))


def test_what_has_no_number_stays_what_it_is() -> None:
    odd = np.array([[np.nan, np.inf, -np.inf, np.finfo(np.float32).max]], np.float32)
    np.testing.assert_array_equal(unpack_bands(pack_bands(odd, odd))[0], odd)


def test_bands_of_some_rows_make_a_column_of_all() -> None:
    packed = pack_bands(np.array([[1, 2], [3, 4]], np.float32), np.array([[5, 6], [7, 8]], np.float32))
    column = bands_column(packed, np.array([1, 3]), 5)
    assert column.dtype == pl.List(pl.Float32)
    assert column.to_list() == [None, [1, 2, 5, 6], None, [3, 4, 7, 8], None]
    rows, centre, width = bands_arrays(column, 2)
    assert (rows.tolist(), centre.tolist(), width.tolist()) == ([1, 3], [[1, 2], [3, 4]], [[5, 6], [7, 8]])
    nothing = bands_column(packed[:0], np.array([], np.intp), 2)
    assert nothing.to_list() == [None, None]
    assert bands_arrays(nothing, 2)[1].shape == (0, 2)


def test_bands_from_before_a_sensor_was_added_lack_it() -> None:
    column = pl.Series("bands", [[1.0, 5.0], None, [1.0, 2.0, 5.0, 6.0]], dtype=pl.List(pl.Float32))
    rows, centre, width = bands_arrays(column, 2)
    assert rows.tolist() == [0, 2]
    np.testing.assert_array_equal(centre, [[1, np.nan], [1, 2]])
    np.testing.assert_array_equal(width, [[5, np.nan], [5, 6]])


@given(hnp.arrays(np.float32, SHAPES, elements=POSITIVE))
def test_blame_names_the_three_largest(contribution: Floats) -> None:
    sensors, shares = unpack_blame(pack_blame(contribution))
    solid = np.nan_to_num(contribution.astype(float))
    for row, named, share in zip(solid, sensors, shares, strict=True):
        total = row.sum()
        true = np.sort(row)[::-1][:3] / total if total else np.zeros(3)
        assert (np.diff(share) <= 0).all()
        np.testing.assert_allclose(share[: len(true)], true, atol=1 / 30 + 1e-6)
        for sensor, part in zip(named, share, strict=True):
            assert (sensor == -1) == (part == 0)
            if sensor >= 0:
                assert abs(row[sensor] / total - part) <= 1 / 30 + 1e-6
        assert len(set(named[named >= 0])) == (named >= 0).sum()


def test_more_sensors_than_blame_can_number_are_refused() -> None:
    with pytest.raises(ValueError, match="65 sensors"):
        pack_blame(np.zeros((1, 65), np.float32))
    with pytest.raises(ValueError, match="expected the same"):
        pack_bands(np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float32))
