"""NASA's C-MAPSS turbofans (FD001), run to failure: is an engine within 30 cycles of its end?

Folds share no engine; predictions of engines that weren't learnt from are pooled. Whatever a model chooses (half-lives,
penalties, family, calibration) it chooses within the engines that it learns from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import ConfigError, DataValidationError
from ..faults.labels import LabelledRows
from ..faults.model import FaultModel, features_of
from . import fault_peers
from .fault_measures import Predicted
from .measures import Bools, Floats, Integers

COLUMNS = 26
HORIZON = 30
FOLDS = 5
OURS = "faultwatch"
NAMES = ("setting 1", "setting 2", "setting 3", *(f"sensor {number}" for number in range(1, 22)))


@dataclass(frozen=True, slots=True)
class Engines:
    """Rows sorted by engine, then cycle: `engine` (n,), `left` (n,) cycles until it fails, `values` (n, 24)."""

    engine: Integers
    left: Integers
    values: Floats

    @property
    def faulty(self) -> Bools:
        """Rows (n,) within 30 cycles of failure."""
        result: Bools = self.left <= HORIZON
        return result

    def taken(self, engines: Integers) -> "Engines":
        """The rows of some engines."""
        mask = np.isin(self.engine, engines)
        return Engines(self.engine[mask], self.left[mask], self.values[mask])


@dataclass(frozen=True, slots=True)
class Chosen:
    """What our model chose within the engines of a fold."""

    half_lives: tuple[float, ...]
    linear_share: float
    calibration: str
    candidates: dict[str, float]


def read(path: Path | None) -> Engines:
    """Read a file as NASA gives it. Raises ConfigError where none is named, DataValidationError where it's no such."""
    if path is None:
        raise ConfigError("--protocol cmapss needs --data FILE: train_FD001.txt of NASA's C-MAPSS data set")
    try:
        table = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise DataValidationError(
            f"{path} can't be read as C-MAPSS data ({error}); expected train_FD001.txt"
        ) from error
    if table.shape[1] != COLUMNS:
        raise DataValidationError(f"{path} has {table.shape[1]} columns; expected {COLUMNS}, as in train_FD001.txt")
    engine, cycle = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    order = np.lexsort((cycle, engine))
    engine, cycle, values = engine[order], cycle[order], table[order, 2:]
    names, at = np.unique(engine, return_inverse=True)
    if len(names) < 2 * FOLDS:
        raise DataValidationError(f"{path} has {len(names)} engines; expected {2 * FOLDS} or more")
    last = np.zeros(len(names), np.int64)
    np.maximum.at(last, at, cycle)
    return Engines(engine, last[at] - cycle, np.ascontiguousarray(values))


def parts(engine: Integers, seed: int | None) -> list[Integers]:
    """Engines of each fold: the usual folds (scikit-learn's GroupKFold), or shuffled ones."""
    names, rows = np.unique(engine, return_counts=True)
    if seed is not None:
        order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(names))
        return [names[order[fold::FOLDS]] for fold in range(FOLDS)]
    # The largest first, each to the fold that has fewest rows so far.
    taken = np.zeros(FOLDS, np.int64)
    fold_of = np.empty(len(names), np.int64)
    for place in np.argsort(rows)[::-1]:
        fold = int(np.argmin(taken))
        taken[fold] += rows[place]
        fold_of[place] = fold
    return [names[fold_of == fold] for fold in range(FOLDS)]


def measure(
    engines: Engines, say: Callable[[str], None], seed: int | None = None, peers: bool = True
) -> tuple[dict[str, Predicted], list[Chosen]]:
    """Predictions of every model by its name, each of engines it hasn't seen, and what ours chose fold by fold."""
    inputs = {"raw": engines.values, "features": fault_peers.smoothed(engines.engine, engines.values)} if peers else {}
    said = {name: np.empty(len(engines.left)) for name in names_of(inputs)}
    chosen = []
    for number, held_out in enumerate(parts(engines.engine, seed)):
        learn = ~np.isin(engines.engine, held_out)
        for name in said:
            say(f"fold {number + 1} of {FOLDS}: {name}")
            if name == OURS:
                said[name][~learn], choice = ours(engines, learn)
                chosen.append(choice)
            else:
                peer, _, kind = name.partition("_")
                said[name][~learn] = fault_peers.predict(peer, inputs[kind], engines.faulty, learn)
    return {name: Predicted(engines.engine, engines.faulty, each, engines.left) for name, each in said.items()}, chosen


def names_of(inputs: dict[str, Floats] | Sequence[str]) -> list[str]:
    """Names of the models, ours first."""
    return [OURS, *(f"{peer}_{kind}" for kind in inputs for peer in fault_peers.PEERS)]


def ours(engines: Engines, learn: Bools) -> tuple[Floats, Chosen]:
    """What our fault model, fitted on some rows, says of the others, and what it chose."""
    rows = LabelledRows(engines.engine[learn], engines.values[learn], engines.faulty[learn], NAMES)
    model = FaultModel.fit(rows)
    scaled = (engines.values[~learn] - model.centre) / model.spread
    said = model.probability(features_of(model.smoothing, engines.engine[~learn], scaled))
    tried = {f"{one.family}: {one.setting}": round(one.log_loss, 4) for one in model.candidates}
    return said, Chosen(model.smoothing.half_lives, model.share, model.calibration.kind, tried)
