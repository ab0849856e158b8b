"""What a model knows of devices that it lived through before it serves, as a file the service takes it up from."""

import hashlib
import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..detection.state import DetectorState
from ..exceptions import ModelError, OldFormatError, StorageError

I64 = npt.NDArray[np.int64]
NAME_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Warm:
    """State of some devices of a type, by their slots in it."""

    slots: I64
    state: DetectorState


@dataclass(frozen=True, slots=True)
class Lived:
    """State of devices by their keys (n,), as a file keeps it."""

    keys: I64
    state: DetectorState

    def at(self, slots: I64, type_slots: I64) -> Warm:
        """The same in a shard: `slots` (n,) of the devices in it, -1 where it doesn't have one; `type_slots` of all."""
        here = slots >= 0
        return Warm(type_slots[slots[here]], self.state.take(np.flatnonzero(here)))


def write(folder: Path, lived: Lived) -> str:
    """Keep it below the spool; return the file's name. Raises StorageError where the disk doesn't take it."""
    arrays: dict[str, np.ndarray] = {"keys": lived.keys, **lived.state.to_arrays()}
    held = io.BytesIO()
    np.savez(held, **arrays)  # type: ignore[arg-type]
    data = held.getvalue()
    path = folder / f"warm-{hashlib.sha256(data).hexdigest()[:NAME_LENGTH]}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = path.with_suffix(".tmp")
        with waiting.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(waiting, path)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror}; free space on that disk") from error
    return path.name


def read(folder: Path, name: str) -> Lived:
    """Read what `write` kept. Raises OldFormatError where another version did, StorageError where it can't be."""
    path = folder / name
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as kept:
            arrays = {field: kept[field] for field in kept.files}
        keys = arrays.pop("keys")
        return Lived(keys, DetectorState.from_arrays(arrays))
    except OldFormatError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, ModelError) as error:
        raise StorageError(
            f"{path}, what a model knows of devices, can't be read: {error}. Restore the data folder"
        ) from error
