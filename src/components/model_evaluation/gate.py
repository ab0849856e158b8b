"""The gate: whether a challenger may take the champion's place, check by check, each with its figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from .concentration import WORST, of_the_worst
from .intervals import Interval, difference, rate, ratio
from .probes import KINDS
from .trial import Trial, Unseen

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateConfig:
    """What the gate asks for.

    A challenger is refused where more than `most_reported` of the judged rows are within reported faults, since labels
    are wrong then; where it catches fewer probes, sees fewer reported faults or gives more false alerts than
    the champion, and the 95 % interval of the difference holds no 0; where one slice (a kind of fault, an owner, a
    site with `slice_least` probes or more) is so by more than `slice_worse`; where false alerts are past `budget_times`
    the budget by the low end of their interval and past the champion's, if the budget allowed `budget_least` alerts in
    what was judged at least; where it catches fewer than `least_caught` of
    the probes; where it scores fewer than `least_rows_per_s`, or takes more bytes than these a device or in all.
    The two are compared on what neither has learnt from, where that is `compare_days` device-days at least; else
    the budget and the probes decide alone.
    """

    most_reported: float = 0.5
    slice_least: int = 8
    slice_worse: float = 0.2
    budget_times: float = 2.0
    budget_least: float = 1.0
    least_caught: float = 0.1
    compare_days: float = 1.0
    least_rows_per_s: float = 100_000.0
    most_state_bytes: int = 4_096
    most_model_bytes: int = 5_000_000


class Check(msgspec.Struct, frozen=True):
    """One thing the gate looked at."""

    name: str
    passed: bool
    told: str


@dataclass(frozen=True, slots=True)
class Slice:
    """Devices or probes that belong together: `probes` (k,) marks them."""

    name: str
    probes: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Beside:
    """Two models on the rows that neither has learnt from, and the slices of them."""

    challenger: Trial
    champion: Trial
    unseen: Unseen
    slices: Sequence[Slice]


def judge(
    challenger: Trial,
    unseen: Unseen,
    beside: Beside | None,
    budget: float,
    model_bytes: int,
    config: GateConfig,
) -> list[Check]:
    """Every check, passed or not. `budget`: false alerts a device and day. `beside` is None where there is no champion
    to compare with."""
    labels = Check(
        "labels",
        unseen.reported_share <= config.most_reported,
        f"{unseen.reported_share:.2f} of the readings are within reported faults; at most {config.most_reported:.2f}",
    )
    budget_kept = _budget(challenger, unseen, beside, budget, config)
    checks = [labels, budget_kept, *_costs(challenger, model_bytes, config)]
    if unseen.probes is None:
        checks.append(Check("probes", True, "none could be put into the unseen rows: too few, or no sensor moves"))
    else:
        share = float(np.isfinite(challenger.minutes).mean())
        told = f"caught {share:.2f} of {len(challenger.minutes)}; at least {config.least_caught:.2f} asked for"
        checks.append(Check("probes", share >= config.least_caught, told))
    if beside is not None:
        checks += _against(beside, config)
    return checks


def _against(beside: Beside, config: GateConfig) -> list[Check]:
    challenger, champion, unseen = beside.challenger, beside.champion, beside.unseen
    checks = [
        _compared(
            "false alerts",
            difference(champion.false_alerts, challenger.false_alerts, unseen.device_days),
            "fewer a device and day than the champion",
            "more a device and day than the champion",
        )
    ]
    if challenger.faults_there.sum():
        found = difference(challenger.faults_seen, champion.faults_seen, challenger.faults_there)
        checks.append(_compared("reported faults", found, "more seen than by the champion", "fewer seen"))
    if unseen.probes is not None:
        checks.append(
            _compared("faults put in", caught_more(challenger, champion, unseen), "more caught", "fewer caught")
        )
        for one in beside.slices:
            if int(one.probes.sum()) >= config.slice_least:
                found = caught_more(challenger, champion, unseen, one.probes)
                worse = found.value < -config.slice_worse and found.high < 0
                said = found.either("more caught than by the champion", "fewer caught than by the champion")
                checks.append(Check(f"slice {one.name}", not worse, said))
    return checks


def caught_more(
    challenger: Trial, champion: Trial, unseen: Unseen, chosen: npt.NDArray[np.bool_] | None = None
) -> Interval:
    """How much larger a share of the probes (of those chosen) the challenger catches than the champion."""
    assert unseen.probes is not None
    mine = np.ones(len(unseen.probes.of), np.bool_) if chosen is None else chosen
    _, device = np.unique(unseen.probes.of[mine], return_inverse=True)
    counts = np.bincount(device).astype(float)
    ours: Floats = np.bincount(device, np.isfinite(challenger.minutes[mine])).astype(float)
    theirs: Floats = np.bincount(device, np.isfinite(champion.minutes[mine])).astype(float)
    return difference(ours, theirs, counts)


def _compared(name: str, found: Interval, better: str, worse: str) -> Check:
    """Refused where the whole interval of the difference, which is better when larger, is below 0."""
    return Check(name, found.high >= 0, found.either(better, worse))


def _budget(challenger: Trial, unseen: Unseen, beside: Beside | None, budget: float, config: GateConfig) -> Check:
    days = float(unseen.device_days.sum())
    found = rate(int(challenger.false_alerts.sum()), days)
    passed = found.low <= config.budget_times * budget
    told = f"{found.told} false alerts a device and day where the budget is {budget:.3f}"
    devices, part = of_the_worst(challenger.false_alerts)
    if devices:
        told += f", by {devices} of {len(unseen.after.keys)} devices; the worst {WORST:.0%} of them gave {part:.0%}"
    if days * budget < config.budget_least:
        return Check("budget", True, f"{told}; {days:.1f} device-days are too few to tell")
    if not passed and beside is not None and beside.challenger.false_alerts.sum() <= beside.champion.false_alerts.sum():
        passed, told = True, f"{told}; no more than the champion gives"
    return Check("budget", passed, told)


def _costs(challenger: Trial, model_bytes: int, config: GateConfig) -> list[Check]:
    told = f"{challenger.rows_per_s:,.0f} rows/s of one core; at least {config.least_rows_per_s:,.0f} asked for"
    return [
        Check("speed", challenger.rows_per_s >= config.least_rows_per_s, told),
        Check(
            "size",
            challenger.state_bytes <= config.most_state_bytes and model_bytes <= config.most_model_bytes,
            f"{challenger.state_bytes} bytes a device and {model_bytes:,} for the model; at most"
            f" {config.most_state_bytes} and {config.most_model_bytes:,} allowed",
        ),
    ]


def figures(trial: Trial, unseen: Unseen) -> dict[str, float]:
    """A trial as numbers by name, for reports, MLflow and pages."""
    days = float(unseen.device_days.sum())
    found = {
        "device_days": round(days, 2),
        "false_alerts": float(trial.false_alerts.sum()),
        "false_alerts_per_device_day": round(trial.false_alerts.sum() / max(days, 1e-9), 5),
        "rows_per_s": round(trial.rows_per_s),
        "state_bytes_per_device": float(trial.state_bytes),
    }
    devices, part = of_the_worst(trial.false_alerts)
    found |= {"devices_with_false_alerts": float(devices), "false_alerts_of_the_worst_tenth": round(part, 4)}
    interval = ratio(trial.false_alerts, unseen.device_days)
    found |= {"false_alerts_per_device_day_low": interval.low, "false_alerts_per_device_day_high": interval.high}
    if trial.faults_there.sum():
        found["reported_faults"] = float(trial.faults_there.sum())
        found["reported_faults_seen"] = round(float(trial.faults_seen.sum() / trial.faults_there.sum()), 4)
    if unseen.probes is not None:
        seen = np.isfinite(trial.minutes)
        found["probes"] = float(len(seen))
        found["probes_caught"] = round(float(seen.mean()), 4)
        found["probe_median_minutes"] = float(np.median(trial.minutes[seen])) if seen.any() else float("inf")
        for place, kind in enumerate(KINDS):
            found[f"probes_caught_{kind}"] = round(float(seen[unseen.probes.kind == place].mean()), 4)
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}


def verdict(checks: Sequence[Check]) -> Mapping[str, str]:
    """`pass`, or `fail` with what failed, as the runner of a pipeline reads it."""
    failed = [f"{check.name}: {check.told}" for check in checks if not check.passed]
    return {"verdict": "fail" if failed else "pass", "reason": "; ".join(failed)}
