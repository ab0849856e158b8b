"""Fixtures every test may use: a quiet environment, and the real systems of `systems/`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from .systems import caddy as caddy_system
from .systems import chromium as chromium_system
from .systems import nginx as nginx_system
from .systems import postgresql as postgresql_system
from .systems import prometheus, required, s3
from .systems import shared_data as shared_data_system
from .systems import systemd


def pytest_sessionstart(session: pytest.Session) -> None:
    """End the run before its first test when a required system is absent."""
    if complaints := required.complaints():
        pytest.exit("\n".join(complaints), returncode=1)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say which systems are here, so that nobody has to guess what was skipped."""
    return required.inventory()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the system they use, so that `-m chromium` finds them."""
    for item in items:
        for name in {"chromium", "postgresql"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(name)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see the defaults, whatever FAULTWATCH_* the developer's shell has set."""
    for name in list(os.environ):
        if name.startswith("FAULTWATCH_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[postgresql_system.Server]:
    """A running PostgreSQL of this worker's own; `with server.database() as url` gives an empty database."""
    required.skip_or_fail_if_absent("postgresql")
    with postgresql_system.running_server() as server:
        yield server


@pytest.fixture
def postgresql(postgresql_server: postgresql_system.Server) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database, dropped after the test."""
    with postgresql_server.database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """SQLAlchemy URL of an empty database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql"))
    return f"sqlite:///{tmp_path / 'fleet.sqlite'}"


@pytest.fixture(scope="session")
def chromium() -> chromium_system.Chromium:
    """The system's Chromium: `.executable`, and the `.arguments` to start it with."""
    required.skip_or_fail_if_absent("chromium")
    found = chromium_system.find()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def caddy() -> Path:
    """The system's Caddy."""
    required.skip_or_fail_if_absent("caddy")
    found = caddy_system.find()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def systemd_analyze() -> Path:
    """systemd's checker of units."""
    required.skip_or_fail_if_absent("systemd")
    found = systemd.find()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def nginx() -> Path:
    """The system's nginx."""
    required.skip_or_fail_if_absent("nginx")
    found = nginx_system.find()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' checker of rules and configurations."""
    required.skip_or_fail_if_absent("prometheus")
    found = prometheus.find()
    assert found is not None
    return found


@pytest.fixture(scope="session")
def s3_server() -> Iterator[s3.Server]:
    """A running S3 server (moto) on the loopback."""
    with s3.running_server() as server:
        yield server


@pytest.fixture
def moto_server(s3_server: s3.Server, monkeypatch: pytest.MonkeyPatch) -> s3.Bucket:
    """An empty bucket at an S3 server on the loopback; AWS_* in the environment point to it."""
    bucket = s3_server.bucket()
    for name, value in bucket.environment.items():
        monkeypatch.setenv(name, value)
    return bucket


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of prepared data (`skab/`, `cmapss/`); its tests skip, by name, where it is absent."""
    required.skip_or_fail_if_absent("shared-data")
    return shared_data_system.FOLDER
