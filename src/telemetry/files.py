"""Read files of readings by a `Mapping`: rows in columns, a chunk at a time; lines that can't be read singled out."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
from polars.exceptions import PolarsError

from .mapping import Mapping, TimeColumn
from .quality import REASONS, Reason, check_rows, cut_timestamps, explain_row
from .schema import DeviceType
from .tables import LINE, MORE, read_frames
from .timestamps import LARGEST_MS, parse_pattern

MAX_DEVICE_ID = 200
_REPLACED = "\ufffd"
_SHOWN = 60
_INVISIBLE = r"[[\p{C}\p{Z}]--[ ]]"
_GROUPED = r"^[-+]?\d{1,3}(\.\d{3})+(,\d*)?$"
"""A number with points between its thousands, where a comma is the decimal sign."""


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not taken: its number in the file (from 1; of the row in Parquet), why, and its cells.

    Cells with line ends in them, which hardly any file has, make the numbers behind them smaller.
    """

    line: int
    device_id: str
    reason: str
    message: str
    raw: str


@dataclass(frozen=True, slots=True)
class FileChunk:
    """n rows of a file.

    `device` int64 (n,): the place of each row's device in `devices`; `sites` by device, None where the file
    names none. `ts` int64 (n,), ms UTC, cut to the type's resolution; `values` float64 (n, n_sensors) in the
    order of the type, NaN = missing. `lines` is how many lines the chunk was made of, blank ones included.
    """

    devices: list[str]
    sites: list[str | None]
    device: npt.NDArray[np.int64]
    ts: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]
    bad: list[BadLine]
    lines: int

    def __len__(self) -> int:
        return len(self.ts)


def read_chunks(path: Path, mapping: Mapping, device_type: DeviceType, chunk_rows: int) -> Iterator[FileChunk]:
    """Read a CSV or Parquet file. NaN is a missing value; no limit of age applies.

    Rows are checked as live ones are, but for their time and for duplicates. Raises IngestError where the
    file can't be read or lacks a column, ConfigError where the mapping names sensors the type doesn't have.
    """
    mapping.check_against(device_type)
    for frame in read_frames(path, mapping, chunk_rows):
        yield _chunk(frame, path, mapping, device_type)


class _Complaints:
    """The first complaint about each row of a frame."""

    def __init__(self, rows: int) -> None:
        self.codes = np.zeros(rows, np.uint8)
        self.messages: dict[int, str] = {}

    def add(self, rows: pl.Series, message: "pl.Series | str", reason: Reason = Reason.unparsable) -> None:
        """Complain about the rows where a mask is true."""
        for at in rows.fill_null(False).arg_true().to_list():
            if not self.codes[at]:
                self.codes[at] = reason
                self.messages[at] = message if isinstance(message, str) else str(message[at])


def _chunk(frame: pl.DataFrame, path: Path, mapping: Mapping, device_type: DeviceType) -> FileChunk:
    lines = frame.height
    cells = [name for name in frame.columns if name != LINE]
    frame = frame.filter(~pl.all_horizontal(pl.col(cells).is_null()))
    complaints = _Complaints(frame.height)
    if MORE in frame.columns:
        message = "the line has more cells than the file has columns; look for a separator or a quote too many"
        complaints.add(frame[MORE].str.strip_chars().str.len_bytes() > 0, message)
    ids, device = _devices(frame, path, mapping, complaints)
    ts = cut_timestamps(_times(frame[mapping.time.column], mapping, complaints), device_type.resolution_ms)
    values = _values(frame, mapping, device_type, complaints)
    checked = check_rows(ts, values, device_type, 0, None)
    codes = np.where(complaints.codes == 0, checked, complaints.codes)
    bad = [
        BadLine(
            line=int(frame[LINE][at]),
            device_id=ids[device[at]] if device[at] >= 0 else "",
            reason=REASONS[codes[at]],
            message=complaints.messages.get(at)
            or explain_row(int(codes[at]), int(ts[at]), values[at], device_type, 0, None),
            raw=_raw(frame, at, mapping),
        )
        for at in np.flatnonzero(codes).tolist()
    ]
    good = np.flatnonzero(codes == 0)
    sites = _sites(frame, mapping, len(ids), device)
    return FileChunk(ids, sites, device[good], ts[good], np.ascontiguousarray(values[good]), bad, lines)


def _devices(
    frame: pl.DataFrame, path: Path, mapping: Mapping, complaints: _Complaints
) -> tuple[list[str], npt.NDArray[np.int64]]:
    if mapping.device_column is None:
        return [mapping.device or path.stem], np.zeros(frame.height, np.int64)
    column = texts_in(frame[mapping.device_column]).str.strip_chars()
    lossy = column.str.contains(_REPLACED, literal=True)
    # What can't be read stands as the same sign everywhere: two devices would become one.
    complaints.add(lossy, f"{mapping.device_column} has characters that are not UTF-8; save the file as UTF-8")
    fits = column.str.len_chars().is_between(1, MAX_DEVICE_ID) & ~column.str.contains(_INVISIBLE) & ~lossy
    complaints.add(
        ~fits.fill_null(False),
        f"{mapping.device_column} names no device; expected 1 to {MAX_DEVICE_ID} characters, none of them invisible",
    )
    named = column.set(~fits.fill_null(False), None)
    ids = named.drop_nulls().unique(maintain_order=True)
    codes = named.cast(pl.Enum(ids)).to_physical().cast(pl.Int64).fill_null(-1)
    return ids.to_list(), codes.to_numpy().copy()


def _sites(frame: pl.DataFrame, mapping: Mapping, n_devices: int, device: npt.NDArray[np.int64]) -> list[str | None]:
    if mapping.site_column is None:
        return [None] * n_devices
    named = texts_in(frame[mapping.site_column]).str.strip_chars().to_list()
    sites: list[str | None] = [None] * n_devices
    known, first = np.unique(device, return_index=True)
    for number, at in zip(known.tolist(), first.tolist(), strict=True):
        if number >= 0:
            sites[number] = named[at] or None
    return sites


def _times(column: pl.Series, mapping: Mapping, complaints: _Complaints) -> npt.NDArray[np.int64]:
    ms = times_in(column, mapping.time, mapping)
    shown = texts_in(column).fill_null("").str.head(_SHOWN)
    expected = "a time" if mapping.time.format == "iso" else mapping.time.format
    unread = ms.is_null() | ~ms.is_between(-LARGEST_MS, LARGEST_MS)
    if unread.any():
        message = pl.select(pl.format("{} is '{}'; expected {}", pl.lit(column.name), shown, pl.lit(expected)))
        complaints.add(unread, message.to_series())
    return ms.set(unread, 0).to_numpy().copy() if unread.any() else ms.to_numpy().copy()


def times_in(column: pl.Series, time: TimeColumn, mapping: Mapping | None = None) -> pl.Series:
    """A column of times as ms since 1970 (Int64), null where it can't be read."""
    if isinstance(column.dtype, pl.Datetime | pl.Date):
        moments = column.cast(pl.Datetime("ms", getattr(column.dtype, "time_zone", None)))
        return _utc(moments, time.zone)
    if time.format in ("seconds", "milliseconds", "steps"):
        numbers = numbers_in(column, mapping)
        factor = {"seconds": 1000.0, "milliseconds": 1.0, "steps": time.step_s * 1000.0}[time.format]
        start = time.start_ms if time.format == "steps" else 0
        ms = (numbers * factor).round() + start
        return ms.set(~ms.is_between(-LARGEST_MS, LARGEST_MS).fill_null(False), None).cast(pl.Int64)
    texts = texts_in(column).str.strip_chars()
    if time.format == "iso":
        return _iso(texts, time.zone)
    return _utc(parse_pattern(texts, time.format), time.zone)


def _iso(texts: pl.Series, zone: str) -> pl.Series:
    ms = texts.str.to_datetime("%+", strict=False, time_unit="ms", time_zone="UTC").to_physical()
    plain = texts.str.replace("T", " ", literal=True)
    for pattern in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        if not (ms.is_null() & texts.is_not_null()).any():
            break
        if pattern == "%Y-%m-%d":
            moments = plain.str.to_date(pattern, strict=False).cast(pl.Datetime("ms"))
        else:
            moments = plain.str.to_datetime(pattern, strict=False, time_unit="ms")
        read = _utc(moments, zone)
        ms = pl.select(pl.coalesce(ms, read)).to_series()
    return ms


def _utc(moments: pl.Series, zone: str) -> pl.Series:
    """Moments as ms since 1970; of an hour that a clock change repeats the first, of one it leaves out none."""
    if getattr(moments.dtype, "time_zone", None) is None:
        moments = moments.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return moments.dt.convert_time_zone("UTC").to_physical()


def numbers_in(column: pl.Series, mapping: Mapping | None) -> pl.Series:
    """A column of numbers as Float64: null where it is missing or can't be read."""
    if column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
        return column.cast(pl.Float64)
    texts = texts_in(column).str.strip_chars()
    if mapping is not None:
        texts = texts.set(_is_missing(texts, mapping), None)
        if mapping.decimal == ",":
            texts = _with_point(texts)
    return texts.cast(pl.Float64, strict=False)


def texts_in(column: pl.Series) -> pl.Series:
    """A column as text; what has no text of its own, such as a list, as Python writes it."""
    try:
        return column.cast(pl.String)
    except PolarsError:
        return pl.Series(column.name, [None if cell is None else str(cell) for cell in column.to_list()], pl.String)


def _is_missing(texts: pl.Series, mapping: Mapping) -> pl.Series:
    return texts.is_in(list(mapping.missing)).fill_null(False)


def _with_point(texts: pl.Series) -> pl.Series:
    """Numbers with a decimal comma as they are with a point; null where a point stands anywhere but at thousands."""
    misplaced = texts.str.contains(".", literal=True) & ~texts.str.contains(_GROUPED)
    whole = texts.set(misplaced.fill_null(False), None).str.replace_all(".", "", literal=True)
    return whole.str.replace(",", ".", literal=True)


def _values(
    frame: pl.DataFrame, mapping: Mapping, device_type: DeviceType, complaints: _Complaints
) -> npt.NDArray[np.float64]:
    place = {name: i for i, name in enumerate(device_type.sensor_names)}
    values = np.full((frame.height, len(place)), np.nan)
    for name, sensor in mapping.sensors.items():
        column = frame[name]
        numbers = numbers_in(column, mapping)
        values[:, place[sensor]] = numbers.to_numpy()
        unread = numbers.is_null() & column.is_not_null()
        if unread.any():
            texts = texts_in(column).str.strip_chars()
            unread &= ~_is_missing(texts, mapping)
            message = pl.select(pl.format("{} is '{}'; expected a number", pl.lit(name), texts.str.head(_SHOWN)))
            complaints.add(unread, message.to_series())
    return values


def _raw(frame: pl.DataFrame, at: int, mapping: Mapping) -> str:
    cells = frame.row(at, named=True)
    shown = mapping.separator.join("" if cells[name] is None else str(cells[name]) for name in mapping.columns)
    return shown[:2000]
