"""Every format gives the same rows; any bytes give rows or an error in words, and nothing else."""

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ...exceptions import IngestError
from ...service.decode import decode
from ...service.decode_body import TooLargeError, UnsupportedError
from .requests_of import ARROW, FORMATS, JSON, NDJSON, Sent, arrow, complaints_of, decoded, json_rows, row, rows_of

ISO = "2026-01-01T12:00:00Z"
MS = 1_767_268_800_000
ROWS: list[Sent] = [("pump-1", ISO, {"pressure": 2.5, "flow": 40.0}), ("pump-2", ISO, {"pressure": None, "flow": -1.0})]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_rows(name: str) -> None:
    content_type, write = FORMATS[name]
    request = decoded(write(ROWS), content_type)
    assert request.count == 2
    assert not complaints_of(request)
    assert rows_of(request) == {
        0: ("pump-1", MS, {"pressure": 2.5, "flow": 40.0}, "pump"),
        1: ("pump-2", MS, {"flow": -1.0}, "pump"),
    }


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_many_rows_at_once(name: str) -> None:
    content_type, write = FORMATS[name]
    many: list[Sent] = [(f"pump-{i}", ISO, {"pressure": float(i)}) for i in range(500)]
    found = rows_of(decoded(write(many), content_type))
    assert [found[i][0] for i in range(500)] == [f"pump-{i}" for i in range(500)]
    assert [found[i][2] for i in range(500)] == [{"pressure": float(i)} for i in range(500)]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([row("a", ISO, {"p": 1})]).encode(),
        b"  \n" + json.dumps({"rows": [row("a", ISO, {"p": 1})]}).encode(),
        json.dumps(row("a", ISO, {"p": 1})).encode(),
    ],
)
def test_rows_may_come_as_a_list_in_an_object_or_alone(body: bytes) -> None:
    assert rows_of(decoded(body, type_name="pump")) == {0: ("a", MS, {"p": 1.0}, "pump")}


def test_a_row_names_its_type_else_the_body_else_the_address() -> None:
    body = json.dumps({"type": "of-body", "rows": [row("a", 1, {}, type="of-row"), row("b", 1, {})]}).encode()
    assert [found[3] for found in rows_of(decoded(body, type_name="of-address")).values()] == ["of-row", "of-body"]
    body = json.dumps([row("a", 1, {})]).encode()
    assert rows_of(decoded(body, type_name="of-address"))[0][3] == "of-address"


def test_a_content_type_may_be_left_out_or_carry_parameters() -> None:
    assert decoded(json_rows(ROWS), "").count == 2
    assert decoded(json_rows(ROWS), "Application/JSON; charset=utf-8").count == 2


def test_another_content_type_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnsupportedError) as error:
        decoded(b"a,b\n1,2", "text/csv")
    assert error.value.status == 415
    assert str(error.value) == (
        "Content-Type is 'text/csv'; expected application/json, application/x-ndjson"
        " or application/vnd.apache.arrow.stream"
    )


@pytest.mark.parametrize("name", FORMATS)
def test_more_rows_than_allowed_are_too_many(name: str) -> None:
    content_type, write = FORMATS[name]
    with pytest.raises(TooLargeError, match=r"has 5 rows; at most 4 are taken: send fewer in a request"):
        decode(write([("a", ISO, {"p": 1.0})] * 5), content_type, None, 4)


def test_empty_lists_are_no_error_but_an_empty_body_is() -> None:
    assert decoded(b"[]").count == 0
    assert decoded(b'{"rows":[]}').count == 0
    assert decoded(b'{"columns":{"device_id":[],"timestamp":[]}}').count == 0
    with pytest.raises(IngestError, match="the body is empty; expected readings"):
        decoded(b" \n")


good_row = st.builds(
    lambda device, ts, value: row(device, ts, {"p": value}),
    st.sampled_from(["a", "b"]),
    st.integers(0, 2 * 10**9),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
)
any_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["device_id", "timestamp", "values", "type", "site", "rows", "columns"]), st.text()
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


def encoded(content: object) -> bytes:
    return json.dumps(content).encode()


@settings(max_examples=250)
@given(
    st.lists(st.one_of(good_row.map(lambda row: (True, row)), any_json.map(lambda row: (False, row))), max_size=6),
    st.booleans(),
)
def test_good_rows_pass_whatever_stands_beside_them(rows: list[tuple[bool, object]], as_lines: bool) -> None:
    if as_lines:
        body = b"\n".join(encoded(content) for _, content in rows) or b"\n"
    else:
        body = encoded({"rows": [content for _, content in rows]})
    if not body.strip():
        return
    request = decoded(body, NDJSON if as_lines else JSON)
    found, complaints = rows_of(request), complaints_of(request)
    assert sorted([*found, *complaints]) == list(range(len(rows)))
    assert all(number in found for number, (good, _) in enumerate(rows) if good)
    for _, message in complaints.values():
        assert message.encode("utf-8")


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(any_json, st.sampled_from([JSON, NDJSON]))
def test_any_json_gives_rows_or_an_error_in_words(content: object, content_type: str) -> None:
    survives(encoded(content), content_type)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.sampled_from([JSON, NDJSON, ARROW]))
def test_any_bytes_give_rows_or_an_error_in_words(body: bytes, content_type: str) -> None:
    survives(body, content_type)


@settings(max_examples=300)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_a_damaged_body_gives_rows_or_an_error_in_words(name: str, data: st.DataObject) -> None:
    content_type, write = FORMATS[name]
    body = bytearray(write(ROWS))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(body[: data.draw(st.integers(1, len(body)))]), content_type)


def survives(body: bytes, content_type: str) -> None:
    """Decoding gives rows that add up, or an IngestError that says something."""
    try:
        request = decoded(body, content_type)
    except IngestError as error:
        assert str(error)
        return
    numbers = sorted([*rows_of(request), *complaints_of(request)])
    assert numbers == list(range(request.count))


def test_packed_bodies_are_for_unpack_and_not_for_decode() -> None:
    with pytest.raises(IngestError, match="the body can't be read: not UTF-8: byte 1 is 0x8b"):
        decoded(gzip.compress(arrow(ROWS)), JSON)
