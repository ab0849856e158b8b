"""The card of a version of the model of kinds: what it learnt from, how it did, where not to use it."""

from typing import TYPE_CHECKING

from ...fleet.likely_kinds import SAID_FROM
from ..artifact import Artifact

if TYPE_CHECKING:
    from .evaluation import Figures, Judged

_ROWS = (
    ("log loss", "log_loss"),
    ("named right", "named_right"),
    ("named right at the end of the fault", "named_right_at_end"),
    ("named at all", "said"),
    ("of those right", "said_right"),
    ("calibration error", "calibration_error"),
)


def card(report: "Judged", model: Artifact) -> str:
    """The card as Markdown. It tells no time of its making, so that the same model has the same card."""
    columns = {"this model": report.model, "champion": report.champion_figures, "most frequent": report.frequent}
    head = f"| figure | {' | '.join(columns)} |\n| --- |{' ---: |' * len(columns)}\n"
    rows = "".join(
        f"| {words} | {' | '.join(_told(figures, name) for figures in columns.values())} |\n" for words, name in _ROWS
    )
    left_out = model.summary.get("left_out")
    rare = f" Too rare to be named: {', '.join(left_out)}." if isinstance(left_out, list) and left_out else ""
    return f"""# Model of kinds of fault {model.path.name or model.hash[:12]}

It says what kind of fault an open alert most likely is, for devices of all types, from {SAID_FROM:.0%} on.

## What it learnt from

{report.faults} faults of {report.devices} devices whose kind people told:
{", ".join(f"{kind} {count}" for kind, count in report.kinds.items())}.{rare}
Each was told of as it went on, and at its end. Code `{model.code}`, version {model.code_version}.

## How it did on devices it hadn't seen: {report.verdict}

{report.reason or "It beats what it was compared with on the same faults."}
{"No version named kinds before it." if report.champion is None else f"The champion was version {report.champion}."}
The champion's recipe was judged without the devices of each fold, too.

{head}{rows}
## Where not to use it

On devices with fewer than 3 sensors, or without two days of readings before the fault. It can't name a kind that nobody
reported. It tells of what is odd, and takes it for granted that something is.
"""


def _told(figures: "Figures | None", name: str) -> str:
    return "-" if figures is None else f"{getattr(figures, name):.3f}"
