"""Read Arrow IPC streams: the columns device_id and timestamp, perhaps type and site, and one for each sensor."""

from io import BytesIO
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PanicException, PolarsError

from ..exceptions import IngestError
from ..telemetry.quality import Reason, not_finite
from ..telemetry.timestamps import explain_timestamp, parse_timestamps
from .arrow_guard import count_rows
from .decode_body import TooLargeError
from .decode_columns import without
from .decode_loose import Flaw, listed, name_complaint
from .decoded import MAX_NAME, Block, Decoded, Names

_LONGEST_TIME = 100
"""Characters of a timestamp that are looked at."""

_FIELDS = ("device_id", "timestamp", "type", "site")


def decode_arrow(body: bytes, type_name: str | None, max_rows: int) -> Decoded:
    """Read an Arrow IPC stream; `type_name` where the rows name no type.

    Null is a missing value; NaN and infinity are not, their rows are singled out. Raises IngestError where
    the stream can't be read or a column has another type than expected, TooLargeError past `max_rows`.
    """
    rows = count_rows(body)
    if rows > max_rows:
        raise TooLargeError(f"the stream has {rows:,} rows; at most {max_rows:,} are taken: send fewer in a request")
    frame = _read(body)
    for field in ("device_id", "timestamp"):
        if field not in frame.columns:
            raise IngestError(f"the stream has no column {field}; it has {listed(frame.columns)}")
    flaws: dict[int, Flaw] = {}
    types = _names(frame, "type", flaws)
    sites = _names(frame, "site", flaws)
    ids = _names(frame, "device_id", flaws)
    assert ids is not None
    sensors = tuple(name for name in frame.columns if name not in _FIELDS)
    block = Block(
        numbers=np.arange(frame.height),
        requests=np.zeros(frame.height, np.int64),
        device_ids=ids.fill_null(""),
        ts=_times(frame["timestamp"], flaws),
        types=Names.same(type_name, frame.height) if types is None else Names.of(types.to_list(), type_name),
        sites=None if sites is None else Names.of(sites.to_list()),
        sensors=sensors,
        values=_values(frame, sensors, flaws),
    )
    return without(block, flaws)


def _read(body: bytes) -> pl.DataFrame:
    try:
        return pl.read_ipc_stream(BytesIO(body))
    except (PolarsError, PanicException, ValueError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0][:200]
        raise IngestError(f"the body is no Arrow IPC stream that can be read: {reason}") from error


def _names(frame: pl.DataFrame, field: str, flaws: dict[int, Flaw]) -> pl.Series | None:
    """A column of names; those that are too long, empty, or null where a name is needed, are flaws and null."""
    if field not in frame.columns:
        return None
    column = frame[field]
    if column.dtype == pl.Null:
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        raise IngestError(f"column {field} is {column.dtype}; expected text")
    # Looked at before any text becomes an object: views may point at one long text a million times.
    length = column.str.len_bytes()
    if length.null_count() == 0 and 1 <= cast(int, length.min() or 1) and cast(int, length.max() or 1) <= MAX_NAME:
        return column
    fits = length.is_between(1, 4 * MAX_NAME)
    names = column.to_frame().select(pl.when(fits).then(pl.col(field)))[field]
    unfit = ~fits.fill_null(field != "device_id")
    beginnings = column.filter(unfit).str.head(MAX_NAME + 1).to_list()
    for i, text in zip(unfit.arg_true().to_list(), beginnings, strict=True):
        flaws.setdefault(i, Flaw(name_complaint(field, text) or ""))
    for i in (names.str.len_chars() > MAX_NAME).arg_true().to_list():
        flaws.setdefault(i, Flaw(name_complaint(field, names[i]) or ""))
    return names


def _times(column: pl.Series, flaws: dict[int, Flaw]) -> npt.NDArray[np.int64]:
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is None:
            raise IngestError("column timestamp has no time zone: say which it is, UTC for example, and send it again")
        ms = column.dt.epoch("ms")
        good = ms.is_not_null().to_numpy()
        ts = ms.fill_null(0).to_numpy()
    elif column.dtype == pl.String:
        column = column.str.head(_LONGEST_TIME)
        texts = [text or "" for text in column.to_list()]
        ts, good = parse_timestamps(texts)
    elif column.dtype.is_numeric():
        ts, good = parse_timestamps(column.cast(pl.Float64).fill_null(np.nan).to_list())
    else:
        raise IngestError(f"column timestamp is {column.dtype}; expected timestamps with a zone, text or numbers")
    for i in np.flatnonzero(~good).tolist():
        shown = column[i]
        flaws.setdefault(i, Flaw("timestamp is null" if shown is None else explain_timestamp(shown)))
    return ts


def _values(frame: pl.DataFrame, sensors: tuple[str, ...], flaws: dict[int, Flaw]) -> npt.NDArray[np.float64]:
    values = np.empty((frame.height, len(sensors)))
    for at, name in enumerate(sensors):
        column = frame[name]
        if not (column.dtype.is_numeric() or column.dtype == pl.Null):
            raise IngestError(f"column {name[:60]!r} is {column.dtype}; expected numbers")
        floats = column.cast(pl.Float64)
        for i in (~floats.is_finite()).arg_true().to_list():
            flaws.setdefault(i, Flaw(not_finite(name[:MAX_NAME], floats[i]), reason=Reason.not_finite))
        values[:, at] = floats.to_numpy()
    return values
