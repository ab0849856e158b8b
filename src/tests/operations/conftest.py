"""A service of its own process that the tests of a module share."""

from collections.abc import Iterator

import pytest

from .service import Fleet, Service, fleet_in


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Fleet]]:
    """A service of role all, ready, and its fleet."""
    data = tmp_path_factory.mktemp("running") / "data"
    fleet = fleet_in(data)
    with Service(data) as service:
        service.until_ready()
        yield service, fleet
