"""`faultwatch doctor`: each thing that can be wrong has its line, and a healthy service has none that failed."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from ...fleet import channels
from ...fleet.channels import Target
from ...fleet.database import connect, writing
from ...fleet.secrets import open_secrets
from ...service.shard import Shard
from ...settings import Settings
from ...telemetry import records
from ...telemetry.lake import Lake
from ..checkout import run
from ..service import fleet_of
from .service import Fleet, Service, now_ms, rows_at


def doctor(data: Path, env: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    return run([sys.executable, "-m", "src", "doctor", "--data", data], env=env)


def found(text: str) -> dict[str, tuple[str, str]]:
    """The worst finding about each subject."""
    order = ("ok", "warn", "fail")
    worst: dict[str, tuple[str, str]] = {}
    for line in text.splitlines()[:-1]:
        level, subject, words = line[:5].strip(), line[6:18].strip(), line[19:]
        if subject not in worst or order.index(level) > order.index(worst[subject][0]):
            worst[subject] = (level, words)
    return worst


@pytest.fixture(scope="module")
def lived_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with log, checkpoint, lake, model and refused rows, at rest."""
    data = tmp_path_factory.mktemp("lived") / "data"
    data.mkdir()
    settings = Settings(data=data)
    engine, type_id = fleet_of.database(settings)
    lake = Lake(settings.lake_url)
    at = now_ms()
    with Shard(settings, engine, lake, now_ms=at) as shard:
        kept = shard.models.keep(type_id, fleet_of.detector(), at, "for the test")
        shard.append_and_apply(
            [*fleet_of.introduction(type_id, fleet_of.PUMP, range(1, 9), (kept.model, kept.version))]
        )
        for minute in range(30):
            shard.append_and_apply(
                [records.Rows.of(at + minute, fleet_of.readings(type_id, range(1, 9), range(minute, minute + 1)))]
            )
        bad = records.BadRow(1, type_id, "pump-003", "future", "the timestamp is an hour ahead", "{}")
        shard.append_and_apply([records.Quarantined(now_ms=at, rows=(bad,))])
        shard.save()
        shard.append_and_apply([records.Tick(now_ms=at)])
        shard.publish(at)
    engine.dispose()
    open_secrets(settings.secret_key_file)
    return data


@pytest.fixture
def data(lived_in: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may break."""
    yield shutil.copytree(lived_in, tmp_path / "data")


def test_a_folder_in_order_has_nothing_that_failed(data: Path) -> None:
    done = doctor(data)
    assert done.returncode == 0, done.stdout
    about = found(done.stdout)
    assert about["database"][0] == about["log"][0] == about["checkpoint"][0] == about["lake"][0] == "ok"
    assert about["models"] == ("ok", "pump: version 1")
    assert "240 readings" in about["lake"][1]
    assert about["refused"][0] == "warn"
    assert "1 of them future, such as device 'pump-003'" in about["refused"][1]
    assert "set the clocks of these devices right" in about["refused"][1]
    assert about["service"] == ("warn", "not running; `faultwatch serve` starts it")
    assert done.stdout.splitlines()[-1].endswith(" 0 failed")


def test_looking_changes_nothing(data: Path) -> None:
    def contents() -> dict[str, bytes]:
        files = (path for path in data.rglob("*") if path.is_file() and not path.name.endswith(("-shm", "-wal")))
        return {str(path): path.read_bytes() for path in files}

    before = contents()
    doctor(data)
    assert contents() == before


def breakage(data: Path) -> dict[str, tuple[str, str]]:
    """What is found once something was broken, the exit code being 1."""
    done = doctor(data)
    assert done.returncode == 1, done.stdout
    return found(done.stdout)


def test_a_damaged_record_is_named_by_file_and_place(data: Path) -> None:
    (segment,) = (data / "log" / "shard-0").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[200] ^= 0xFF
    segment.write_bytes(content)
    level, words = breakage(data)["log"]
    assert level == "fail"
    assert f"{segment} is damaged at byte" in words and "Restore this file from a copy" in words


def test_a_log_that_lost_its_end_is_told(data: Path) -> None:
    (segment,) = (data / "log" / "shard-0").glob("*.log")
    os.truncate(segment, 200)
    level, words = breakage(data)["log"]
    assert level == "fail" and "records were lost" in words


def test_a_damaged_checkpoint_and_none_that_reaches_the_log(data: Path) -> None:
    (state,) = (data / "state" / "shard-0").glob("*.state")
    content = bytearray(state.read_bytes())
    content[-1] ^= 0xFF
    state.write_bytes(content)
    done = doctor(data)
    assert "warn  checkpoint   the checkpoint" in done.stdout and "is damaged" in done.stdout


def test_a_file_missing_from_the_lake_is_named(data: Path) -> None:
    lost = next((data / "lake" / "readings").rglob("*.parquet"))
    lost.unlink()
    level, words = breakage(data)["lake"]
    assert level == "fail" and lost.name in words and "from a backup" in words


def test_a_model_that_is_gone_is_told(data: Path) -> None:
    shutil.rmtree(data / "models")
    level, words = breakage(data)["models"]
    assert level == "fail" and "restore the folder or train again" in words


def test_a_database_of_another_version_or_none_at_all(data: Path) -> None:
    engine = connect(Settings(data=data).database_url)
    with writing(engine) as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    level, words = found(doctor(data).stdout)["database"]
    assert level == "warn" and "`faultwatch migrate` brings it there" in words
    for path in data.glob("faultwatch.db*"):
        path.unlink()
    level, words = breakage(data)["database"]
    assert level == "fail" and "there is no database at" in words
    assert not (data / "faultwatch.db").exists()


def test_a_damaged_database_is_told(data: Path) -> None:
    database = data / "faultwatch.db"
    engine = connect(Settings(data=data).database_url)
    with writing(engine) as session:
        session.connection().exec_driver_sql("CREATE TABLE filler AS SELECT randomblob(60000) AS x")
    engine.dispose()
    content = bytearray(database.read_bytes())
    content[3 * 4096 : 9 * 4096] = bytes(6 * 4096)
    database.write_bytes(content)
    level, words = breakage(data)["database"]
    assert level == "fail" and ("damaged" in words or "malformed" in words)


def test_a_key_that_others_may_read_and_a_key_of_another_folder(data: Path, tmp_path: Path) -> None:
    settings = Settings(data=data)
    settings.secret_key_file.chmod(0o644)
    assert "chmod 600" in breakage(data)["secret key"][1]
    settings.secret_key_file.chmod(0o600)
    engine = connect(settings.database_url)
    with writing(engine) as session:
        other = open_secrets(tmp_path / "other.key")
        channels.add(session, other, 1, "ops", Target("webhook", "https://example.com/x", None), now_ms())
    engine.dispose()
    level, words = breakage(data)["notices"]
    assert level == "fail" and "encrypted with another key" in words


def test_a_clock_that_was_set_back_is_told(data: Path) -> None:
    (segment,) = (data / "log" / "shard-0").glob("*.log")
    ahead = time.time() + 7200
    os.utime(segment, (ahead, ahead))
    level, words = breakage(data)["clock"]
    assert level == "fail" and "before files that faultwatch wrote" in words


def test_settings_that_mean_nothing_or_make_no_sense(data: Path) -> None:
    done = doctor(data, env={"FAULTWATCH_PROT": "1"})
    assert "FAULTWATCH_PROT is not a setting; did you mean FAULTWATCH_PORT?" in done.stdout
    done = doctor(data, env={"FAULTWATCH_PORT": "far"})
    assert done.returncode == 1
    assert found(done.stdout)["settings"][0] == "fail"


def test_a_folder_that_is_not_there_is_told_how_to_make(tmp_path: Path) -> None:
    about = breakage(tmp_path / "nothing")
    assert "`faultwatch serve --data" in about["data folder"][1]
    assert not (tmp_path / "nothing").exists()


def test_a_running_service_is_asked(running: tuple[Service, Fleet]) -> None:
    service, fleet = running
    service.send(fleet.tokens["write"], rows_at(now_ms(), ["d-1"]))
    done = doctor(service.data)
    assert done.returncode == 0, done.stdout
    assert found(done.stdout)["service"] == ("ok", f"role all is ready at {service.url}")
    for token in fleet.tokens.values():
        assert token not in done.stdout
