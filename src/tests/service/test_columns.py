"""Columns grow in both directions without losing what they hold."""

import numpy as np

from ...service.columns import Column, Columns


def _columns() -> Columns:
    return Columns({"count": Column("i8", 0), "value": Column("f8", np.nan, 2)})


def test_new_rows_hold_the_fill() -> None:
    columns = _columns()
    columns.resize(3)
    columns["count"][1] = 7
    columns.resize(100)
    columns.resize(50)
    assert len(columns) == 100
    assert columns.int64("count")[1] == 7
    assert np.isnan(columns["value"].astype(float)).all()


def test_wider_columns_keep_what_was_there() -> None:
    columns = _columns()
    columns.resize(2)
    columns["value"][:] = 1.5
    columns.widen(4)
    columns.resize(3)
    assert columns["value"].shape == (3, 4)
    assert (columns["value"][:2, :2] == 1.5).all()
    assert np.isnan(columns["value"][:, 2:].astype(float)).all()


def test_a_checkpoint_of_an_older_version_fills_what_it_lacks() -> None:
    columns = _columns()
    columns.resize(2)
    columns["count"][:] = (4, 5)
    saved = columns.to_arrays()
    del saved["value"]
    again = _columns()
    again.load(saved)
    assert list(again.int64("count")) == [4, 5]
    assert again["value"].shape == (2, 2)
