"""A backup made under load holds all that was answered for before it began; restored, it goes on from there."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import psycopg
import pytest
from sqlalchemy import Engine, select

from ...fleet import device_types, models, owners, tokens, users
from ...fleet.database import connect, migrate, reading, writing
from ...fleet.secrets import open_secrets
from ...operations.database_copy import DEBIAN
from ...service import backfill
from ...service.model_store import ModelStore
from ...service.shard import Shard
from ...settings import Settings
from ...telemetry import records
from ...telemetry.hold import holding, may_delete
from ...telemetry.lake import Lake
from ...telemetry.schema import DeviceType, Sensor
from ..checkout import run
from ..service import fleet_of
from ..systems.s3 import Bucket
from .service import Service, now_ms

BEACON = DeviceType(name="beacon", sensors=(Sensor(name="level", unit="m"),), interval_s=1.0, silent_after=3)
BUSY = {
    "FAULTWATCH_LAKE_COMMIT_S": "0.3",
    "FAULTWATCH_CHECKPOINT_S": "0.6",
    "FAULTWATCH_LOG_SEGMENT_BYTES": "65536",
    "FAULTWATCH_LEARN_READINGS": "100000000",
}
"""Everything that a backup meets happens many times while one is made."""

Row = tuple[str, int, float]


@dataclass
class Load:
    """Sends rows of steady devices and of one new device a request, and remembers what was answered for."""

    service: Service
    token: str
    answered: list[Row] = field(default_factory=list)
    sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)
    start_ms: int = field(default_factory=lambda: now_ms() // 1000 * 1000 - 3_600_000)

    def run(self) -> None:
        """Send until told to stop."""
        with httpx.Client(base_url=self.service.url, timeout=60) as client:
            while not self.stopping.is_set():
                rows = self._rows()
                body = {"type": "beacon", "rows": [_json(row) for row in rows]}
                answer = client.post(
                    "/api/v1/readings",
                    content=json.dumps(body),
                    headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
                )
                assert answer.status_code == 200, answer.text
                assert answer.json()["accepted"] == len(rows)
                self.answered += rows

    def _rows(self) -> list[Row]:
        self.sent += 1
        at_ms = self.start_ms + 1000 * self.sent
        steady = [(f"steady-{n}", at_ms, n + self.sent / 1000) for n in range(20)]
        return [*steady, (f"new-{self.sent}", at_ms, 1000.0 + self.sent)]


def _json(row: Row) -> dict[str, object]:
    return {"device_id": row[0], "timestamp": row[1] / 1000, "values": {"level": row[2]}}


@dataclass(frozen=True)
class Known:
    """What was answered for, or could be seen, at a moment."""

    rows: frozenset[Row]
    alerts: frozenset[tuple[int, int | None, str, int]]
    accounts: frozenset[tuple[str, str]]
    token_hashes: frozenset[str]
    types: dict[int, DeviceType]
    models: dict[str, bytes]
    key: bytes


def known(data: Path, rows: list[Row]) -> Known:
    """What there is in a data folder now."""
    engine = connect(Settings(data=data).database_url)
    with reading(engine) as session:
        alerts = session.execute(
            select(models.Alert.id, models.Alert.device_key, models.Alert.kind, models.Alert.fired_ms)
        ).all()
        accounts = session.execute(select(models.User.email, models.User.password_hash)).all()
        hashes = session.scalars(select(models.Token.hash)).all()
        types = {entry.type_id: entry.device_type for entry in device_types.newest(session)}
    engine.dispose()
    kept = {str(p.relative_to(data)): p.read_bytes() for p in sorted((data / "models").rglob("*")) if p.is_file()}
    return Known(
        frozenset(rows),
        frozenset((row[0], row[1], row[2], row[3]) for row in alerts),
        frozenset((row[0], row[1]) for row in accounts),
        frozenset(hashes),
        types,
        kept,
        (data / "secret.key").read_bytes(),
    )


def rows_in(data: Path) -> list[Row]:
    """Every row that lake and log of a data folder at rest hold, by the names its own database gives."""
    settings = Settings(data=data)
    engine = connect(settings.database_url)
    with Shard(settings, engine, Lake(settings.lake_url), now_ms=now_ms()) as shard:
        shard.save()
        type_id = next(i for i, spec in shard.registry.types().items() if spec.name == "beacon")
        names = {entry.key: entry.device_id for known in shard.registry.load() for entry in known.entries()}
    frame = Lake(settings.lake_url).read(type_id, columns=["device_key", "timestamp", "level"])
    engine.dispose()
    stamped = frame.with_columns(pl.col("timestamp").dt.epoch("ms"))
    return [(names[key], ts, level) for key, ts, level in stamped.iter_rows()]


@dataclass
class Lived:
    """A service under load of which backups were made, and what was known when each was begun."""

    data: Path
    sent: list[Row]
    backups: dict[str, tuple[Path, Known]]


def faultwatch(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run a command of faultwatch."""
    return run([sys.executable, "-m", "src", *arguments])


def people(data: Path) -> str:
    """Make a fleet; return its token."""
    data.mkdir(parents=True)
    settings = Settings(data=data)
    engine = connect(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        owner_id = owners.add(session, "Lighthouses", now_ms())
        device_types.add(session, None, BEACON, now_ms())
        pump, _ = device_types.add(session, None, fleet_of.PUMP, now_ms())
        token = tokens.create(session, owner_id, "beacons", now_ms())
    ModelStore(data / "models", engine).keep(pump, fleet_of.detector(), now_ms(), "for the test")
    open_secrets(settings.secret_key_file)
    engine.dispose()
    return token


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Backups to a folder and to files, made while rows come in, devices register, fall silent and raise alerts."""
    folder = tmp_path_factory.mktemp("lived")
    data = folder / "data"
    token = people(data)
    backups: dict[str, tuple[Path, Known]] = {}
    with Service(data, env=BUSY) as service:
        load = Load(service, token)
        thread = threading.Thread(target=load.run)
        thread.start()
        service.until(lambda: len(known(data, []).alerts) > 10 and {"alerts": "fire"}, within_s=40)
        for name in ("folder", "file.tar", "file.tar.gz"):
            engine = connect(Settings(data=data).database_url)
            users.create(engine, f"{len(backups)}@example.com", "", "correct horse battery", "operator", None, now_ms())
            engine.dispose()
            before = known(data, list(load.answered))
            done = faultwatch("backup", folder / name, "--data", data)
            assert done.returncode == 0, done.stderr
            backups[name] = (folder / name, before)
        time.sleep(0.5)
        load.stopping.set()
        thread.join()
        assert service.get("/readyz").status_code == 200, service.log
        service.kill()
    yield Lived(data, load.answered, backups)


@pytest.mark.parametrize("name", ["folder", "file.tar", "file.tar.gz"])
def test_all_that_was_answered_for_before_is_there_once(lived: Lived, name: str, tmp_path: Path) -> None:
    source, before = lived.backups[name]
    restored = tmp_path / "restored"
    done = faultwatch("restore", source, "--data", restored)
    assert done.returncode == 0, done.stderr
    after = known(restored, [])
    assert before.alerts and before.alerts <= after.alerts
    assert before.accounts and before.accounts <= after.accounts
    assert before.token_hashes <= after.token_hashes
    assert (after.types, after.key) == (before.types, before.key)
    assert before.models and before.models == after.models
    assert (restored / "secret.key").stat().st_mode & 0o077 == 0

    rows = rows_in(restored)
    assert Counter(rows).most_common(1)[0][1] == 1, "nothing twice"
    assert before.rows and before.rows <= set(rows), "nothing lost"
    assert set(rows) <= set(lived.sent), "nothing that was never sent, or under another device's name"
    keys = known(restored, []).alerts
    assert len({alert_id for alert_id, *_ in keys}) == len(keys)


def test_a_restored_folder_is_served_and_takes_readings(lived: Lived, tmp_path: Path) -> None:
    source, before = lived.backups["file.tar"]
    restored = tmp_path / "restored"
    assert faultwatch("restore", source, "--data", restored).returncode == 0
    engine = connect(Settings(data=restored).database_url)
    with writing(engine) as session:
        token = tokens.create(session, 1, "again", now_ms())
    engine.dispose()
    with Service(restored, env=BUSY) as service:
        service.until_ready()
        fresh = [("steady-1", now_ms(), 1.5), ("never-seen", now_ms(), 2.5)]
        assert service.send(token, [_json(row) for row in fresh], "beacon")["accepted"] == 2
        some = sorted(before.rows)[0]
        again = service.send(token, [_json(some)], "beacon")
        assert again["accepted"] == 0 or again["unchecked"] == 1, "a row that is there is not taken again"
    assert "shard.recovered" in service.log
    done = faultwatch("doctor", "--data", restored)
    assert done.returncode == 0, done.stdout


def test_the_service_under_backup_lost_nothing_either(lived: Lived, tmp_path: Path) -> None:
    copy = shutil.copytree(lived.data, tmp_path / "data")
    assert sorted(rows_in(copy)) == sorted(lived.sent)


def test_a_folder_that_holds_something_is_left_alone(lived: Lived, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    done = faultwatch("restore", lived.backups["file.tar"][0], "--data", tmp_path)
    assert done.returncode == 2
    assert "holds something; a backup goes into an empty folder" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize("name", ["folder", "file.tar", "file.tar.gz"])
def test_a_backup_that_was_cut_off_or_changed_is_refused(lived: Lived, name: str, tmp_path: Path) -> None:
    source = lived.backups[name][0]
    broken = tmp_path / name
    if source.is_dir():
        shutil.copytree(source, broken)
        victim = next(broken.rglob("*.parquet"))
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    else:
        content = bytearray(source.read_bytes())
        broken.write_bytes(content[: len(content) * 2 // 3])
    done = faultwatch("restore", broken, "--data", tmp_path / "restored")
    assert done.returncode == 2, done.stdout
    assert "damaged" in done.stderr or "can't be read as a tar" in done.stderr or "no backup" in done.stderr
    assert list((tmp_path / "restored").iterdir()) == []


def test_an_unfinished_backup_and_something_else_are_refused(lived: Lived, tmp_path: Path) -> None:
    unfinished = shutil.copytree(lived.backups["folder"][0], tmp_path / "unfinished")
    (unfinished / "backup.json").unlink()
    for source, words in ((unfinished, "never finished"), (tmp_path / "nowhere", "there is no")):
        done = faultwatch("restore", source, "--data", tmp_path / "restored")
        assert done.returncode == 2 and words in done.stderr


def test_names_that_are_taken_are_refused(lived: Lived) -> None:
    for target, words in (
        (lived.backups["folder"][0], "is there already"),
        (lived.backups["file.tar"][0], "is there already"),
        (lived.data / "copy.tar", "in the data folder itself"),
    ):
        done = faultwatch("backup", target, "--data", lived.data)
        assert done.returncode == 2 and words in done.stderr


def test_a_backup_is_for_its_maker_only_and_lean(lived: Lived) -> None:
    folder, archive = lived.backups["folder"][0], lived.backups["file.tar"][0]
    assert archive.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.name for path in folder.iterdir()} == {
        "backup.json", "faultwatch.db", "lake", "log", "models", "secret.key", "state",
    }  # fmt: skip
    assert not list(folder.parent.glob("*.unfinished")) + list(folder.parent.glob(".backup-*"))


@pytest.fixture
def at_rest(tmp_path: Path) -> tuple[Settings, Engine, int]:
    """A data folder that nothing runs on."""
    settings = Settings(data=tmp_path / "data")
    settings.data.mkdir()
    engine, type_id = fleet_of.database(settings)
    return settings, engine, type_id


def test_nothing_is_deleted_while_a_folder_is_copied(at_rest: tuple[Settings, Engine, int]) -> None:
    settings, engine, type_id = at_rest
    small = settings.model_copy(update={"log_segment_bytes": 1000})
    with Shard(small, engine, Lake(settings.lake_url), now_ms=fleet_of.START_MS) as shard:
        shard.append_and_apply(list(fleet_of.introduction(type_id, fleet_of.PUMP, [1], None)))
        for minute in range(60):
            rows = fleet_of.readings(type_id, [1], range(minute, minute + 1))
            shard.append_and_apply([records.Rows.of(fleet_of.START_MS, rows)])
        with holding(settings.data), holding(settings.data):
            for _ in range(2):
                shard.save()
            assert shard.log.first_seq == 1
            with may_delete(settings.data) as free:
                assert not free
        shard.append_and_apply([records.Tick(now_ms=fleet_of.START_MS)])
        shard.save()
        assert shard.log.first_seq > 1
    engine.dispose()


def test_a_service_that_is_stopped_is_backed_up_as_well(at_rest: tuple[Settings, Engine, int], tmp_path: Path) -> None:
    settings, engine, type_id = at_rest
    engine.dispose()
    (settings.data / "artifacts").mkdir()
    (settings.data / "artifacts" / "report.json").write_text("{}")
    done = faultwatch("backup", tmp_path / "b.tar", "--data", settings.data)
    assert done.returncode == 0, done.stderr
    done = faultwatch("restore", tmp_path / "b.tar", "--data", tmp_path / "restored")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "restored" / "artifacts" / "report.json").read_text() == "{}"


def test_a_file_on_its_way_in_is_taken_in_to_its_end(at_rest: tuple[Settings, Engine, int], tmp_path: Path) -> None:
    settings, engine, type_id = at_rest
    history = fleet_of.readings(type_id, [1], range(400))
    with Shard(settings, engine, Lake(settings.lake_url), now_ms=fleet_of.START_MS) as shard:
        [pump] = shard.registry.register(1, [("pump-001", type_id, None)], fleet_of.START_MS)
        assert pump.key == 1
        shard.sync(fleet_of.START_MS)
        jobs = [
            backfill.spool_job(
                settings.data, engine, file_name=f"{name}.csv", file_hash=name, owner_id=1, readings=rows, learn=0,
                now_ms=fleet_of.START_MS,
            )
            for name, rows in (("first", history.take(np.arange(200))), ("second", history.take(np.arange(200, 400))))
        ]  # fmt: skip
        # The first is logged and in no checkpoint yet; the second waits.
        for batch in backfill.batches(settings.data, backfill.read_manifest(settings.data, jobs[0].id), jobs[0], 0):
            shard.append_and_apply(batch)
    engine.dispose()
    assert faultwatch("backup", tmp_path / "b.tar", "--data", settings.data).returncode == 0
    restored = tmp_path / "restored"
    assert faultwatch("restore", tmp_path / "b.tar", "--data", restored).returncode == 0
    with Service(restored, env={"FAULTWATCH_LAKE_COMMIT_S": "0.2"}) as service:
        engine = connect(Settings(data=restored).database_url)

        def states() -> set[str]:
            with reading(engine) as session:
                return set(session.scalars(select(models.BackfillJob.state)))

        service.until(lambda: states() == {"done"} and {"jobs": "done"}, within_s=40)
        engine.dispose()
    kept = Lake(str(restored / "lake")).read(type_id, columns=["device_key", "timestamp", "flow"])
    assert kept["timestamp"].dt.epoch("ms").to_list() == history.ts.tolist()
    assert kept["flow"].to_list() == history.values[:, 0].tolist()


def test_postgresql_is_copied_by_pg_dump_at_one_moment(postgresql: str, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", database_url=postgresql)
    settings.data.mkdir()
    engine, type_id = fleet_of.database(settings)
    with Shard(settings, engine, Lake(settings.lake_url), now_ms=fleet_of.START_MS) as shard:
        shard.append_and_apply(list(fleet_of.introduction(type_id, fleet_of.PUMP, [], None)))
        shard.save()
        last = shard.log.last_seq
    engine.dispose()
    done = run(
        [sys.executable, "-m", "src", "backup", tmp_path / "b", "--data", settings.data],
        env={"FAULTWATCH_DATABASE_URL": postgresql},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "b" / "backup.json").read_text())["records"] == {"shard-0": last}
    done = faultwatch("restore", tmp_path / "b", "--data", tmp_path / "restored")
    assert "pg_restore --no-owner" in done.stdout

    address = postgresql.replace("postgresql+psycopg", "postgresql")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    pg_restore = max(DEBIAN.glob("*/bin/pg_restore"))
    loaded = run([pg_restore, "--no-owner", f"--dbname={address}", tmp_path / "restored" / "database.dump"])
    assert loaded.returncode == 0, loaded.stderr
    engine = connect(postgresql)
    with Shard(settings.model_copy(update={"data": tmp_path / "restored", "lake_url": str(tmp_path / "restored/lake")}),
               engine, Lake(str(tmp_path / "restored/lake")), now_ms=fleet_of.START_MS) as shard:  # fmt: skip
        assert shard.log.last_seq == last + 1
        assert {spec.name for spec in shard.registry.types().values()} == {"pump"}
    engine.dispose()


def test_a_lake_in_a_bucket_is_named_and_guarded(moto_server: Bucket, tmp_path: Path) -> None:
    url = f"{moto_server.url}/lake"
    settings = Settings(data=tmp_path / "data", lake_url=url)
    settings.data.mkdir()
    engine, type_id = fleet_of.database(settings)
    with Shard(settings, engine, Lake(url), now_ms=fleet_of.START_MS) as shard:
        shard.append_and_apply(list(fleet_of.introduction(type_id, fleet_of.PUMP, [1], None)))
        shard.save()
        env = {"FAULTWATCH_LAKE_URL": url}
        done = run([sys.executable, "-m", "src", "backup", tmp_path / "b.tar", "--data", settings.data], env=env)
        assert done.returncode == 0, done.stderr
        assert f"not in it: the lake at {url}" in done.stderr
        done = run([sys.executable, "-m", "src", "restore", tmp_path / "b.tar", "--data", tmp_path / "one"], env=env)
        assert done.returncode == 0, done.stderr
        shard.append_and_apply([records.Tick(now_ms=fleet_of.START_MS)])
        shard.save()
    engine.dispose()
    done = run([sys.executable, "-m", "src", "restore", tmp_path / "b.tar", "--data", tmp_path / "two"], env=env)
    assert done.returncode == 2
    assert "bring the bucket back to its versions of" in done.stderr
    assert list((tmp_path / "two").iterdir()) == []
