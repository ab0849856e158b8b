"""The sentence of an alert: what a person who owns the device reads first.

Sentences are templates: `{lasted}` stands for how long it has lasted, because a sentence is kept while time
goes on. `filled` puts the duration in when it is shown or sent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ..telemetry.schema import DeviceType, Sensor
from .kinds import Condition

Oddness = Literal["level", "sudden", "noise", "jumps", "together"]
"""In which way a sensor is odd."""

LASTED = "{lasted}"
LEAST_SHARE = 0.15
"""Share of the score below which a sensor isn't worth a mention."""


@dataclass(frozen=True, slots=True)
class Blame:
    """A blamed sensor: its number, its value, the expected range, its share of the score (0 to 1).

    `oddness`: its level is off, it moved suddenly, is noisy, jumps again and again, or doesn't fit the other sensors;
    `off`: how far its level has been off for a while, in its unit, NaN where it hasn't.
    """

    sensor: int
    observed: float
    low: float
    high: float
    share: float
    oddness: Oddness = "level"
    off: float = math.nan


@dataclass(frozen=True, slots=True)
class Peers:
    """How many of the other devices like it, `of` in all, show the same; `where` they are ("at Cold Store 2")."""

    alike: int
    of: int
    where: str


def anomaly(device_type: DeviceType, blamed: Sequence[Blame], peers: Peers | None = None) -> str:
    """Say what is unusual about a device's reading, from the sensors to blame for its score."""
    usual = f"normal for this {_inside(device_type.title)}"
    known = [each for each in blamed if not math.isnan(each.observed)]
    ranked = sorted(known, key=lambda each: (_says_nothing(each), -each.share))
    if not ranked:
        return f"Its sensors together do not fit what is {usual} at this hour.{_peers(peers)}"
    first = _sensor(device_type, ranked[0])
    match ranked[0].oddness:
        case "together":
            text = f"{_named(device_type, ranked)} not fit together as is {usual} at this hour"
        case "sudden" if not _beyond(ranked[0]):
            text = f"{_opening(first.title)} moved more suddenly than is {usual} at this hour"
        case "noise" if not _beyond(ranked[0]):
            text = f"{_opening(first.title)} jumps about more than is {usual}"
        case "jumps" if not _beyond(ranked[0]):
            text = (
                f"Single readings of {_inside(first.title)} are far from what is {usual} at this hour, again and again"
            )
        case _:
            text = _away(first, ranked[0], f"{usual} at this hour")
            text += _with_it(device_type, [each for each in ranked[1:] if each.share >= LEAST_SHARE])
    return f"{text}.{_peers(peers)}"


def sensor(device_type: DeviceType, number: int, condition: Condition, *, others_report: bool = True) -> str:
    """Say what is wrong with sensor `number`; `others_report` is False where no other sensor sends either."""
    which = device_type.sensors[number]
    title = _opening(which.title)
    if condition == Condition.MISSING:
        return f"{title} stopped coming {LASTED} ago{'; the other sensors still report' if others_report else ''}."
    if condition == Condition.STUCK:
        return f"{title} has not changed for {LASTED}; it looks stuck."
    return f"{title} has been {_range(which)} for {LASTED}. Readings with such a value are set aside."


def silent(*, refused: bool = False) -> str:
    """Say that no reading of a device comes, `refused` where it does send, and none of it can be taken."""
    why = " What it sends can't be taken; the page Data quality says why." if refused else ""
    return f"No reading for {LASTED}.{why}"


def threshold(device_type: DeviceType, number: int, *, above: bool, limit: float, hold_ms: int) -> str:
    """Say that sensor `number` is past the limit of its owner's rule, which lets it be so for `hold_ms`."""
    which = device_type.sensors[number]
    side = f"{'above' if above else 'below'} {as_set(which, limit)}"
    if hold_ms == 0:
        return f"{_opening(which.title)} is {side}, which your rule does not allow."
    return f"{_opening(which.title)} has been {side} for {LASTED}; your rule allows {lasted(hold_ms)}."


def site(count: int, of: int, name: str) -> str:
    """Say that `count` of a site's `of` devices send nothing."""
    return f"No reading from {count} of {of} devices at {name}. Likely power or network, not the devices."


def filled(template: str, lasted_ms: int) -> str:
    """Return the sentence of an alert that has lasted `lasted_ms` so far, or lasted in the end."""
    return template.replace(LASTED, lasted(lasted_ms))


def lasted(duration_ms: int) -> str:
    """Return a duration as people say it: the largest unit of which there are at least two, rounded down."""
    for unit, unit_ms in (("day", 86_400_000), ("hour", 3_600_000), ("minute", 60_000)):
        if duration_ms >= 2 * unit_ms:
            return f"{duration_ms // unit_ms} {unit}s"
    seconds = max(0, duration_ms) // 1000
    if seconds == 60:
        return "1 minute"
    return "1 second" if seconds == 1 else f"{seconds} seconds"


def quantity(sensor: Sensor, value: float) -> str:
    """Return a value of a sensor with its unit, rounded to the sensor's precision, else to three digits."""
    if sensor.precision is not None:
        digits = max(0, math.ceil(-math.log10(sensor.precision) - 1e-9))
        value = round(value / sensor.precision) * sensor.precision
    else:
        digits = max(0, 2 - math.floor(math.log10(abs(value)))) if value else 0
    number = f"{value:,.{digits}f}"
    if sensor.precision is None and "." in number:
        number = number.rstrip("0").rstrip(".")
    if sensor.unit in ("%", "°"):
        return f"{number}{sensor.unit}"
    return f"{number} {sensor.unit}".rstrip()


def as_set(sensor: Sensor, value: float) -> str:
    """Return a value that a person has set, as they set it, with the sensor's unit."""
    number = f"{value:,.10g}"
    return f"{number}{sensor.unit}" if sensor.unit in ("%", "°") else f"{number} {sensor.unit}".rstrip()


def _sensor(device_type: DeviceType, blame: Blame) -> Sensor:
    return device_type.sensors[blame.sensor]


def _says_nothing(blame: Blame) -> bool:
    """Whether it isn't known what is odd about a sensor."""
    return blame.oddness == "level" and math.isnan(blame.off) and _beyond(blame) == 0


def _beyond(blame: Blame) -> float:
    """How far the value is above (+) or below (-) its expected range; 0 inside."""
    if blame.observed > blame.high:
        return blame.observed - blame.high
    return min(0.0, blame.observed - blame.low)


def _named(device_type: DeviceType, blamed: Sequence[Blame]) -> str:
    """The sensors that don't fit together, up to three, and the verb."""
    apart = [each for each in blamed if each.oddness == "together" and each.share >= LEAST_SHARE][:3] or blamed[:1]
    titles = [_inside(_sensor(device_type, each).title) for each in apart]
    if len(titles) == 1:
        return f"{_opening(titles[0])} and the other sensors do"
    return f"{_opening(', '.join(titles[:-1]))} and {titles[-1]} do"


def _away(sensor: Sensor, blame: Blame, where: str) -> str:
    beyond, off = _beyond(blame), 0.0 if math.isnan(blame.off) else blame.off
    if beyond == 0 and off == 0:
        return f"{_opening(sensor.title)} does not move as is {where}"
    lasting = abs(off) > abs(beyond)
    by = off if lasting else beyond
    amount = quantity(sensor, abs(by))
    if sensor.unit == "%":
        # "12% above normal" would be read as a share of what is normal.
        amount = f"{amount.removesuffix('%')} percentage points"
    if not any(digit in amount for digit in "123456789"):
        amount = "slightly"
    elif lasting:
        amount = f"about {amount}"
    verb, side = "keeps" if lasting else "is", "above" if by > 0 else "below"
    return f"{_opening(sensor.title)} {verb} {amount} {side} what is {where}"


def _with_it(device_type: DeviceType, others: Sequence[Blame]) -> str:
    moved = [each for each in others if _beyond(each)]
    moves = [f"{_inside(_sensor(device_type, each).title)} {_direction(each)}" for each in moved[:2]]
    return f", and {' and '.join(moves)} with it" if moves else ""


def _direction(blame: Blame) -> str:
    return "rose" if _beyond(blame) > 0 else "fell"


def _peers(peers: Peers | None) -> str:
    if peers is None or peers.of == 0:
        return ""
    if peers.alike == 0:
        others = "The one other" if peers.of == 1 else f"The {peers.of} others"
        return f" {others} {peers.where} {'does' if peers.of == 1 else 'do'} not show it."
    verb = "shows" if peers.alike == 1 else "show"
    return f" {peers.alike} of {peers.of} others {peers.where} {verb} it too: look for a common cause."


def _range(sensor: Sensor) -> str:
    if sensor.low is not None and sensor.high is not None:
        low, high = _limit(sensor, sensor.low), quantity(sensor, sensor.high)
        return f"outside its possible range ({low} to {high})"
    if sensor.high is not None:
        return f"above what is possible ({quantity(sensor, sensor.high)})"
    if sensor.low is not None:
        return f"below what is possible ({quantity(sensor, sensor.low)})"
    return "outside its possible range"


def _limit(sensor: Sensor, value: float) -> str:
    """The lower limit of a range, without the unit that follows the upper one."""
    return quantity(sensor, value).removesuffix(sensor.unit).rstrip()


def _inside(title: str) -> str:
    """A title within a sentence: its first letter small, unless the word is an abbreviation (CO2, pH)."""
    word = title.split(" ", 1)[0]
    return title if any(letter.isupper() for letter in word[1:]) or len(word) == 1 else title[:1].lower() + title[1:]


def _opening(title: str) -> str:
    """A title that opens a sentence."""
    word = title.split(" ", 1)[0]
    return title if any(letter.isupper() for letter in word[1:]) else title[:1].upper() + title[1:]
