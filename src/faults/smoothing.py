"""What the classifier looks at: channels of a device smoothed over its own past, and how old it is.

Channels are whatever is known of a row: sensors, residuals, scores. Each is smoothed at several half-lives and compared
with what it was when the device was new. A row's features depend on its device's rows up to it and on nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np
import numpy.typing as npt

from ..compiled import compiled as machine_code
from ..exceptions import ConfigError

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

AGE_NAMES = ("age", "log age")


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Rising `half_lives` in rows; a device is new for its first `start_rows` rows."""

    half_lives: tuple[float, ...] = (5.0, 15.0, 45.0)
    start_rows: int = 20

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in zip(self.half_lives, self.half_lives[1:], strict=False))
        if not self.half_lives or self.half_lives[0] <= 0 or not rising:
            raise ConfigError(f"half_lives {self.half_lives}: expected rising numbers of rows above 0")
        if self.start_rows < 1:
            raise ConfigError(f"start_rows {self.start_rows}: expected 1 or more")

    def names(self, channels: Sequence[str]) -> list[str]:
        """Names of the features, channel by channel, age last."""
        each = [f"smoothed {half_life:g}" for half_life in self.half_lives] + ["since new"]
        return [f"{channel}: {what}" for channel in channels for what in each] + list(AGE_NAMES)

    def width(self, n_channels: int) -> int:
        """How many features `n_channels` channels make."""
        return n_channels * (len(self.half_lives) + 1) + len(AGE_NAMES)

    def new_state(self, n_devices: int, n_channels: int) -> "SmoothedState":
        """State of devices that have sent nothing yet."""
        return SmoothedState(
            means=np.full((n_devices, n_channels, len(self.half_lives)), np.nan, np.float32),
            start=np.zeros((n_devices, n_channels), np.float32),
            told=np.zeros((n_devices, n_channels), np.uint16),
            rows=np.zeros(n_devices, np.int32),
        )

    def update(self, state: "SmoothedState", slots: I32, channels: F64) -> F64:
        """Advance `state` in place by rows (n, K), NaN where missing, and return their features (n, width).

        Rows of one device are in order of time. What a device has never sent counts as 0, the usual.
        """
        out = np.empty((len(slots), self.width(channels.shape[1])))
        gains = 1.0 - 0.5 ** (1.0 / np.asarray(self.half_lives))
        compiled()(
            np.require(slots, np.int32, ["C", "W"]),
            np.require(channels, np.float64, ["C", "W"]),
            gains,
            self.start_rows,
            state.means,
            state.start,
            state.told,
            state.rows,
            out,
        )
        return out


@dataclass(slots=True)
class SmoothedState:
    """Of n devices: `means` float32 (n, K, half-lives), NaN before the first value; `start` float32 (n, K), the mean
    while new, of `told` uint16 (n, K) values; `rows` int32 (n,), rows so far."""

    means: F32
    start: F32
    told: npt.NDArray[np.uint16]
    rows: I32

    @property
    def bytes_per_device(self) -> int:
        """Bytes that one more device takes."""
        arrays = (getattr(self, field.name) for field in fields(self))
        return sum(int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize for array in arrays)


def advance(
    slots: I32,
    channels: F64,
    gains: F64,
    start_rows: int,
    means: F32,
    start: F32,
    told: npt.NDArray[np.uint16],
    rows: I32,
    out: F64,
) -> None:
    """The loop over rows: see `Smoothing.update`."""
    n_channels, n_means = means.shape[1], means.shape[2]
    for row in range(len(slots)):
        i = slots[row]
        rows[i] += 1
        at = 0
        for k in range(n_channels):
            value = channels[row, k]
            if not np.isnan(value):
                if told[i, k] < start_rows and rows[i] <= start_rows:
                    told[i, k] += 1
                    start[i, k] += (value - start[i, k]) / told[i, k]
                for h in range(n_means):
                    if np.isnan(means[i, k, h]):
                        means[i, k, h] = value
                    else:
                        means[i, k, h] += gains[h] * (value - means[i, k, h])
            for h in range(n_means):
                out[row, at] = 0.0 if np.isnan(means[i, k, h]) else means[i, k, h]
                at += 1
            out[row, at] = out[row, at - 1] - start[i, k] if told[i, k] > 0 else 0.0
            at += 1
        out[row, at] = rows[i]
        out[row, at + 1] = np.log(rows[i])


@cache
def compiled() -> Callable[..., None]:
    """The machine code of `advance`, from Numba's cache after the first use on a machine."""
    from numba import float32, float64, int32, int64, uint16, void

    return machine_code(
        advance,
        void(
            int32[::1],
            float64[:, ::1],
            float64[::1],
            int64,
            float32[:, :, ::1],
            float32[:, ::1],
            uint16[:, ::1],
            int32[::1],
            float64[:, ::1],
        ),
    )
