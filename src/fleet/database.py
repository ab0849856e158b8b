"""The way to the fleet database: an engine for SQLite or PostgreSQL, its transactions, its migrations.

A transaction says what it is for, because the two databases then need different care:

* `reading`: one consistent view; never waits for a writer.
* `writing`: what people and devices were answered for (an account, a token, a device, an acknowledgement).
  On the disk before the call returns, power cut or not.
* `applying`: what the log can do again (alerts, outbox, `applied_seq`). Atomic, but a power cut may take back
  the last of them: the replay from `applied_seq` repairs that, so the loop doesn't pay for an fsync per step.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    String,
    cast,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import ArgumentError, DataError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.pool import ConnectionPoolEntry

from ..exceptions import ConfigError, StorageError
from .models import Base

MIGRATIONS = Path(__file__).parent / "migrations"
PURPOSE = "faultwatch_purpose"
"""Name of the execution option that says what a transaction is for: `reading`, `writing`, `applying`, `migrating`."""
BUSY_MS = 10_000
"""How long SQLite waits for another writer before it gives up."""
MIGRATION_WAIT_MS = 60_000
_MIGRATION_LOCK = 7_305_291_164_001
"""Key of PostgreSQL's advisory lock for migrations; any number that nothing else uses."""


def connect(url: str) -> Engine:
    """Return an engine for `sqlite:///FILE` or `postgresql://…`; nothing is opened yet.

    Raises ConfigError where the address is neither.
    """
    try:
        address = make_url(url)
        if address.drivername == "postgresql":
            address = address.set(drivername="postgresql+psycopg")
        if address.drivername == "postgresql+psycopg":
            engine = create_engine(address, pool_pre_ping=True, connect_args={"connect_timeout": 10})
            event.listen(engine, "begin", _begin_postgresql)
            event.listen(engine, "handle_error", _refuse_value)
            return engine
        if address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:"):
            engine = create_engine(address, connect_args={"timeout": BUSY_MS / 1000})
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            event.listen(engine, "handle_error", _refuse_value)
            return engine
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"database_url {_without_password(url)!r} can't be read: {error}") from error
    raise ConfigError(
        f"database_url {_without_password(url)!r}: expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that only reads, all from one moment. Raises StorageError where the database doesn't answer."""
    with _translated(engine), Session(engine.execution_options(**{PURPOSE: "reading"})) as session:
        yield session


@contextmanager
def writing(engine: Engine) -> Iterator[Session]:
    """A session that commits at its end, durably; an exception takes all of it back.

    Raises StorageError where the database doesn't answer, or another writer holds it for too long.
    """
    with _translated(engine), Session(engine.execution_options(**{PURPOSE: "writing"})) as session, session.begin():
        yield session


@contextmanager
def applying(engine: Engine) -> Iterator[Session]:
    """A session for what the log can replay: commits at its end, without waiting for the disk."""
    with _translated(engine), Session(engine.execution_options(**{PURPOSE: "applying"})) as session, session.begin():
        yield session


def may_write(session: Session) -> bool:
    """Whether the session is one of `writing` or `applying`."""
    return session.connection().get_execution_options().get(PURPOSE) in ("writing", "applying")


def among(
    session: Session, column: InstrumentedAttribute[Any], values: Iterable[int] | Iterable[str]
) -> ColumnElement[bool]:
    """The condition `column IN values` for any number of values, as one parameter."""
    given = list(values)
    if session.get_bind().dialect.name == "postgresql":
        array = ARRAY(String() if isinstance(column.type, String) else BigInteger())
        return column == func.any(cast(given, array))
    return column.in_(select(func.json_each(json.dumps(given)).table_valued("value").c.value))


def migrate(engine: Engine) -> None:
    """Bring the database to this version's tables; does nothing where it is there already.

    Processes that start at once wait for each other. Raises StorageError where the database was written by a
    newer faultwatch, can't be reached, or is held by another program.
    """
    with _translated(engine):
        if engine.dialect.name == "sqlite":
            _keep_write_ahead_log(engine)
        with engine.execution_options(**{PURPOSE: "migrating"}).connect() as connection:
            connection.detach()  # it comes with foreign keys off, so it doesn't go back to the pool
            with connection.begin():
                _migrate_within(connection)


def revision(engine: Engine) -> str | None:
    """The database's revision, None where it is empty."""
    with _translated(engine), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def answers(engine: Engine) -> None:
    """Ask the database for an answer. Raises StorageError where there is none, or its file is gone."""
    if engine.dialect.name == "sqlite" and not Path(str(engine.url.database)).exists():
        raise StorageError(
            f"there is no database at {engine.url.database}; where there was one, stop faultwatch and restore the file,"
            " or the data folder, from a backup"
        )
    with reading(engine) as session:
        session.execute(text("SELECT 1"))


def newest_revision() -> str:
    """The revision that `migrate` brings a database to."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    head = ScriptDirectory.from_config(config).get_current_head()
    assert head is not None, "this package has migrations"
    return head


def damage(engine: Engine) -> str | None:
    """What is wrong with a SQLite file's pages and indexes, None where nothing is; PostgreSQL looks after its own."""
    if engine.dialect.name != "sqlite":
        return None
    with reading(engine) as session:
        found = session.execute(text("PRAGMA quick_check(3)")).scalars().all()
    return None if list(found) == ["ok"] else "; ".join(map(str, found))


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for scripts of this package, wherever and under whatever name it is installed."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["metadata"] = Base.metadata
    return config


def _migrate_within(connection: Connection) -> None:
    config = alembic_config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    found = MigrationContext.configure(connection).get_current_heads()
    if unknown := sorted(set(found) - known):
        raise StorageError(
            f"the database is of a newer faultwatch (revision {', '.join(unknown)}); expected one of"
            f" {', '.join(sorted(known))}. Start that newer version, or restore a backup made by this one"
        )
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":
        if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall():
            raise StorageError(f"the migration would leave rows that point nowhere: {broken[:5]}; nothing was changed")


def _keep_write_ahead_log(engine: Engine) -> None:
    """Readers and the writer of a SQLite file don't wait for each other in this mode, which the file remembers."""
    deadline = time.monotonic() + BUSY_MS / 1000
    with engine.connect() as connection:
        cursor = connection.connection.cursor()
        while True:
            try:
                mode = cursor.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                break
            except sqlite3.OperationalError:
                # The switch doesn't wait for another process that is at it, as SQLite's other locks do.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
    if mode != "wal":
        raise StorageError(f"SQLite can't keep a write-ahead log at {engine.url.database}; put it on a local disk")


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # transactions begin in _begin_sqlite, not in sqlite3
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()


def _refuse_value(context: ExceptionContext) -> None:
    """Raise ConfigError where a value came from outside that no database can hold: that is no fault of ours."""
    reason = context.original_exception
    if isinstance(context.sqlalchemy_exception, DataError) or isinstance(reason, OverflowError | UnicodeEncodeError):
        raise ConfigError(
            "a value can't be kept: expected text without zero characters and half characters, and numbers that 64 bits"
            " can hold"
        ) from reason


def _begin_sqlite(connection: Connection) -> None:
    purpose = connection.get_execution_options().get(PURPOSE)
    if purpose in (None, "reading"):
        connection.exec_driver_sql("BEGIN")
        return
    if purpose == "migrating":
        # SQLite changes a table by making it anew, which must not drop the rows that point to it.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql(f"PRAGMA busy_timeout={MIGRATION_WAIT_MS}")
    connection.exec_driver_sql(f"PRAGMA synchronous={'NORMAL' if purpose == 'applying' else 'FULL'}")
    # A reader that turns into a writer fails at once when another has written since; so writers say so at the start.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_postgresql(connection: Connection) -> None:
    purpose = connection.get_execution_options().get(PURPOSE)
    if purpose == "migrating":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
    elif purpose == "reading":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    elif purpose == "applying":
        connection.exec_driver_sql("SET LOCAL synchronous_commit TO OFF")


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, sqlite3.OperationalError) as error:
        raise StorageError(_explain(engine, str(getattr(error, "orig", error)))) from error


def _explain(engine: Engine, reason: str) -> str:
    place = engine.url.render_as_string(hide_password=True)
    reason = reason.strip().splitlines()[0] if reason.strip() else "no reason given"
    if "database is locked" in reason:
        return f"the database {place} is held by another program ({reason}); end that program, then try again"
    if "unable to open" in reason:
        return f"the database {place} can't be opened ({reason}); check that its folder exists and may be written"
    if "readonly" in reason or "read-only" in reason:
        return f"the database {place} may not be written ({reason}); check who owns the file"
    if "no such table" in reason:
        return f"the database {place} lacks a table ({reason}); run `faultwatch migrate`"
    if "disk is full" in reason:
        return f"the database {place} can't grow ({reason}); free some space, then try again"
    return f"the database {place} doesn't answer: {reason}"


def _without_password(url: str) -> str:
    scheme, found, rest = url.partition("://")
    credentials, at, host = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{found}{user}:***{at}{host}" if at and ":" in credentials else url
