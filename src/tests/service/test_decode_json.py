"""JSON and NDJSON: each thing that can be wrong with a row or a body, in the words a person reads."""

import json

import pytest

from ...exceptions import IngestError
from .requests_of import JSON, NDJSON, complaints_of, decoded, row, rows_of

ISO = "2026-01-01T12:00:00Z"
GOOD = json.dumps(row("good", ISO, {"p": 1.0}))


@pytest.mark.parametrize(
    ("bad", "reason", "message"),
    [
        ("5", "unparsable", "the row is the number 5; expected an object with device_id, timestamp and values"),
        ("null", "unparsable", "the row is null; expected an object with device_id, timestamp and values"),
        ('{"timestamp":1,"values":{}}', "unparsable", "the row has no device_id; it has 'timestamp', 'values'"),
        ('{"device_id":"a","values":{}}', "unparsable", "the row has no timestamp; it has 'device_id', 'values'"),
        ('{"device_id":"a","timestamp":1}', "unparsable", "the row has no values; it has 'device_id', 'timestamp'"),
        (
            '{"device_id":"a","timestamp":1,"pressure":2.5}',
            "unparsable",
            "the row has 'pressure', no field of a row (device_id, timestamp, values, type, site):"
            " the values of sensors belong into values",
        ),
        (
            '{"device_id":7,"timestamp":1,"values":{}}',
            "unparsable",
            "device_id is the number 7; expected a text of 1 to 200 characters",
        ),
        (
            '{"device_id":"","timestamp":1,"values":{}}',
            "unparsable",
            "device_id is an empty text; expected a text of 1 to 200 characters",
        ),
        ('{"device_id":"\\ud800","timestamp":1,"values":{}}', "unparsable", "device_id is no valid Unicode"),
        (
            '{"device_id":"a","timestamp":true,"values":{}}',
            "unparsable",
            "timestamp is true; expected a text or a number",
        ),
        (
            '{"device_id":"a","timestamp":"2026-01-01T12:00:00","values":{}}',
            "unparsable",
            "timestamp '2026-01-01T12:00:00' has no zone: end it with Z if it is UTC, or with an offset such as +02:00",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":[1]}',
            "unparsable",
            'values is a list; expected an object, such as {"pressure": 2.5}',
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{"p":"2.5"}}',
            "unparsable",
            "p is the text '2.5'; expected a number or null",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{"p":false}}',
            "unparsable",
            "p is false; expected a number or null",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{},"type":3}',
            "unparsable",
            "type is the number 3; expected a text of 1 to 200 characters",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{"p":NaN}}',
            "not_finite",
            "p is nan, not a finite number: send null where there is no value",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{"p":-Infinity}}',
            "not_finite",
            "p is -inf, not a finite number: send null where there is no value",
        ),
        (
            '{"device_id":"a","timestamp":1,"values":{"p":1e999}}',
            "not_finite",
            "p is inf, not a finite number: send null where there is no value",
        ),
        (
            '{"device_id":"a","timestamp":1' + "0" * 400 + ',"values":{}}',
            "unparsable",
            "timestamp inf is no time: expected RFC 3339 with a zone, such as 2026-01-31T12:00:00Z,"
            " or seconds or milliseconds since 1970",
        ),
    ],
)
def test_a_row_that_cannot_be_read_is_explained_and_its_neighbours_pass(bad: str, reason: str, message: str) -> None:
    for body, content_type in [
        (f'{{"rows":[{GOOD},{bad},{GOOD}]}}', JSON),
        (f"[{GOOD},{bad},{GOOD}]", JSON),
        (f"{GOOD}\n{bad}\n\n{GOOD}\r\n", NDJSON),
    ]:
        request = decoded(body.encode(), content_type)
        assert complaints_of(request) == {1: (reason, message)}
        assert {number: found[0] for number, found in rows_of(request).items()} == {0: "good", 2: "good"}


def test_a_row_that_cannot_be_read_is_kept_as_it_was_sent() -> None:
    bad = '{"device_id": "a", "timestamp": 1, "values": {"p": "x"}}'
    (unread,) = decoded(f"[{GOOD}, {bad}]".encode()).unread
    assert (unread.device_id, unread.raw) == ("a", bad)
    (unread,) = decoded(('[{"device_id":"a","values":"' + "x" * 10_000 + '"}]').encode()).unread
    assert len(unread.raw) == 2000


def test_a_line_that_is_no_json_falls_alone() -> None:
    request = decoded(f'{GOOD}\n{{"device_id":\n{GOOD}'.encode(), NDJSON)
    assert complaints_of(request) == {1: ("unparsable", "not JSON: Expecting value (line 1, column 14)")}
    request = decoded(GOOD.encode() + b'\n{"device_id":"\xff"}', NDJSON)
    assert complaints_of(request) == {1: ("unparsable", "not UTF-8: byte 14 is 0xff")}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "the body can't be read: not JSON: Expecting property name enclosed in double quotes"),
        ("[1", "the body can't be read: not JSON"),
        ("[" * 100_000, "the body can't be read: not a reading: the JSON is nested too deeply"),
        ("7", "the body is the number 7; expected an object with"),
        ('"rows"', "the body is the text 'rows'"),
        ("{}", 'the body has neither rows nor columns; expected an object with "rows" (a list of rows)'),
        ('{"rows":5}', "rows is the number 5; expected a list of rows"),
        ('{"columns":[]}', "columns is a list; expected an object with a list for each column"),
        ('{"rows":[],"columns":{}}', "the body has both rows and columns"),
        ('{"data":[]}', "the body has 'data'; expected an object with"),
        ('{"rows":[],"type":3}', "type is the number 3; expected a text of 1 to 200 characters"),
        ('{"columns":{"timestamp":[]}}', "columns has no device_id; it has 'timestamp'"),
        ('{"columns":{"device_id":[],"p":[]}}', "columns has no timestamp; it has 'device_id', 'p'"),
        (
            '{"columns":{"device_id":["a"],"timestamp":[1],"p":[1,2]}}',
            "columns are of different lengths: device_id has 1 values, p 2",
        ),
        ('{"columns":{"device_id":"a","timestamp":[1]}}', "column 'device_id' is the text 'a'; expected a list"),
    ],
)
def test_a_body_that_cannot_be_read_is_explained(body: str, message: str) -> None:
    with pytest.raises(IngestError) as error:
        decoded(body.encode())
    assert str(error.value).startswith(message)
    assert error.value.status == 400


def test_a_cell_that_cannot_be_read_takes_its_row_and_no_other() -> None:
    columns = {
        "device_id": ["a", 5, "c", "", "e", "f", "g"],
        "timestamp": [1, 1, "soon", 1, 1, None, 1],
        "type": ["pump", "pump", "pump", "pump", 7, "pump", None],
        "p": [1.5, 1, 1, 1, 1, 1, "x"],
        "q": [None, 1, 1, 1, 1, 1, 1],
    }
    request = decoded(json.dumps({"columns": columns}).encode())
    assert rows_of(request) == {0: ("a", 1000, {"p": 1.5}, "pump")}
    assert {number: message for number, (_, message) in complaints_of(request).items()} == {
        1: "device_id is the number 5; expected a text of 1 to 200 characters",
        2: "timestamp 'soon' can't be read: expected RFC 3339 with a zone, such as 2026-01-31T12:00:00Z,"
        " or seconds or milliseconds since 1970",
        3: "device_id is an empty text; expected a text of 1 to 200 characters",
        4: "type is the number 7; expected a text of 1 to 200 characters",
        5: "timestamp is null; expected a text or a number",
        6: "p is the text 'x'; expected a number or null",
    }


def test_nan_in_a_column_takes_its_row_and_no_other() -> None:
    body = b'{"columns":{"device_id":["a","b"],"timestamp":[1,1],"p":[NaN,2]}}'
    request = decoded(body)
    assert list(rows_of(request)) == [1]
    assert complaints_of(request)[0] == (
        "not_finite",
        "p is nan, not a finite number: send null where there is no value",
    )
