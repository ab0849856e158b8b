"""An episode, from the first signs on, told in features that mean the same for devices of every type.

Which sensor lies is found first: the one without which the others behave. A fault of a sensor leaves nothing behind;
one of the device does. Features are of that sensor, of the next two, and of those that are left.
"""

from dataclasses import dataclass

import numpy as np

from .following import LEARN_SHARE, Following
from .labels import I64
from .smoothing import F64

BLOCK_MINUTES = 30.0
LIMIT = 1e4
TENTHS = 8
PERIOD_MINUTES = (4, 90)
RANKED = 3
FAR = 5.0


@dataclass(frozen=True, slots=True)
class Episode:
    """Rows of one device in order of time: `values` (n, S), NaN where missing, at `ts` (n,) ms; `begin` is the first
    row of the episode, those before are its past."""

    values: F64
    ts: I64
    begin: int
    interval_ms: int


def features(episode: Episode) -> dict[str, float]:
    """Features of an episode by name. Those of `shift_k` to `hour_k` are of the type's sensor number k."""
    past, now = slice(0, episode.begin), slice(episode.begin, None)
    following = Following(episode.values[past], episode.ts[past], episode.interval_ms)
    columns = following.columns(episode.values, episode.ts)
    judged = slice(round(LEARN_SHARE * episode.begin), episode.begin)
    per_block = max(2, round(BLOCK_MINUTES * 60_000 / episode.interval_ms))
    without = []
    for sensor in range(following.n_sensors):
        residuals = following.residuals(episode.values, columns, sensor)
        without.append((residuals, _odd(residuals[judged], residuals[now], per_block)))
    rest = np.array([np.delete(odd.total, sensor).sum() for sensor, (_, odd) in enumerate(without)])
    odd_itself = np.array([odd.total[sensor] for sensor, (_, odd) in enumerate(without)])
    suspect = int(np.argmin(rest - 0.15 * odd_itself))
    residuals, odd = without[suspect]
    others = np.delete(np.arange(following.n_sensors), suspect)
    ranked = [suspect, *others[np.argsort(-odd.total[others])].tolist()]
    hours = following.from_hours(episode.values, columns)
    by_hour = _odd(hours[judged], hours[now], per_block)

    found = {"hours": len(residuals[now]) * episode.interval_ms / 3_600_000, "suspect": float(suspect)}
    found["left"] = float(np.log1p(np.delete(odd.total, suspect)).sum())
    found["left_most"] = float(np.delete(odd.total, suspect).max())
    found["left_count"] = float((np.delete(odd.total, suspect) > 1.5).sum())
    found["itself"] = float(odd_itself[suspect])
    found["gain"] = float(np.delete(without[ranked[1]][1].total, ranked[1]).sum() - rest[suspect])
    for place, sensor in enumerate(ranked[:RANKED]):
        mine = _of_sensor(episode, following, residuals[:, sensor], columns, sensor, judged, per_block)
        found |= {f"{name}_{place}": value for name, value in mine.items()}
        found[f"odd_{place}"] = float(odd.total[sensor])
        found[f"hour_shift_{place}"] = float(by_hour.shift[sensor])
        found[f"hour_noise_{place}"] = float(by_hour.noise[sensor])
    swing = [_period(residuals[now][:, sensor]) for sensor in range(following.n_sensors)]
    before = [_period(residuals[judged][:, sensor]) for sensor in range(following.n_sensors)]
    gained = np.array([one[0] for one in swing]) - np.array([one[0] for one in before])
    found["period_mean"], found["period_most"] = float(gained.mean()), float(gained.max())
    found["period_count"] = float((gained > 0.25).sum())
    hourly = [_period(hours[now][:, sensor])[0] - _period(hours[judged][:, sensor])[0] for sensor in range(following.n_sensors)]
    found["hour_period_mean"], found["hour_period_most"] = float(np.mean(hourly)), float(np.max(hourly))
    missing = np.isnan(episode.values[now]).mean(axis=0)
    found["missing_others"] = float(np.delete(missing, suspect).mean())
    for sensor in range(following.n_sensors):
        found[f"named_shift_{sensor}"] = float(odd.shift[sensor])
        found[f"named_noise_{sensor}"] = float(odd.noise[sensor])
        found[f"named_hour_{sensor}"] = float(by_hour.shift[sensor])
        found[f"named_odd_{sensor}"] = float(odd.total[sensor])
    return found


@dataclass(frozen=True, slots=True)
class _Odd:
    """Of each sensor (S,): mean of half-hours off, signed; how much noisier, in logarithms; both together."""

    shift: F64
    noise: F64
    total: F64


def _odd(past: F64, now: F64, per_block: int) -> _Odd:
    mean_0, noise_0 = _blocks(past, per_block)
    mean_1, noise_1 = _blocks(now, min(per_block, max(2, len(now) // 2)))
    centre, wander = np.nanmedian(mean_0, axis=0), _robust(mean_0) + 1e-3
    usual, range_ = np.nanmedian(noise_0, axis=0), _robust(noise_0) + 0.1
    off = np.nan_to_num((mean_1 - centre) / wander)
    louder = np.nan_to_num((noise_1 - usual) / range_)
    total = np.log1p((off**2).mean(axis=0) / 3.0) + np.log1p((louder**2).mean(axis=0) / 3.0)
    return _Odd(_signed_log(off.mean(axis=0)), np.nan_to_num(np.nanmean(noise_1, axis=0) - usual), total)


def _blocks(residuals: F64, per_block: int) -> tuple[F64, F64]:
    """Means (b, S) of blocks of rows, and logarithms of how much they jump from row to row."""
    import warnings

    n = max(1, len(residuals) // per_block)
    cut = residuals[: n * per_block]
    shaped = cut.reshape(n, -1, residuals.shape[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        means = np.nanmean(shaped, axis=1)
        jumps = np.sqrt(np.nanmean(np.diff(shaped, axis=1) ** 2, axis=1))
    return means, np.log(jumps + 1e-4)


def _robust(values: F64) -> F64:
    result: F64 = 1.4826 * np.nanmedian(np.abs(values - np.nanmedian(values, axis=0)), axis=0)
    spread: F64 = np.nanstd(values, axis=0)
    return np.maximum(result, 0.5 * spread)


def _of_sensor(
    episode: Episode, following: Following, residual: F64, columns: F64, sensor: int, judged: slice, per_block: int
) -> dict[str, float]:
    """What happened to one sensor: level, slope, shape, noise, jumps, runs of one value, missing values."""
    raw_past, raw_now = episode.values[judged, sensor], episode.values[episode.begin :, sensor]
    past, now = residual[judged], residual[episode.begin :]
    past, told = past[np.isfinite(past)], np.isfinite(now)
    unit = max(float(np.std(past)), 1e-3) if len(past) else 1.0
    centre = float(np.median(past)) if len(past) else 0.0
    r = (now[told] - centre) / unit
    found = {"missing": float(1.0 - told.mean()), "missing_before": float(np.isnan(raw_past).mean())}
    if len(r) < 10:
        return found | dict.fromkeys(_SHAPES, 0.0)
    t = np.linspace(-1.0, 1.0, len(now))[told]
    median = float(np.median(r))
    level = float(np.mean(np.clip(r, median - 6, median + 6)))
    constant = float(np.mean((r - median) ** 2))
    clean = np.clip(r, *np.quantile(r, [0.03, 0.97]))
    line = np.polynomial.polynomial.polyfit(t, clean, 1)
    curve = np.polynomial.polynomial.polyfit(t, clean, 2)
    rss = [float(np.mean((clean - np.polynomial.polynomial.polyval(t, c)) ** 2)) for c in (line, curve)]
    total = float(np.var(clean)) + 1e-9
    energy = float(np.mean(clean**2)) + 1e-9
    tenths = np.array([np.median(part) for part in np.array_split(clean, TENTHS)])
    jump_0 = float(np.median(np.abs(np.diff(past)))) / unit + 1e-3
    jumps = np.abs(np.diff(r))
    around = r - _rolling_median(r, 9)
    around_0 = past - _rolling_median(past, 9)
    quiet = 1.4826 * float(np.median(np.abs(around_0))) + 0.02 * unit
    far = np.abs(around) * unit > FAR * quiet
    far_0 = float((np.abs(around_0) > FAR * quiet).mean())
    big = around[far]
    low = (r < median - 4.0) | ~np.isfinite(r)
    gaps = np.diff(np.flatnonzero(far)) if far.sum() > 1 else np.array([len(r)])
    x = episode.values[episode.begin :, sensor][told] - now[told] * following.spread[sensor]  # what it should say
    gain = _explained(clean, x / (np.sqrt(np.mean(x**2)) + 1e-9))
    both = _explained_by(clean, np.column_stack([np.ones(len(x)), x / (np.sqrt(np.mean(x**2)) + 1e-9)]))
    flat = _explained(clean, np.ones(len(x)))
    own_moves, should_move = np.diff(raw_now[told]), np.diff(x)
    slow_own = _bins(raw_now[told], 10)
    slow_should = _bins(x, 10)
    runs = _runs(raw_now[told])
    runs_0 = _runs(raw_past[np.isfinite(raw_past)])
    return found | {
        "level": _signed_log(level),
        "median": _signed_log(median),
        "slope": _signed_log(float(line[1])),
        "curve": _signed_log(float(curve[2])),
        "line_fit": 1.0 - rss[0] / total,
        "curve_fit": (rss[0] - rss[1]) / total,
        "flat_fit": float(np.mean(clean) ** 2) / energy,
        "first": _signed_log(float(tenths[0])),
        "second": _signed_log(float(tenths[1])),
        "middle": _signed_log(float(tenths[TENTHS // 2])),
        "last": _signed_log(float(tenths[-1])),
        "begin_part": float(np.clip(tenths[0] / (tenths[-1] + np.copysign(0.5, tenths[-1])), -2, 2)),
        "middle_part": float(np.clip(tenths[TENTHS // 2] / (tenths[-1] + np.copysign(0.5, tenths[-1])), -2, 2)),
        "quarter_part": float(np.clip(tenths[TENTHS // 4] / (tenths[-1] + np.copysign(0.5, tenths[-1])), -2, 2)),
        "monotone": float(np.mean(np.sign(np.diff(tenths)))) * float(np.sign(tenths[-1])),
        "wide": float(np.log(np.std(clean) + 1e-3)),
        "spread": 0.5 * float(np.log(constant + 1e-3)),
        "jump": float(np.log((np.median(jumps) + 1e-3) / jump_0)),
        "jump_rms": float(np.log((np.sqrt(np.mean(jumps**2)) + 1e-3) / jump_0)),
        "far": float(np.log10(far.mean() + 1e-4)),
        "far_more": float(far.mean() - far_0),
        "far_size": float(np.log1p(np.median(np.abs(big)))) if len(big) else 0.0,
        "far_side": float(np.mean(np.sign(big))) if len(big) else 0.0,
        "far_apart": float(np.log1p(np.median(gaps))),
        "far_cluster": float(np.mean(gaps <= 3)) if far.sum() > 1 else 0.0,
        "low": float(low.mean()),
        "missing_by_low": float(np.mean(~told) * low.mean()),
        "kurtosis": float(np.log1p(np.mean((r - r.mean()) ** 4) / (r.var() ** 2 + 1e-9))),
        "flat": flat,
        "gain": gain,
        "gain_less_flat": gain - flat,
        "gain_and_flat": both - max(flat, gain),
        "moves_with": _correlation(own_moves, should_move),
        "goes_with": _correlation(slow_own, slow_should),
        "range_of": float(np.log((np.std(slow_own) + 1e-6) / (np.std(slow_should) + 1e-6))),
        "swings": float(np.log(np.std(x) / following.spread[sensor] + 1e-3)),
        "run": float(runs[0] / len(raw_now)) if len(raw_now) else 0.0,
        "run_before": float(np.log1p(runs_0[0])),
        "run_long": float(np.log1p(runs[0])),
        "same": runs[1] - runs_0[1],
        "lag_1": _lag(r, 1),
        "lag_30": _lag(r, 30),
        "period": _period(r)[0],
        "period_minutes": float(_period(r)[1]),
    }


_SHAPES = (
    "level median slope curve line_fit curve_fit flat_fit first second middle last begin_part middle_part quarter_part"
    " monotone wide spread jump jump_rms far far_more far_size far_side far_apart far_cluster low missing_by_low"
    " kurtosis flat gain gain_less_flat gain_and_flat moves_with goes_with range_of swings run run_before run_long same"
    " lag_1 lag_30 period period_minutes"
).split()


def _signed_log(value):  # type: ignore[no-untyped-def]
    return np.sign(value) * np.log1p(np.abs(value))


def _explained(y: F64, x: F64) -> float:
    """The share of the energy of y that a multiple of x takes away."""
    return float((y @ x) ** 2 / ((x @ x) * (y @ y) + 1e-9))


def _explained_by(y: F64, x: F64) -> float:
    found, *_ = np.linalg.lstsq(x, y, rcond=None)
    return 1.0 - float(np.sum((y - x @ found) ** 2) / (y @ y + 1e-9))


def _correlation(a: F64, b: F64) -> float:
    if len(a) < 3 or np.std(a) < 1e-9 or np.std(b) < 1e-9:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])


def _bins(values: F64, size: int) -> F64:
    n = max(1, len(values) // size)
    result: F64 = np.array([np.median(part) for part in np.array_split(values, n)])
    return result


def _runs(values: F64) -> tuple[float, float]:
    """The longest run of one value, and how often a value is that before it."""
    if len(values) < 2:
        return 1.0, 0.0
    same = np.diff(values) == 0.0
    change = np.flatnonzero(~same)
    borders = np.concatenate([[-1], change, [len(values) - 1]])
    return float(np.diff(borders).max()), float(same.mean())


def _lag(values: F64, lag: int) -> float:
    if len(values) <= lag + 2:
        return 0.0
    off = values - values.mean()
    return float((off[lag:] @ off[:-lag]) / (off @ off + 1e-9))


def _period(values: F64) -> tuple[float, int]:
    """How strongly values come again after a while (rows), and after how long: the highest peak of autocorrelation
    after its first fall."""
    values = values[np.isfinite(values)]
    if len(values) < 60:
        return 0.0, 0
    n = min(len(values), 2880)
    values = values[-n:]
    values = values - _moving(values, 121)
    sd = np.std(values)
    values = np.clip(values, -4 * sd, 4 * sd)
    size = 1 << int(2 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(values, size)) ** 2
    auto = np.fft.irfft(power, size)[: PERIOD_MINUTES[1] + 2]
    auto = auto / (auto[0] + 1e-9)
    below = np.flatnonzero(auto < 0.0)
    start = max(PERIOD_MINUTES[0], int(below[0]) if len(below) else PERIOD_MINUTES[0])
    last = min(len(auto) - 1, n // 2)
    if start >= last:
        return 0.0, 0
    at = start + int(np.argmax(auto[start:last]))
    return float(auto[at]), at


def _moving(values: F64, size: int) -> F64:
    if len(values) <= size:
        return np.full(len(values), values.mean())
    total = np.cumsum(np.concatenate([[0.0], values]))
    half = size // 2
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    result: F64 = (total[high] - total[low]) / (high - low)
    return result


def _rolling_median(values: F64, size: int) -> F64:
    half = size // 2
    padded = np.pad(values, half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)
    result: F64 = np.median(windows, axis=1)
    return result
