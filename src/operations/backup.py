"""`faultwatch backup`: a copy of everything, while the service runs.

The order is what makes the copy whole. Nothing is deleted meanwhile (`telemetry/hold`). Checkpoints come first, then
the lake, which is never behind a checkpoint; then the end of the log is noted and the database copied at one moment.
The log is copied up to where that database needs it, or up to the noted end if that is further: all that these
records name (devices, types, people) was in the database before they were logged, and all that the database and the
lake say was applied is in these records. Models and spooled files, which are written before records name them, come
last. A restored folder is then one that a crash left behind, and recovers like one.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fleet.terminal import DataOption

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ..settings import Settings
    from .manifest import Manifest
    from .sinks import Sink

OF_NO_USE = frozenset({"published", "running", "log", "state"})
"""What of a data folder is copied by other means, or made anew by the service."""


def backup(
    target: Annotated[
        Path, typer.Argument(help="A new file (.tar, .tar.gz) or a new or empty folder.", metavar="FILE|DIR")
    ],
    data: DataOption = None,
) -> None:
    """Copy everything faultwatch keeps, while it runs or not: what was answered for before this began is in the copy.

    Database, log, checkpoints, lake, models, files on their way in, and the key: keep the copy as safe as the data
    folder. A PostgreSQL database is copied by pg_dump, which has to be installed; a lake at an s3:// address is not
    copied: let its bucket keep versions. `faultwatch restore` makes a data folder of it.
    """
    from ..fleet.database import answers, connect
    from ..settings import load_settings
    from .status import duration, size

    settings = load_settings(data=data)
    engine = connect(settings.database_url)
    began = time.monotonic()
    try:
        answers(engine)
        manifest = make(settings, engine, target.expanduser().absolute())
    finally:
        engine.dispose()
    records = sum(manifest.records.values())
    typer.echo(
        f"{target}: {len(manifest.files):,} files, {size(manifest.size)}, up to record {records:,}, in"
        f" {duration(time.monotonic() - began)}"
    )
    if manifest.lake != "included":
        typer.echo(f"not in it: the lake at {manifest.lake}; its bucket has to keep versions", err=True)


def make(settings: "Settings", engine: "Engine", target: Path) -> "Manifest":
    """Make a backup. Raises ConfigError where `target` can't take one, StorageError where something can't be read."""
    import msgspec

    from .. import __version__
    from ..exceptions import ConfigError, StorageError
    from ..telemetry.copying import end_of_log, log_through
    from ..telemetry.hold import holding
    from .database_copy import copied
    from .manifest import NAME, Manifest
    from .sinks import sink_for

    if target.is_relative_to(settings.data):
        raise ConfigError(f"{target} is in the data folder itself, and would hold itself; name another place")
    began_ms = time.time_ns() // 1_000_000
    try:
        with holding(settings.data), sink_for(target) as sink:
            logs = {_number(path): path for path in (settings.data / "log").glob("shard-*")}
            for path in _checkpoints(settings.data / "state"):
                _add_if_there(sink, settings.data, path)
            for path in _files(settings.data / "spool"):
                if path.suffix != ".json" or _is_whole(path):
                    _add_if_there(sink, settings.data, path)
            lake = _add_lake(sink, settings.lake_url)
            ends = {shard: end_of_log(path) for shard, path in logs.items()}
            with copied(engine, sorted(logs), target.parent) as database:
                sink.add(database.name, database.path)
            for shard, path in logs.items():
                marks = database.marks[shard]
                ends[shard] = max(ends[shard], marks.applied_seq, marks.lake_seq, marks.state_seq)
                for segment, length in log_through(path, ends[shard]):
                    sink.add(str(segment.relative_to(settings.data)), segment, length)
            _add_the_rest(sink, settings, target.parent)
            manifest = Manifest(
                version=__version__,
                began_ms=began_ms,
                records={f"shard-{shard}": end for shard, end in ends.items()},
                database=database.name,
                lake=lake,
                files=sink.files,
            )
            sink.add_bytes(NAME, msgspec.json.encode(manifest))
    except OSError as error:
        raise StorageError(
            f"the backup {target} could not be made: {error.strerror} ({error.filename or target}); see whether its"
            " disk has space, and who owns these places"
        ) from error
    return manifest


def _checkpoints(states: Path) -> Iterator[Path]:
    yield from sorted(states.glob("shard-*/*.state"))


def _files(place: Path) -> Iterator[Path]:
    """Files of a folder, or the file itself; without what is only just being written."""
    found = [place] if place.is_file() else place.rglob("*")
    yield from sorted(path for path in found if path.is_file() and path.suffix != ".tmp")


def _add_if_there(sink: "Sink", data: Path, path: Path) -> None:
    """Copy a file that may have been replaced by a newer one since it was listed."""
    try:
        sink.add(str(path.relative_to(data)), path)
    except FileNotFoundError:
        return


def _add_lake(sink: "Sink", url: str) -> str:
    """Copy the lake where it is a folder; what the manifest says of it."""
    from ..telemetry.copying import files_of_tables

    if "://" in url:
        return url
    for path in files_of_tables(Path(url)):
        sink.add(str(Path("lake") / path.relative_to(url)), path)
    return "included"


def _add_the_rest(sink: "Sink", settings: "Settings", beside: Path) -> None:
    """Models, the spool once more, artifacts, the key, a faultwatch.toml, and whatever else lies in the data folder."""
    import tempfile

    from .database_copy import copy_sqlite

    with tempfile.TemporaryDirectory(dir=beside, prefix=".backup-") as folder:
        places = [path for path in settings.data.iterdir() if not (path.name in OF_NO_USE or path.name.startswith("."))]
        for path in (file for place in places if str(place) != settings.lake_url for file in _files(place)):
            name = path.relative_to(settings.data)
            if str(name) in sink.files or _was_copied(path, settings):
                continue
            if _is_sqlite(path):
                draft = Path(folder) / "draft.db"
                draft.unlink(missing_ok=True)
                copy_sqlite(path, draft)
                sink.add(str(name), draft)
            else:
                _add_if_there(sink, settings.data, path)
    if settings.secret_key_file.exists() and "secret.key" not in sink.files:
        sink.add("secret.key", settings.secret_key_file)


def _was_copied(path: Path, settings: "Settings") -> bool:
    """Whether it is the database, which has been copied, or a leaving of SQLite or of saving a model."""
    if path.is_relative_to(settings.lake_url) or any(part.startswith(".") for part in path.parts[-2:]):
        return True
    return path.name.endswith(("-wal", "-shm", "-journal")) or settings.database_url == f"sqlite:///{path}"


def _is_whole(path: Path) -> bool:
    """Whether a file of JSON was written to its end; one that wasn't is of a job nobody was told of yet."""
    import msgspec

    try:
        msgspec.json.decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    return True


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except FileNotFoundError:
        return False


def _number(folder: Path) -> int:
    return int(folder.name.removeprefix("shard-"))
