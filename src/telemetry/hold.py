"""Holds what is about to be deleted, while somebody copies it.

Who copies a data folder holds it (`holding`, any number at once); who deletes from log, spool or lake asks first
(`may_delete`) and otherwise does it another time. The folder itself is locked: there is no file to own or to leave
behind, and a process that dies lets go.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..exceptions import StorageError


@contextmanager
def holding(data: Path) -> Iterator[None]:
    """Nothing of the data folder that a copy needs is deleted while this is held; waits for a deletion under way.

    Raises StorageError where the folder can't be opened.
    """
    descriptor = _open(data)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def may_delete(data: Path) -> Iterator[bool]:
    """Whether nobody holds the data folder; where it is True, nobody does until the end of what is inside."""
    descriptor = _open(data)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(descriptor)


def _open(data: Path) -> int:
    try:
        return os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"{data} can't be opened: {error.strerror}; expected the data folder of faultwatch: name it with --data,"
            " and see who owns it"
        ) from error
