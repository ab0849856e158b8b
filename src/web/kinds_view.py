"""What the models page shows of the model that names kinds of fault, which is one for devices of all types."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ..components.html import markdown
from ..components.workplace import EVERY_TYPE, FAULT_KINDS
from ..fleet.kind_versions import KindVersion
from ..fleet.views import AlertView
from ..pipelines.history import KindsMade, KindsReport, kinds_made_by
from ..pipelines.runs import Runs
from . import run_words
from .parts import Parts
from .words import Reader, number, plural

TITLE = "Kinds of fault"
SHOWN = 12
"""So many versions and runs are named."""

_FIGURES = (
    ("named_right", "Named right", True),
    ("named_right_at_end", "Named right once the fault was over", True),
    ("said", "Likely enough to be named", True),
    ("said_right", "Right, of those named", True),
    ("log_loss", "Log loss", False),
    ("calibration_error", "Off from what was so, on average", True),
)
"""Figures of the gate: name, words, whether it is a share."""


@dataclass(frozen=True, slots=True)
class KindsRow:
    """A version: its run's trigger, what its gate said, whether it serves."""

    version: int
    champion: bool
    trained_ms: int
    learnt: str
    gate: str
    passed: bool
    trigger: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class KindsMeasured:
    """A version at its gate: (figure, of it, of the champion then, of naming what is frequent)."""

    words: str
    champion: int | None
    rows: list[tuple[str, str, str, str]]
    reason: str


@dataclass(frozen=True, slots=True)
class KindsView:
    """The model of kinds of fault."""

    status: str
    champion: int | None
    sentence: str
    troubles: list[tuple[int, str, int]]
    before: int | None
    versions: list[KindsRow]
    more_versions: int
    measured: KindsMeasured | None
    card: Markup
    card_of: int | None
    runs: list[run_words.RunRow]


def row_of(versions: Sequence[KindVersion], troubles: Sequence[AlertView]) -> tuple[str, str]:
    """Its status and words, in the list beside the page."""
    serves = next((one for one in versions if one.champion), None)
    urgent = any(alert.subject == FAULT_KINDS and alert.severity != "info" for alert in troubles)
    status = "suspect" if urgent else "learning" if serves is None else "healthy"
    return status, "no model yet" if serves is None else f"version {serves.version}"


def kinds_view(
    parts: Parts, versions: Sequence[KindVersion], troubles: Sequence[AlertView], reader: Reader, wanted: int | None
) -> KindsView:
    """Put it together; `wanted` is the version to show figures and card of."""
    data = parts.settings.data
    serves = next((one for one in versions if one.champion), None)
    served = [one for one in versions if one.promoted_ms is not None and not one.champion]
    about = next((one for one in versions if one.version == wanted), serves)
    made = {one.version: kinds_made_by(data, one.run) for one in versions[:SHOWN]}
    if about is not None and about.version not in made:
        made[about.version] = kinds_made_by(data, about.run)
    what = None if about is None else made[about.version]
    runs = Runs(data).lately("faults", EVERY_TYPE, FAULT_KINDS, most=SHOWN // 2)
    mine = [alert for alert in troubles if alert.subject == FAULT_KINDS]
    return KindsView(
        status=row_of(versions, troubles)[0],
        champion=None if serves is None else serves.version,
        sentence=_sentence(serves, reader),
        troubles=[(alert.id, alert.said(reader.now_ms), alert.fired_ms) for alert in mine],
        before=max(served, key=lambda one: (one.promoted_ms or 0, one.version)).version if served else None,
        versions=[_row(one, made[one.version], about) for one in versions[:SHOWN]],
        more_versions=max(0, len(versions) - SHOWN),
        measured=None if what is None or what.report is None else _measured(what.report),
        card=Markup(markdown(what.card, top=3)) if what is not None and what.card else Markup(),  # nosec B704
        card_of=None if about is None else about.version,
        runs=[run_words.run_row(run, reader.now_ms) for run in runs],
    )


def _sentence(serves: KindVersion | None, reader: Reader) -> str:
    if serves is None:
        return (
            "No model names kinds of fault yet. It learns from faults whose kind people told, of devices of any type."
        )
    since = reader.text(serves.promoted_ms or serves.trained_ms)
    return f"Version {serves.version} names the likeliest kind of each open anomaly alert since {since}."


def _row(one: KindVersion, made: KindsMade | None, about: KindVersion | None) -> KindsRow:
    report = None if made is None else made.report
    verdict = "" if report is None else report.verdict
    return KindsRow(
        version=one.version,
        champion=one.champion,
        trained_ms=one.trained_ms,
        learnt=one.note if report is None else _learnt(report),
        gate={"pass": "passed", "fail": "refused"}.get(verdict, "not judged"),
        passed=verdict == "pass",
        trigger="unknown" if made is None else run_words.trigger(made.run),
        chosen=about is not None and about.version == one.version,
    )


def _learnt(report: KindsReport) -> str:
    return f"{plural(report.faults, 'fault')} of {plural(report.devices, 'device')}"


def _measured(report: KindsReport) -> KindsMeasured:
    theirs = report.champion_figures
    rows = [
        (
            words,
            _figure(report.model.get(name), is_share),
            "" if theirs is None else _figure(theirs.get(name), is_share),
            _figure(report.frequent.get(name), is_share),
        )
        for name, words, is_share in _FIGURES
    ]
    champion = None if theirs is None else report.champion
    return KindsMeasured(
        f"{number(report.faults)} faults of devices it had not learnt from", champion, rows, report.reason
    )


def _figure(value: float | None, is_share: bool) -> str:
    if value is None:
        return "\u2013"
    return f"{value:.0%}".replace("%", " %") if is_share else f"{value:.2f}"
