"""The smooth linear family: logistic regression with an L2 penalty, on features scaled as they were in training."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from .labels import Bools
from .smoothing import F64

ITERATIONS = 2000


@dataclass(frozen=True, slots=True)
class LinearModel:
    """`centre`, `spread`, `low`, `high`, `weights` float64 (F,) and `bias`.

    A feature counts as no further out than it was in training (`low` to `high`, scaled): a line doesn't know what lies
    beyond, and a device's age always does.
    """

    centre: F64
    spread: F64
    low: F64
    high: F64
    weights: F64
    bias: float

    @classmethod
    def fit(cls, features: F64, faulty: Bools, strength: float) -> "LinearModel":
        """Learn from rows (n, F). `strength` is the inverse of the penalty, as scikit-learn's `C`."""
        centre = features.mean(axis=0)
        spread = features.std(axis=0)
        # A feature that never moved says nothing; its weight stays 0.
        spread[spread < 1e-9 * np.maximum(np.abs(centre), 1.0)] = np.inf
        scaled = (features - centre) / spread
        label = faulty.astype(np.float64)

        def loss(weights: F64) -> tuple[float, F64]:
            odds = scaled @ weights[:-1] + weights[-1]
            off = expit(odds) - label
            gradient = np.append(strength * (off @ scaled) + weights[:-1], strength * off.sum())
            value = strength * np.sum(np.logaddexp(0.0, odds) - label * odds) + 0.5 * weights[:-1] @ weights[:-1]
            return float(value), gradient

        start = np.zeros(features.shape[1] + 1)
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
        weights = np.asarray(found.x, np.float64)
        return cls(centre, spread, scaled.min(axis=0), scaled.max(axis=0), weights[:-1], float(weights[-1]))

    def contributions(self, features: F64) -> F64:
        """What each feature (n, F) adds to the log-odds."""
        scaled = np.clip((features - self.centre) / self.spread, self.low, self.high)
        result: F64 = scaled * self.weights
        return result

    def log_odds(self, features: F64) -> F64:
        """Log-odds (n,) of being faulty."""
        result: F64 = self.contributions(features).sum(axis=1) + self.bias
        return result
