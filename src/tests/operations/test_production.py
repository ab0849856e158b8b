"""`faultwatch doctor --production`: each item of the checklist, met and missed."""

import shutil
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version as version_of
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ...cli import app
from ...fleet import channels, owners
from ...fleet.database import connect, reading, writing
from ...fleet.secrets import open_secrets
from ...operations import installed, production, project, release
from ...operations.findings import Examination, Finding, examined
from ...operations.production import Production
from ...operations.project import Project, find_checkout
from ...settings import Settings, load_settings
from ...telemetry.lake import Lake
from ..checkout import ROOT, run
from . import made_project
from .service import Fleet, Service, fleet_in, now_ms, rows_at


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which everything passes; its pytest starts without plugins, for speed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    return made_project.make(tmp_path / "checkout")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a fleet, no channel and no service."""
    folder = tmp_path / "data"
    fleet_in(folder)
    return folder


def of(settings: Settings, checkout: Path | None = None, accept: bool = False) -> Production:
    """The checklist for settings."""
    engine = connect(settings.database_url)
    return Production(settings, engine, Lake(settings.lake_url), checkout, "dev", accept)


def findings(examination: Examination) -> list[Finding]:
    """What an examination finds, errors too."""
    return list(examined("it", examination))


def only(examination: Examination) -> tuple[str, str]:
    """Level and words of the one finding."""
    (finding,) = findings(examination)
    return finding.level, finding.words


def test_a_lock_that_is_frozen_and_installed_has_no_complaint() -> None:
    assert list(installed.complaints((ROOT / "requirements.txt").read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("pytest>=1 \\\n    --hash=sha256:aa", "'pytest>=1' is not one version"),
        ("-e .", "'-e .' is not one version"),
        ("pytest==1.0", "pytest has no hash"),
        ("pytest==0.0.1 \\\n    --hash=sha256:aa", f"pytest {version_of('pytest')} is installed, 0.0.1 is locked"),
        ("no-such-thing==1 \\\n    --hash=sha256:aa", "no-such-thing 1 is not installed"),
        ("no-such-thing==1 ; sys_platform == 'win32' \\\n    --hash=sha256:aa", None),
        ("pytest==0.0.1 ; sys_platform == 'win32' \\\n    --hash=sha256:aa", "is installed, 0.0.1 is locked"),
    ],
)
def test_what_is_not_frozen_or_not_what_is_installed_is_named(entry: str, complaint: str | None) -> None:
    found = list(installed.complaints(entry))
    assert found == [] if complaint is None else complaint in found[0] and len(found) == 1


def test_the_lock_is_the_checkouts_and_its_absence_a_miss(
    data: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    level, words = only(of(Settings(data=data), checkout).frozen)
    assert level == "fail" and "0.0.1 is locked" in words and "`make setup` installs it" in words
    shutil.copy(ROOT / "requirements.txt", checkout)
    assert only(of(Settings(data=data), checkout).frozen)[0] == "ok"
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert only(of(Settings(data=data)).frozen)[0] == "fail"
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    assert only(of(Settings(data=data)).frozen)[0] == "ok"


def test_dependents_have_to_run_be_ready_and_of_this_version(
    running: tuple[Service, Fleet], data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, fleet = running
    service.send(fleet.tokens["write"], rows_at(now_ms(), ["d-1"]))
    level, words = only(of(Settings(data=service.data)).dependents)
    assert level == "ok" and service.url in words
    monkeypatch.setattr(production, "__version__", "9.9.9")
    level, words = only(of(Settings(data=service.data)).dependents)
    assert level == "fail" and "this is 9.9.9" in words
    level, words = only(of(Settings(data=data)).dependents)
    assert level == "fail" and "does not run on this data folder" in words


def test_a_database_of_another_version_is_a_miss(data: Path) -> None:
    engine = connect(Settings(data=data).database_url)
    with writing(engine) as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    engine.dispose()
    found = findings(of(Settings(data=data)).dependents)
    assert found[0].level == "fail" and "`faultwatch migrate`" in found[0].words


def test_variables_that_set_nothing_are_a_miss(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(of(Settings(data=data)).variables)[0] == "ok"
    monkeypatch.setenv("FAULTWATCH_RETENTION", "400")
    level, words = only(of(Settings(data=data)).variables)
    assert level == "fail" and "did you mean FAULTWATCH_RETENTION_DAYS?" in words


def test_what_production_needs_has_to_be_set(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(of(load_settings(data=data)).required)
    named = " ".join(finding.words for finding in found if finding.level == "fail")
    assert all(name in named for name in ("base_url", "heartbeat_url", "tls_cert"))
    monkeypatch.setenv("FAULTWATCH_BASE_URL", "https://faults.example.com")
    monkeypatch.setenv("FAULTWATCH_HEARTBEAT_URL", "https://hc.example.com/1")
    monkeypatch.setenv("FAULTWATCH_TRUSTED_PROXIES", "127.0.0.1")
    assert [finding.level for finding in findings(of(load_settings(data=data)).required)] == ["ok", "warn"]
    monkeypatch.setenv("FAULTWATCH_LOG_FORMAT", "json")
    assert only(of(load_settings(data=data)).required)[0] == "ok"
    monkeypatch.setenv("FAULTWATCH_NOTIFICATIONS", "false")
    assert "notifications" in only(of(load_settings(data=data)).required)[1]


def test_settings_are_compared_with_those_of_the_last_release(data: Path) -> None:
    before = Settings(data=data, retention_days=400)
    level, words = only(of(before).accepted)
    assert level == "fail" and "--accept-settings" in words
    assert only(of(before, accept=True).accepted)[0] == "ok"
    assert only(of(before).accepted)[0] == "ok"
    level, words = only(of(Settings(data=data, retention_days=30)).accepted)
    assert level == "fail" and "retention_days was 400, is 30" in words
    (data / release.FILE).write_text("{")
    level, words = only(of(before).accepted)
    assert level == "fail" and "can't be read" in words


def test_a_secret_that_changed_is_told_and_none_is_written_down(tmp_path: Path) -> None:
    def with_password(password: str) -> Settings:
        return Settings(data=tmp_path, database_url=f"postgresql://faultwatch:{password}@db.example.com/faultwatch")

    path = release.accept(with_password("first-secret"))
    kept = release.read(tmp_path)
    assert kept is not None and path.stat().st_mode & 0o777 == 0o600
    assert "first-secret" not in path.read_text()
    assert list(release.changes(kept, with_password("first-secret"))) == []
    (line,) = release.changes(kept, with_password("second-secret"))
    assert line.startswith("database_url was ") and "(a part that isn't shown)" in line and "secret" not in line


def test_settings_that_came_or_went_are_named(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    release.accept(settings)
    kept = release.read(tmp_path)
    assert kept is not None
    others = {**kept.settings, "gone": release.Accepted("7", "x")}
    del others["port"]
    lines = list(release.changes(release.Release(version="0", salt=kept.salt, settings=others), settings))
    assert lines == ["gone, then 7, is no setting any more", "port is new, and 8765 (default)"]


def test_an_audit_log_that_can_be_written_is_left_as_it_was(data: Path) -> None:
    settings = Settings(data=data)
    engine = connect(settings.database_url)
    with reading(engine) as session:
        before = session.connection().exec_driver_sql("SELECT count(*) FROM audit_log").scalar()
    assert only(of(settings).audit_log)[0] == "ok"
    with reading(engine) as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM audit_log").scalar() == before
    with writing(engine) as session:
        session.connection().exec_driver_sql("DROP TABLE audit_log")
    engine.dispose()
    level, words = only(of(settings).audit_log)
    assert level == "fail" and "audit_log" in words


class Receiver(BaseHTTPRequestHandler):
    """Takes what it is sent, or refuses it at /refuse."""

    def do_POST(self) -> None:
        """Answer a webhook."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.path == "/refuse" else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[str]:
    """The address of a receiver of webhooks."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_each_channel_has_to_take_a_test_message(data: Path, receiver: str) -> None:
    settings = Settings(data=data, notify_private_networks="127.0.0.1")
    assert "secret.key is not there" in only(of(settings).channels)[1]
    secrets = open_secrets(settings.secret_key_file)
    level, words = only(of(settings).channels)
    assert level == "fail" and "nobody is told" in words
    engine = connect(settings.database_url)
    with writing(engine) as session:
        (owner,) = owners.all_owners(session)
        for name, path in (("ops", "/take"), ("night", "/refuse")):
            channels.add(session, secrets, owner.id, name, channels.target_of(f"{receiver}{path}"), now_ms())
    engine.dispose()
    taken, refused = findings(of(settings).channels)
    assert taken == Finding("ok", "channels", "'ops' of Harbour Water took a test message")
    assert refused.level == "fail" and "'night' of Harbour Water" in refused.words and "500" in refused.words


def test_format_met_and_missed(checkout: Path) -> None:
    looked_at = Project(checkout, "dev")
    assert only(looked_at.formatting) == ("ok", "black, isort and flake8 have nothing to say of src")
    module = checkout / "src" / "module.py"
    module.write_text("import os\n")
    level, words = only(looked_at.formatting)
    assert level == "fail" and words.startswith("flake8: ") and "F401" in words
    module.write_text("WORD   =  1\n")
    level, words = only(looked_at.formatting)
    assert level == "fail" and words.startswith("black: ") and "`make format` mends it" in words


def test_tests_of_machine_learning_met_and_missed(checkout: Path) -> None:
    looked_at = Project(checkout, "dev")
    level, words = only(looked_at.ml_tests)
    assert level == "ok" and words.startswith("1 passed")
    (checkout / "src/tests/detection/test_module.py").write_text("def test_one() -> None:\n    assert False\n")
    level, words = only(looked_at.ml_tests)
    assert level == "fail" and words.startswith("1 failed")
    shutil.rmtree(checkout / "src/tests")
    assert only(looked_at.ml_tests)[0] == "fail"


def test_tests_of_the_infrastructure_met_and_missed(checkout: Path) -> None:
    looked_at = Project(checkout, "dev")
    assert only(looked_at.infrastructure_tests) == ("ok", "3 passed")
    (checkout / "broken").touch()
    assert only(looked_at.infrastructure_tests)[0] == "fail"


@pytest.mark.skipif(shutil.which("terraform") is None, reason="no terraform on the PATH")
def test_drift_met_and_missed(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHECKPOINT_DISABLE", "1")
    looked_at, folder = Project(checkout, "dev"), checkout / "infrastructure/environments/dev"
    level, words = only(looked_at.drift)
    assert level == "fail" and "`terraform init`" in words
    for verb in (["init"], ["apply", "-auto-approve"]):
        assert run(["terraform", f"-chdir={folder}", *verb, "-input=false"]).returncode == 0
    assert only(looked_at.drift) == ("ok", "dev is what its Terraform says")
    monkeypatch.setenv("TF_VAR_word", "second")
    level, words = only(looked_at.drift)
    assert level == "fail" and "Plan: 0 to add, 1 to change, 0 to destroy." in words
    (folder / "main.tf").write_text("resource {")
    level, words = only(looked_at.drift)
    assert level == "fail" and "no plan could be made" in words


def test_what_cannot_be_checked_is_said_and_not_called_right(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Project(None, "dev")
    for examination in (nowhere.formatting, nowhere.ml_tests, nowhere.infrastructure_tests, nowhere.drift):
        assert only(examination) == ("warn", project.NOT_HERE)
    assert only(Project(checkout, "staging").drift)[0] == "warn"
    monkeypatch.setenv("PATH", "")
    level, words = only(Project(checkout, "dev").drift)
    assert level == "warn" and "no terraform on the PATH" in words


def test_the_checkout_is_the_one_this_runs_from(
    monkeypatch: pytest.MonkeyPatch, checkout: Path, tmp_path: Path
) -> None:
    assert find_checkout(tmp_path) == ROOT
    monkeypatch.setattr(project, "__file__", str(tmp_path / "a/b/c.py"))
    assert find_checkout(checkout / "src") == checkout
    assert find_checkout(tmp_path) is None


def test_the_command_goes_through_the_list_and_fails_on_a_miss(
    data: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "find_checkout", lambda _: checkout)
    done = CliRunner().invoke(app, ["doctor", "--production", "--environment", "dev", "--data", str(data)])
    assert done.exit_code == 1
    subjects = {line[6:18].strip() for line in done.output.splitlines()}
    assert {subject for subject, _ in of(Settings(data=data)).examinations()} <= subjects
    assert "fail  accepted" in done.output and "ok    ml tests" in done.output
    assert "ml tests     is looked at, which may take minutes" in done.stderr and "minutes" not in done.stdout


def test_every_item_of_the_page_is_one_of_the_list_and_the_other_way_round(data: Path) -> None:
    page = (ROOT / "docs/how-to/production-checklist.md").read_text(encoding="utf-8")
    listed = [line.split("|")[2].strip().strip("`").split("`, `") for line in page.splitlines() if "| `" in line]
    subjects = {subject for subject, _ in of(Settings(data=data)).examinations()}
    assert {subject for names in listed for subject in names} == subjects


def test_accepting_is_a_part_of_it() -> None:
    done = CliRunner().invoke(app, ["doctor", "--accept-settings"])
    assert done.exit_code != 0
    assert "give both" in str(done.exception)
