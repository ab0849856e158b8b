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
from .files import texts_in, times_in
from .key_columns import LABEL_NAME, KeyColumns, find_key_columns
from .mapping import Mapping
from .sample import Sample, listed
from .schema import MAX_SENSORS, RESERVED, DeviceType, Sensor, encode_type

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
    sample = Sample.read(path)
    notes = list(sample.dialect.notes)
    key = find_key_columns(sample, notes)
    chosen = _find_sensors(sample, [column for column in sample.columns if column not in key.names], notes)
    if not chosen:
        raise IngestError(
            f"{path} has no column of readings beside {key.time.column!r}; it has {listed(sample.columns)}"
        )
    sensors, times, sends = _sensors(sample, chosen), _times(sample, key), _sends(sample, chosen)
    if sends == "rows" and times.n_unique() < 0.5 * times.height:
        notes.append(
            f"most readings share their time in {key.time.column!r} with another one: is the time of day, or the"
            " device, in a column that was not taken for it?"
        )
    device_type = DeviceType(
        name=_slug(name or path.stem, "device"),
        sensors=tuple(sensors.values()),
        interval_s=_interval_s(times, notes),
        sends=sends,
    )
    names = {column: sensor.name for column, sensor in sensors.items()}
    mapping = sample.mapping(key.time, key.device, key.site, names)
    if key.device is None:
        notes.append("no column names a device: each file is one device, called as the file")
    return Proposal(device_type, mapping, notes)


def mapping_for(path: Path, device_type: DeviceType) -> Proposal:
    """Propose how to read a file of a type that is there: columns go to sensors by their names.

    Raises IngestError where no column fits a sensor. The notes name what is left out on either side.
    """
    sample = Sample.read(path)
    notes = list(sample.dialect.notes)
    key = find_key_columns(sample, notes)
    wanted = {
        _key(name): sensor.name
        for sensor in device_type.sensors
        if not sensor.retired
        for name in _names(sensor)
        if _key(name)
    }
    found: dict[str, str] = {}
    for column in sample.columns:
        if column in key.names:
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
            f" {listed(sample.columns)}: give a mapping"
        )
    missing = [s.name for s in device_type.sensors if not s.retired and s.name not in found.values()]
    if missing:
        notes.append(f"no column for {', '.join(missing)}: they are missing in every row")
    return Proposal(device_type, sample.mapping(key.time, key.device, key.site, found), notes)


def _find_sensors(sample: Sample, columns: Sequence[str], notes: list[str]) -> list[str]:
    chosen = []
    for column in columns:
        if not sample.is_numeric(column):
            notes.append(f"column {column!r} is left out: it holds no numbers")
            continue
        values = sample.numbers(column).drop_nulls().unique()
        if LABEL_NAME.search(column) and (values.len() <= 1 or values.is_in([0.0, 1.0]).all()):
            notes.append(f"column {column!r} is left out: it looks like a label, not like a sensor")
            continue
        if values.len() <= 1:
            notes.append(f"column {column!r} never changes here; kept, since a sensor may be that steady")
        chosen.append(column)
    if len(chosen) > MAX_SENSORS:
        notes.append(f"only the first {MAX_SENSORS} of {len(chosen)} columns are kept: no type has more sensors")
    return chosen[:MAX_SENSORS]


def _sensors(sample: Sample, columns: Sequence[str]) -> dict[str, Sensor]:
    sensors: dict[str, Sensor] = {}
    used: set[str] = set()
    for column in columns:
        label, unit = _label_and_unit(column)
        name = base = _slug(label, "sensor")
        number = 2
        while name in used:
            name, number = f"{base[:58]}_{number}", number + 1
        used.add(name)
        values = sample.numbers(column).drop_nulls().to_numpy()
        in_percent = unit == "%" and len(values) > 0 and 0 <= values.min() and values.max() <= 100
        sensors[column] = Sensor(
            name=name,
            label="" if label.replace("_", " ").capitalize() == name.replace("_", " ").capitalize() else label,
            unit=unit,
            low=0.0 if in_percent else None,
            high=100.0 if in_percent else None,
            precision=_precision(values),
        )
    return sensors


def _label_and_unit(column: str) -> tuple[str, str]:
    """What people call a column, and the unit in its name; one that only has a number is a sensor of that number."""
    if column.isdecimal():
        return f"sensor_{column}", ""
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
    """A name as it is compared: letters and digits alone, of any alphabet."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKD", name).casefold())


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
    with np.errstate(over="ignore"):
        step = float(np.diff(steps).min())
        whole = (steps - steps[0]) / step
    if not np.isfinite(whole).all() or float(np.abs(whole - np.rint(whole)).max()) > 0.01:
        return None
    return float(f"{step:.6g}")


def _times(sample: Sample, key: KeyColumns) -> pl.DataFrame:
    """Device and time (ms) of each row that has both."""
    ts = times_in(sample.frame[key.time.column], key.time, sample.everything)
    device = pl.Series([""]).new_from_index(0, ts.len()) if key.device is None else texts_in(sample.frame[key.device])
    return pl.DataFrame({"device": device, "ts": ts}).drop_nulls()


def _interval_s(times: pl.DataFrame, notes: list[str]) -> float:
    """The time between readings of a device, by the median; a whole number of seconds where it is nearly one."""
    gaps = times.sort("ts", maintain_order=True).select(pl.col("ts").diff().over("device")).to_series()
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


def _sends(sample: Sample, columns: Sequence[str]) -> Literal["rows", "parts"]:
    """Whether a row holds all sensors or mostly one."""
    held = np.zeros(sample.frame.height, np.int64)
    for column in columns:
        held += sample.numbers(column).is_not_null().to_numpy()
    return "parts" if len(columns) > 1 and float(np.median(held)) == 1.0 else "rows"
