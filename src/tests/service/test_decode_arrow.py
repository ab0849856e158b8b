"""Arrow IPC streams: types that are taken, rows singled out, and streams that would harm the decoder."""

import io
import struct

import polars as pl
import pytest

from ...exceptions import IngestError
from ...service.arrow_guard import count_rows
from .requests_of import ARROW, complaints_of, decoded, rows_of, stream_of

TIMES = pl.Series("timestamp", [1000, 2000, 3000]).cast(pl.Datetime("ms", "UTC"))
FRAME = pl.DataFrame({"device_id": ["a", "b", "c"], "timestamp": TIMES, "p": [1.0, None, 3.0]})


def take(frame: pl.DataFrame) -> tuple[dict[int, tuple[str, int, dict[str, float]]], dict[int, str]]:
    request = decoded(stream_of(frame), ARROW, "pump")
    rows = {number: (found[0], found[1], found[2]) for number, found in rows_of(request).items()}
    return rows, {number: message for number, (_, message) in complaints_of(request).items()}


def test_null_is_a_missing_value() -> None:
    assert take(FRAME) == ({0: ("a", 1000, {"p": 1.0}), 1: ("b", 2000, {}), 2: ("c", 3000, {"p": 3.0})}, {})


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Int8, pl.UInt64, pl.Int32])
def test_values_may_be_of_any_type_of_number(dtype: type[pl.DataType]) -> None:
    rows, _ = take(FRAME.with_columns(pl.col("p").cast(dtype)))
    assert rows == {0: ("a", 1000, {"p": 1.0}), 1: ("b", 2000, {}), 2: ("c", 3000, {"p": 3.0})}


@pytest.mark.parametrize(
    "times",
    [
        TIMES.cast(pl.Datetime("ns", "UTC")),
        TIMES.cast(pl.Datetime("us", "UTC")).dt.convert_time_zone("Asia/Tokyo"),
        pl.Series(["1970-01-01T00:00:01Z", "1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z"]),
        pl.Series([1, 2, 3]),
        pl.Series([1.0, 2.0, 3.0]),
    ],
)
def test_timestamps_may_be_of_any_unit_text_or_numbers(times: pl.Series) -> None:
    rows, complaints = take(FRAME.with_columns(times.alias("timestamp")))
    assert [rows[i][1] for i in range(3)] == [1000, 2000, 3000]
    assert not complaints


def test_a_column_of_nothing_but_null_is_missing() -> None:
    rows, _ = take(FRAME.with_columns(q=None, type=None, site=None))
    assert rows[0] == ("a", 1000, {"p": 1.0})


def test_rows_that_cannot_be_read_are_singled_out() -> None:
    frame = pl.DataFrame(
        {
            "device_id": ["a", None, "", "x" * 201, "e", "f"],
            "timestamp": pl.Series([1000, 1000, 1000, 1000, None, 1000]).cast(pl.Datetime("ms", "UTC")),
            "p": [float("nan"), 1.0, 1.0, 1.0, 1.0, 1.0],
        }
    )
    rows, complaints = take(frame)
    assert list(rows) == [5]
    assert complaints == {
        0: "p is nan, not a finite number: send null where there is no value",
        1: "device_id is null; expected a text of 1 to 200 characters",
        2: "device_id is an empty text; expected a text of 1 to 200 characters",
        3: f"device_id is the text '{'x' * 40}…'; expected a text of 1 to 200 characters",
        4: "timestamp is null",
    }


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (FRAME.drop("device_id"), "the stream has no column device_id; it has 'timestamp', 'p'"),
        (FRAME.drop("timestamp"), "the stream has no column timestamp; it has 'device_id', 'p'"),
        (FRAME.with_columns(device_id=1), "column device_id is Int32; expected text"),
        (
            FRAME.with_columns(TIMES.dt.replace_time_zone(None)),
            "column timestamp has no time zone: say which it is, UTC for example, and send it again",
        ),
        (FRAME.with_columns(p=pl.lit("x")), "column 'p' is String; expected numbers"),
        (FRAME.with_columns(p=True), "column 'p' is bool; expected numbers, text or timestamps"),
        (FRAME.with_columns(p=[[1], [2], [3]]), "is of a nested or unusual type; expected numbers, text or timestamps"),
        (
            FRAME.with_columns(pl.col("device_id").cast(pl.Categorical)),
            "column 'device_id' is dictionary-encoded; send plain text (cast it to strings)",
        ),
        (
            FRAME.with_columns(*(pl.lit(1.0).alias(f"c{i}") for i in range(300))),
            "the stream has 303 columns; expected at most 256",
        ),
    ],
)
def test_a_column_of_another_type_is_explained(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(IngestError) as error:
        decoded(stream_of(frame), ARROW)
    assert message in str(error.value)


def test_a_time_zone_that_is_none_is_explained() -> None:
    stream = stream_of(FRAME).replace(b"UTC", b"UTX")
    with pytest.raises(IngestError, match="column 'timestamp' has the time zone 'UTX', which is not known: send it in"):
        decoded(stream, ARROW)


def test_compressed_buffers_are_explained() -> None:
    stream = io.BytesIO()
    FRAME.write_ipc_stream(stream, compression="zstd")
    with pytest.raises(IngestError, match="compressed buffers; send them plain, with Content-Encoding: zstd or gzip"):
        decoded(stream.getvalue(), ARROW)


def test_an_ipc_file_is_not_a_stream() -> None:
    file = io.BytesIO()
    FRAME.write_ipc(file)
    with pytest.raises(IngestError, match="no Arrow IPC stream, or is cut off; expected what write_ipc_stream"):
        decoded(file.getvalue(), ARROW)


def test_rows_are_counted_before_anything_is_decoded() -> None:
    assert count_rows(stream_of(FRAME)) == 3
    assert count_rows(stream_of(FRAME.clear())) == 0


def test_a_stream_cut_anywhere_is_refused_or_shorter() -> None:
    stream = stream_of(FRAME)
    for end in range(len(stream)):
        try:
            request = decoded(stream[:end], ARROW)
        except IngestError:
            continue
        assert request.count <= 3


def test_a_claim_of_more_rows_than_there_are_is_refused() -> None:
    stream = stream_of(FRAME)
    places = [i for i in range(len(stream) - 8) if stream[i : i + 8] == struct.pack("<q", 3)]
    assert places
    for place in places:
        claimed = stream[:place] + struct.pack("<q", 1 << 60) + stream[place + 8 :]
        with pytest.raises(IngestError):
            decoded(claimed, ARROW)
