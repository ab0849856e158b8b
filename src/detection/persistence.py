"""A detector as files: arrays in .npz, the rest in JSON with a format number, no module path, no pickle."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np

from ..exceptions import ConfigError, ModelError, OldFormatError
from .config import DetectorConfig
from .kernel import N_CONSTANTS, N_KNOTS, N_MODE_COLUMNS, N_SENSOR_COLUMNS

FORMAT = 3
ARRAYS_FILE = "detector.npz"
HEAD_FILE = "detector.json"

Loaded = tuple[DetectorConfig, tuple[str, ...], int, dict[str, np.ndarray]]


def to_dict(
    config: DetectorConfig, sensor_names: tuple[str, ...], interval_ms: int, arrays: dict[str, np.ndarray]
) -> dict[str, object]:
    """A detector as numbers, texts and lists; equal detectors give equal ones."""
    return _head(config, sensor_names, interval_ms) | {
        "arrays": {
            name: {"type": array.dtype.str, "shape": list(array.shape), "values": array.ravel().tolist()}
            for name, array in sorted(arrays.items())
        }
    }


def from_dict(learnt: Mapping[str, object]) -> Loaded:
    """What `to_dict` told of. Raises ModelError where it isn't that."""
    where = "these figures"
    try:
        config, sensor_names, interval_ms = _read_head(learnt, where)
        told = msgspec.convert(learnt["arrays"], dict[str, _Array])
        arrays = {name: np.array(each.values, np.dtype(each.type)).reshape(each.shape) for name, each in told.items()}
    except (ConfigError, msgspec.ValidationError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"the detector in {where} is damaged ({error}); train the type again") from error
    _check(where, arrays, len(sensor_names))
    return config, sensor_names, interval_ms, arrays


class _Array(msgspec.Struct, frozen=True):
    type: str
    shape: tuple[int, ...]
    values: list[float]


def _head(config: DetectorConfig, sensor_names: tuple[str, ...], interval_ms: int) -> dict[str, object]:
    return {
        "format": FORMAT,
        "kind": "anomaly detector",
        "sensors": list(sensor_names),
        "interval_ms": interval_ms,
        "config": asdict(config),
    }


def _read_head(head: Mapping[str, object], where: str) -> tuple[DetectorConfig, tuple[str, ...], int]:
    found = msgspec.convert(head["format"], int)
    if found != FORMAT:
        said = f"{where} has format {found}; this version reads format {FORMAT}"
        if found < FORMAT:
            raise OldFormatError(f"{said}: train the type again")
        raise ModelError(f"{said}: update faultwatch, or train the type again")
    sensor_names = msgspec.convert(head["sensors"], tuple[str, ...])
    interval_ms = msgspec.convert(head["interval_ms"], int)
    return msgspec.convert(head["config"], DetectorConfig), sensor_names, interval_ms


def save(
    folder: Path,
    config: DetectorConfig,
    sensor_names: tuple[str, ...],
    interval_ms: int,
    arrays: dict[str, np.ndarray],
) -> None:
    """Write both files; equal models give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    head = _head(config, sensor_names, interval_ms)
    (folder / HEAD_FILE).write_text(json.dumps(head, indent=1) + "\n")
    with zipfile.ZipFile(folder / ARRAYS_FILE, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            # A fixed date, so that the same model is the same file.
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(arrays[name]), allow_pickle=False)


def load(folder: Path) -> Loaded:
    """Read both files and check that they fit. Raises ModelError and says which file, and what to do."""
    try:
        head = json.loads((folder / HEAD_FILE).read_text())
        config, sensor_names, interval_ms = _read_head(head, str(folder / HEAD_FILE))
        with np.load(folder / ARRAYS_FILE, allow_pickle=False) as archive:
            arrays = {name: np.ascontiguousarray(archive[name]) for name in archive.files}
    except FileNotFoundError as error:
        raise ModelError(f"no detector in {folder}: {error.filename} is missing; train the type again") from error
    except (
        ConfigError,
        msgspec.ValidationError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise ModelError(f"the detector in {folder} is damaged ({error}); train the type again") from error
    _check(str(folder), arrays, len(sensor_names))
    return config, sensor_names, interval_ms, arrays


def _check(where: str, arrays: dict[str, np.ndarray], n_sensors: int) -> None:
    """A kernel trusts its arrays: shapes and types are looked at here, once."""
    expected = {
        "scale": (np.float64, (n_sensors, 2)),
        "table": (np.float32, (n_sensors, N_SENSOR_COLUMNS)),
        "gaps": (np.float64, (n_sensors,)),
        "patterns": (np.float32, (-1, n_sensors)),
        "modes": (np.float32, (-1, n_sensors, N_MODE_COLUMNS)),
        "cross": (np.float32, (-1, n_sensors, 2 * n_sensors)),
        "white": (np.float32, (n_sensors, n_sensors)),
        "season": (np.float32, (-1, 2, n_sensors)),
        "knots": (np.float32, (N_KNOTS,)),
        "constants": (np.float64, (N_CONSTANTS,)),
        "levels": (np.float64, (-1,)),
        "rates": (np.float64, (-1,)),
        "usual": (np.float64, (1,)),
    }
    for name, (dtype, shape) in expected.items():
        got = arrays.get(name)
        if got is None or got.dtype != dtype or len(got.shape) != len(shape) or 0 in got.shape:
            fits = False
        else:
            fits = all(want in (-1, have) for want, have in zip(shape, got.shape, strict=True))
        if not fits:
            found = "missing" if got is None else f"{got.dtype} {got.shape}"
            raise ModelError(f"the detector in {where} is damaged ({name} is {found}); train the type again")
    if len({len(arrays[name]) for name in ("patterns", "modes", "cross")}) > 1:
        raise ModelError(f"the detector in {where} is damaged (its modes differ in number); train the type again")
