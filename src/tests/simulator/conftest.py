"""A small fleet for the tests of the simulator."""

from datetime import UTC, datetime

import pytest

from ...simulator.fleet import Fleet

START = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture(scope="session")
def healthy() -> Fleet:
    """Sixty devices on five sites, from Monday 1 June 2026, without a fault."""
    return Fleet.plan(seed=1, devices=60, sites=5, start=START)


@pytest.fixture(scope="session")
def faulty() -> Fleet:
    """Ninety devices on six sites from the same day, most of them with one of all kinds of faults within three days."""
    return Fleet.plan(seed=5, devices=90, sites=6, start=START, days=3, faults=0.8)
