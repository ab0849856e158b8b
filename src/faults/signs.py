"""What speaks for a kind of fault, in words that are true of the device: the features that weigh most."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .episodes import ABOUT_ALL, FEATURES
from .smoothing import F64

MOST = 3
LEAST_SHARE = 0.02
"""A feature that adds less than this share of what speaks for a kind isn't worth a line."""


@dataclass(frozen=True, slots=True)
class _Words:
    """What a feature says from `from_high` up, and up to `from_low`; in between it is told of neither way."""

    high: str
    low: str
    from_low: float
    from_high: float

    def of(self, value: float) -> str:
        return self.high if value >= self.from_high else self.low if value <= self.from_low else ""


def _signed(high: str, low: str, least: float) -> _Words:
    return _Words(high, low, -least, least)


def _above(high: str, least: float) -> _Words:
    return _Words(high, "", -np.inf, least)


_OFF = ("reads above what is expected", "reads below what is expected")
_NOISE = ("is noisier from reading to reading than before", "is calmer from reading to reading than before")
_STEADY = ("is off by much the same all the time", "isn't off by one amount")
_OF_SENSOR = {
    "level": _signed(*_OFF, 0.3),
    "median": _signed(*_OFF, 0.3),
    "hour_shift": _signed("reads above what is usual at this hour", "reads below what is usual at this hour", 0.5),
    "slope": _signed("has been climbing", "has been falling", 0.3),
    "monotone": _Words("has been moving further off", "has been coming back", -0.4, 0.4),
    "line_fit": _Words("moves off steadily", "doesn't move off steadily", 0.1, 0.6),
    "curve_fit": _above("moves off along a bend", 0.2),
    "begin_part": _Words("was as far off at the beginning as now", "was hardly off at the beginning", 0.2, 0.8),
    "quarter_part": _Words("was as far off early on as now", "was hardly off early on", 0.2, 0.8),
    "middle_part": _Words("was as far off half-way as now", "was hardly off half-way", 0.2, 0.8),
    "first": _signed("read too high from the beginning", "read too low from the beginning", 0.5),
    "second": _signed("read too high early on", "read too low early on", 0.5),
    "middle": _signed("read too high half-way", "read too low half-way", 0.5),
    "last": _signed("reads too high of late", "reads too low of late", 0.5),
    "flat_fit": _Words(*_STEADY, 0.2, 0.7),
    "flat": _Words(*_STEADY, 0.2, 0.7),
    "gain": _Words("is off in proportion to what it should read", "isn't off in proportion", 0.2, 0.7),
    "wide": _Words("wanders far around what is expected", "keeps close to one distance from it", -0.5, 0.7),
    "jump": _signed(*_NOISE, 0.2),
    "jump_rms": _signed(*_NOISE, 0.2),
    "hour_noise": _signed("is noisier than before", "is calmer than before", 0.2),
    "far": _Words("has single readings far off", "has hardly a single reading far off", -3.0, -2.3),
    "far_more": _above("has more single readings far off than before", 0.002),
    "far_side": _signed("has readings far above those around them", "has readings far below those around them", 0.5),
    "far_cluster": _above("has several readings far off in a row", 0.5),
    "low": _above("is far below what is expected at times", 0.02),
    "moves_with": _Words("still moves as it should", "doesn't move as it should", 0.2, 0.7),
    "goes_with": _Words("still follows what is expected of it", "doesn't follow what is expected of it", 0.3, 0.8),
    "range_of": _signed("swings more than it should", "swings less than it should", 0.3),
    "run": _Words("repeats one value for long", "doesn't repeat one value for long", 0.02, 0.2),
    "run_long": _Words("repeats one value for long", "doesn't repeat one value for long", np.log(4.0), np.log(16.0)),
    "same": _above("repeats values more often than before", 0.1),
    "lag_1": _Words("is off by much the same from one reading to the next", "is off anew by each reading", 0.2, 0.8),
    "lag_30": _above("stays off for long", 0.7),
    "period": _Words("swings in a steady rhythm", "has no steady rhythm", 0.1, 0.4),
    "missing": _Words("lacks values", "lacks hardly a value", 0.005, 0.02),
    "odd": _Words("is odd as well", "is as it should be", 0.5, 1.5),
}
"""By feature of a sensor, as `shapes` and `episodes` make it; one without words isn't told."""

_ALONE = "the other sensors behave"
_RHYTHM = ("the sensors swing in a new rhythm", "no sensor swings in a new rhythm")
_OF_ALL = {
    "left": _Words("other sensors are off as well", _ALONE, 1.0, 3.0),
    "left_most": _Words("another sensor is off as well", _ALONE, 0.7, 1.5),
    "left_count": _Words("several other sensors are off as well", _ALONE, 0.0, 2.0),
    "gain_on_next": _above("{0} alone explains what is odd", 1.0),
    "period_mean": _above(_RHYTHM[0], 0.25),
    "period_most": _Words(*_RHYTHM, 0.1, 0.3),
    "period_count": _above(_RHYTHM[0], 2.0),
    "hour_period_mean": _above(_RHYTHM[0], 0.25),
    "hour_period_most": _Words(*_RHYTHM, 0.1, 0.3),
    "missing_others": _above("other sensors lack values", 0.02),
}


def words(features: F64, added: F64, sensors: Sequence[str]) -> list[str]:
    """What speaks most for a kind, at most `MOST` sentences without their full stops.

    `features` (F,) are those of `episodes.tell`; `added` (F,) is what each adds to the kind's log-odds; `sensors` are
    the labels of those that `episodes.Told.ranked` numbers.
    """
    speaking = float(added[added > 0].sum())
    said: list[str] = []
    for number in np.argsort(-added, kind="stable").tolist():
        if len(said) == MOST or added[number] <= LEAST_SHARE * speaking:
            break
        sentence = _sentence(FEATURES[number], float(features[number]), sensors)
        if sentence and sentence not in said:
            said.append(sentence)
    return said


def _sentence(feature: str, value: float, sensors: Sequence[str]) -> str:
    if feature in ABOUT_ALL:
        told = _OF_ALL[feature].of(value).format(*sensors[:1]) if feature in _OF_ALL else ""
        return told[:1].upper() + told[1:]
    name, _, place = feature.rpartition("_")
    told = _OF_SENSOR[name].of(value) if name in _OF_SENSOR and int(place) < len(sensors) else ""
    return f"{sensors[int(place)]} {told}" if told else ""
