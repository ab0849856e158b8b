"""The model of kinds: of a fault that people confirmed, what kind it is, learnt from faults whose kind they told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax

from ..exceptions import ModelError
from . import persistence
from .episodes import FEATURES
from .labels import I64, MIN_FAULTS
from .smoothing import F64

FILES = "kinds"
STRENGTH = 0.02
"""Inverse of the penalty, as scikit-learn's `C`: features are many, labelled faults are few."""

BOUND = 4.0
"""A feature counts as no further out than so many spreads: one odd number decides nothing alone."""

N_FOLDS = 4
MIN_KIND_FAULTS = 5
MIN_KIND_DEVICES = 3


@dataclass(frozen=True, slots=True)
class LabelledEpisodes:
    """Faults whose kind is known: `device` int (n,), `features` float64 (n, F) of `episodes.tell`, and kinds (n,).

    `fault` int (n,) numbers them where one fault is told of several times, as it went on; else each row is its own.
    """

    device: I64
    features: F64
    kinds: Sequence[str]
    fault: I64 = field(default_factory=lambda: np.empty(0, np.int64))

    def __post_init__(self) -> None:
        if self.features.shape != (len(self.device), len(FEATURES)) or len(self.kinds) != len(self.device):
            raise ValueError(
                f"features {self.features.shape}, {len(self.kinds)} kinds:"
                f" expected {len(self.device)} rows of {len(FEATURES)} features"
            )
        if len(self.fault) != len(self.device):
            if len(self.fault):
                raise ValueError(f"{len(self.fault)} numbers of faults: expected {len(self.device)}, or none")
            object.__setattr__(self, "fault", np.arange(len(self.device)))

    def taken(self, mask: np.ndarray) -> "LabelledEpisodes":
        """The rows of a mask."""
        return LabelledEpisodes(
            self.device[mask],
            self.features[mask],
            [self.kinds[k] for k in np.flatnonzero(mask).tolist()],
            self.fault[mask],
        )

    @property
    def share(self) -> F64:
        """What each row counts, (n,): those of one fault are one together."""
        _, numbers, counts = np.unique(self.fault, return_inverse=True, return_counts=True)
        result: F64 = 1.0 / counts[numbers]
        return result


@dataclass(frozen=True, slots=True)
class KindModel:
    """Softmax regression over kinds (K,): `centre`, `spread` (F,), `weights` (K, F), `bias` (K,), and the temperature
    that its log-odds are divided by. `left_out` are kinds with too few labels, which it never names."""

    kinds: tuple[str, ...]
    left_out: tuple[str, ...]
    centre: F64
    spread: F64
    weights: F64
    bias: F64
    temperature: float
    n_faults: int

    @classmethod
    def fit(cls, episodes: LabelledEpisodes, seed: int = 1) -> "KindModel":
        """Learn from faults whose kind is known.

        Raises ModelError on fewer than 20 faults of kinds that have 5 of 3 devices each, or fewer than two such kinds.
        """
        kinds, left_out = learnable(episodes.device, episodes.kinds, episodes.fault)
        return cls.of_kinds(episodes, kinds, left_out, seed)

    @classmethod
    def of_kinds(
        cls, episodes: LabelledEpisodes, kinds: Sequence[str], left_out: Sequence[str] = (), seed: int = 1
    ) -> "KindModel":
        """Learn to tell these kinds apart, in order, however few labels they have; other faults are left out."""
        kept = episodes.taken(np.isin(np.array(episodes.kinds), list(kinds)))
        label, share = np.searchsorted(list(kinds), kept.kinds), kept.share
        centre, spread = kept.features.mean(axis=0), kept.features.std(axis=0)
        # A feature that never moved says nothing; its weight stays 0.
        spread[spread < 1e-9 * np.maximum(np.abs(centre), 1.0)] = np.inf
        scaled = np.clip((kept.features - centre) / spread, -BOUND, BOUND)
        unseen = np.zeros((len(label), len(kinds)))
        fold = _folds(kept.device, seed)
        for each in np.unique(fold).tolist():
            weights, bias = _softmax_regression(
                scaled[fold != each], label[fold != each], share[fold != each], len(kinds)
            )
            unseen[fold == each] = scaled[fold == each] @ weights.T + bias
        weights, bias = _softmax_regression(scaled, label, share, len(kinds))
        temperature = _temperature(unseen, label, share)
        n_faults = len(np.unique(kept.fault))
        return cls(tuple(kinds), tuple(left_out), centre, spread, weights, bias, temperature, n_faults)

    def probability(self, features: F64) -> F64:
        """How likely each of the kinds is, (n, K), of faults (n, F)."""
        result: F64 = softmax((self._scaled(features) @ self.weights.T + self.bias) / self.temperature, axis=1)
        return result

    def explain(self, features: F64) -> F64:
        """What each feature adds to the log-odds of each kind against the mean of all, (n, K, F)."""
        weights = (self.weights - self.weights.mean(axis=0)) / self.temperature
        result: F64 = self._scaled(features)[:, None, :] * weights
        return result

    def save(self, folder: Path) -> None:
        """Write `kinds.json` and `kinds.npz` into `folder`."""
        head = {
            "kind": "model of kinds",
            "kinds": self.kinds,
            "left_out": self.left_out,
            "features": FEATURES,
            "temperature": self.temperature,
            "n_faults": self.n_faults,
        }
        arrays = {"centre": self.centre, "spread": self.spread, "weights": self.weights, "bias": self.bias}
        persistence.save(folder, FILES, persistence.Stored(head, arrays, {}))

    @classmethod
    def load(cls, folder: Path) -> "KindModel":
        """Read what `save` wrote. Raises ModelError on files that are missing, damaged or of other features."""
        stored = persistence.load(folder, FILES)
        try:
            head = msgspec.convert(stored.head, _Head)
            arrays = {name: stored.arrays[name] for name in ("centre", "spread", "weights", "bias")}
        except (msgspec.ValidationError, KeyError) as error:
            raise ModelError(f"the model of kinds in {folder} is damaged ({error}); train again") from error
        if head.features != FEATURES:
            raise ModelError(f"the model of kinds in {folder} looks at other features than this version; train again")
        shape = (len(head.kinds), len(FEATURES))
        if arrays["weights"].shape != shape or arrays["bias"].shape != shape[:1]:
            raise ModelError(f"the model of kinds in {folder} is damaged (weights not {shape}); train again")
        return cls(
            **arrays,
            kinds=head.kinds,
            left_out=head.left_out,
            temperature=head.temperature,
            n_faults=head.n_faults,
        )

    def _scaled(self, features: F64) -> F64:
        if features.ndim != 2 or features.shape[1] != len(self.centre):
            raise ValueError(f"features {features.shape}: expected (n, {len(self.centre)})")
        result: F64 = np.clip((features - self.centre) / self.spread, -BOUND, BOUND)
        return result


class _Head(msgspec.Struct, frozen=True):
    kinds: tuple[str, ...]
    left_out: tuple[str, ...]
    features: tuple[str, ...]
    temperature: float
    n_faults: int


def learnable(device: I64, kinds: Sequence[str], fault: I64) -> tuple[list[str], list[str]]:
    """Kinds with enough labels, and those without, each in order; arguments as in `LabelledEpisodes`.

    Raises ModelError where that is too little.
    """
    told = np.array(kinds, dtype=np.str_)
    counts = {str(kind): len(np.unique(fault[told == kind])) for kind in np.unique(told)}
    devices = {kind: len(np.unique(device[told == kind])) for kind in counts}
    enough = [kind for kind in counts if counts[kind] >= MIN_KIND_FAULTS and devices[kind] >= MIN_KIND_DEVICES]
    n_faults = sum(counts[kind] for kind in enough)
    if len(enough) < 2 or n_faults < MIN_FAULTS:
        raise ModelError(
            f"people told the kind of {sum(counts.values())} faults, and {len(enough)} kinds have {MIN_KIND_FAULTS} or"
            f" more, on {MIN_KIND_DEVICES} devices or more; learning to name kinds takes two such kinds, with"
            f" {MIN_FAULTS} faults between them: report faults with their kind, or confirm alerts, then train again"
        )
    return enough, [kind for kind in counts if kind not in enough]


def _folds(device: I64, seed: int) -> I64:
    """The fold (n,) of each fault; those of one device are in one."""
    names, numbers = np.unique(device, return_inverse=True)
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(names))
    result: I64 = order[numbers] % min(N_FOLDS, len(names))
    return result


def _softmax_regression(scaled: F64, label: I64, share: F64, n_kinds: int) -> tuple[F64, F64]:
    """Weights (K, F) and bias (K,) from rows that count `share` (n,); kinds count alike, however many labels they
    have."""
    n_features = scaled.shape[1]
    is_kind = np.eye(n_kinds)[label]
    counts = share @ is_kind
    weight = (share.sum() / n_kinds / np.maximum(counts, 1.0))[label] * share

    def loss(flat: F64) -> tuple[float, F64]:
        given = flat.reshape(n_kinds, n_features + 1)
        said = log_softmax(scaled @ given[:, :-1].T + given[:, -1], axis=1)
        off = STRENGTH * weight[:, None] * (np.exp(said) - is_kind)
        gradient = np.column_stack([off.T @ scaled + given[:, :-1], off.sum(axis=0)])
        value = -STRENGTH * float(weight @ said[np.arange(len(label)), label]) + 0.5 * float((given[:, :-1] ** 2).sum())
        return value, gradient.ravel()

    start = np.zeros(n_kinds * (n_features + 1))
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    given = np.asarray(found.x, np.float64).reshape(n_kinds, n_features + 1)
    return np.ascontiguousarray(given[:, :-1]), given[:, -1].copy()


def _temperature(log_odds: F64, label: I64, share: F64) -> float:
    """What log-odds of faults not learnt from are divided by to lose least (Guo et al., 2017)."""

    def loss(log_temperature: float) -> float:
        said = log_softmax(log_odds / np.exp(log_temperature), axis=1)
        return -float(share @ said[np.arange(len(label)), label] / share.sum())

    return float(np.exp(minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded").x))
