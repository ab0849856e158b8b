"""The key file, and what is encrypted with it: addresses and secrets of channels."""

import base64
import hashlib
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from ..exceptions import StorageError


class Secrets:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._fernet = Fernet(key)

    def encrypt(self, text: str) -> str:
        """Return the text, unreadable without the key."""
        return self._fernet.encrypt(text.encode()).decode()

    def decrypt(self, text: str) -> str:
        """Return what was encrypted. Raises StorageError where that was with another key."""
        try:
            return self._fernet.decrypt(text.encode()).decode()
        except InvalidToken as error:
            raise StorageError(
                "a secret in the database was encrypted with another key; put back the key file that belongs to"
                " this database, or remove the channel and add it again"
            ) from error

    def derive(self, purpose: str) -> bytes:
        """32 bytes for another use of the key, such as signing cookies; each purpose has its own."""
        return hashlib.blake2b(purpose.encode(), key=base64.urlsafe_b64decode(self._key), digest_size=32).digest()


def open_secrets(path: Path) -> Secrets:
    """The secrets of a key file (setting `secret_key_file`), made on first use, readable by its owner only.

    Raises StorageError where the file can't be read or written, isn't a key, or is `exposed`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_key(path)
        if exposed(path):
            raise StorageError(f"{path} may be read by others; it decrypts the channels: run `chmod 600 {path}`")
        return Secrets(path.read_bytes().strip())
    except OSError as error:
        raise StorageError(f"{path} can't be used: {error.strerror}; check who owns the data folder") from error
    except ValueError as error:
        raise StorageError(
            f"{path} isn't a key: expected 32 bytes in base64; put back the file that belongs to this data folder"
        ) from error


def exposed(path: Path) -> bool:
    """Whether a key file may be read or changed by others than its owner.

    Where it belongs to another user, who lends it to a group of this process for reading, that is how this process
    reads it: so Kubernetes hands out secrets.
    """
    found = path.stat()
    lent = found.st_uid != os.geteuid() and found.st_gid in {os.getegid(), *os.getgroups()}
    return bool(found.st_mode & (0o037 if lent else 0o077))


def _make_key(path: Path) -> None:
    """Write a new key unless there is one; of two processes that start at once, both go on with the same key."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(Fernet.generate_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # the other process was faster; its key stands
    finally:
        draft.unlink()
