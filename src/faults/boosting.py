"""The boosted family: LightGBM, stopped early by devices it hasn't seen, then fitted on all."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .labels import I64, Bools, folds
from .smoothing import F64

if TYPE_CHECKING:
    from lightgbm import Booster

ROUNDS = 600
PATIENCE = 40
PARAMETERS: dict[str, str | int | float | bool] = {
    "learning_rate": 0.05,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.4,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "seed": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
"""One thread and a fixed seed: the same rows give the same trees."""


@dataclass(frozen=True, slots=True)
class BoostedModel:
    """Trees, in LightGBM's own text format."""

    booster: "Booster"

    @classmethod
    def fit(cls, features: F64, faulty: Bools, device: I64, leaves: int) -> "BoostedModel":
        """Learn from rows (n, F) of devices (n,); `leaves` bounds each tree."""
        import lightgbm

        parameters = {**PARAMETERS, "objective": "binary", "num_leaves": leaves}
        learn, judge = next(folds(device, faulty, 5, seed=2))
        data = lightgbm.Dataset(features[learn], faulty[learn])
        watched = lightgbm.train(
            parameters,
            data,
            ROUNDS,
            valid_sets=[lightgbm.Dataset(features[judge], faulty[judge], reference=data)],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        rounds = max(1, watched.best_iteration)
        return cls(lightgbm.train(parameters, lightgbm.Dataset(features, faulty), rounds))

    @classmethod
    def from_text(cls, text: str) -> "BoostedModel":
        """The model that `text` wrote."""
        import lightgbm

        return cls(lightgbm.Booster(model_str=text))

    @property
    def text(self) -> str:
        """The trees as LightGBM writes them."""
        return str(self.booster.model_to_string(num_iteration=-1))

    def contributions(self, features: F64) -> F64:
        """SHAP values of each feature (n, F) in log-odds (Lundberg et al., 2018)."""
        return np.asarray(self.booster.predict(features, pred_contrib=True, num_threads=1), np.float64)[:, :-1]

    def log_odds(self, features: F64) -> F64:
        """Log-odds (n,) of being faulty."""
        return np.asarray(self.booster.predict(features, raw_score=True, num_threads=1), np.float64)
