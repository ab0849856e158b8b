"""From log-odds to probabilities: Platt's line or isotonic steps, fitted on devices that weren't learnt from."""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from .labels import I64, Bools, folds
from .smoothing import F64

KNOTS = 200


@dataclass(frozen=True, slots=True)
class Calibration:
    """Probability by interpolation between `log_odds` (k,), rising, and `calibrated` log-odds (k,); beyond the ends,
    Platt's line goes on and isotonic steps stay level."""

    kind: str
    log_odds: F64
    calibrated: F64

    def probability(self, log_odds: F64) -> F64:
        """Probabilities (n,) at log-odds (n,)."""
        if self.kind == "platt":
            (low, high), (at_low, at_high) = self.log_odds, self.calibrated
            line = at_low + (log_odds - low) * (at_high - at_low) / (high - low)
        else:
            line = np.interp(log_odds, self.log_odds, self.calibrated)
        result: F64 = expit(line)
        return result


def platt(log_odds: F64, faulty: Bools) -> Calibration:
    """Fit a line through log-odds by likelihood, with Platt's targets (Platt, 1999)."""
    n_faulty = int(faulty.sum())
    n_healthy = len(faulty) - n_faulty
    target = np.where(faulty, (n_faulty + 1) / (n_faulty + 2), 1 / (n_healthy + 2))

    def loss(line: F64) -> tuple[float, F64]:
        odds = line[0] * log_odds + line[1]
        off = expit(odds) - target
        value = float(np.sum(np.logaddexp(0.0, odds) - target * odds))
        return value, np.array([off @ log_odds, off.sum()])

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    ends = np.array([-1.0, 1.0])
    return Calibration("platt", ends, max(float(slope), 1e-3) * ends + float(offset))


def isotonic(log_odds: F64, faulty: Bools) -> Calibration:
    """Fit rising steps (Zadrozny and Elkan, 2002), thinned to `KNOTS` and kept away from 0 and 1."""
    order = np.argsort(log_odds, kind="stable")
    rising = isotonic_regression(faulty[order].astype(np.float64)).x
    edge = 1.0 / (len(faulty) + 2)
    at = np.unique(np.linspace(0, len(order) - 1, KNOTS).astype(np.int64))
    clipped = np.clip(rising[at], edge, 1.0 - edge)
    return Calibration("isotonic", log_odds[order][at], np.log(clipped / (1.0 - clipped)))


def calibrate(log_odds: F64, faulty: Bools, device: I64, seed: int) -> Calibration:
    """The one of the two that loses less on devices that it wasn't fitted on; log-odds must be out of fold already."""
    loss = {"platt": 0.0, "isotonic": 0.0}
    for learn, judge in folds(device, faulty, 4, seed):
        for fit in (platt, isotonic):
            found = fit(log_odds[learn], faulty[learn])
            loss[found.kind] += log_loss(found.probability(log_odds[judge]), faulty[judge]) * float(judge.mean())
    return platt(log_odds, faulty) if loss["platt"] <= loss["isotonic"] else isotonic(log_odds, faulty)


def log_loss(probability: F64, faulty: Bools) -> float:
    """Mean of -log of the probability given to what was so."""
    said = np.clip(np.where(faulty, probability, 1.0 - probability), 1e-12, 1.0)
    return float(-np.log(said).mean())
