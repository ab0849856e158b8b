"""A small made-up fleet for tests of the detector: four sensors with a day, weather they share, and gaps."""

import numpy as np

from ...detection.blocks import Block, TrainingRows

NAMES = ("flow", "pressure", "current", "temperature")
MINUTE = 60_000
START = 1_790_000_000_000 // MINUTE * MINUTE


def values(seed: int, n_devices: int, n_minutes: int, missing: float = 0.01) -> np.ndarray:
    """Healthy readings, float64 (n_minutes, n_devices, 4): load drives the first three, the day the last two."""
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * (START // MINUTE + np.arange(n_minutes)) / 1440)[:, None]
    load = np.zeros((n_minutes, n_devices))
    noise = rng.normal(size=load.shape)
    for minute in range(1, n_minutes):
        load[minute] = 0.95 * load[minute - 1] + 0.3 * noise[minute]
    level = rng.normal(size=(4, n_devices))
    rows = np.stack(
        [
            40 + 3 * load + 2 * level[0] + rng.normal(size=load.shape),
            6 - 0.4 * load + 0.3 * level[1] + 0.1 * rng.normal(size=load.shape),
            12 + load + day + 0.2 * level[2] + 0.2 * rng.normal(size=load.shape),
            30 + 5 * day + 2 * level[3] + 0.5 * rng.normal(size=load.shape),
        ],
        axis=2,
    )
    rows[rng.random(rows.shape) < missing] = np.nan
    return rows


def block(rows: np.ndarray, first_minute: int = 0) -> Block:
    """Rows (n_minutes, n_devices, S) as a block, minute after minute."""
    n_minutes, n_devices, n_sensors = rows.shape
    minutes = START // MINUTE + first_minute + np.arange(n_minutes)
    return Block(
        np.tile(np.arange(n_devices, dtype=np.int32), n_minutes),
        np.repeat(minutes * MINUTE, n_devices).astype(np.int64),
        np.ascontiguousarray(rows.reshape(-1, n_sensors)),
    )


def training(rows: np.ndarray, names: tuple[str, ...] = NAMES) -> TrainingRows:
    """The same rows to learn from."""
    flat = block(rows)
    return TrainingRows(flat.slots.astype(np.int64), flat.ts, flat.values, MINUTE, names, np.full(len(names), np.nan))
