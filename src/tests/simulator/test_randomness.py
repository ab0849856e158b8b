"""Random numbers are functions of their key and counter, and have the shape they claim."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ...simulator.randomness import Floats, add_autoregression, add_wander, keys_of, normal, uniform

KEY = np.uint64(12345)


def draws(count: int) -> Floats:
    return np.array([normal(KEY, i) for i in range(count)])


def test_normal_numbers_are_normal_to_the_fourth_moment() -> None:
    x = draws(100_000)
    assert abs(x.mean()) < 0.02
    assert abs(x.var() - 1) < 0.02
    assert abs((x**4).mean() / x.var() ** 2 - 3) < 0.1
    assert 3.5 < np.abs(x).max() < 4.1


def test_neighbours_and_channels_are_not_correlated() -> None:
    x = draws(50_000)
    assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 0.02
    keys = keys_of(1, 2, np.arange(20_000))
    first, second = (np.array([uniform(key, counter) for key in keys]) for counter in (0, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(first.mean() - 0.5) < 0.01


def test_seeds_and_families_have_nothing_in_common() -> None:
    numbers = np.arange(1000)
    kinds = [keys_of(seed, family, numbers) for seed in (1, 2) for family in (1, 2)]
    assert len(np.unique(np.concatenate(kinds))) == 4000


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 2**40),
    n=st.integers(2, 200),
    cut=st.integers(1, 199),
    cell=st.integers(1, 90),
)
def test_noise_is_the_same_in_pieces(first: int, n: int, cut: int, cell: int) -> None:
    cut = min(cut, n - 1)

    def wander(out: Floats, at: int) -> None:
        add_wander(out, KEY, at, cell, 1.5)

    def autoregression(out: Floats, at: int) -> None:
        add_autoregression(out, KEY, at, cell, 0.9, 20, 1.5)

    for add in (wander, autoregression):
        whole, left, right = np.zeros(n), np.zeros(cut), np.zeros(n - cut)
        add(whole, first)
        add(left, first)
        add(right, first + cut)
        assert whole.tobytes() == left.tobytes() + right.tobytes()


def test_wander_is_smooth_and_keeps_its_deviation_between_its_nodes() -> None:
    rows = np.zeros((4000, 64))
    for row, key in zip(rows, keys_of(3, 3, np.arange(4000)), strict=True):
        add_wander(row, key, 0, 32, 2.0)
    assert np.allclose(rows.std(axis=0), 2.0, rtol=0.06)
    assert np.diff(rows, axis=1).std() < 0.2


def test_autoregression_forgets_at_its_rate() -> None:
    out = np.zeros(40_000)
    add_autoregression(out, KEY, 1000, 1, 0.8, 60, 1.0)
    assert abs(out.std() - 1) < 0.05
    assert abs(np.corrcoef(out[1:], out[:-1])[0, 1] - 0.8) < 0.02
