"""A migrated fleet database on either server, and a small fleet of two owners in it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from ...fleet import database, owners
from ...fleet.models import Base
from ...fleet.registry import Registry
from ...telemetry.schema import DeviceType, Sensor
from ..systems.postgresql import Server

NOW_MS = 1_764_000_000_000


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file to copy, which is quicker than to migrate for every test."""
    path = tmp_path_factory.mktemp("fleet") / "fleet.sqlite"
    engine = database.connect(f"sqlite:///{path}")
    database.migrate(engine)
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server: Server) -> Iterator[Engine]:
    """A migrated database that tests empty when they begin."""
    with postgresql_server.database() as url:
        engine = database.connect(url)
        database.migrate(engine)
        yield engine
        engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty fleet database: the test runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "fleet.sqlite"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        made = database.connect(f"sqlite:///{path}")
        yield made
        made.dispose()
    else:
        shared: Engine = request.getfixturevalue("migrated_postgresql")
        tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
        with shared.begin() as connection:
            connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))
        yield shared


PUMP = DeviceType(
    name="pump",
    sensors=(
        Sensor(name="pressure", unit="bar", low=0, high=16, precision=0.1),
        Sensor(name="vibration", unit="mm/s", low=0, high=50, precision=0.1),
    ),
)


@dataclass(frozen=True)
class Fleet:
    """Two owners, each with a `pump-1` and more; `keys` by (owner, device_id)."""

    registry: Registry
    north: int
    south: int
    pump: int
    keys: dict[tuple[int, str], int]


@pytest.fixture
def fleet(engine: Engine) -> Fleet:
    """Nordwind has pump-1 and pump-2 at Harbour East, pump-3 nowhere; Suedwerk has pump-1 and pump-9 at Mill."""
    registry = Registry(engine)
    with database.writing(engine) as session:
        north = owners.add(session, "Nordwind", NOW_MS)
        south = owners.add(session, "Suedwerk", NOW_MS)
    pump, _ = registry.add_type(None, PUMP, NOW_MS)
    made = registry.register(
        north,
        [("pump-1", pump, "harbour-east"), ("pump-2", pump, "Harbour East"), ("pump-3", pump, None)],
        NOW_MS,
    )
    made += registry.register(south, [("pump-1", pump, "Mill"), ("pump-9", pump, "Mill")], NOW_MS)
    return Fleet(registry, north, south, pump, {(entry.owner_id, entry.device_id): entry.key for entry in made})
