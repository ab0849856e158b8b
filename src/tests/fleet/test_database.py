"""The fleet database: migrations, transactions, and what a person reads when it can't be used."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, func, insert, inspect, select, text

from ...exceptions import ConfigError, StorageError
from ...fleet import database
from ...fleet.models import Base, Channel, Device, DeviceType, Outbox, Owner, Token


def upgrade(engine: Engine, revision: str) -> None:
    """Bring an empty database to an older revision, as an older faultwatch did."""
    with engine.execution_options(**{database.PURPOSE: "migrating"}).connect() as connection:
        connection.detach()
        with connection.begin():
            command.upgrade(database.alembic_config(connection), revision)


def test_migrating_twice_changes_nothing(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    before = database.revision(engine)
    database.migrate(engine)
    assert before == database.revision(engine) == "0006"
    engine.dispose()


def test_migrations_make_what_the_models_say(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    found = inspect(engine)
    for table in Base.metadata.sorted_tables:
        made = {(index["name"], bool(index["unique"])) for index in found.get_indexes(table.name)}
        assert {(str(index.name), index.unique) for index in table.indexes} <= made
        checks = {check["name"] for check in found.get_check_constraints(table.name)}
        assert {c.name for c in table.constraints if str(c.name).startswith("ck_")} <= checks
    engine.dispose()


def test_rows_of_an_older_version_are_carried_over(database_url: str) -> None:
    engine = database.connect(database_url)
    upgrade(engine, "0001")
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO owners (id, name, created_ms) VALUES (1, 'Nordwind', 7)"))
        connection.execute(
            text(
                "INSERT INTO tokens (id, owner_id, name, prefix, hash, may_register, created_ms)"
                " VALUES (1, 1, 'gateway', 'fw_ab', 'c0ffee', :yes, 8)"
            ),
            {"yes": True},
        )
        connection.execute(
            text(
                "INSERT INTO channels (id, owner_id, name, kind, address, min_severity, created_ms)"
                " VALUES (1, 1, 'on call', 'webhook', 'sealed', 'warning', 9)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO alerts (id, owner_id, kind, rule, state, severity, fired_ms, sentence, historic)"
                " VALUES (5, 1, 'anomaly', -1, 'resolved', 'warning', 9, 'odd', :no)"
            ),
            {"no": False},
        )
        connection.execute(
            text(
                "INSERT INTO outbox (id, idempotency_key, alert_id, channel_id, payload, state, attempts, created_ms,"
                " next_attempt_ms) VALUES (3, 'k', 5, 1, '{}', 'pending', 2, 9, 10)"
            )
        )
        connection.execute(
            text(
                "INSERT INTO alerts (id, owner_id, kind, rule, state, severity, fired_ms, sentence, historic)"
                " VALUES (9, 1, 'anomaly', -1, 'firing', 'warning', 9, 'odd', :no)"
            ),
            {"no": False},
        )
        connection.execute(text("DELETE FROM alerts WHERE id = 9"))
    database.migrate(engine)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            last = connection.execute(text("SELECT seq FROM sqlite_sequence WHERE name = 'alerts'")).scalar_one()
        assert last == 9, "an id that was given isn't given again"
    with database.reading(engine) as session:
        token = session.scalars(select(Token)).one()
        assert (token.name, token.scope, token.created_ms) == ("gateway", "write", 8)
        assert not session.scalars(select(Channel)).one().disabled
        notice = session.scalars(select(Outbox)).one()
        assert (notice.id, notice.alert_id, notice.attempts, notice.state) == (3, 5, 2, "pending")
    engine.dispose()


def test_processes_that_start_at_once_wait_for_each_other(database_url: str) -> None:
    code = (
        "import sys; from {0}.fleet import database as d; e = d.connect(sys.argv[1]); d.migrate(e);"
        " print(d.revision(e))"
    )
    root, _, _ = __package__.partition(".")
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", code.format(root), database_url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
            text=True,
        )
        for _ in range(2)
    ]
    answers = [start.communicate(timeout=60) for start in starts]
    assert [out.strip() for out, _ in answers] == ["0006", "0006"], answers


def test_a_newer_database_is_left_alone(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(
        StorageError, match=r"newer faultwatch \(revision 9999\); expected one of 0001, 0002, 0003, 0004"
    ):
        database.migrate(engine)
    engine.dispose()


def test_a_reader_sees_one_moment_and_does_not_wait(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    with database.reading(engine) as reader:
        assert reader.scalar(select(func.count()).select_from(Owner)) == 0
        with database.writing(engine) as writer:
            writer.execute(insert(Owner).values(name="Nordwind", created_ms=1))
        assert reader.scalar(select(func.count()).select_from(Owner)) == 0
    with database.reading(engine) as reader:
        assert reader.scalar(select(func.count()).select_from(Owner)) == 1
    engine.dispose()


@pytest.mark.parametrize("purpose", [database.writing, database.applying])
def test_an_exception_takes_all_of_it_back(database_url: str, purpose: object) -> None:
    assert purpose in (database.writing, database.applying)
    transaction = database.writing if purpose is database.writing else database.applying
    engine = database.connect(database_url)
    database.migrate(engine)
    with pytest.raises(RuntimeError), transaction(engine) as session:
        assert database.may_write(session)
        session.execute(insert(Owner).values(name="Nordwind", created_ms=1))
        raise RuntimeError("half way")
    with database.reading(engine) as session:
        assert not database.may_write(session)
        assert session.scalar(select(func.count()).select_from(Owner)) == 0
    engine.dispose()


def test_writers_queue_up(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)

    def add(number: int) -> None:
        for turn in range(10):
            with database.writing(engine) as session:
                known = session.scalar(select(func.count()).select_from(Owner)) or 0
                session.execute(insert(Owner).values(name=f"{number}-{turn}", created_ms=known))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading(engine) as session:
        assert session.scalar(select(func.count()).select_from(Owner)) == 40
    engine.dispose()


def test_a_device_key_is_never_given_twice(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    with database.writing(engine) as session:
        session.execute(insert(Owner).values(id=1, name="Nordwind", created_ms=1))
        session.execute(insert(DeviceType).values(id=1, name="pump"))

    def add() -> int:
        values = dict(owner_id=1, device_id="a", name="a", type_id=1, registered_ms=1)
        with database.writing(engine) as session:
            key = session.scalar(insert(Device).values(**values).returning(Device.id))
            session.execute(text("DELETE FROM devices"))
        assert key is not None
        return int(key)

    assert add() < add()
    engine.dispose()


def test_a_held_database_says_so(tmp_path: Path) -> None:
    path = tmp_path / "fleet.sqlite"
    database.migrate(database.connect(f"sqlite:///{path}"))
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="is held by another program"), database.writing(engine) as session:
        session.execute(insert(Owner).values(name="Nordwind", created_ms=1))
    other.close()
    engine.dispose()


def test_a_missing_folder_says_so(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'nowhere' / 'fleet.sqlite'}")
    with pytest.raises(StorageError, match="check that its folder exists"):
        database.migrate(engine)


def test_a_missing_server_says_so_without_its_password() -> None:
    engine = database.connect("postgresql://fleet:hunter2@127.0.0.1:1/fleet")
    with pytest.raises(StorageError, match="doesn't answer") as caught:
        database.migrate(engine)
    assert "hunter2" not in str(caught.value)


def test_a_database_that_was_never_migrated_says_what_to_run(tmp_path: Path) -> None:
    engine = database.connect(f"sqlite:///{tmp_path / 'fleet.sqlite'}")
    with pytest.raises(StorageError, match="run `faultwatch migrate`"), database.reading(engine) as session:
        session.scalars(select(Owner)).all()
    engine.dispose()


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:hunter2@h/d", "fleet.db", "oracle+x://y"]
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="database_url") as caught:
        database.connect(url)
    assert "hunter2" not in str(caught.value)


def test_a_value_that_no_column_can_hold_is_no_bug(database_url: str) -> None:
    engine = database.connect(database_url)
    database.migrate(engine)
    with pytest.raises(ConfigError, match="can't be kept"), database.reading(engine) as session:
        session.get(Device, 2**70)
    with pytest.raises(ConfigError, match="can't be kept"), database.writing(engine) as session:
        session.execute(insert(Owner).values(name="half \ud800", created_ms=1))
    if engine.dialect.name == "postgresql":
        with pytest.raises(ConfigError, match="zero characters"), database.writing(engine) as session:
            session.execute(insert(Owner).values(name="zero \0", created_ms=1))
    engine.dispose()
