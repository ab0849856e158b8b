"""The settings a release was accepted with: written down once, compared with those in force."""

import base64
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from .. import __version__
from ..exceptions import StorageError
from ..settings import Settings, explain

FILE = "release.json"


class Accepted(msgspec.Struct, frozen=True):
    """A setting as it was: what may be shown of it, and a digest of all of it, as it may be a secret."""

    shown: str
    digest: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What was accepted, by which version; `salt` goes into the digests."""

    version: str
    salt: str
    settings: dict[str, Accepted]


def read(data: Path) -> Release | None:
    """What was accepted last; None where nothing was. Raises StorageError where the file can't be read."""
    path = data / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Release)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise StorageError(f"{path} can't be read ({error}); `--accept-settings` writes it anew") from error


def accept(settings: Settings) -> Path:
    """Write down the settings in force; the file. Raises StorageError where it can't be written."""
    path = settings.data / FILE
    salt = base64.b64encode(os.urandom(16)).decode()
    content = msgspec.json.encode(
        Release(version=__version__, salt=salt, settings=dict(_accepted(settings, salt))), order="sorted"
    )
    waiting = path.with_suffix(".tmp")
    try:
        descriptor = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(waiting, path)
    except OSError as error:
        raise StorageError(f"{path} can't be written: {error.strerror}; check who owns the data folder") from error
    return path


def changes(release: Release, settings: Settings) -> Iterator[str]:
    """A line for each setting that is not what it was, is new, or is no more."""
    now = dict(_accepted(settings, release.salt))
    sources = {line.name: line.source for line in explain(settings)}
    for name in sorted(release.settings.keys() | now.keys()):
        before, after = release.settings.get(name), now.get(name)
        if after is None and before is not None:
            yield f"{name}, then {before.shown}, is no setting any more"
        elif before is None and after is not None:
            yield f"{name} is new, and {after.shown} ({sources[name]})"
        elif before is not None and after is not None and before.digest != after.digest:
            secret = " (a part that isn't shown)" if before.shown == after.shown else ""
            yield f"{name} was {before.shown}, is {after.shown}{secret} ({sources[name]})"


def _accepted(settings: Settings, salt: str) -> Iterator[tuple[str, Accepted]]:
    for line in explain(settings):
        whole: object = getattr(settings, line.name)
        if line.name == "lake_storage_options":
            whole = sorted(settings.storage_options().items())
        shown = str(line.value)
        yield line.name, Accepted(shown, _digest(str(whole), salt, masked=shown != str(whole)))


def _digest(text: str, salt: str, masked: bool) -> str:
    """A digest; a slow one for what isn't shown, so that a guess at a password costs as much as it can here."""
    if masked:
        return hashlib.scrypt(text.encode(), salt=salt.encode(), n=1 << 14, r=8, p=1, dklen=24).hex()
    return hashlib.blake2b(text.encode(), digest_size=24, salt=base64.b64decode(salt)).hexdigest()
