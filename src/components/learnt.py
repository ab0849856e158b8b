"""What a model learnt from, kept beside it: on anything else it may be compared with another."""

from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ..exceptions import ModelError, StorageError

FILE = "learnt.json"


class Learnt(msgspec.Struct, frozen=True):
    """Readings of `devices` (keys, rising) from `from_ms` up to, but not with, `until_ms`.

    A model may have learnt from fewer: what isn't within is new to it, what is within may be.
    """

    devices: list[int]
    from_ms: int
    until_ms: int

    @classmethod
    def of(cls, keys: npt.NDArray[np.int64], ts: npt.NDArray[np.int64]) -> "Learnt":
        """What rows are of: keys of devices (n,) and times in ms (n,), one row at least."""
        return cls(np.unique(keys).tolist(), int(ts.min()), int(ts.max()) + 1)

    def holds(
        self, keys: npt.NDArray[np.int64], slots: npt.NDArray[np.integer], ts: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Which moments (n,) are within, of the devices `keys[slots]`."""
        known = np.isin(keys, np.array(self.devices, np.int64))
        within: npt.NDArray[np.bool_] = known[slots] & (ts >= self.from_ms) & (ts < self.until_ms)
        return within


def write(folder: Path, learnt: Learnt) -> None:
    """Keep it in a model's folder. Raises StorageError where the disk doesn't take it."""
    try:
        (folder / FILE).write_bytes(msgspec.json.encode(learnt))
    except OSError as error:
        raise StorageError(f"{folder / FILE} could not be written: {error.strerror}") from error


def read(folder: Path) -> Learnt | None:
    """What the model in a folder learnt from; None where that was not kept, as by earlier versions.

    Raises ModelError where the file is damaged.
    """
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Learnt)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelError(f"{folder / FILE}, what a model learnt from, can't be read: {error}") from error
