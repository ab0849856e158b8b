"""Who gave the false alerts: a few devices, which are something to look at, or all, which is a threshold to raise."""

import numpy as np
import numpy.typing as npt

WORST = 0.1


def of_the_worst(alerts: npt.NDArray[np.float64], share: float = WORST) -> tuple[int, float]:
    """How many devices gave any of the alerts (n_devices,), and the part that the worst `share` of all devices gave.

    Without alerts, or devices, both are 0.
    """
    worst = np.sort(alerts)[::-1][: max(1, round(share * len(alerts)))]
    return int((alerts > 0).sum()), float(worst.sum() / max(alerts.sum(), 1.0))
