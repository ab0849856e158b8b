"""What tests of pipelines share: an MLflow database with its tables made once, since that takes seconds."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ...components.workplace import Workplace
from ...pipelines.tracking import DATABASE, FOLDER, tracking
from ..components import lakeside


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of MLflow's tables, empty."""
    folder = tmp_path_factory.mktemp("mlflow")
    place = Workplace.open(lakeside.settings(folder / "data"))
    with tracking(place):
        pass
    place.close()
    return folder / "data" / FOLDER / DATABASE


@pytest.fixture
def with_mlflow(mlflow_tables: Path) -> Callable[[Path], None]:
    """Puts the tables into a data folder."""

    def put(data: Path) -> None:
        (data / FOLDER).mkdir(parents=True)
        shutil.copy(mlflow_tables, data / FOLDER / DATABASE)

    return put
