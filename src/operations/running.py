"""What runs on a data folder: each process of the service leaves a note there of where it answers."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

FOLDER = "running"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the service. `certificate` is the file of the one it shows, where it answers by TLS."""

    pid: int
    machine: str
    role: str
    version: str
    url: str
    started_ms: int
    certificate: str | None = None

    @property
    def lives(self) -> bool:
        """Whether the process is there; one of another machine can't be looked for, and is taken at its word."""
        if self.machine != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


@contextmanager
def announced(data: Path, note: Note) -> Iterator[None]:
    """Leave the note for as long as what is inside runs. A process that is killed leaves it behind."""
    path = data / FOLDER / f"{note.role}.json"
    waiting = path.with_suffix(f".{note.pid}.tmp")
    path.parent.mkdir(exist_ok=True)
    waiting.write_bytes(msgspec.json.encode(note))
    os.replace(waiting, path)
    try:
        yield
    finally:
        with suppress(OSError, msgspec.DecodeError):
            if msgspec.json.decode(path.read_bytes(), type=Note).pid == note.pid:
                path.unlink()


def notes(data: Path) -> list[Note]:
    """The notes that are there, of processes that live and of such that were killed."""
    found = []
    for path in sorted((data / FOLDER).glob("*.json")):
        with suppress(OSError, msgspec.DecodeError):
            found.append(msgspec.json.decode(path.read_bytes(), type=Note))
    return found
