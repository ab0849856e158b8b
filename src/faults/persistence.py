"""A model as files: arrays in .npz, trees in LightGBM's text, the rest in JSON with a format number; no pickle."""

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..exceptions import ModelError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """What a model is made of: a head of plain values, arrays by name, and trees by name."""

    head: Mapping[str, object]
    arrays: Mapping[str, np.ndarray]
    trees: Mapping[str, str]


def save(folder: Path, name: str, stored: Stored) -> None:
    """Write `<name>.json`, `<name>.npz` and a `<name>.<tree>.txt` for each of the trees; equal models, equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for key in sorted(stored.arrays):
            # A fixed date, so that the same model is the same file.
            entry = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(stored.arrays[key]), allow_pickle=False)
    for key, text in stored.trees.items():
        (folder / f"{name}.{key}.txt").write_text(text, encoding="utf-8")
    files = [f"{name}.npz", *(f"{name}.{key}.txt" for key in sorted(stored.trees))]
    head = {
        "format": FORMAT,
        "files": {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in files},
        **stored.head,
    }
    (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")


def load(folder: Path, name: str) -> Stored:
    """Read what `save` wrote. Raises ModelError on files that are missing, damaged or of another format."""
    where = folder / f"{name}.json"
    try:
        head = msgspec.json.decode(where.read_bytes(), type=dict[str, object])
        found = msgspec.convert(head["format"], int)
        if found != FORMAT:
            what = "update faultwatch, or train again" if found > FORMAT else "train again"
            raise ModelError(f"{where} has format {found}; this version reads format {FORMAT}: {what}")
        wanted = msgspec.convert(head["files"], dict[str, str])
        contents = {file: (folder / file).read_bytes() for file in wanted}
        for file, digest in wanted.items():
            if hashlib.sha256(contents[file]).hexdigest() != digest:
                raise ModelError(f"{folder / file} is not the file that {where} was written with; train again")
        with np.load(folder / f"{name}.npz", allow_pickle=False) as archive:
            arrays = {key: np.ascontiguousarray(archive[key]) for key in archive.files}
        trees = {file[len(name) + 1 : -4]: text.decode() for file, text in contents.items() if file.endswith(".txt")}
    except FileNotFoundError as error:
        raise ModelError(f"no {name} model in {folder}: {error.filename} is missing; train again") from error
    except (msgspec.MsgspecError, KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"the {name} model in {folder} is damaged ({error}); train again") from error
    return Stored(head, arrays, trees)
