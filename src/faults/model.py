"""The fault model: families that compete on devices they haven't seen, one of them or their blend, calibrated."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
from scipy.special import expit

from ..exceptions import ModelError
from . import persistence
from .boosting import BoostedModel
from .calibration import Calibration, calibrate, log_loss
from .labels import I64, Bools, LabelledRows, folds
from .linear import LinearModel
from .smoothing import AGE_NAMES, F64, I32, SmoothedState, Smoothing

FILES = "fault"
N_FOLDS = 4
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the linear family in the blend, by log-odds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultConfig:
    """What competes: half-lives in rows, penalties of the linear family (`strengths`), leaves of boosted trees."""

    half_lives: tuple[tuple[float, ...], ...] = ((3.0, 10.0, 30.0), (5.0, 15.0, 45.0), (10.0, 30.0, 90.0))
    start_rows: int = 20
    strengths: tuple[float, ...] = (0.1, 1.0, 10.0)
    leaves: tuple[int, ...] = (7,)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One that competed: its family, what it was set to, and its mean log loss on devices it hadn't seen."""

    family: str
    setting: str
    log_loss: float


@dataclass(frozen=True, slots=True)
class FaultModel:
    """P(faulty) of devices of one type. `share` of the log-odds is the linear model's; a family without one is None."""

    channels: tuple[str, ...]
    centre: F64
    spread: F64
    smoothing: Smoothing
    share: float
    linear: LinearModel | None
    boosted: BoostedModel | None
    calibration: Calibration
    candidates: tuple[Candidate, ...]
    n_faults: int

    @classmethod
    def fit(cls, rows: LabelledRows, config: FaultConfig | None = None) -> "FaultModel":
        """Let the families compete on `rows` and fit the winner on all of them.

        Raises ModelError on fewer than 20 labelled faults of 5 devices.
        """
        rows.check()
        config = config or FaultConfig()
        centre, spread = scale_of(rows.channels)
        scaled = (rows.channels - centre) / spread
        return _compete(rows, scaled, centre, spread, config)

    @property
    def feature_names(self) -> list[str]:
        """Names of the features, as `update` returns them."""
        return self.smoothing.names(self.channels)

    def new_state(self, n_devices: int) -> SmoothedState:
        """What is remembered of devices that have sent nothing yet."""
        return self.smoothing.new_state(n_devices, len(self.channels))

    def update(self, state: SmoothedState, slots: I32, channels: F64) -> F64:
        """Advance `state` in place by rows (n, K) and return their features (n, F)."""
        return self.smoothing.update(state, slots, (channels - self.centre) / self.spread)

    def probability(self, features: F64) -> F64:
        """How likely each row's device (n,) is faulty."""
        return self.calibration.probability(self.log_odds(features))

    def log_odds(self, features: F64) -> F64:
        """Log-odds (n,) before calibration."""
        odds = np.zeros(len(features))
        if self.linear is not None:
            odds += self.share * self.linear.log_odds(features)
        if self.boosted is not None:
            odds += (1.0 - self.share) * self.boosted.log_odds(features)
        return odds

    def explain(self, features: F64) -> F64:
        """What each channel, and age last, adds to the log-odds, (n, K + 1).

        Coefficients of the linear part, SHAP values of the boosted one, in the shares in which they are blended.
        """
        each = np.zeros(features.shape)
        if self.linear is not None:
            each += self.share * self.linear.contributions(features)
        if self.boosted is not None:
            each += (1.0 - self.share) * self.boosted.contributions(features)
        n_channels = len(self.channels)
        by_channel = each[:, : -len(AGE_NAMES)].reshape(len(each), n_channels, -1).sum(axis=2)
        result: F64 = np.column_stack([by_channel, each[:, -len(AGE_NAMES) :].sum(axis=1)])
        return result

    def save(self, folder: Path) -> None:
        """Write `fault.json`, `fault.npz` and, with trees, `fault.boosted.txt` into `folder`."""
        arrays = {"centre": self.centre, "spread": self.spread}
        arrays |= {"log_odds": self.calibration.log_odds, "calibrated": self.calibration.calibrated}
        if self.linear is not None:
            arrays |= {f"linear_{name}": np.atleast_1d(value) for name, value in asdict(self.linear).items()}
        head = {
            "kind": "fault model",
            "channels": self.channels,
            "smoothing": asdict(self.smoothing),
            "share": self.share,
            "calibration": self.calibration.kind,
            "candidates": [asdict(candidate) for candidate in self.candidates],
            "n_faults": self.n_faults,
        }
        trees = {} if self.boosted is None else {"boosted": self.boosted.text}
        persistence.save(folder, FILES, persistence.Stored(head, arrays, trees))

    @classmethod
    def load(cls, folder: Path) -> "FaultModel":
        """Read what `save` wrote. Raises ModelError on files that are missing, damaged or of a newer format."""
        stored = persistence.load(folder, FILES)
        try:
            return cls._of(stored)
        except (msgspec.ValidationError, ValueError, KeyError, TypeError, IndexError) as error:
            raise ModelError(f"the fault model in {folder} is damaged ({error}); train again") from error

    @classmethod
    def _of(cls, stored: persistence.Stored) -> "FaultModel":
        head = msgspec.convert(stored.head, _Head)
        arrays = stored.arrays
        linear = None
        if head.share > 0.0:
            learnt = {name: arrays[f"linear_{name}"] for name in ("centre", "spread", "low", "high", "weights")}
            linear = LinearModel(**learnt, bias=float(arrays["linear_bias"][0]))
            if len(linear.weights) != head.smoothing.width(len(head.channels)):
                raise ValueError(f"{len(linear.weights)} weights for {len(head.channels)} channels")
        return cls(
            channels=head.channels,
            centre=arrays["centre"],
            spread=arrays["spread"],
            smoothing=head.smoothing,
            share=head.share,
            linear=linear,
            boosted=BoostedModel.from_text(stored.trees["boosted"]) if head.share < 1.0 else None,
            calibration=Calibration(head.calibration, arrays["log_odds"], arrays["calibrated"]),
            candidates=head.candidates,
            n_faults=head.n_faults,
        )


class _Head(msgspec.Struct, frozen=True):
    channels: tuple[str, ...]
    smoothing: Smoothing
    share: float
    calibration: str
    candidates: tuple[Candidate, ...]
    n_faults: int


def scale_of(channels: F64) -> tuple[F64, F64]:
    """Centre and spread (K,) of channels (n, K) over what is there; spread 1 where nothing moves."""
    there = np.isfinite(channels)
    count = np.maximum(there.sum(axis=0), 1)
    centre = np.where(there, channels, 0.0).sum(axis=0) / count
    spread = np.sqrt((np.where(there, channels - centre, 0.0) ** 2).sum(axis=0) / count)
    return centre, np.where(spread > 1e-9 * np.maximum(np.abs(centre), 1.0), spread, 1.0)


def features_of(smoothing: Smoothing, device: I64, scaled: F64) -> F64:
    """Features (n, F) of rows sorted by device, then time, each device from its first row on."""
    names, slots = np.unique(device, return_inverse=True)
    return smoothing.update(smoothing.new_state(len(names), scaled.shape[1]), slots.astype(np.int32), scaled)


def _compete(rows: LabelledRows, scaled: F64, centre: F64, spread: F64, config: FaultConfig) -> FaultModel:
    parts = list(folds(rows.device, rows.faulty, N_FOLDS, config.seed))
    tried: list[Candidate] = []
    best_loss, smoothing, features, strength, linear_odds = np.inf, Smoothing(), np.empty((0, 0)), 1.0, np.empty(0)
    for half_lives in config.half_lives:
        smoothed = Smoothing(half_lives, config.start_rows)
        found = features_of(smoothed, rows.device, scaled)
        for wanted in config.strengths:
            odds = np.empty(len(rows))
            for learn, judge in parts:
                odds[judge] = LinearModel.fit(found[learn], rows.faulty[learn], wanted).log_odds(found[judge])
            loss = log_loss(expit(odds), rows.faulty)
            tried.append(Candidate("linear", f"half-lives {_told(half_lives)}, strength {wanted:g}", loss))
            if loss < best_loss:
                best_loss, smoothing, features, strength, linear_odds = loss, smoothed, found, wanted, odds
    best_loss, leaves, boosted_odds = np.inf, config.leaves[0], np.empty(0)
    for wanted_leaves in config.leaves:
        odds = np.empty(len(rows))
        for learn, judge in parts:
            model = BoostedModel.fit(features[learn], rows.faulty[learn], rows.device[learn], wanted_leaves)
            odds[judge] = model.log_odds(features[judge])
        loss = log_loss(expit(odds), rows.faulty)
        tried.append(Candidate("boosted", f"{wanted_leaves} leaves", loss))
        if loss < best_loss:
            best_loss, leaves, boosted_odds = loss, wanted_leaves, odds
    share = _share(linear_odds, boosted_odds, rows.faulty, tried)
    return FaultModel(
        channels=tuple(rows.names),
        centre=centre,
        spread=spread,
        smoothing=smoothing,
        share=share,
        linear=LinearModel.fit(features, rows.faulty, strength) if share > 0.0 else None,
        boosted=BoostedModel.fit(features, rows.faulty, rows.device, leaves) if share < 1.0 else None,
        calibration=calibrate(_blend(share, linear_odds, boosted_odds), rows.faulty, rows.device, config.seed),
        candidates=tuple(tried),
        n_faults=len(rows.faults),
    )


def _share(linear: F64, boosted: F64, faulty: Bools, tried: list[Candidate]) -> float:
    """The linear family's share that loses least; of equal ones, the larger: it is the simpler model."""
    losses = {share: log_loss(expit(_blend(share, linear, boosted)), faulty) for share in SHARES}
    tried.extend(Candidate("blend", f"{share:g} linear", loss) for share, loss in losses.items() if 0 < share < 1)
    return min(reversed(SHARES), key=lambda share: losses[share])


def _blend(share: float, linear: F64, boosted: F64) -> F64:
    result: F64 = share * linear + (1.0 - share) * boosted
    return result


def _told(numbers: Sequence[float]) -> str:
    return "/".join(f"{number:g}" for number in numbers)
