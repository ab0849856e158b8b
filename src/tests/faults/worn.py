"""Devices that wear out: two sensors move off before each fault, one says nothing."""

import numpy as np

from ...faults.labels import LabelledRows

NAMES = ("heat", "flow", "noise")


def worn(n_devices: int = 30, seed: int = 1, life: int = 120) -> LabelledRows:
    """Devices that live about `life` rows and are faulty in the last 20 of them."""
    rng = np.random.default_rng(seed)
    device, channels, faulty = [], [], []
    for number in range(n_devices):
        rows = int(rng.integers(life - 20, life + 20))
        left = np.arange(rows)[::-1]
        wear = np.exp(-left / 15.0)
        device.append(np.full(rows, number))
        level = rng.normal([70.0, 5.0, 0.0], [2.0, 0.1, 1.0])
        channels.append(level + wear[:, None] * [9.0, -0.8, 0.0] + rng.normal(size=(rows, 3)) * [1.5, 0.15, 1.0])
        faulty.append(left < 20)
    return LabelledRows(np.concatenate(device), np.concatenate(channels), np.concatenate(faulty), NAMES)
