"""Snapshots: a fixed set of readings that a model was trained on, told apart by a hash, kept while pinned.

Rows of the lake never change once they are in, and each carries the number of the record that brought
it. So a snapshot is a question (type, time range, highest number per shard) whose answer stays the same
through compaction, vacuum and the cleaning of Delta's log; the hash of its keys proves it on every read.
Only retention can take its rows away, and it spares the days a pinned snapshot stands on. (Keeping the
Delta version instead would keep its files twice and a year of log for a year-old model.)
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ..exceptions import StorageError
from .lake_table import LakeTable, Shape

PINS = Shape(
    columns={
        "number": pl.Int64(),
        "name": pl.String(),
        "type_id": pl.Int64(),
        "snapshot": pl.String(),
        "arrived": pl.Datetime("us", "UTC"),
    },
    sort_by=("number",),
    told=("number",),
)
"""Shape of the table of pins: the last row of a name counts; one without a snapshot takes the pin away."""

_APP = "pins"


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The readings of a type with `start_ms` <= timestamp < `end_ms` and `ingest_seq` up to `seqs` of their shard.

    `rows` and `fingerprint` (order-independent, over the merged keys) say which they are; `version` is the
    Delta version they were first read from. `devices`: those of these keys only; all where it is None.
    """

    type_id: int
    start_ms: int
    end_ms: int
    seqs: dict[int, int]
    version: int
    rows: int
    fingerprint: str
    devices: tuple[int, ...] | None = None

    def rows_of(self) -> pl.Expr:
        """The rows that belong to the snapshot."""
        return belongs(self.start_ms, self.end_ms, self.seqs, self.devices)

    def files_of(self) -> pl.Expr:
        """The files of a table's state that may hold rows of it."""
        highest = max(self.seqs.values(), default=0)
        return (
            (pl.col("max_timestamp") >= _moment(self.start_ms))
            & (pl.col("min_timestamp") < _moment(self.end_ms))
            & (pl.col("min_ingest_seq") <= highest)
        )


class Fingerprint:
    """Counts and hashes merged keys in any order and in any parts."""

    def __init__(self) -> None:
        self.rows = 0
        self._sums = [0, 0]

    def add(self, frame: pl.DataFrame) -> None:
        """Take in the keys of merged rows, none of which was taken in before."""
        keys = frame["device_key"].to_numpy().astype(np.uint64)
        times = frame["timestamp"].to_physical().to_numpy().astype(np.uint64)
        self.rows += len(frame)
        for place, salt in enumerate((np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))):
            mixed = _mixed(_mixed(keys + salt) ^ times)
            self._sums[place] = (self._sums[place] + int(mixed.sum(dtype=np.uint64))) % (1 << 64)

    def hex(self) -> str:
        """The hash as 32 hexadecimal digits."""
        return "".join(f"{part:016x}" for part in self._sums)

    def check(self, snapshot: Snapshot) -> None:
        """Raise StorageError where the keys taken in are not those of `snapshot`."""
        if (self.rows, self.hex()) != (snapshot.rows, snapshot.fingerprint):
            raise StorageError(
                f"the snapshot of type {snapshot.type_id} had {snapshot.rows} rows (hash {snapshot.fingerprint}), but"
                f" the lake now gives {self.rows} (hash {self.hex()}): retention removed some, or it was taken of"
                " records the lake did not hold yet, or the lake is another one. Take a new snapshot, and pin it while"
                " it is needed"
            )


def belongs(start_ms: int, end_ms: int, seqs: Mapping[int, int], devices: tuple[int, ...] | None = None) -> pl.Expr:
    """Rows in a time range with numbers up to `seqs` of their shard; of some devices, where they are named."""
    known = pl.any_horizontal(
        pl.lit(False), *((pl.col("shard") == shard) & (pl.col("ingest_seq") <= seq) for shard, seq in seqs.items())
    )
    rows = (pl.col("timestamp") >= _moment(start_ms)) & (pl.col("timestamp") < _moment(end_ms)) & known
    if devices is None:
        return rows
    return rows & pl.col("device_key").is_in(devices)


def write_pin(table: LakeTable, name: str, snapshot: Snapshot | None, type_id: int, now: datetime) -> None:
    """Add a pin by name, or take it away where `snapshot` is None."""
    while True:
        state = table.state(_APP)
        number = 1 + ((state.committed or 0) if state else 0)
        text = None if snapshot is None else msgspec.json.encode(snapshot).decode()
        row = {"number": number, "name": name, "type_id": type_id, "snapshot": text, "arrived": now}
        frame = pl.DataFrame([row], schema=dict(PINS.columns))
        if table.append(frame, app_id=_APP, version=number, at=pl.col("arrived")):
            return


def read_pins(table: LakeTable) -> dict[str, Snapshot]:
    """Return the pinned snapshots by name."""
    state = table.state()
    if state is None:
        return {}
    last = table.collect(table.scan(state)).sort("number").group_by("name", maintain_order=True).last()
    pinned: Iterable[tuple[str, str]] = last.drop_nulls("snapshot").select("name", "snapshot").iter_rows()
    return {name: msgspec.json.decode(text, type=Snapshot) for name, text in pinned}


def _mixed(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finaliser of splitmix64 (Steele, Lea, Flood 2014): every bit of the result depends on every bit of `x`."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _moment(ms: int) -> pl.Expr:
    return pl.lit(datetime.fromtimestamp(ms / 1000, UTC), dtype=pl.Datetime("us", "UTC"))
