"""The API under requests that a machine makes up: no 500, and every answer is one that its description has."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ...settings import Settings
from .conftest import Running, copy_of, serving
from .test_isolation import ROUTES
from .world import World

CASES = 5_000
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
OPERATIONS = sorted(
    route.replace(":path", "")
    for route in ROUTES
    if "/api/v1/" in route and not route.endswith(("/events", "/openapi.json"))
)
"""All of the API but the stream of news, which never ends."""
MADE_UP = [route for route in OPERATIONS if not route.startswith("GET /api/v1/fleet")]
"""Those with something to make up."""


@dataclass
class Tried:
    """A server, what describes it, how an admin asks it, and ids of things it has."""

    server: Running
    schema: schemathesis.BaseSchema
    headers: dict[str, str]
    ids: dict[str, object]


@pytest.fixture(scope="module")
def tried(template: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    mine = copy_of(template, tmp_path_factory.mktemp("schema") / "data")
    quick = Settings(data=mine.settings.data, api_requests_per_minute=10**9)
    with serving(replace(mine, settings=quick)) as server, closing(server.sign_in("admin")) as client:
        headers = {"Cookie": f"fw_session={client.cookies['fw_session']}"}
        headers["X-CSRF-Token"] = client.headers["X-CSRF-Token"]
        schema = schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")
        ids: dict[str, object] = {"device_id": mine.faulty, "alert_id": mine.alerts["faulty"]}
        yield Tried(server, schema, headers, {**ids, "rule_id": mine.rules["own"]})
    mine.engine.dispose()


def ask(tried: Tried, route: str, cases: int, seeded: bool) -> None:
    """Ask one address so many times; where it is about one thing, every other time about one that there is."""
    method, path = route.split(" ", 1)
    operation = tried.schema[path][method]

    @settings(
        max_examples=cases,
        deadline=None,
        database=None,
        derandomize=seeded,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(operation.as_strategy(), st.booleans())
    def check(case: "schemathesis.Case[Any]", real: bool) -> None:
        if real:
            known = {name: value for name, value in tried.ids.items() if name in (case.path_parameters or {})}
            case.path_parameters = {**(case.path_parameters or {}), **known}
        case.validate_response(case.call(headers=tried.headers), checks=CHECKS)

    check()


@pytest.mark.parametrize("route", OPERATIONS)
def test_every_answer_is_one_that_its_description_has(tried: Tried, route: str) -> None:
    ask(tried, route, CASES // len(MADE_UP) + 1 if route in MADE_UP else 1, seeded=True)


@pytest.mark.verify
@pytest.mark.parametrize("route", MADE_UP)
def test_and_so_is_one_to_a_request_that_nobody_made_before(tried: Tried, route: str) -> None:
    ask(tried, route, CASES // 2, seeded=False)


def test_the_description_is_of_every_address(tried: Tried) -> None:
    described = {
        f"{method.upper()} {path}" for path, item in tried.schema.raw_schema["paths"].items() for method in item
    }
    assert described >= set(OPERATIONS)
    assert json.dumps(tried.schema.raw_schema)
