"""Records of the log: everything that changes a score or an alert, in the order it happened.

A record carries the time `now_ms` at which it was logged; no other clock is read when it is applied, so
a replay gives what living through it gave.
"""

from typing import Literal

import msgspec
import numpy as np

from ..exceptions import StorageError
from .readings import Readings


class Receipt(msgspec.Struct, frozen=True, array_like=True):
    """The answer a request with an idempotency key got, so that its repetition gets the same."""

    token_id: int
    key: str
    answer: bytes


class Rows(msgspec.Struct, frozen=True, tag="rows", kw_only=True):
    """Accepted rows of one device type; arrays as raw little-endian bytes."""

    now_ms: int
    type_id: int
    n_sensors: int
    keys: bytes
    ts: bytes
    values: bytes
    unchecked: bytes = b""
    receipts: tuple[Receipt, ...] = ()

    @classmethod
    def of(
        cls,
        now_ms: int,
        readings: Readings,
        unchecked: "np.ndarray[tuple[int], np.dtype[np.bool_]] | None" = None,
        receipts: tuple[Receipt, ...] = (),
    ) -> "Rows":
        """Pack readings; `unchecked` (n,) marks rows that the lake has yet to tell from duplicates."""
        marks = b"" if unchecked is None or not unchecked.any() else np.packbits(unchecked).tobytes()
        return cls(
            now_ms=now_ms,
            type_id=readings.type_id,
            n_sensors=readings.n_sensors,
            keys=readings.keys.astype("<i8", copy=False).tobytes(),
            ts=readings.ts.astype("<i8", copy=False).tobytes(),
            values=np.ascontiguousarray(readings.values, dtype="<f8").tobytes(),
            unchecked=marks,
            receipts=receipts,
        )

    def readings(self) -> Readings:
        """Unpack the rows; the arrays are read-only views of the record."""
        keys = np.frombuffer(self.keys, "<i8")
        values = np.frombuffer(self.values, "<f8").reshape(len(keys), self.n_sensors)
        return Readings(self.type_id, keys, np.frombuffer(self.ts, "<i8"), values)

    def unchecked_mask(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        """Which rows are yet to be told from duplicates, bool (n,)."""
        n = len(self.keys) // 8
        if not self.unchecked:
            return np.zeros(n, bool)
        return np.unpackbits(np.frombuffer(self.unchecked, np.uint8), count=n).astype(bool)


class BadRow(msgspec.Struct, frozen=True, array_like=True):
    """A row that was not taken, with the reason (a word of `telemetry.quality.REASONS`) and a sentence."""

    owner_id: int | None
    type_id: int | None
    device_id: str
    reason: str
    message: str
    raw: str


class Refused(msgspec.Struct, frozen=True, array_like=True):
    """A live row of a device that is known, and was not taken: its time (ms), a bit for each sensor out of its range.

    `outside` is 0 where it was not taken for another reason; its time then says nothing.
    """

    device_key: int
    ts: int = 0
    outside: int = 0


class Quarantined(msgspec.Struct, frozen=True, tag="quarantined", kw_only=True):
    """Rows that were not taken; `refused` says of which devices, for the alert engine."""

    now_ms: int
    rows: tuple[BadRow, ...]
    refused: tuple[Refused, ...] = ()


class Tick(msgspec.Struct, frozen=True, tag="tick", kw_only=True):
    """Time passed: intervals that ended are closed, due times are looked at."""

    now_ms: int


class DeviceEntry(msgspec.Struct, frozen=True, array_like=True):
    """A device as scoring and alerting know it."""

    key: int
    device_id: str
    type_id: int
    owner_id: int
    site_id: int | None = None


class Devices(msgspec.Struct, frozen=True, tag="devices", kw_only=True):
    """New or changed devices."""

    now_ms: int
    devices: tuple[DeviceEntry, ...]


class TypeVersion(msgspec.Struct, frozen=True, tag="type_version", kw_only=True):
    """A new version of a device type; `spec` is the `DeviceType` as JSON."""

    now_ms: int
    type_id: int
    owner_id: int | None
    spec: bytes
    command_id: int = 0


class ModelSwap(msgspec.Struct, frozen=True, tag="model_swap", kw_only=True):
    """A type's model gives way to another; `model` is its folder's name below models/type-N.

    `warm`: a file of the spool with what the model knows of devices that it lived through beforehand; without one, or
    for a device that isn't in it, what the model before knew moves over.
    """

    now_ms: int
    type_id: int
    model: str
    version: int
    command_id: int = 0
    warm: str = ""


class Word(msgspec.Struct, frozen=True, tag="word", kw_only=True):
    """An operator's word about a device; `command_id` is its row in the table `commands`, taken at most once."""

    now_ms: int
    command_id: int
    kind: Literal["new_normal", "dismiss", "confirm", "repaired", "maintenance", "maintenance_end", "not_faulty"]
    device_key: int
    payload: bytes = b"{}"


class Rule(msgspec.Struct, frozen=True, tag="rule", kw_only=True):
    """A rule of an owner comes into force, or is taken back: an alert where a sensor is past `value` for `hold_ms`.

    About the devices of `owner_id` and `type_id`, or about the one of `device_key`. It is over once the sensor is back
    at `back`. A rule is never changed; another has another id.
    """

    now_ms: int
    rule_id: int
    owner_id: int
    type_id: int
    device_key: int | None
    sensor: str
    comparison: Literal["above", "below"]
    value: float
    back: float
    hold_ms: int
    severity: Literal["info", "warning", "critical"]
    removed: bool = False
    command_id: int = 0


class Backfill(msgspec.Struct, frozen=True, tag="backfill", kw_only=True):
    """A chunk of a file taken in by bulk; its rows are in the spool file until every watermark has passed it.

    `learn` > 0: the first so many rows of each device in the job teach the type and are not scored, and this chunk
    holds such rows; `taught` marks the last chunk of them, `last` the job's last chunk.
    """

    now_ms: int
    job_id: int
    file_hash: str
    chunk: int
    last: bool
    type_id: int
    rows: int
    spool: str
    learn: int = 0
    taught: bool = False


class Start(msgspec.Struct, frozen=True, tag="start", kw_only=True):
    """The process that writes this log started; the time since the record before it is not silence of the fleet."""

    now_ms: int


Record = Rows | Quarantined | Tick | Devices | TypeVersion | ModelSwap | Word | Rule | Backfill | Start

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Record] = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """Write a record as MessagePack."""
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """Read a record. Raises StorageError where the bytes are none."""
    try:
        return _decoder.decode(data)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise StorageError(f"not a log record: {error}") from error
