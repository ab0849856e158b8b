"""Artifacts: what a component leaves behind, a folder whose `artifact.json` says what, from what, by what, when."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from .. import __version__
from ..exceptions import ModelError, StorageError
from .code import code_hash, commit

FILE = "artifact.json"
FORMAT = 1
NAME_LENGTH = 12

Detail = str | int | float | bool | None | list[str]


class Artifact(msgspec.Struct, frozen=True, kw_only=True):
    """One artifact. `hash` is that of its files; `inputs` are the hashes of the artifacts it was made from.

    `code` is the hash of the sources that made it, `commit` that of git where it was a checkout.
    """

    component: str
    subject: str
    hash: str
    inputs: dict[str, str]
    config: dict[str, Detail]
    summary: dict[str, Detail]
    code_version: str
    made_ms: int
    code: str = ""
    commit: str | None = None
    format: int = FORMAT
    folder: str = ""

    @property
    def path(self) -> Path:
        """Where its files are."""
        return Path(self.folder)


def make(
    parent: Path,
    *,
    component: str,
    subject: str,
    inputs: Mapping[str, "Artifact"],
    config: Mapping[str, Detail],
    now_ms: int,
    write: Callable[[Path], Mapping[str, Detail]],
) -> Artifact:
    """Let `write` fill a folder and return its summary; keep it as `parent`/<first digits of its hash>, all or nothing.

    The same files give the same folder, so making an artifact again changes nothing but the time it was made; one that
    was damaged is whole again. Raises StorageError where the disk doesn't take it.
    """
    waiting = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(dir=parent, prefix=".making-"))
        summary = dict(write(waiting))
        digest = content_hash(waiting)
        folder = parent / digest[:NAME_LENGTH]
        artifact = Artifact(
            component=component,
            subject=subject,
            hash=digest,
            inputs={name: made.hash for name, made in inputs.items()},
            config=dict(config),
            summary=summary,
            code_version=__version__,
            made_ms=now_ms,
            code=code_hash(),
            commit=commit(),
            folder=str(folder),
        )
        stored = msgspec.structs.replace(artifact, folder="")
        (waiting / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n")
        if folder.exists() and content_hash(folder) == digest:
            os.replace(waiting / FILE, folder / FILE)
        else:
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(waiting, folder)
    except OSError as error:
        raise StorageError(
            f"an artifact of {component} can't be written below {parent}: {error.strerror or error}; free space on that"
            " disk"
        ) from error
    finally:
        if waiting is not None:
            shutil.rmtree(waiting, ignore_errors=True)
    return artifact


def take_in(parent: Path, folder: Path) -> Artifact:
    """Move an artifact that was made elsewhere to `parent`/<first digits of its hash>; one that is there stays.

    Raises what `read` raises, and StorageError where it can't be moved.
    """
    artifact = read(folder)
    kept = parent / artifact.hash[:NAME_LENGTH]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            os.replace(folder, kept)
    except OSError as error:
        raise StorageError(
            f"{artifact.component} can't be kept below {parent}: {error.strerror}; free space"
        ) from error
    return read(kept)


def read(folder: Path) -> Artifact:
    """Read an artifact and check that its files are those it was made with.

    Raises ModelError where it is missing, damaged, or was made by a newer version.
    """
    try:
        artifact = msgspec.json.decode((folder / FILE).read_bytes(), type=Artifact)
    except FileNotFoundError as error:
        raise ModelError(f"no {FILE} in {folder}; run the component before this one") from error
    except msgspec.MsgspecError as error:
        raise ModelError(f"{folder / FILE} is damaged ({error}); run its component again") from error
    if artifact.format > FORMAT:
        raise ModelError(f"{folder / FILE} has format {artifact.format}; this version reads up to {FORMAT}: update")
    if content_hash(folder) != artifact.hash:
        raise ModelError(f"the files in {folder} are not those that {artifact.component} wrote; run it again")
    return msgspec.structs.replace(artifact, folder=str(folder))


def made_before(parent: Path, inputs: Mapping[str, Artifact], config: Mapping[str, Detail]) -> Artifact | None:
    """The artifact below `parent` that this code made of these inputs with this config; None where there is no whole
    one."""
    wanted = ({name: made.hash for name, made in inputs.items()}, msgspec.to_builtins(dict(config)), code_hash())
    for file in sorted(parent.glob(f"*/{FILE}")):
        try:
            artifact = msgspec.json.decode(file.read_bytes(), type=Artifact)
            if (artifact.inputs, artifact.config, artifact.code) == wanted:
                return read(file.parent)
        except (OSError, msgspec.MsgspecError, ModelError):
            continue
    return None


def newest(parent: Path) -> Artifact:
    """The artifact below `parent` that was made last. Raises ModelError where there is none, or it is damaged."""
    made: list[tuple[int, Path]] = []
    damaged: list[Path] = []
    for file in sorted(parent.glob(f"*/{FILE}")):
        try:
            made.append((msgspec.json.decode(file.read_bytes(), type=Artifact).made_ms, file.parent))
        except (OSError, msgspec.MsgspecError):
            damaged.append(file.parent)
    if not made and not damaged:
        raise ModelError(f"no artifact below {parent}; run the component before this one")
    return read(max(made)[1] if made else damaged[0])


def flat(config: Mapping[str, object]) -> dict[str, Detail]:
    """A config with one level: what is inside another is named `outer.inner`."""
    found: dict[str, Detail] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            found.update({f"{name}.{inner}": told for inner, told in flat(value).items()})
        elif isinstance(value, list | tuple):
            found[name] = [str(one) for one in value]
        else:
            found[name] = msgspec.convert(value, Detail)
    return found


def content_hash(folder: Path) -> str:
    """SHA-256 over the names and bytes of the files in `folder`, but `artifact.json`."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.name != FILE:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
