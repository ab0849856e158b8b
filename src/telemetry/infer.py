"""Propose a device type, and the mapping to read its files by, from a file of real readings."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ..exceptions import IngestError
from .csv_dialect import Dialect, sniff
from .files import numbers_in, times_in
from .mapping import Mapping, TimeColumn
from .schema import MAX_SENSORS, RESERVED, DeviceType, Sensor, encode_type
from .tables import LINE, MORE, columns_of, is_parquet, read_frames

SAMPLE_ROWS = 200_000
"""How many rows of a file are looked at."""

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
_LABEL_NAME = re.compile(
    r"(anomal|change.?point|label|target|fault|failure|^class$|ground.?truth|outlier|machine.?status)", re.IGNORECASE
)
_STEP_NAME = re.compile(r"^(cycle|cycles|step|steps|index|time_?in_?cycles|t|n|no)$", re.IGNORECASE)
_IN_BRACKETS = re.compile(r"^(?P<label>.+?)\s*[(\[](?P<unit>[^)\]]{1,12})[)\]]\s*$")
_SUFFIXES = {
    "degc": "°C", "celsius": "°C", "degf": "°F", "kelvin": "K", "bar": "bar", "mbar": "mbar", "kpa": "kPa", "pa": "Pa",
    "psi": "psi", "hpa": "hPa", "rpm": "rpm", "hz": "Hz", "khz": "kHz", "volt": "V", "volts": "V", "mv": "mV",
    "kv": "kV", "amp": "A", "amps": "A", "ma": "mA", "watt": "W", "kw": "kW", "mw": "MW", "kwh": "kWh", "lpm": "l/min",
    "m3h": "m³/h", "mm_s": "mm/s", "m_s": "m/s", "pct": "%", "percent": "%", "ppm": "ppm", "lux": "lx", "db": "dB",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Proposal:
    """What `infer` proposes: a device type, how to read the file, and what a person should look at."""

    device_type: DeviceType
    mapping: Mapping
    notes: list[str]

    def type_json(self) -> str:
        """The type as JSON, for `faultwatch types add`; what is as by default is left out."""
        plain = msgspec.to_builtins(Sensor(name="x"))
        content = msgspec.json.decode(encode_type(self.device_type))
        content["sensors"] = [
            {name: value for name, value in sensor.items() if name == "name" or value != plain[name]}
            for sensor in content["sensors"]
        ]
        kept = {name: value for name, value in content.items() if value not in (None, "") and name != "version"}
        return msgspec.json.format(msgspec.json.encode(kept), indent=2).decode()


def infer(path: Path, name: str | None = None) -> Proposal:
    """Propose a device type from a CSV or Parquet file with a column of time and columns of numbers.

    `name` is that of the type (default: from the file's name). Nothing is guessed that could make a good
    reading look bad: a valid range is proposed for percentages only. Raises IngestError where no column is
    a time, or none holds readings, and says which columns there are.
    """
    sample = _Sample.read(path)
    notes = list(sample.dialect.notes)
    device_column, time = _find_device_and_time(sample, notes)
    site_column = next((column for column in sample.columns if _SITE_NAME.match(column)), None)
    taken = {time.column, device_column, site_column}
    chosen = _find_sensors(sample, [column for column in sample.columns if column not in taken], notes)
    if not chosen:
        raise IngestError(f"{path} has no column of readings beside {time.column!r}; it has {_listed(sample.columns)}")
    sensors = _sensors(sample, chosen)
    devices = None if device_column is None else sample.frame[device_column].cast(pl.String).to_numpy()
    interval_s = _interval_s(times_in(sample.frame[time.column], time, sample.how()), devices, notes)
    device_type = DeviceType(
        name=_slug(name or path.stem, "device"),
        sensors=tuple(sensors.values()),
        interval_s=interval_s,
        sends=_sends(sample, chosen),
    )
    mapping = Mapping(
        time=time,
        sensors={column: sensor.name for column, sensor in sensors.items()},
        device_column=device_column,
        site_column=site_column,
        separator=sample.dialect.separator,
        decimal=sample.dialect.decimal,
        header=sample.dialect.header,
    )
    if device_column is None:
        notes.append("no column names a device: each file is one device, called as the file")
    return Proposal(device_type, mapping, notes)


def mapping_for(path: Path, device_type: DeviceType) -> Proposal:
    """Propose how to read a file of a type that is there: columns go to sensors by their names.

    Raises IngestError where no column fits a sensor. The notes name what is left out on either side.
    """
    sample = _Sample.read(path)
    notes = list(sample.dialect.notes)
    device_column, time = _find_device_and_time(sample, notes)
    site_column = next((column for column in sample.columns if _SITE_NAME.match(column)), None)
    wanted = {
        _key(name): sensor.name for sensor in device_type.sensors if not sensor.retired for name in _names(sensor)
    }
    found: dict[str, str] = {}
    for column in sample.columns:
        if column in (time.column, device_column, site_column):
            continue
        sensor = wanted.get(_key(_label_and_unit(column)[0])) or wanted.get(_key(column))
        if sensor is not None and sensor not in found.values():
            found[column] = sensor
        else:
            notes.append(f"column {column!r} is no sensor of type {device_type.name!r}: left out")
    if not found:
        theirs = ", ".join(sensor.name for sensor in device_type.sensors if not sensor.retired)
        raise IngestError(
            f"no column of {path} fits a sensor of type {device_type.name!r} ({theirs}); it has"
            f" {_listed(sample.columns)}: give a mapping"
        )
    missing = [s.name for s in device_type.sensors if not s.retired and s.name not in found.values()]
    if missing:
        notes.append(f"no column for {', '.join(missing)}: they are missing in every row")
    mapping = Mapping(
        time=time,
        sensors=found,
        device_column=device_column,
        site_column=site_column,
        separator=sample.dialect.separator,
        decimal=sample.dialect.decimal,
        header=sample.dialect.header,
    )
    return Proposal(device_type, mapping, notes)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The first rows of a file, of all its columns."""

    path: Path
    dialect: Dialect
    columns: list[str]
    frame: pl.DataFrame

    @classmethod
    def read(cls, path: Path) -> "_Sample":
        parquet = is_parquet(path)
        dialect = Dialect() if parquet else sniff(path)
        columns = columns_of(path, dialect.separator, dialect.header)
        if len(columns) < 2:
            raise IngestError(
                f"{path} has {len(columns)} column(s), {_listed(columns)}; expected a time and at least one reading."
                " Is it a table with , ; a tab or | between columns?"
            )
        everything = Mapping(
            time=TimeColumn(column=columns[0]),
            sensors={name: str(i) for i, name in enumerate(columns)},
            separator=dialect.separator,
            decimal=dialect.decimal,
            header=dialect.header,
        )
        frame = next(read_frames(path, everything, SAMPLE_ROWS), None)
        if frame is None or not frame.height:
            raise IngestError(f"{path} has a header and no rows; expected readings")
        frame = frame.drop(LINE, *([MORE] if MORE in frame.columns else []))
        filled = frame.filter(~pl.all_horizontal(pl.all().is_null()))
        if not filled.height:
            raise IngestError(f"{path} has only blank rows; expected readings")
        return cls(path, dialect, columns, filled)

    def how(self) -> Mapping:
        """How numbers are written."""
        return Mapping(
            time=TimeColumn(column=""), sensors={"": ""}, separator=self.dialect.separator, decimal=self.dialect.decimal
        )

    def numbers(self, column: str) -> pl.Series:
        """A column as numbers, null where it holds none."""
        return numbers_in(self.frame[column], self.how())

    def is_numeric(self, column: str) -> bool:
        """Whether nearly all that a column holds are numbers; an empty one holds none."""
        texts = self.frame[column]
        held = texts.is_not_null()
        if texts.dtype == pl.String:
            held &= ~texts.str.strip_chars().is_in(list(self.how().missing))
        numbers = self.numbers(column)
        return bool(held.any()) and int(numbers.is_not_null().sum()) >= 0.95 * int(held.sum())


def _find_device_and_time(sample: _Sample, notes: list[str]) -> tuple[str | None, TimeColumn]:
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
        f"no column of {sample.path} looks like a time; it has {_listed(sample.columns)}:"
        " name it in a mapping, with its format"
    )


def _named_device(sample: _Sample) -> str | None:
    for column in sample.columns:
        distinct = sample.frame[column].n_unique()
        if _DEVICE_NAME.match(column) and distinct < max(2, sample.frame.height // 2):
            return column
    return None


def _repeating_text(sample: _Sample, time: str) -> str | None:
    """A column of text whose values come again and again at the same times: the devices of a fleet."""
    for column in sample.columns:
        if column == time or _SITE_NAME.match(column) or _LABEL_NAME.search(column) or sample.is_numeric(column):
            continue
        texts = sample.frame[column]
        if texts.dtype == pl.String and texts.null_count() == 0 and 1 < texts.n_unique() <= sample.frame.height // 10:
            if sample.frame.select(pl.struct(column, time).n_unique()).item() >= 0.99 * sample.frame.height:
                return column
    return None


def _find_time(sample: _Sample, device: str | None, notes: list[str]) -> TimeColumn | None:
    columns = [column for column in sample.columns if column != device]
    columns.sort(key=lambda column: not _TIME_NAME.match(column))
    for column in columns:
        if (time := _as_time(sample, column, notes)) is not None:
            return time
    return None


def _as_time(sample: _Sample, column: str, notes: list[str]) -> TimeColumn | None:
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


def _as_epoch(sample: _Sample, column: str) -> TimeColumn | None:
    numbers = sample.numbers(column).drop_nulls().to_numpy()
    likely = bool(_TIME_NAME.match(column))
    ascending = len(numbers) > 1 and bool((np.diff(numbers) >= 0).mean() > 0.9)
    for pattern, factor in (("seconds", 1.0), ("milliseconds", 1000.0)):
        # 2001 to 2065: outside of it a number is hardly a time.
        if (likely or ascending) and ((numbers >= 1e9 * factor) & (numbers < 3e9 * factor)).all():
            return TimeColumn(column=column, format=pattern)
    return None


def _block_and_step(sample: _Sample, device: str | None) -> tuple[str, str] | None:
    """A column that stays while another counts up, and changes where that begins anew: device and step."""
    whole = [
        column
        for column in sample.columns
        if sample.is_numeric(column) and bool((sample.numbers(column).fill_null(0.5) % 1 == 0).all())
    ]
    blocks = [device] if device is not None else whole
    for block in blocks:
        codes = sample.frame[block].cast(pl.String).rle_id().to_numpy()
        if device is None and not 1 <= codes[-1] <= len(codes) // 10:
            continue
        for step in sorted((column for column in whole if column != block), key=lambda c: not _STEP_NAME.match(c)):
            rises = np.diff(sample.numbers(step).to_numpy())[np.diff(codes) == 0]
            if len(rises) and bool((rises == 1).all()):
                return block, step
    return None


def _find_sensors(sample: _Sample, columns: Sequence[str], notes: list[str]) -> list[str]:
    chosen = []
    for column in columns:
        if not sample.is_numeric(column):
            notes.append(f"column {column!r} is left out: it holds no numbers")
            continue
        values = sample.numbers(column).drop_nulls().unique()
        if _LABEL_NAME.search(column) and (values.len() <= 1 or values.is_in([0.0, 1.0]).all()):
            notes.append(f"column {column!r} is left out: it looks like a label, not like a sensor")
            continue
        if values.len() <= 1:
            notes.append(f"column {column!r} never changes here; kept, since a sensor may be that steady")
        chosen.append(column)
    if len(chosen) > MAX_SENSORS:
        notes.append(f"only the first {MAX_SENSORS} of {len(chosen)} columns are kept: no type has more sensors")
    return chosen[:MAX_SENSORS]


def _sensors(sample: _Sample, columns: Sequence[str]) -> dict[str, Sensor]:
    sensors: dict[str, Sensor] = {}
    used: set[str] = set()
    for column in columns:
        label, unit = _label_and_unit(column)
        plain = f"sensor_{column}" if column.isdecimal() else label
        name = base = _slug(plain, "sensor")
        number = 2
        while name in used:
            name, number = f"{base[:58]}_{number}", number + 1
        used.add(name)
        values = sample.numbers(column).drop_nulls().to_numpy()
        in_percent = unit == "%" and len(values) > 0 and 0 <= values.min() and values.max() <= 100
        sensors[column] = Sensor(
            name=name,
            label="" if label.replace("_", " ").capitalize() == name.replace("_", " ").capitalize() else plain.strip(),
            unit=unit,
            low=0.0 if in_percent else None,
            high=100.0 if in_percent else None,
            precision=_precision(values),
        )
    return sensors


def _label_and_unit(column: str) -> tuple[str, str]:
    if (match := _IN_BRACKETS.match(column)) is not None:
        return match["label"].strip(), match["unit"].strip()
    if column.rstrip().endswith("%"):
        return column.rstrip().removesuffix("%").strip() or column, "%"
    lower = column.lower()
    for suffix in sorted(_SUFFIXES, key=len, reverse=True):
        if lower.endswith(f"_{suffix}") and len(column) > len(suffix) + 1:
            return column[: -len(suffix) - 1], _SUFFIXES[suffix]
    return column, ""


def _names(sensor: Sensor) -> list[str]:
    return [name for name in (sensor.name, sensor.label) if name]


def _key(name: str) -> str:
    """A name as it is compared: letters and digits alone."""
    return re.sub(r"[^a-z0-9]", "", _ascii(name).lower())


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def _slug(text: str, otherwise: str) -> str:
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", _ascii(text))
    slug = re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")[:60]
    if not slug:
        return otherwise
    if not slug[0].isalpha():
        slug = f"{otherwise}_{slug}"[:60]
    return f"{slug}_value" if slug in RESERVED else slug


def _precision(values: npt.NDArray[np.float64]) -> float | None:
    """The step of a sensor that reports in steps: where few values come often, all whole steps apart."""
    steps = np.unique(values[np.isfinite(values)])
    if len(values) < 100 or len(steps) < 3 or len(steps) > len(values) / 5:
        return None
    step = float(np.diff(steps).min())
    whole = (steps - steps[0]) / step
    if step <= 0 or float(np.abs(whole - np.rint(whole)).max()) > 0.01:
        return None
    return float(f"{step:.6g}")


def _interval_s(ms: pl.Series, devices: "npt.NDArray[np.object_] | None", notes: list[str]) -> float:
    """The time between readings of a device, by the median; a whole number of seconds where it is nearly one."""
    frame = pl.DataFrame({"device": [""] * ms.len() if devices is None else devices, "ts": ms}).drop_nulls()
    gaps = frame.sort("ts", maintain_order=True).select(pl.col("ts").diff().over("device")).to_series()
    median = gaps.filter(gaps > 0).median()
    if not isinstance(median, float | int):
        notes.append("the file has too few times to tell the interval: a minute is assumed")
        return 60.0
    seconds = median / 1000
    if seconds >= 0.95 and abs(seconds - round(seconds)) <= 0.02 * seconds:
        seconds = round(seconds)
    bounded = min(max(seconds, 0.1), 86_400.0)
    if bounded != seconds:
        notes.append(f"readings are {seconds:g} s apart; a type's interval is 0.1 to 86,400 s")
    return float(bounded)


def _sends(sample: _Sample, columns: Sequence[str]) -> Literal["rows", "parts"]:
    """Whether a row holds all sensors or mostly one."""
    held = np.zeros(sample.frame.height, np.int64)
    for column in columns:
        held += sample.numbers(column).is_not_null().to_numpy()
    return "parts" if len(columns) > 1 and float(np.median(held)) == 1.0 else "rows"


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in columns[:20])
    return shown + (" …" if len(columns) > 20 else "") or "none"
