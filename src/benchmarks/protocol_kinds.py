"""Kinds of fault on simulated fleets: each named by a model that has seen no fault of its device.

An episode is a fault from its start to its end, or to the end of the run, with up to a week before it. Devices and
sites that send nothing are left out: that they are silent is all that there is to name.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ..exceptions import ModelError
from ..faults.episodes import Episode, tell
from ..faults.kinds import KindModel, LabelledEpisodes
from ..simulator.faults import FAULT_KINDS
from ..simulator.fleet import Fleet
from ..simulator.truth import fault_reports
from . import faults
from .measures import Floats

START = datetime(2026, 3, 2, tzinfo=UTC)
MINUTE_MS = 60_000
DAY_MINUTES = 1440
PAST_MINUTES = 7 * DAY_MINUTES
N_FOLDS = 5
LARGE = 3.0
"""Normal spreads by which a reading is off, from which a fault counts as large."""

BINS = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How large a run is: fleets of so many devices, so many days, and the share of devices with a fault."""

    devices: int
    days: int
    faults: float
    seeds: tuple[int, ...]


SCALES = {
    "ci": Scale(devices=120, days=12, faults=0.9, seeds=(1,)),
    "full": Scale(devices=500, days=21, faults=0.5, seeds=(21, 22)),
}


@dataclass(frozen=True, slots=True)
class Found:
    """Episodes with the kinds they are, what each did in normal spreads (n,), and how many couldn't be told of."""

    episodes: LabelledEpisodes
    effect: Floats
    refused: int


@dataclass(frozen=True, slots=True)
class Named:
    """Kinds that were named for faults, whether rightly (n,), how likely that was said to be (n,), effects (n,)."""

    kinds: Sequence[str]
    named: Sequence[str]
    probability: Floats
    effect: Floats

    @property
    def right(self) -> np.ndarray:
        """Whether each was named right, bool (n,)."""
        return np.array([kind == name for kind, name in zip(self.kinds, self.named, strict=True)])


def run(size: str, json_file: Path, say: Callable[[str], None]) -> str:
    """Measure, write the JSON file and a table beside it; return the table."""
    scale = SCALES[size]
    found = simulate(scale, say)
    named = judge(found)
    text = table(named)
    table_file = json_file.with_suffix(".md")
    table_file.write_text(text, encoding="utf-8")
    more: dict[str, object] = {"size": size, "refused": found.refused, "table": table_file.name, **figures(named)}
    faults.write(json_file, "fleet", more)
    return text


def simulate(scale: Scale, say: Callable[[str], None]) -> Found:
    """The faults of a scale's fleets, in features."""
    devices: list[int] = []
    features: list[Floats] = []
    kinds: list[str] = []
    effects: list[float] = []
    refused = 0
    for number, seed in enumerate(scale.seeds):
        for place, kind, effect, episode in _episodes(scale, seed):
            try:
                features.append(tell(episode()).features)
            except ModelError:
                refused += 1
                continue
            devices.append(number * scale.devices + place)
            kinds.append(kind)
            effects.append(effect)
        say(f"fleet {seed}: {len(kinds)} faults so far")
    return Found(LabelledEpisodes(np.array(devices), np.array(features), kinds), np.array(effects), refused)


def judge(found: Found) -> Named:
    """Name each fault by a model of the folds that its device isn't in."""
    episodes = found.episodes
    names, numbers = np.unique(episodes.device, return_inverse=True)
    fold = np.random.Generator(np.random.Philox(key=1)).permutation(len(names))[numbers] % N_FOLDS
    named = np.empty(len(numbers), dtype=object)
    probability = np.zeros(len(numbers))
    for each in range(N_FOLDS):
        model = KindModel.fit(episodes.taken(fold != each))
        said = model.probability(episodes.features[fold == each])
        named[fold == each] = [model.kinds[best] for best in said.argmax(axis=1).tolist()]
        probability[fold == each] = said.max(axis=1)
    return Named(episodes.kinds, [str(name) for name in named], probability, found.effect)


def figures(named: Named) -> dict[str, object]:
    """Shares named right of all faults, of large ones, of each kind; calibration; the most frequent kind's share."""
    right, large = named.right, named.effect >= LARGE
    kinds = np.array(named.kinds)
    sizes = {str(kind): int((kinds == kind).sum()) for kind in np.unique(kinds)}
    return {
        "faults": len(right),
        "named_right": round(float(right.mean()), 4),
        "large_faults": int(large.sum()),
        "large_named_right": round(float(right[large].mean()), 4),
        "most_frequent": round(max(sizes.values()) / len(right), 4),
        "said": round(float(named.probability.mean()), 4),
        "calibration_error": round(calibration_error(named.probability, right), 4),
        "kinds": {kind: [n, round(float(right[kinds == kind].mean()), 4)] for kind, n in sizes.items()},
    }


def calibration_error(probability: Floats, right: np.ndarray) -> float:
    """Mean distance between what was said and what was so, over fifths of the faults by what was said."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    off = [abs(float(probability[part].mean() - right[part].mean())) * len(part) for part in parts]
    return sum(off) / len(probability)


def table(named: Named) -> str:
    """What kinds were named, as a Markdown table: how many faults, the share named right, and what else was said."""
    lines = ["| kind | faults | named right | else most often |", "| --- | ---: | ---: | --- |"]
    kinds, said = np.array(named.kinds), np.array(named.named)
    for kind in np.unique(kinds).tolist():
        mine = said[kinds == kind]
        others, counts = np.unique(mine[mine != kind], return_counts=True)
        most = f"{others[counts.argmax()]} ({counts.max()})" if len(others) else "-"
        lines.append(f"| {kind} | {len(mine)} | {(mine == kind).mean():.0%} | {most} |")
    lines.append(f"| all | {len(kinds)} | {named.right.mean():.1%} | |")
    return "\n".join(lines) + "\n"


def _episodes(scale: Scale, seed: int) -> Iterator[tuple[int, str, float, Callable[[], Episode]]]:
    """Of each fault of a fleet: the device's number, the kind, the effect in spreads, and the episode once wanted."""
    fleet = Fleet.plan(
        seed=seed,
        devices=scale.devices,
        sites=max(4, scale.devices // 20),
        start=START,
        days=scale.days,
        faults=scale.faults,
    )
    groups = {str(name): group for group in fleet.groups for name in group.ids}
    numbers = {name: number for number, name in enumerate(groups)}
    end = START + timedelta(days=scale.days)
    for report in fault_reports(fleet, end).iter_rows(named=True):
        kind, device = str(report["kind"]), str(report["device_id"])
        if FAULT_KINDS[kind].where in ("device", "site"):
            continue
        first = _minute(report["start"])
        last = _minute(report["end"] or end)

        def episode(device: str = device, first: int = first, last: int = last) -> Episode:
            group = groups[device]
            begin = max(0, first - PAST_MINUTES)
            values = fleet.values(group.model.name, begin, last - begin, np.array([group.place(device)]))[:, 0]
            sent = np.asarray(np.isfinite(values).any(axis=1), np.bool_)
            ts = round(START.timestamp() * 1000) + np.arange(begin, last) * MINUTE_MS
            return Episode(values[sent], ts[sent], int(sent[: first - begin].sum()), MINUTE_MS)

        yield numbers[device], kind, report["effect_spreads"] or 0.0, episode


def _minute(at: datetime) -> int:
    return round((at - START).total_seconds() // 60)
