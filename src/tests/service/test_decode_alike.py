"""Large bodies of rows that are alike say the same, whichever way they are read."""

import json

import pytest

from ...service.decode_alike import LARGE, alike
from .requests_of import JSON, NDJSON, complaints_of, decoded, row, rows_of

ISO = "2026-01-01T12:00:00Z"
ROWS = [
    row(f"device-{i:060d}", ISO, {"flow rate": i / 7, "p": None if i % 5 == 0 else float(i), "5": i})
    for i in range(990)
]


def _shapes(rows: list[dict[str, object]], **head: object) -> list[tuple[bytes, str]]:
    lines = "\n".join(json.dumps(one) for one in rows)
    return [
        (json.dumps({"rows": rows, **head}).encode(), JSON),
        (json.dumps(rows).encode(), JSON),
        (lines.encode(), NDJSON),
    ]


@pytest.mark.parametrize("more", [{}, {"type": "pump", "site": "Yard"}])
@pytest.mark.parametrize(
    ("odd", "complaints"),
    [
        (row("odd", ISO, {"p": 1.0}), {}),
        (row("odd", ISO, {"flow rate": 1.0, "p": 1.0, "5": 1.0, "more": 2.0}), {}),
        (
            row("odd", ISO, {"flow rate": 1.0, "p": 1.0, "5": "1"}),
            {990: "5 is the text '1'; expected a number or null"},
        ),
        (row("odd", "2026", {"flow rate": 1.0, "p": 1.0, "5": 1.0}), {990: "timestamp '2026' is a number in quotes"}),
        (row("", ISO, {"flow rate": 1.0, "p": 1.0, "5": 1.0}), {990: "device_id is an empty text"}),
    ],
)
def test_one_odd_row_changes_the_way_but_not_the_rest(
    more: dict[str, object], odd: dict[str, object], complaints: dict[int, str]
) -> None:
    rows = [one | more for one in ROWS]
    for (body, kind), (with_odd, _) in zip(_shapes(rows), _shapes([*rows, odd | more]), strict=True):
        lines = kind == NDJSON
        assert len(body) > LARGE and alike(body, None, lines=lines) is not None
        assert alike(with_odd, None, lines=lines) is None
        mixed = decoded(with_odd, kind)
        found = rows_of(mixed)
        found.pop(990, None)
        assert found == rows_of(decoded(body, kind)) and len(found) == 990
        said = complaints_of(mixed)
        assert set(said) == set(complaints)
        for number, words in complaints.items():
            assert said[number][1].startswith(words)


def test_rows_are_of_the_type_that_they_or_their_body_name() -> None:
    mixed = [one | ({"type": "fan"} if i % 2 else {}) for i, one in enumerate(ROWS)]
    for body, head in (
        (json.dumps({"rows": mixed, "type": "pump"}).encode(), "pump"),
        (json.dumps(mixed).encode(), "valve"),
        (json.dumps(mixed).encode(), None),
    ):
        quickly = alike(body, None if head == "pump" else head)
        assert quickly is not None
        assert {number % 2: found[3] for number, found in rows_of(quickly).items()} == {0: head, 1: "fan"}


@pytest.mark.parametrize(
    "body",
    [
        b" " * LARGE,
        b"[" * LARGE,
        json.dumps([row('"values"{', ISO, {})] * 2000).encode(),
        json.dumps([row("one", ISO, {"p": 1.0})] * 4000).encode(),
        json.dumps([row("braces", ISO, {"}": 1.0, "{": 2.0})] * 4000).encode(),
        json.dumps([row("small", ISO, {"p": 1.0, "q": 2.0})]).encode(),
        b'{"rows":[' + b"\xff" * LARGE + b'],"values":{"a":1,"b":2}}',
    ],
)
def test_what_is_not_alike_is_left_to_others(body: bytes) -> None:
    assert alike(body, None) is None
