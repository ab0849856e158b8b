"""A copy of the fleet database as it is at one moment, while it is written to."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from ..exceptions import ConfigError, StorageError
from ..fleet import watermarks
from ..fleet.database import connect, reading
from ..fleet.watermarks import Watermarks

SQLITE_NAME = "faultwatch.db"
POSTGRESQL_NAME = "database.dump"
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class DatabaseCopy:
    """The file, the name it has in a backup, and how far each shard had gone at that moment."""

    path: Path
    name: str
    marks: dict[int, Watermarks]


@contextmanager
def copied(engine: Engine, shards: list[int], beside: Path) -> Iterator[DatabaseCopy]:
    """A copy, in a file beside a place, for as long as what is inside runs."""
    with tempfile.TemporaryDirectory(dir=beside, prefix=".backup-") as folder:
        if engine.dialect.name == "sqlite":
            yield _of_sqlite(engine, shards, Path(folder))
        else:
            yield _of_postgresql(engine, shards, Path(folder))


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite file by SQLite's online backup, in one step: all from one moment, and no writer waits."""
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
    except sqlite3.Error as error:
        raise StorageError(
            f"the database {source} can't be copied: {error}; `faultwatch doctor` looks at it"
        ) from error


def _of_sqlite(engine: Engine, shards: list[int], folder: Path) -> DatabaseCopy:
    target = folder / SQLITE_NAME
    copy_sqlite(Path(str(engine.url.database)), target)
    inside = connect(f"sqlite:///{target}")
    try:
        with reading(inside) as session:
            marks = {shard: watermarks.read(session, shard) for shard in shards}
    finally:
        inside.dispose()
    return DatabaseCopy(target, SQLITE_NAME, marks)


def _of_postgresql(engine: Engine, shards: list[int], folder: Path) -> DatabaseCopy:
    """What pg_dump writes, of the very moment at which the marks were read."""
    target = folder / POSTGRESQL_NAME
    url = engine.url
    command = [str(_pg_dump()), "--format=custom", "--no-owner", f"--file={target}", f"--dbname={url.database}"]
    command += [f"--{name}={value}" for name, value in (("host", url.host), ("port", url.port)) if value]
    command += [f"--username={url.username}"] if url.username else []
    environment = {**os.environ, **({"PGPASSWORD": str(url.password)} if url.password else {})}
    with reading(engine) as session:
        marks = {shard: watermarks.read(session, shard) for shard in shards}
        snapshot = session.scalar(text("SELECT pg_export_snapshot()"))
        done = subprocess.run(
            [*command, f"--snapshot={snapshot}"], env=environment, capture_output=True, text=True, errors="replace"
        )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise StorageError(f"pg_dump failed: {said[-1]}; expected one that is as new as the server")
    return DatabaseCopy(target, POSTGRESQL_NAME, marks)


def _pg_dump() -> Path:
    """pg_dump, the newest where several are installed. Raises ConfigError where there is none."""
    installed = sorted(DEBIAN.glob("*/bin/pg_dump"), key=lambda path: int(path.parent.parent.name))
    if installed:
        return installed[-1]
    found = shutil.which("pg_dump")
    if found is None:
        raise ConfigError(
            "the database is PostgreSQL, whose copy pg_dump makes, and there is none on the PATH; install the system"
            " package postgresql-client"
        )
    return Path(found)
