"""Which columns of a file are the key of a reading: its time, its device, and that device's site."""

import re
from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl

from ..exceptions import IngestError
from .files import texts_in, times_in
from .mapping import TimeColumn
from .sample import Sample, listed

TIME_PATTERNS = (
    "%d.%m.%Y %H:%M:%S%.f",
    "%d.%m.%Y %H:%M",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M",
    "%d-%m-%Y %H:%M:%S%.f",
    "%d-%m-%Y %H:%M",
    "%Y%m%d %H%M%S",
    "%d-%b-%Y %H:%M:%S",
)
_TIME_NAME = re.compile(r"^(date.?time|time.?stamp|ts|time|date|zeit.*|datum|.*_at|.*_time)$", re.IGNORECASE)
_DEVICE_NAME = re.compile(
    r"^(device|machine|unit|asset|engine|pump|station|inverter|meter|equipment|node|serial)"
    r"([ _-]?(id|no|nr|number|name))?$"
    r"|^(id|source_?key|tag)$",
    re.IGNORECASE,
)
_SITE_NAME = re.compile(r"^(site|plant|location|building)([ _-]?(id|name))?$", re.IGNORECASE)
LABEL_NAME = re.compile(
    r"(anomal|change.?point|label|target|fault|failure|^class$|ground.?truth|outlier|machine.?status)", re.IGNORECASE
)
_STEP_NAME = re.compile(r"^(cycle|cycles|step|steps|index|time_?in_?cycles|t|n|no)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """The columns of time, device and site; None where the file has none."""

    time: TimeColumn
    device: str | None
    site: str | None

    @property
    def names(self) -> set[str]:
        """The columns by their names."""
        return {name for name in (self.time.column, self.device, self.site) if name is not None}


def find_key_columns(sample: Sample, notes: list[str]) -> KeyColumns:
    """Find the columns of the key by their names and by what they hold; `notes` gets what a person should check.

    Raises IngestError where no column is a time, and says which columns there are.
    """
    device, time = _find_device_and_time(sample, notes)
    site = next((column for column in sample.columns if _SITE_NAME.match(column) and column != device), None)
    return KeyColumns(time, device, site)


def _find_device_and_time(sample: Sample, notes: list[str]) -> tuple[str | None, TimeColumn]:
    device = _named_device(sample)
    time = _find_time(sample, device, notes)
    if time is not None:
        return device or _repeating_text(sample, time.column), time
    if (pair := _block_and_step(sample, device)) is not None:
        block, step = pair
        notes.append(
            f"no column is a time: {step!r} counts steps within each {block!r}, read as minutes from 2000-01-01;"
            " set step_s and start of the mapping to what they are"
        )
        return block, TimeColumn(column=step, format="steps")
    raise IngestError(
        f"no column of {sample.path} looks like a time; it has {listed(sample.columns)}:"
        " name it in a mapping, with its format"
    )


def _named_device(sample: Sample) -> str | None:
    for column in sample.columns:
        if _DEVICE_NAME.match(column):
            if texts_in(sample.frame[column]).n_unique() < max(2, sample.frame.height // 2):
                return column
    return None


def _repeating_text(sample: Sample, time: str) -> str | None:
    """A column of text whose values come again and again at the same times: the devices of a fleet."""
    if sample.frame[time].n_unique() > 0.9 * sample.frame.height:
        return None  # one device; a text that repeats says in what state it is
    for column in sample.columns:
        if column == time or _SITE_NAME.match(column) or LABEL_NAME.search(column) or sample.is_numeric(column):
            continue
        texts = sample.frame[column]
        if texts.dtype == pl.String and texts.null_count() == 0 and 1 < texts.n_unique() <= sample.frame.height // 10:
            if sample.frame.select(pl.struct(column, time).n_unique()).item() >= 0.99 * sample.frame.height:
                return column
    return None


def _find_time(sample: Sample, device: str | None, notes: list[str]) -> TimeColumn | None:
    columns = [column for column in sample.columns if column != device]
    columns.sort(key=lambda column: not _TIME_NAME.match(column))
    for column in columns:
        if (time := _as_time(sample, column, notes)) is not None:
            return time
    return None


def _as_time(sample: Sample, column: str, notes: list[str]) -> TimeColumn | None:
    series = sample.frame[column]
    if isinstance(series.dtype, pl.Datetime | pl.Date):
        if getattr(series.dtype, "time_zone", None) is None:
            notes.append(f"times in {column!r} name no zone: read as UTC; set zone of the mapping where they are local")
        return TimeColumn(column=column)
    if sample.is_numeric(column):
        return _as_epoch(sample, column)
    if series.dtype != pl.String:
        return None
    for pattern in ("iso", *TIME_PATTERNS):
        time = TimeColumn(column=column, format=pattern)
        if times_in(series, time).is_not_null().sum() < 0.95 * series.len():
            continue
        first = str(series.drop_nulls()[0]).strip()
        if not re.search(r"(Z|[+-]\d\d:?\d\d)$", first):
            notes.append(f"times in {column!r} name no zone: read as UTC; set zone of the mapping where they are local")
        if pattern.startswith("%d/%m") and times_in(series, _american(time)).is_not_null().all():
            notes.append(
                f"times in {column!r} are read as day/month; for month/day set format to {_american(time).format!r}"
            )
        return time
    return None


def _american(time: TimeColumn) -> TimeColumn:
    return msgspec.structs.replace(time, format=time.format.replace("%d/%m", "%m/%d"))


def _as_epoch(sample: Sample, column: str) -> TimeColumn | None:
    numbers = sample.numbers(column).drop_nulls().to_numpy()
    likely = bool(_TIME_NAME.match(column))
    ascending = len(numbers) > 1 and bool((np.diff(numbers) >= 0).mean() > 0.9)
    for pattern, factor in (("seconds", 1.0), ("milliseconds", 1000.0)):
        # 2001 to 2065: outside of it a number is hardly a time.
        if (likely or ascending) and ((numbers >= 1e9 * factor) & (numbers < 3e9 * factor)).all():
            return TimeColumn(column=column, format=pattern)
    return None


def _block_and_step(sample: Sample, device: str | None) -> tuple[str, str] | None:
    """A column that stays while another counts up, and changes where that begins anew: device and step."""
    whole = [
        column
        for column in sample.columns
        if sample.is_numeric(column) and bool((sample.numbers(column).fill_null(0.5) % 1 == 0).all())
    ]
    blocks = [device] if device is not None else whole
    for block in blocks:
        codes = texts_in(sample.frame[block]).rle_id().to_numpy()
        if device is None and not 1 <= codes[-1] <= len(codes) // 10:
            continue
        for step in sorted((column for column in whole if column != block), key=lambda c: not _STEP_NAME.match(c)):
            rises = np.diff(sample.numbers(step).to_numpy())[np.diff(codes) == 0]
            if len(rises) and bool((rises == 1).all()):
                return block, step
    return None
