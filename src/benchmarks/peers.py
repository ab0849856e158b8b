"""Detectors to compare with: the rules of thumb of monitoring, and methods of PyOD, all with one contract.

The constructor stores parameters; `fit` learns from rows of one type that nobody labelled; `update` scores rows one
after the other, from the past alone; `to_dict` and `from_dict` carry what was learnt. Learnt things end in `_`.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from ..detection.blocks import Block, TrainingRows
from ..exceptions import ConfigError, ModelError

Floats = npt.NDArray[np.float64]

MAX_ROWS = 20_000
"""A peer learns from at most so many rows of a type, taken at even distances."""

MIN_ROWS = 20
WORST = 1e6
HALF_LIFE = 10.0


class Peer(Protocol):
    """What every detector to compare with can do."""

    def fit(self, rows: TrainingRows) -> Self:
        """Learn from rows of one type."""

    def new_state(self, n_devices: int) -> Floats:
        """What is remembered of so many devices that have sent nothing yet, (n_devices, k)."""

    def update(self, state: Floats, block: Block) -> Floats:
        """Score the rows of `block`, (n,), higher where odder, and advance `state` in place."""

    def to_dict(self) -> dict[str, object]:
        """Parameters and what was learnt, as numbers, texts and lists."""

    @classmethod
    def from_dict(cls, learnt: Mapping[str, object]) -> Self:
        """The detector that `to_dict` told of."""


class Scaling:
    """Centre and spread of each sensor over training rows, and how rows are put into them; missing is usual."""

    centre_: Floats
    spread_: Floats

    def learn(self, values: Floats) -> Floats:
        """Learn from rows (n, S) and return them scaled."""
        there = np.isfinite(values)
        count = np.maximum(there.sum(axis=0), 1)
        self.centre_ = np.where(there, values, 0.0).sum(axis=0) / count
        off = np.where(there, values - self.centre_, 0.0)
        self.spread_ = np.maximum(np.sqrt((off**2).sum(axis=0) / count), 1e-9 * np.maximum(np.abs(self.centre_), 1.0))
        return self.apply(values)

    def apply(self, values: Floats) -> Floats:
        """Rows (n, S) in spreads from the centre, 0 where a value is missing or infinite, cut at a wide bound."""
        scaled = (np.where(np.isfinite(values), values, self.centre_) - self.centre_) / self.spread_
        result: Floats = np.clip(scaled, -WORST, WORST)
        return result


class ThreeSigma:
    """The rule of thumb: how many standard deviations the oddest sensor is from its mean."""

    def __init__(self) -> None:
        self.scaling_ = Scaling()

    def fit(self, rows: TrainingRows) -> Self:
        """Learn mean and deviation of each sensor."""
        self.scaling_.learn(rows.values)
        return self

    def new_state(self, n_devices: int) -> Floats:
        """Nothing is remembered, (n_devices, 0)."""
        return np.zeros((n_devices, 0))

    def update(self, state: Floats, block: Block) -> Floats:
        """Deviations of the oddest sensor, (n,)."""
        result: Floats = np.abs(self.scaling_.apply(block.values)).max(axis=1, initial=0.0)
        return result

    def to_dict(self) -> dict[str, object]:
        """Mean and deviation of each sensor."""
        return {"centre": self.scaling_.centre_.tolist(), "spread": self.scaling_.spread_.tolist()}

    @classmethod
    def from_dict(cls, learnt: Mapping[str, object]) -> Self:
        """The detector that `to_dict` told of."""
        peer = cls()
        peer.scaling_.centre_ = np.asarray(learnt["centre"], np.float64)
        peer.scaling_.spread_ = np.asarray(learnt["spread"], np.float64)
        return peer


class Ewma:
    """The EWMA chart (Roberts, 1959): the same of exponentially weighted means, device by device."""

    def __init__(self, half_life: float = HALF_LIFE) -> None:
        self.half_life = half_life
        self.scaling_ = Scaling()

    def fit(self, rows: TrainingRows) -> Self:
        """Learn mean and deviation of each sensor."""
        self.scaling_.learn(rows.values)
        return self

    def new_state(self, n_devices: int) -> Floats:
        """Means of each sensor, scaled; none yet, (n_devices, S)."""
        return np.zeros((n_devices, len(self.scaling_.centre_)))

    def update(self, state: Floats, block: Block) -> Floats:
        """Deviations of the oddest mean, (n,), in those of white noise smoothed alike."""
        from scipy.signal import lfilter

        keep = 0.5 ** (1.0 / self.half_life)
        scaled = self.scaling_.apply(block.values)
        means = np.empty_like(scaled)
        for slot in np.unique(block.slots):
            rows = np.flatnonzero(block.slots == slot)
            means[rows], _ = lfilter([1.0 - keep], [1.0, -keep], scaled[rows], axis=0, zi=keep * state[slot][None, :])
            state[slot] = means[rows[-1]]
        result: Floats = np.abs(means).max(axis=1, initial=0.0) / np.sqrt((1.0 - keep) / (1.0 + keep))
        return result

    def to_dict(self) -> dict[str, object]:
        """Half-life, mean and deviation of each sensor."""
        return {
            "half_life": self.half_life,
            "centre": self.scaling_.centre_.tolist(),
            "spread": self.scaling_.spread_.tolist(),
        }

    @classmethod
    def from_dict(cls, learnt: Mapping[str, object]) -> Self:
        """The detector that `to_dict` told of."""
        peer = cls(float(str(learnt["half_life"])))
        peer.scaling_.centre_ = np.asarray(learnt["centre"], np.float64)
        peer.scaling_.spread_ = np.asarray(learnt["spread"], np.float64)
        return peer


class Scorer(Protocol):
    """What is used of a detector of PyOD."""

    def fit(self, X: Floats) -> object:
        """Learn from rows."""

    def decision_function(self, X: Floats) -> Floats:
        """Score rows, higher where odder."""


class CausalEcod:
    """ECOD (Li et al., 2022) by what was learnt alone.

    PyOD ranks the rows to score among themselves too, so that a row's score would depend on those after it. Here each
    is ranked as PyOD does when it is scored alone.
    """

    def fit(self, X: Floats) -> Self:
        """Learn the ranks of each column of `X` (n, S) and which of its tails is the long one."""
        centred = X - X.mean(axis=0)
        self.ordered_ = np.sort(X, axis=0)
        self.skew_ = np.sign((centred**3).mean(axis=0))
        return self

    def decision_function(self, X: Floats) -> Floats:
        """Sum of -log of the tails, of the sides on which it is largest, (n,)."""
        n = len(self.ordered_)
        left, right = np.empty_like(X), np.empty_like(X)
        for s in range(X.shape[1]):
            ordered = self.ordered_[:, s]
            left[:, s] = -np.log((np.searchsorted(ordered, X[:, s], side="right") + 1) / (n + 1))
            right[:, s] = -np.log((n - np.searchsorted(ordered, X[:, s], side="left") + 1) / (n + 1))
        skewed = left * -np.sign(self.skew_ - 1) + right * np.sign(self.skew_ + 1)
        result: Floats = np.maximum(left, np.maximum(right, skewed)).sum(axis=1)
        return result


PYOD: Mapping[str, tuple[str, str, Mapping[str, int]]] = {
    "pyod_ecod": ("pyod.models.ecod", "ECOD", {}),
    "pyod_iforest": ("pyod.models.iforest", "IForest", {"random_state": 1}),
    "pyod_pca": ("pyod.models.pca", "PCA", {"random_state": 1}),
    "pyod_knn": ("pyod.models.knn", "KNN", {}),
}
"""Where PyOD has each method, and what it is told besides its own defaults."""


class Pyod:
    """A method of PyOD, with its own defaults, on scaled rows.

    Sensors that never moved in training are left out: some methods divide by their deviation. Raises ConfigError where
    PyOD isn't installed, ModelError on fewer than `MIN_ROWS` rows.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.scaling_ = Scaling()

    def fit(self, rows: TrainingRows) -> Self:
        """Learn from the rows, or from `MAX_ROWS` of them at even distances."""
        if len(rows) < MIN_ROWS:
            raise ModelError(f"{len(rows)} readings for {self.name} to learn from; expected {MIN_ROWS} or more")
        values = rows.values[:: max(1, -(-len(rows) // MAX_ROWS))]
        self.rows_: Floats = self.scaling_.learn(values)
        self._learn()
        return self

    def new_state(self, n_devices: int) -> Floats:
        """Nothing is remembered, (n_devices, 0)."""
        return np.zeros((n_devices, 0))

    def update(self, state: Floats, block: Block) -> Floats:
        """The method's own score, (n,)."""
        if not len(block) or not self.moving_.any():
            return np.zeros(len(block))
        rows = np.ascontiguousarray(self.scaling_.apply(block.values)[:, self.moving_])
        return np.asarray(self.method_.decision_function(rows), np.float64)

    def to_dict(self) -> dict[str, object]:
        """The rows that were learnt from: a method is what it makes of them."""
        return {
            "name": self.name,
            "centre": self.scaling_.centre_.tolist(),
            "spread": self.scaling_.spread_.tolist(),
            "rows": self.rows_.tolist(),
        }

    @classmethod
    def from_dict(cls, learnt: Mapping[str, object]) -> Self:
        """The detector that `to_dict` told of."""
        peer = cls(str(learnt["name"]))
        peer.scaling_.centre_ = np.asarray(learnt["centre"], np.float64)
        peer.scaling_.spread_ = np.asarray(learnt["spread"], np.float64)
        peer.rows_ = np.asarray(learnt["rows"], np.float64)
        peer._learn()
        return peer

    def _learn(self) -> None:
        self.moving_ = np.ptp(self.rows_, axis=0) > 0
        self.method_: Scorer = CausalEcod() if self.name == "pyod_ecod" else _of_pyod(self.name)
        if self.moving_.any():
            self.method_.fit(np.ascontiguousarray(self.rows_[:, self.moving_]))


def _of_pyod(name: str) -> Scorer:
    module, method, told = PYOD[name]
    try:
        made: Scorer = getattr(import_module(module), method)(**told)
    except ImportError as error:
        raise ConfigError(
            f"{name} needs PyOD ({error}); install it with: pip install 'faultwatch[benchmarks]'"
        ) from error
    return made


def peers() -> dict[str, Peer]:
    """Every detector to compare with, by its name in the figures."""
    return {"three_sigma": ThreeSigma(), "ewma": Ewma(), **{name: Pyod(name) for name in PYOD}}
