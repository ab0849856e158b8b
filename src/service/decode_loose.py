"""Read JSON that strict, typed decoding refused, to say what is wrong with it in the words of a person.

Slower and more tolerant: NaN and Infinity, which strict JSON does not have but senders write, are read,
so that only the rows that hold them fall.
"""

import json
import math
from collections.abc import Iterator, Mapping

import msgspec

from ..exceptions import IngestError
from ..telemetry.quality import Reason, not_finite
from .decoded import MAX_NAME, Row, Unread, clipped

ROW_FIELDS = ("device_id", "timestamp", "values", "type", "site")


class Flaw(msgspec.Struct, frozen=True):
    """Why a row can't be read; its number in the request comes later."""

    message: str
    raw: str = ""
    device_id: str = ""
    reason: Reason = Reason.unparsable

    def at(self, number: int, device_id: str = "", raw: str = "") -> Unread:
        """The flaw of row `number`."""
        return Unread(
            number, self.reason, as_text(self.device_id or device_id)[:MAX_NAME], as_text(self.message), self.raw or raw
        )


def loads(text: bytes) -> object:
    """Parse JSON with NaN, Infinity and numbers of any size as float. Raises IngestError where it is none."""
    try:
        return json.loads(text.decode("utf-8"), parse_int=float, parse_constant=float)
    except UnicodeDecodeError as error:
        raise IngestError(f"not UTF-8: byte {error.start} is 0x{text[error.start]:02x}") from error
    except json.JSONDecodeError as error:
        raise IngestError(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except RecursionError as error:
        raise IngestError("not a reading: the JSON is nested too deeply") from error


def dumps(content: object) -> bytes:
    """Write parsed JSON again, as ASCII."""
    return json.dumps(content, separators=(",", ":")).encode("ascii")


def judge(content: object, raw: str) -> Row | Flaw:
    """Make a row of parsed JSON, or say what is wrong with it; `raw` is the row as it was sent."""
    if not isinstance(content, dict):
        return Flaw(f"the row is {kind(content)}; expected an object with device_id, timestamp and values", raw)
    given = content.get("device_id")
    device_id = given if isinstance(given, str) else ""
    for complaint in _complaints(content):
        return Flaw(complaint, raw, device_id)
    for sensor, value in content["values"].items():
        if value is not None and not math.isfinite(value):
            return Flaw(not_finite(sensor[:MAX_NAME], value), raw, device_id, Reason.not_finite)
    return Row(**content)


def judge_text(raw: bytes) -> Row | Flaw:
    """Make a row of JSON text, or say what is wrong with it."""
    try:
        content = loads(raw)
    except IngestError as error:
        return Flaw(str(error), clipped(raw))
    return judge(content, clipped(raw))


def name_complaint(field: str, value: object) -> str | None:
    """Say what is wrong with a device id, a type or a site; None where nothing is."""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_NAME:
        return f"{field} is {kind(value)}; expected a text of 1 to {MAX_NAME} characters"
    return None if is_text(value) else f"{field} is no valid Unicode"


def time_complaint(value: object) -> str | None:
    """Say what is wrong with a timestamp before it is parsed; None where nothing is."""
    if isinstance(value, bool) or not isinstance(value, (str, float)):
        return f"timestamp is {kind(value)}; expected a text or a number"
    return "timestamp is no valid Unicode" if isinstance(value, str) and not is_text(value) else None


def number_complaint(sensor: str, value: object) -> str | None:
    """Say what is wrong with a sensor's value; None where nothing is."""
    if value is None or (isinstance(value, float) and not isinstance(value, bool)):
        return None
    return f"{sensor[:MAX_NAME]} is {kind(value)}; expected a number or null"


def _complaints(row: Mapping[str, object]) -> Iterator[str]:
    if unknown := [field for field in row if field not in ROW_FIELDS]:
        yield (
            f"the row has {listed(unknown)}, no field of a row ({', '.join(ROW_FIELDS)}):"
            " the values of sensors belong into values"
        )
    for field in ("device_id", "timestamp", "values"):
        if field not in row:
            yield f"the row has no {field}; it has {listed(row)}"
    for field in ("device_id", "type", "site"):
        if field == "device_id" or row.get(field) is not None:
            if complaint := name_complaint(field, row[field]):
                yield complaint
    if complaint := time_complaint(row["timestamp"]):
        yield complaint
    values = row["values"]
    if not isinstance(values, dict):
        yield f'values is {kind(values)}; expected an object, such as {{"pressure": 2.5}}'
        return
    for sensor, value in values.items():
        if complaint := number_complaint(sensor, value):
            yield complaint
        if not is_text(sensor):
            yield f"the name of sensor {as_text(sensor)!r} is no valid Unicode"


def kind(value: object) -> str:
    """A JSON value as people call it, with the value where it is short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"the number {value:g}"
    if isinstance(value, str):
        return (
            "an empty text" if not value else f"the text {as_text(value if len(value) <= 40 else value[:40] + '…')!r}"
        )
    return "a list" if isinstance(value, list) else "an object"


def listed(names: Mapping[str, object] | list[str]) -> str:
    """The first names, for a message."""
    shown = ", ".join(repr(as_text(name[:60])) for name in list(names)[:5])
    return (shown + (" …" if len(names) > 5 else "")) or "nothing"


def is_text(text: str) -> bool:
    """Whether a text is valid Unicode: JSON can escape halves of a surrogate pair, which no column can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text) if not text.isascii() else True


def as_text(text: str) -> str:
    """The text with what is no valid Unicode replaced."""
    return text if is_text(text) else text.encode("utf-8", "replace").decode("utf-8")
