"""What runs left behind, for people to look at: a few small files of a run, read as they are.

Nothing is checked against its hash, since that reads whole models, and nothing is imported that computes: pages start
without it. Who uses an artifact checks it (`components.artifact`).
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from ..components.artifact import FILE, Artifact, Detail
from ..exceptions import ModelError
from .runs import Run, Runs

REPORT_FILE = "evaluation.json"
CARD_FILE = "card.md"
SHADOW_FILE = "shadow.json"
"""Names of files of model_evaluation and of monitoring's shadow."""

T = TypeVar("T")


class CheckTold(msgspec.Struct, frozen=True):
    """One thing that a gate looked at."""

    name: str
    passed: bool
    told: str


class Report(msgspec.Struct, frozen=True):
    """What pages show of a gate's report, or of a shadow's: figures of both models on the same rows, and the checks."""

    verdict: str = ""
    reason: str = ""
    decision: str = ""
    challenger: int | None = None
    champion: int | None = None
    challenger_figures: dict[str, float] = {}
    champion_figures: dict[str, float] = {}
    checks: list[CheckTold] = []
    judged_rows: int = 0
    rows: int = 0


class KindsReport(msgspec.Struct, frozen=True):
    """What pages show of the gate of the model of kinds: figures of it, of the champion's recipe where there was one,
    and of naming what is frequent, all on the same faults."""

    verdict: str
    reason: str
    faults: int
    devices: int
    champion: int | None
    model: dict[str, float]
    champion_figures: dict[str, float] | None
    frequent: dict[str, float]


@dataclass(frozen=True, slots=True)
class KindsMade:
    """What a run made of a model of kinds; as `Made`."""

    run: Run
    report: KindsReport | None = None
    card: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """What a run made of a model: the run, what its steps say in short, the report of its gate, the model's card.

    Whatever is gone, or damaged, is None or missing: a page shows the rest.
    """

    run: Run
    summaries: dict[str, dict[str, Detail]] = field(default_factory=dict)
    report: Report | None = None
    card: str = ""


def made_by(data: Path, run_id: str | None) -> Made | None:
    """What is left of a run; None where there is no such run any more."""
    if run_id is None:
        return None
    try:
        run = Runs(data).get(run_id)
    except ModelError:
        return None
    summaries = {
        step.name: artifact.summary
        for step in run.steps
        if step.folder and (artifact := _read(data / step.folder / FILE, Artifact)) is not None
    }
    judged = next((step for step in run.steps if step.name == "model_evaluation" and step.folder), None)
    if judged is None:
        return Made(run, summaries)
    folder = data / judged.folder
    return Made(run, summaries, _read(folder / REPORT_FILE, Report), _text(folder / CARD_FILE))


def kinds_made_by(data: Path, run_id: str | None) -> KindsMade | None:
    """What is left of a run that made a model of kinds; None where there is no such run any more."""
    try:
        run = None if run_id is None else Runs(data).get(run_id)
    except ModelError:
        return None
    if run is None:
        return None
    judged = next((step for step in run.steps if step.name == "fault_evaluation" and step.folder), None)
    if judged is None:
        return KindsMade(run)
    folder = data / judged.folder
    return KindsMade(run, _read(folder / REPORT_FILE, KindsReport), _text(folder / CARD_FILE))


def beside(data: Path, type_id: int, type_name: str, challenger: int) -> Report | None:
    """How a challenger that is watched did so far, by the newest round that looked at it."""
    for run in Runs(data).lately("monitoring", type_id, type_name, most=3):
        step = next((step for step in run.steps if step.name == "shadow" and step.folder), None)
        told = None if step is None else _read(data / step.folder / SHADOW_FILE, Report)
        if told is not None and told.challenger == challenger and told.challenger_figures:
            return told
    return None


def _read(path: Path, kind: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
