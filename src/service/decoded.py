"""What a decoder makes of a request: rows in columns, and the rows that could not be read."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Annotated

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ..telemetry.quality import Reason
from ..telemetry.timestamps import explain_timestamp, parse_timestamps, show_time

MAX_NAME = 200
"""The longest device id, type or site name, in characters."""

MAX_RAW = 2000
"""How many characters of a row that was not taken are kept."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]


class Row(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A row of a request in JSON or NDJSON."""

    device_id: Name
    timestamp: str | float
    values: dict[str, float | None]
    type: Name | None = None
    site: Name | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """A row that could not be read: its number in the request (from 0), why, and what it looked like."""

    number: int
    reason: Reason
    device_id: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class Names:
    """A column of n names, few of them different: `names`, and which of them each row has, `which` int64 (n,)."""

    names: Sequence[str | None]
    which: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: Sequence[str | None], instead: str | None = None) -> "Names | None":
        """A column, with `instead` where it names nothing; None where nothing is named at all."""
        numbers: dict[str | None, int] = {}
        which = np.fromiter((numbers.setdefault(name or None, len(numbers)) for name in column), np.int64, len(column))
        names = [name or instead for name in numbers]
        return cls(names, which) if any(names) else None

    @classmethod
    def same(cls, name: str | None, n: int) -> "Names | None":
        """A column that says the same n times; None where there is nothing to say."""
        return None if name is None else cls([name], np.zeros(n, np.int64))

    def __getitem__(self, at: int) -> str | None:
        return self.names[int(self.which[at])]

    def take(self, index: npt.NDArray[np.int64]) -> "Names":
        """The rows at `index`."""
        return Names(self.names, self.which[index])


@dataclass(frozen=True, slots=True)
class Block:
    """n rows that name the same k sensors, in columns.

    `numbers` int64 (n,): their places in the request, from 0. `requests` int64 (n,): which of the requests
    that are looked at together each is from; 0 until they are. `device_ids` has no null. `ts` int64 (n,), ms UTC, not
    yet cut.
    `types` and `sites` are None where no row names one. `values` float64 (n, k), NaN = missing.
    """

    numbers: npt.NDArray[np.int64]
    requests: npt.NDArray[np.int64]
    device_ids: pl.Series
    ts: npt.NDArray[np.int64]
    types: Names | None
    sites: Names | None
    sensors: tuple[str, ...]
    values: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.ts)

    def take(self, index: npt.NDArray[np.int64]) -> "Block":
        """The rows at `index`."""
        return Block(
            self.numbers[index],
            self.requests[index],
            self.device_ids[index],
            self.ts[index],
            None if self.types is None else self.types.take(index),
            None if self.sites is None else self.sites.take(index),
            self.sensors,
            self.values[index],
        )

    def raw(self, at: int) -> str:
        """Row `at` as JSON, for people."""
        row: dict[str, object] = {"device_id": self.device_ids[at], "timestamp": show_time(int(self.ts[at]))}
        if self.types is not None and self.types[at] is not None:
            row["type"] = self.types[at]
        row["values"] = {
            name: value if np.isfinite(value) else repr(value)
            for name, value in zip(self.sensors, self.values[at].tolist(), strict=True)
            if value == value
        }
        return clipped(msgspec.json.encode(row))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A request of `count` rows: in `blocks`, not yet in columns in `rows` (places in `numbers`), or in `unread`."""

    count: int
    rows: Sequence[Row] = ()
    numbers: Sequence[int] = ()
    blocks: Sequence[Block] = ()
    unread: Sequence[Unread] = ()


def clipped(raw: bytes | str) -> str:
    """A row as text, at most `MAX_RAW` characters of it."""
    text = raw if isinstance(raw, str) else raw[: 4 * MAX_RAW].decode("utf-8", "replace")
    return text if len(text) <= MAX_RAW else text[: MAX_RAW - 1] + "…"


def into_columns(
    rows: Sequence[Row], numbers: Sequence[int], requests: Sequence[int] | None = None
) -> tuple[list[Block], list[tuple[int, Unread]]]:
    """Put rows into blocks, one for each set of sensors they name.

    `requests` says which request each row is from (default: all from one). Returns the blocks, and the rows
    whose timestamp can't be read, each with its request.
    """
    from_request = np.zeros(len(rows), np.int64) if requests is None else np.array(requests, np.int64)
    places = np.array(numbers, np.int64)
    ts, good = parse_timestamps([row.timestamp for row in rows])
    unread = [(int(from_request[i]), _without_time(rows[i], int(places[i]))) for i in np.flatnonzero(~good).tolist()]
    blocks = []
    for sensors, members in _by_shape(rows, good).items():
        index = np.array(members, np.intp)
        chosen = rows if len(index) == len(rows) else [rows[i] for i in members]
        blocks.append(_block(sensors, chosen, places[index], from_request[index], ts[index]))
    return blocks, unread


def _by_shape(rows: Sequence[Row], good: npt.NDArray[np.bool_]) -> dict[tuple[str, ...], Sequence[int]]:
    shapes = [tuple(row.values) for row in rows]
    if good.all() and shapes and shapes.count(shapes[0]) == len(shapes):
        return {shapes[0]: range(len(rows))}
    members: dict[tuple[str, ...], list[int]] = {}
    for i in np.flatnonzero(good).tolist():
        members.setdefault(shapes[i], []).append(i)
    return dict(members)


def _block(
    sensors: tuple[str, ...],
    rows: Sequence[Row],
    numbers: npt.NDArray[np.int64],
    requests: npt.NDArray[np.int64],
    ts: npt.NDArray[np.int64],
) -> Block:
    flat = chain.from_iterable(row.values.values() for row in rows)
    values = np.fromiter(flat, np.float64, len(rows) * len(sensors)).reshape(len(rows), len(sensors))
    return Block(
        numbers=numbers,
        requests=requests,
        device_ids=pl.Series([row.device_id for row in rows], dtype=pl.String),
        ts=ts,
        types=Names.of([row.type for row in rows]),
        sites=Names.of([row.site for row in rows]),
        sensors=sensors,
        values=values,
    )


def _without_time(row: Row, number: int) -> Unread:
    message = explain_timestamp(row.timestamp)
    return Unread(number, Reason.unparsable, row.device_id, message, clipped(msgspec.json.encode(row)))


def default_type(rows: Sequence[Row], name: str | None) -> None:
    """Give rows that name no type the one that the request names."""
    if name is not None:
        for row in rows:
            if row.type is None:
                row.type = name
