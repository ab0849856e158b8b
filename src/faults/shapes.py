"""What happened to one sensor in an episode: its level, course, noise, jumps, runs of one value, missing values."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from . import series
from .smoothing import F64

TENTHS = 8
FAR = 5.0
LEAST_ROWS = 10
BIN_ROWS = 10
NAMES = tuple(
    "level median slope curve line_fit curve_fit flat_fit first second middle last begin_part quarter_part middle_part"
    " monotone wide spread jump jump_rms far far_more far_size far_side far_apart far_cluster low kurtosis flat"
    " gain gain_less_flat gain_and_flat moves_with goes_with range_of swings run run_before run_long same"
    " lag_1 lag_30 period period_minutes missing missing_before".split()
)


@dataclass(frozen=True, slots=True)
class Course:
    """One sensor: what it said in the past (m,) and in the episode (n,), how far that is from what was expected of it,
    in its spreads, and that spread; NaN where missing."""

    raw_past: F64
    past: F64
    raw: F64
    now: F64
    spread: float


def shape(course: Course) -> dict[str, float]:
    """Features by name, those of `NAMES`; 0 where too few values came to tell."""
    told = np.isfinite(course.now)
    past = course.past[np.isfinite(course.past)]
    found = dict.fromkeys(NAMES, 0.0)
    found |= {"missing": float(1.0 - told.mean()), "missing_before": float(np.isnan(course.raw_past).mean())}
    if told.sum() < LEAST_ROWS or len(past) < LEAST_ROWS:
        return found
    unit = max(float(np.std(past)), 1e-3)
    r = (course.now[told] - float(np.median(past))) / unit
    raw = course.raw[told]
    expected = raw - course.now[told] * course.spread
    clean = np.clip(r, *np.quantile(r, [0.03, 0.97]))
    found |= _course(r, clean, np.linspace(-1.0, 1.0, len(course.now))[told])
    found |= _jumps(course, r, past, unit)
    found |= _mixture(clean, raw, expected, course.spread)
    found |= _repeats(course, raw, r)
    return found


def _course(r: F64, clean: F64, t: F64) -> dict[str, float]:
    """Level, line and bend over the episode, and where it stood in its parts."""
    median = float(np.median(r))
    line, curve = polynomial.polyfit(t, clean, 1), polynomial.polyfit(t, clean, 2)
    left = [float(np.mean((clean - polynomial.polyval(t, found)) ** 2)) for found in (line, curve)]
    total, energy = float(np.var(clean)) + 1e-9, float(np.mean(clean**2)) + 1e-9
    tenths = series.medians(clean, TENTHS)
    if len(tenths) < TENTHS:
        tenths = np.full(TENTHS, median)
    end = tenths[-1] + np.copysign(0.5, tenths[-1])
    logs = series.signed_log(
        np.array([np.mean(np.clip(r, median - 6, median + 6)), median, line[1], curve[2], *tenths[[0, 1, 4, 7]]])
    )
    names = ("level", "median", "slope", "curve", "first", "second", "middle", "last")
    return dict(zip(names, logs.tolist(), strict=True)) | {
        "line_fit": 1.0 - left[0] / total,
        "curve_fit": (left[0] - left[1]) / total,
        "flat_fit": float(np.mean(clean) ** 2) / energy,
        "begin_part": float(np.clip(tenths[0] / end, -2, 2)),
        "quarter_part": float(np.clip(tenths[2] / end, -2, 2)),
        "middle_part": float(np.clip(tenths[4] / end, -2, 2)),
        "monotone": float(np.mean(np.sign(np.diff(tenths))) * np.sign(tenths[-1])),
        "wide": float(np.log(np.std(clean) + 1e-3)),
        "spread": 0.5 * float(np.log(np.mean((r - median) ** 2) + 1e-3)),
        "kurtosis": float(np.log1p(np.mean((r - r.mean()) ** 4) / (r.var() ** 2 + 1e-9))),
        "low": float((r < median - 4.0).mean()),
    }


def _jumps(course: Course, r: F64, past: F64, unit: float) -> dict[str, float]:
    """From row to row, and rows far from those around them."""
    usual = float(np.median(np.abs(np.diff(past)))) / unit + 1e-3
    jumps = np.abs(np.diff(r))
    around, around_past = series.around_median(r, 9), series.around_median(past, 9)
    quiet = 1.4826 * float(np.median(np.abs(around_past))) + 0.02 * unit
    far = np.abs(around) * unit > FAR * quiet
    found = {
        "jump": float(np.log((np.median(jumps) + 1e-3) / usual)),
        "jump_rms": float(np.log((np.sqrt(np.mean(jumps**2)) + 1e-3) / usual)),
        "far": float(np.log10(far.mean() + 1e-4)),
        "far_more": float(far.mean() - (np.abs(around_past) > FAR * quiet).mean()),
        "far_apart": float(np.log1p(len(r))),
    }
    if far.any():
        found |= {
            "far_size": float(np.log1p(np.median(np.abs(around[far])))),
            "far_side": float(np.mean(np.sign(around[far]))),
        }
    if far.sum() > 1:
        gaps = np.diff(np.flatnonzero(far))
        found |= {"far_apart": float(np.log1p(np.median(gaps))), "far_cluster": float(np.mean(gaps <= 3))}
    return found


def _mixture(clean: F64, raw: F64, expected: F64, spread: float) -> dict[str, float]:
    """Whether it is off by a constant, by a share of what it should say, or doesn't go with that any more."""
    one, share = np.ones(len(expected)), expected / (np.sqrt(np.mean(expected**2)) + 1e-9)
    flat, gain = series.explained(clean, one), series.explained(clean, share)
    bins = max(1, len(raw) // BIN_ROWS)
    slow, slow_expected = series.medians(raw, bins), series.medians(expected, bins)
    return {
        "flat": flat,
        "gain": gain,
        "gain_less_flat": gain - flat,
        "gain_and_flat": series.explained(clean, one, share) - max(flat, gain),
        "moves_with": series.correlation(np.diff(raw), np.diff(expected)),
        "goes_with": series.correlation(slow, slow_expected),
        "range_of": float(np.log((np.std(slow) + 1e-6) / (np.std(slow_expected) + 1e-6))),
        "swings": float(np.log(np.std(expected) / spread + 1e-3)),
    }


def _repeats(course: Course, raw: F64, r: F64) -> dict[str, float]:
    """Runs of one value, and what comes again."""
    longest, same = series.runs(raw)
    longest_before, same_before = series.runs(course.raw_past[np.isfinite(course.raw_past)])
    strength, rows = series.period(r)
    return {
        "run": longest / len(raw),
        "run_before": float(np.log1p(longest_before)),
        "run_long": float(np.log1p(longest)),
        "same": same - same_before,
        "lag_1": series.correlation_with_itself(r, 1),
        "lag_30": series.correlation_with_itself(r, 30),
        "period": strength,
        "period_minutes": float(rows),
    }
