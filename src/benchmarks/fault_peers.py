"""Classifiers to compare the fault model with: scikit-learn's and LightGBM, on raw sensors and on smoothed ones."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..exceptions import ConfigError
from .measures import Bools, Floats, Integers

HALF_LIVES = (3.0, 10.0, 30.0)
NEW = 20
"""Rows in which a device is new."""


class Classifier(Protocol):
    """What is used of a classifier of scikit-learn."""

    def fit(self, X: Floats, y: Bools) -> object:
        """Learn from rows."""

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities of each class, (n, 2)."""


def logistic_regression() -> Classifier:
    """Standardised, L2, C = 1."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    made: Classifier = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=5000))
    return made


def random_forest() -> Classifier:
    """200 trees, leaves of 5 rows or more."""
    from sklearn.ensemble import RandomForestClassifier

    made: Classifier = RandomForestClassifier(200, min_samples_leaf=5, random_state=1)
    return made


def histogram_boosting() -> Classifier:
    """scikit-learn's defaults."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    made: Classifier = HistGradientBoostingClassifier(random_state=1)
    return made


class LightGbm:
    """LightGBM's defaults, one thread."""

    def fit(self, X: Floats, y: Bools) -> None:
        """Learn from rows."""
        import lightgbm

        told = {"objective": "binary", "seed": 1, "num_threads": 1, "verbose": -1}
        self.booster = lightgbm.train(told, lightgbm.Dataset(X, y), 100)

    def predict_proba(self, X: Floats) -> Floats:
        """Probabilities of each class, (n, 2)."""
        faulty = np.asarray(self.booster.predict(X, num_threads=1), np.float64)
        return np.column_stack([1.0 - faulty, faulty])


PEERS: dict[str, Callable[[], Classifier]] = {
    "lr": logistic_regression,
    "rf": random_forest,
    "hgb": histogram_boosting,
    "lgbm": LightGbm,
}
"""How each peer is made."""


def predict(name: str, features: Floats, faulty: Bools, learn: Bools) -> Floats:
    """Probabilities of the rows (n,) that weren't learnt from. Raises ConfigError where scikit-learn is missing."""
    try:
        classifier = PEERS[name]()
    except ImportError as error:
        raise ConfigError(
            f"{name} needs scikit-learn ({error}); install it with: pip install 'faultwatch[benchmarks]'"
        ) from error
    classifier.fit(features[learn], faulty[learn])
    return np.asarray(classifier.predict_proba(features[~learn]), np.float64)[:, 1]


def smoothed(device: Integers, values: Floats) -> Floats:
    """The recipe: sensors smoothed at three half-lives, the slowest less the mean while new, and log age, (n, 4 S + 1).

    `values` (n, S) are sorted by device, then time.
    """
    parts = [_of_one(values[device == name]) for name in dict.fromkeys(device.tolist())]
    return np.concatenate(parts)


def _of_one(values: Floats) -> Floats:
    from scipy.signal import lfilter

    means = []
    for half_life in HALF_LIVES:
        keep = 0.5 ** (1.0 / half_life)
        mean, _ = lfilter([1.0 - keep], [1.0, -keep], values, axis=0, zi=keep * values[:1])
        means.append(mean)
    age = np.arange(1, len(values) + 1)[:, None]
    running = np.cumsum(values, axis=0) / age
    start = np.where(age <= NEW, running, running[min(NEW, len(values)) - 1])
    result: Floats = np.hstack([*means, means[-1] - start, np.log(age)])
    return result
