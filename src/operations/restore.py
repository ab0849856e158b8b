"""`faultwatch restore`: make a data folder of a backup."""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from ..fleet.terminal import DataOption, when

if TYPE_CHECKING:
    from ..settings import Settings
    from .manifest import Copied, Manifest
    from .sinks import Readable

STAGE = ".restoring"


def restore(
    source: Annotated[Path, typer.Argument(help="What `faultwatch backup` made.", metavar="FILE|DIR")],
    data: DataOption = None,
) -> None:
    """Make a data folder of a backup. The folder must be empty, or not there yet.

    Every file is compared with what the backup says of it. Where the database is PostgreSQL, pg_restore loads the
    file database.dump, which is left in the folder, into an empty one.
    """
    from ..settings import load_settings
    from .status import size

    settings = load_settings(data=data)
    manifest = unpack(source.expanduser().absolute(), settings)
    typer.echo(
        f"{settings.data}: {len(manifest.files):,} files, {size(manifest.size)}; all that was answered for before"
        f" {when(manifest.began_ms)} UTC"
    )
    if manifest.database == "database.dump":
        typer.echo(
            "load the database into an empty one, then start with database_url naming it:\n"
            f"  pg_restore --no-owner --dbname=postgresql://USER@HOST/NAME {settings.data / 'database.dump'}"
        )
    if manifest.lake != "included":
        typer.echo(f"the lake is at {manifest.lake}, as the backup left it there: set lake_url to it")
    typer.echo(f"faultwatch serve --data {settings.data} starts it")


def unpack(source: Path, settings: "Settings") -> "Manifest":
    """Restore a backup into the data folder of the settings.

    Raises ConfigError where that isn't empty, StorageError where the backup isn't whole, or the lake, which is not in
    it, has gone on since; then the folder is left empty.
    """
    from ..exceptions import ConfigError, StorageError

    target = settings.data
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} holds something; a backup goes into an empty folder: name another with --data")
    if not source.exists():
        raise ConfigError(f"there is no {source}; expected what `faultwatch backup` made")
    try:
        target.mkdir(parents=True, exist_ok=True)
        stage = target / STAGE
        try:
            with _members(source) as members:
                manifest = _write(members, stage, source)
            _check_lake(manifest, settings)
            for path in list(stage.iterdir()):
                os.replace(path, target / path.name)
        finally:
            shutil.rmtree(stage, ignore_errors=True)
        _fsync(target)
    except OSError as error:
        raise StorageError(
            f"{source} could not be restored to {target}: {error.strerror} ({error.filename or target}); see whether"
            " its disk has space, and who owns it"
        ) from error
    return manifest


@contextmanager
def _members(source: Path) -> "Iterator[Iterator[tuple[str, Readable]]]":
    """Names and contents of a backup's files, one after the other."""
    from ..exceptions import StorageError

    if source.is_dir():
        yield _of_folder(source)
        return
    try:
        with tarfile.open(source, mode="r|*") as tar:
            yield _of_tar(tar)
    except (tarfile.TarError, EOFError) as error:
        raise StorageError(
            f"{source} can't be read as a tar file ({error}); expected what `faultwatch backup` made, whole"
        ) from error


def _of_folder(source: Path) -> "Iterator[tuple[str, Readable]]":
    for path in sorted(source.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                yield path.relative_to(source).as_posix(), file


def _of_tar(tar: tarfile.TarFile) -> "Iterator[tuple[str, Readable]]":
    for member in tar:
        file = tar.extractfile(member)
        if file is not None:
            with file:
                yield member.name, file


def _write(members: "Iterator[tuple[str, Readable]]", stage: Path, source: Path) -> "Manifest":
    """Write the files of a backup, and hold each to what the backup says of it."""
    import msgspec

    from ..exceptions import StorageError
    from .manifest import FORMAT, NAME, Copied, Manifest

    stage.mkdir()
    written: dict[str, Copied] = {}
    said: bytes | None = None
    for name, content in members:
        if name == NAME:
            said = content.read()
            continue
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise StorageError(f"{source} holds {name!r}, which leads out of a data folder: it is no backup")
        written[name] = _write_file(content, stage / name)
    if said is None:
        raise StorageError(f"{source} has no {NAME}: it is no backup of faultwatch, or one that was never finished")
    try:
        manifest = msgspec.json.decode(said, type=Manifest)
    except msgspec.DecodeError as error:
        raise StorageError(f"{NAME} of {source} can't be read ({error}); take another backup") from error
    if manifest.format != FORMAT:
        raise StorageError(
            f"{source} is of format {manifest.format}, made by faultwatch {manifest.version}; expected {FORMAT}:"
            " restore it with that version"
        )
    different = sorted(name for name in {*written, *manifest.files} if written.get(name) != manifest.files.get(name))
    if different:
        raise StorageError(
            f"{source} is damaged: {len(different)} of its files, such as {different[0]!r}, are not what was copied;"
            " take another backup"
        )
    return manifest


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_file(content: "Readable", path: Path) -> "Copied":
    from .manifest import Copied
    from .sinks import PIECE

    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    private = path.name == "secret.key"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644), "wb") as file:
        while piece := content.read(PIECE):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
        file.flush()
        os.fsync(file.fileno())
    return Copied(size, digest.hexdigest())


def _check_lake(manifest: "Manifest", settings: "Settings") -> None:
    """Raise StorageError where a lake that is not in the backup holds records that the restored log will number anew:
    their successors would be taken for repetitions."""
    from ..exceptions import StorageError
    from ..telemetry.lake import Lake

    if manifest.lake == "included":
        return
    lake = Lake(manifest.lake, settings.storage_options())
    for shard, end in manifest.records.items():
        committed = lake.journal_committed("events", shard) or 0
        if committed > end:
            raise StorageError(
                f"the lake at {manifest.lake} holds records of {shard} up to {committed}, the backup ends at {end}:"
                f" bring the bucket back to its versions of {when(manifest.began_ms)} UTC, then restore again"
            )
