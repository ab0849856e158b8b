"""Read large JSON bodies whose rows all name the same sensors: into fields instead of a dictionary for each row."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from ..telemetry.timestamps import parse_timestamps
from .decoded import Block, Decoded, Name, Names

LARGE = 100_000
"""Bytes from which on a body is worth it: a decoder for a set of sensors takes a millisecond to make."""

_names = msgspec.json.Decoder(dict[str, float | None])
_UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Decoders(NamedTuple):
    sensors: tuple[str, ...]
    of_envelope: Callable[[bytes], Any]
    of_list: Callable[[bytes], Any]
    of_lines: Callable[[bytes], Any]
    values: Callable[[Any], tuple[float | None, ...]]


def alike(body: bytes, type_name: str | None, *, lines: bool = False) -> Decoded | None:
    """The rows of a large body, one after the other if `lines`; None where they aren't alike, or anything is wrong.

    `type_name` is the type of rows where neither they nor the body name one.
    """
    if len(body) < LARGE:
        return None
    begin = body.find(b"{", body.find(b'"values"'))
    try:
        sensors = tuple(_names.decode(body[begin : body.find(b"}", begin) + 1]))
        if len(sensors) < 2:
            return None
        decoders = _decoders(sensors)
        if lines:
            rows = decoders.of_lines(body)
        elif is_list(body):
            rows = decoders.of_list(body)
        else:
            envelope = decoders.of_envelope(body)
            rows, type_name = envelope.rows, envelope.type or type_name
    except _UNFIT:
        return None
    return _block(rows, decoders, type_name)


def is_list(body: bytes) -> bool:
    """Whether a body is a list of rows, rather than an object."""
    return body[:64].lstrip()[:1] == b"["


def _block(rows: Sequence[Any], decoders: _Decoders, type_name: str | None) -> Decoded | None:
    n, k = len(rows), len(decoders.sensors)
    ts, good = parse_timestamps([row.timestamp for row in rows])
    if not good.all():
        return None
    flat = chain.from_iterable(decoders.values(row.values) for row in rows)
    block = Block(
        numbers=np.arange(n),
        requests=np.zeros(n, np.int64),
        device_ids=pl.Series([row.device_id for row in rows], dtype=pl.String),
        ts=ts,
        types=Names.of([row.type for row in rows], type_name),
        sites=Names.of([row.site for row in rows]),
        sensors=decoders.sensors,
        values=np.fromiter(flat, np.float64, n * k).reshape(n, k),
    )
    return Decoded(n, blocks=[block])


@lru_cache(maxsize=64)
def _decoders(sensors: tuple[str, ...]) -> _Decoders:
    fields = [f"sensor_{number}" for number in range(len(sensors))]
    values = msgspec.defstruct(
        "Values",
        [(field, float | None) for field in fields],
        rename=dict(zip(fields, sensors, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    row = msgspec.defstruct(
        "Row",
        [
            ("device_id", Name),
            ("timestamp", str | float),
            ("values", values),
            ("type", Name | None, None),
            ("site", Name | None, None),
        ],
        forbid_unknown_fields=True,
        gc=False,
    )
    row_list = list[row]  # type: ignore[valid-type]
    envelope = msgspec.defstruct(
        "Envelope", [("rows", row_list), ("type", str | None, None)], forbid_unknown_fields=True
    )
    return _Decoders(
        sensors,
        msgspec.json.Decoder(envelope).decode,
        msgspec.json.Decoder(row_list).decode,
        msgspec.json.Decoder(row).decode_lines,
        attrgetter(*fields),
    )
