"""Measures of fault probabilities against labels, rows of devices one after the other."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from .measures import Bools, Floats, Integers, average_precision

FALSE_ALARMS_PER_ROW = 1e-3
"""The budget: false alarm events a healthy row may cost."""

THRESHOLDS = 2000
Figures = dict[str, float | int | None]

COLUMNS = {
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "brier": "Brier",
    "recall_at_budget": "recall at budget",
    "lead_time_median": "median lead time",
}
"""Keys of a model's figures, and how the table calls them."""


@dataclass(frozen=True, slots=True)
class Predicted:
    """Rows sorted by device, then time: `device` int (n,), `faulty` bool (n,), `probability` float64 (n,), and `left`
    int (n,), rows until the fault's end."""

    device: Integers
    faulty: Bools
    probability: Floats
    left: Integers

    @property
    def first(self) -> Bools:
        """The first row of each device, (n,)."""
        return np.concatenate([[True], self.device[1:] != self.device[:-1]])


def figures_of(predicted: Predicted) -> Figures:
    """The figures of one model."""
    threshold = budget_threshold(predicted)
    alarm = predicted.probability >= threshold
    recall = float(alarm[predicted.faulty].mean()) if predicted.faulty.any() else None
    return {
        "pr_auc": round(average_precision(predicted.faulty, predicted.probability), 4),
        "roc_auc": round(area_under_roc(predicted.faulty, predicted.probability), 4),
        "brier": round(float(np.mean((predicted.probability - predicted.faulty) ** 2)), 4),
        "recall_at_budget": None if recall is None else round(recall, 4),
        "lead_time_median": lead_time(predicted, alarm),
    }


def area_under_roc(faulty: Bools, probability: Floats) -> float:
    """The chance that a faulty row is given more than a healthy one, ties half. NaN where there is only one kind."""
    n_faulty = int(faulty.sum())
    n_healthy = len(faulty) - n_faulty
    if not n_faulty or not n_healthy:
        return float("nan")
    ranks = rankdata(probability)
    return float((ranks[faulty].sum() - n_faulty * (n_faulty + 1) / 2) / (n_faulty * n_healthy))


def false_alarms(predicted: Predicted, threshold: float) -> int:
    """Alarms that begin in a healthy row: so many events would have told an owner of a fault that wasn't there."""
    alarm = predicted.probability >= threshold
    before = np.concatenate([[False], alarm[:-1]]) & ~predicted.first
    return int((alarm & ~before & ~predicted.faulty).sum())


def budget_threshold(predicted: Predicted) -> float:
    """The lowest threshold such that it and all higher ones keep the budget; 2 (no alarm) where none does."""
    allowed = FALSE_ALARMS_PER_ROW * float((~predicted.faulty).sum())
    levels = np.unique(predicted.probability)[::-1]
    levels = levels[np.unique(np.linspace(0, len(levels) - 1, THRESHOLDS).astype(np.int64))]
    found = 2.0
    for level in levels:
        if false_alarms(predicted, float(level)) > allowed:
            break
        found = float(level)
    return found


def lead_time(predicted: Predicted, alarm: Bools) -> float | None:
    """Rows from a fault's first alarmed row to its end, the median over devices that had a fault; 0 where missed."""
    leads = []
    for device in np.unique(predicted.device[predicted.faulty]):
        seen = predicted.left[(predicted.device == device) & predicted.faulty & alarm]
        leads.append(int(seen.max()) if len(seen) else 0)
    return float(np.median(leads)) if leads else None
