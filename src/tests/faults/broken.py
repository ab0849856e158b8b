"""Devices of four sensors that follow one drive, with faults of kinds that a person would tell at once."""

from collections.abc import Sequence

import numpy as np

from ...faults.episodes import Episode, tell
from ...faults.kinds import LabelledEpisodes

MINUTE_MS = 60_000
DAY = 1440
KINDS = ("bias", "drift", "noise", "stuck")


def episode(kind: str, seed: int, hours: float = 12.0, sensor: int = 1, size: float = 6.0) -> Episode:
    """Three healthy days, then a fault of one sensor."""
    rng = np.random.default_rng(seed)
    n = round(hours * 60)
    minutes = np.arange(3 * DAY + n)
    drive = np.sin(2 * np.pi * minutes / DAY) + np.cumsum(rng.normal(size=len(minutes))) * 0.01
    values = np.column_stack([gain * drive for gain in (1.0, 2.0, -1.5, 0.7)]) + 0.1 * rng.normal(
        size=(len(minutes), 4)
    )
    begin = 3 * DAY
    if kind == "bias":
        values[begin:, sensor] += size
    elif kind == "drift":
        values[begin:, sensor] += np.linspace(0.0, size, n)
    elif kind == "noise":
        values[begin:, sensor] += size / 4 * rng.normal(size=n)
    elif kind == "stuck":
        values[begin:, sensor] = values[begin - 1, sensor]
    return Episode(values, minutes.astype(np.int64) * MINUTE_MS, begin, MINUTE_MS)


def labelled(kinds: Sequence[str], seed: int, devices: int | None = None) -> LabelledEpisodes:
    """A fault of each of `kinds`, each of a device of its own, or in turn of so many devices."""
    found = [tell(episode(kind, seed + number, sensor=number % 4)).features for number, kind in enumerate(kinds)]
    device = np.arange(len(kinds)) % (devices or len(kinds))
    return LabelledEpisodes(device, np.array(found), list(kinds))
