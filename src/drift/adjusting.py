"""Many p-values at once: Benjamini and Hochberg's adjustment (1995)."""

import numpy as np
from scipy.stats import false_discovery_control

from ..detection.blocks import F64


def adjusted(p_values: F64) -> F64:
    """The p-values (n,) such that calling those below alpha keeps the share of false ones among them below alpha."""
    if not len(p_values):
        return np.zeros(0)
    result: F64 = false_discovery_control(np.clip(p_values, 0.0, 1.0), method="bh")
    return result
