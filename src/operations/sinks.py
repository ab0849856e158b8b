"""Where a backup goes: a folder, or one tar file."""

import hashlib
import io
import os
import tarfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from ..exceptions import ConfigError, StorageError
from .manifest import Copied

PIECE = 1 << 20
TARS = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz"}


class Readable(Protocol):
    """What bytes can be read from."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, none at the end."""


class Sink(ABC):
    """Takes files one after the other. `files` are those it has."""

    def __init__(self) -> None:
        self.files: dict[str, Copied] = {}

    @abstractmethod
    def _put(self, name: str, content: Readable, size: int) -> None:
        """Write a file."""

    def add(self, name: str, path: Path, size: int | None = None) -> None:
        """Take the first `size` bytes of a file (default: all it has now). Raises FileNotFoundError where it went."""
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size if size is None else size
            hashing = _Hashing(file, length)
            self._put(name, hashing, length)
            self.files[name] = Copied(length, hashing.digest.hexdigest())

    def add_bytes(self, name: str, content: bytes) -> None:
        """Take a file's content."""
        self._put(name, io.BytesIO(content), len(content))


class FolderSink(Sink):
    """A folder, which must be empty or not there yet."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def _put(self, name: str, content: Readable, size: int) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            copy(content, file, size)
            file.flush()
            os.fsync(file.fileno())


class TarSink(Sink):
    """A tar file, written beside its name and renamed at the end."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        super().__init__()
        self._tar = tar

    def _put(self, name: str, content: Readable, size: int) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.mtime = size, 0o600, int(time.time())
        self._tar.addfile(member, content)


@contextmanager
def sink_for(target: Path) -> Iterator[Sink]:
    """The sink of a backup's name; where what is inside fails, nothing is left that looks like a backup.

    Raises ConfigError where something is there already.
    """
    mode = next((mode for ending, mode in TARS.items() if target.name.endswith(ending)), None)
    if mode is None:
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigError(f"{target} is there already; expected a new name, an empty folder, or a new FILE.tar")
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(0o700)
        yield FolderSink(target)
        return
    if target.exists():
        raise ConfigError(f"{target} is there already; give the backup a new name")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f"{target.name}.unfinished")
    try:
        descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode=mode) as tar:  # type: ignore[call-overload]
                yield TarSink(tar)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, target)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink()
        raise


def copy(source: Readable, into: BinaryIO, size: int) -> None:
    """Copy so many bytes. Raises StorageError where there are fewer."""
    left = size
    while left:
        piece = source.read(min(PIECE, left))
        if not piece:
            raise StorageError(f"a file ended {left} bytes early while it was copied; make the backup again")
        into.write(piece)
        left -= len(piece)


class _Hashing:
    """The first bytes of a file, hashed as they are read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        self.digest.update(piece)
        return piece
