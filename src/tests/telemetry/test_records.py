"""A record read back is the record that was written, and bytes that are none are refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ...exceptions import StorageError
from ...telemetry.readings import Readings
from ...telemetry.records import (
    Backfill,
    BadRow,
    DeviceEntry,
    Devices,
    ModelSwap,
    Quarantined,
    Receipt,
    Record,
    Rows,
    Start,
    Tick,
    TypeVersion,
    Word,
    decode,
    encode,
)

RECORDS: list[Record] = [
    Rows(now_ms=1, type_id=3, n_sensors=1, keys=b"k", ts=b"t", values=b"v", receipts=(Receipt(1, "a", b"{}"),)),
    Quarantined(now_ms=2, rows=(BadRow(None, None, "pump-1", "range", "too high", "{}"),)),
    Tick(now_ms=3),
    Devices(now_ms=4, devices=(DeviceEntry(1, "pump-1", 3, 1), DeviceEntry(2, "pump-2", 3, 1, 7))),
    TypeVersion(now_ms=5, type_id=3, owner_id=None, spec=b"{}"),
    ModelSwap(now_ms=6, type_id=3, model="abc", version=2),
    Word(now_ms=7, command_id=9, kind="confirm", device_key=1, payload=b"{}"),
    Backfill(now_ms=8, job_id=1, file_hash="ab", chunk=0, last=True, type_id=3, rows=5, spool="x.arrow", learn=400),
    Start(now_ms=9),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_comes_back(record: Record) -> None:
    assert decode(encode(record)) == record


@given(n=st.integers(0, 40), sensors=st.integers(1, 5), data=st.data())
def test_rows_come_back_bit_by_bit(n: int, sensors: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(n * 7 + sensors)
    values = rng.normal(size=(n, sensors))
    values[rng.random((n, sensors)) < 0.3] = np.nan
    readings = Readings(3, rng.integers(-(2**62), 2**62, n), rng.integers(0, 2**43, n), values)
    marks = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), bool)
    record = decode(encode(Rows.of(5, readings, marks)))
    assert isinstance(record, Rows)
    back = record.readings()
    assert back.type_id == 3
    assert back.keys.tobytes() == readings.keys.tobytes()
    assert back.ts.tobytes() == readings.ts.tobytes()
    assert back.values.tobytes() == readings.values.tobytes() and back.values.shape == (n, sensors)
    assert record.unchecked_mask().tolist() == marks.tolist()


def test_rows_without_marks_are_all_checked() -> None:
    readings = Readings(3, np.array([1, 2]), np.array([1, 2]), np.zeros((2, 1)))
    for record in (Rows.of(1, readings), Rows.of(1, readings, np.zeros(2, bool))):
        assert record.unchecked == b""
        assert record.unchecked_mask().tolist() == [False, False]


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    try:
        record = decode(data)
    except StorageError as error:
        assert str(error).startswith("not a log record: ")
    else:
        assert decode(encode(record)) == record


def test_a_record_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StorageError, match="not a log record"):
        decode(encode(Tick(now_ms=1)).replace(b"tick", b"tock"))
