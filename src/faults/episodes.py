"""An episode, from the first signs on, told in features that mean the same for devices of every type.

Which sensor lies is found first: the one without which the others behave. A fault of a sensor leaves nothing behind;
one of the device does. Features are of that sensor, of the next two, and of those that are left.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..exceptions import ModelError
from . import series, shapes
from .following import LEARN_SHARE, Following
from .labels import I64
from .smoothing import F64

BLOCK_MINUTES = 30.0
RANKED = 3
LEAST_PAST_MS = 2 * 86_400_000
LEAST_SENSORS = 3
MOST_SENSORS = 16
"""Work grows with the fourth power of their number and more."""

LEAST_ROWS = 12
ITSELF = 0.15
"""How much a sensor's own oddness counts in finding the suspect, beside that of the others without it."""


@dataclass(frozen=True, slots=True)
class Episode:
    """Rows of one device in order of time: `values` (n, S), NaN where missing, at `ts` (n,) ms; `begin` is the first
    row of the episode, those before are its past, healthy as far as is known."""

    values: F64
    ts: I64
    begin: int
    interval_ms: int

    def __post_init__(self) -> None:
        """Raises ModelError where the past or the episode is too short to tell, or sensors are too few."""
        if self.values.ndim != 2 or len(self.values) != len(self.ts):
            raise ValueError(f"values {self.values.shape}: expected ({len(self.ts)}, sensors)")
        past_ms = int(self.ts[self.begin - 1] - self.ts[0]) if self.begin > 0 else 0
        if past_ms < LEAST_PAST_MS - self.interval_ms or len(self.ts) - self.begin < LEAST_ROWS:
            raise ModelError(
                f"{past_ms / 3_600_000:.0f} hours before the fault and {len(self.ts) - self.begin} readings in it; to"
                f" tell its kind takes {LEAST_PAST_MS // 3_600_000} hours and {LEAST_ROWS} readings: wait for more"
            )
        if not LEAST_SENSORS <= self.values.shape[1] <= MOST_SENSORS:
            raise ModelError(
                f"{self.values.shape[1]} sensors; to tell a kind of fault takes {LEAST_SENSORS} to {MOST_SENSORS}"
            )


@dataclass(frozen=True, slots=True)
class Told:
    """Features of an episode (F,), those of `FEATURES`, and the sensors they are of, the one most likely at fault
    first."""

    features: F64
    ranked: tuple[int, ...]

    @property
    def suspect(self) -> int:
        """The number of the sensor that is most likely at fault."""
        return self.ranked[0]


@dataclass(frozen=True, slots=True)
class _Odd:
    """Of each series (K,): by how much half-hours are off, signed; how much noisier, in logarithms; both together."""

    shift: F64
    noise: F64
    total: F64


ABOUT_ALL = (
    "hours left left_most left_count itself gain_on_next period_mean period_most period_count hour_period_mean"
    " hour_period_most missing_others"
).split()
ABOUT_ONE = (*shapes.NAMES, "odd", "hour_shift", "hour_noise")
FEATURES = (*ABOUT_ALL, *(f"{name}_{place}" for place in range(RANKED) for name in ABOUT_ONE))


def tell(episode: Episode) -> Told:
    """Find the suspect of an episode, and its features."""
    return tell_at(episode, [len(episode.ts)])[0]


def tell_at(episode: Episode, ends: Sequence[int]) -> list[Told]:
    """What was told of an episode when its first `end` rows had come, for each of `ends`, each at least `LEAST_ROWS`
    past its beginning: what one would have seen then, and no more."""
    following = Following.fit(episode.values[: episode.begin], episode.ts[: episode.begin], episode.interval_ms)
    columns = following.columns(episode.values, episode.ts)
    differences = following.differences(episode.values, columns)
    hours = following.from_hours(episode.values, columns)
    seen = _Seen(episode, following, differences, hours)
    return [_told(seen, end) for end in ends]


@dataclass(frozen=True, slots=True)
class _Seen:
    """An episode with what its past makes of it: `differences` (n, S, S) and `hours` (n, S), as `Following` has them;
    those of a row are made of rows up to it."""

    episode: Episode
    following: Following
    differences: F64
    hours: F64


def _told(seen: _Seen, end: int) -> Told:
    episode, following, hours = seen.episode, seen.following, seen.hours
    if end - episode.begin < LEAST_ROWS or end > len(episode.ts):
        raise ValueError(f"end {end}: expected {episode.begin + LEAST_ROWS} to {len(episode.ts)}")
    n = following.n_sensors
    now = slice(episode.begin, end)
    judged = slice(round(LEARN_SHARE * episode.begin), episode.begin)
    per_block = max(2, round(BLOCK_MINUTES * 60_000 / episode.interval_ms))
    flat = seen.differences.reshape(-1, n * n)
    odd = _odd(flat[judged], flat[now], per_block)
    total = odd.total.reshape(n, n)
    others = total.sum(axis=1) - np.diag(total)
    suspect = int(np.argmin(others - ITSELF * np.diag(total)))
    rest = np.delete(np.arange(n), suspect)
    ranked = [suspect, *rest[np.argsort(-total[suspect, rest], kind="stable")].tolist()]
    residuals = seen.differences[:, suspect]
    by_hour = _odd(hours[judged], hours[now], per_block)

    left = total[suspect, rest]
    found = {
        "hours": float(np.log1p(len(episode.ts[now]) * episode.interval_ms / 3_600_000)),
        "left": float(np.log1p(left).sum()),
        "left_most": float(left.max()),
        "left_count": float((left > 1.5).sum()),
        "itself": float(total[suspect, suspect]),
        "gain_on_next": float(others[ranked[1]] - others[suspect]),
        "missing_others": float(np.isnan(episode.values[now][:, rest]).mean()),
    }
    gained, by_hour_gained = (
        np.array([series.period(each[now][:, k])[0] - series.period(each[judged][:, k])[0] for k in range(n)])
        for each in (residuals, hours)
    )
    found |= {"period_mean": float(gained.mean()), "period_most": float(gained.max())}
    found |= {"period_count": float((gained > 0.25).sum())}
    found |= {"hour_period_mean": float(by_hour_gained.mean()), "hour_period_most": float(by_hour_gained.max())}
    for place, sensor in enumerate(ranked[:RANKED]):
        raw, mine = episode.values[:, sensor], residuals[:, sensor]
        spread = float(following.spread[sensor])
        about = shapes.shape(shapes.Course(raw[judged], mine[judged], raw[now], mine[now], spread))
        about |= {"odd": float(total[suspect, sensor])}
        about |= {"hour_shift": float(by_hour.shift[sensor]), "hour_noise": float(by_hour.noise[sensor])}
        found |= {f"{name}_{place}": value for name, value in about.items()}
    return Told(np.nan_to_num(np.array([found[name] for name in FEATURES])), tuple(ranked[:RANKED]))


def _odd(past: F64, now: F64, per_block: int) -> _Odd:
    mean_past, noise_past = series.blocks(past, per_block)
    mean, noise = series.blocks(now, min(per_block, max(2, len(now) // 2)))
    usual, wander = _middle(mean_past), series.robust_spread(mean_past) + 1e-3
    quiet, range_ = _middle(noise_past), series.robust_spread(noise_past) + 0.1
    off = np.nan_to_num((mean - usual) / wander)
    louder = np.nan_to_num((noise - quiet) / range_)
    total = np.log1p((off**2).mean(axis=0) / 3.0) + np.log1p((louder**2).mean(axis=0) / 3.0)
    louder_by = np.nan_to_num(noise - quiet).mean(axis=0)
    return _Odd(series.signed_log(off.mean(axis=0)), louder_by, total)


def _middle(values: F64) -> F64:
    there = np.isfinite(values).any(axis=0)
    result: F64 = np.nanmedian(np.where(there, values, 0.0), axis=0)
    return result
