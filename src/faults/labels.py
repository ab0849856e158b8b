"""Rows with a label to learn from, when there are too few of them, and how devices are shared out among folds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..exceptions import ModelError
from .smoothing import F64

Bools = npt.NDArray[np.bool_]
I64 = npt.NDArray[np.int64]

MIN_FAULTS = 20
MIN_FAULTY_DEVICES = 5


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """Rows sorted by device, then time: `device` int (n,), `channels` float64 (n, K) with NaN where missing, `faulty`
    bool (n,), and the names (K,) of the channels."""

    device: I64
    channels: F64
    faulty: Bools
    names: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.device) == len(self.channels) == len(self.faulty):
            raise ValueError(f"device {len(self.device)}, channels {len(self.channels)}, faulty {len(self.faulty)}")
        if self.channels.ndim != 2 or self.channels.shape[1] != len(self.names):
            raise ValueError(f"channels {self.channels.shape}: expected {len(self.names)} columns")
        if (np.diff(self.device) < 0).any():
            raise ValueError("rows must be sorted by device, then by time")

    def __len__(self) -> int:
        return len(self.device)

    def taken(self, mask: Bools) -> "LabelledRows":
        """The rows of a mask."""
        return LabelledRows(self.device[mask], self.channels[mask], self.faulty[mask], self.names)

    @property
    def faults(self) -> I64:
        """The device of each fault: a stretch of faulty rows of one device, (n_faults,)."""
        before = np.concatenate([[False], self.faulty[:-1] & (self.device[1:] == self.device[:-1])])
        found: I64 = self.device[self.faulty & ~before]
        return found

    def check(self) -> None:
        """Raise ModelError where there are too few faults, of too few devices, or nothing but faults."""
        faults = self.faults
        devices = len(np.unique(faults))
        if len(faults) < MIN_FAULTS or devices < MIN_FAULTY_DEVICES:
            raise ModelError(
                f"{len(faults)} labelled faults of {devices} devices; a fault model needs {MIN_FAULTS} of"
                f" {MIN_FAULTY_DEVICES} or more: report faults, or confirm alerts, then train again"
            )
        if self.faulty.all():
            raise ModelError(f"all of {len(self)} rows are labelled faulty; a fault model needs healthy ones too")


def folds(device: I64, faulty: Bools, n_folds: int, seed: int) -> Iterator[tuple[Bools, Bools]]:
    """Rows to learn from and rows to judge, fold by fold: no device is in both, and each fold has its share of faults.

    Fewer folds where there are fewer than `n_folds` faulty devices. Raises ModelError on fewer than two of them.
    """
    devices = np.unique(device)
    sick = np.isin(devices, device[faulty])
    n_folds = min(n_folds, int(sick.sum()))
    if n_folds < 2:
        raise ModelError(f"{int(sick.sum())} devices with a labelled fault; expected at least 2 to compare models on")
    order = np.random.Generator(np.random.Philox(key=seed)).permutation(len(devices))
    dealt = order[np.argsort(~sick[order], kind="stable")]
    fold_of = np.empty(len(devices), np.int64)
    fold_of[dealt] = np.arange(len(devices)) % n_folds
    of_row = fold_of[np.searchsorted(devices, device)]
    for fold in range(n_folds):
        yield of_row != fold, of_row == fold
