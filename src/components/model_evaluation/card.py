"""The model card: what a version is, what it learnt from, how it did, where not to use it."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ..artifact import Artifact
from ..data_ingestion import Ingested
from ..html import markdown

if TYPE_CHECKING:
    from .evaluation import Evaluation


def card(report: "Evaluation", ingested: Ingested, model: Artifact) -> str:
    """The card as Markdown. It tells no time of its making, so that the same model has the same card."""
    spec, split = ingested.device_type, ingested.split
    names = sorted({*report.challenger_figures, *report.champion_figures})
    head = "| figure | this model | champion |\n| --- | ---: | ---: |\n"
    rows = "".join(
        f"| {name.replace('_', ' ')} | {_told(report.challenger_figures.get(name))} |"
        f" {_told(report.champion_figures.get(name))} |\n"
        for name in names
    )
    checks = "".join(f"| {c.name} | {'passed' if c.passed else 'failed'} | {c.told} |\n" for c in report.checks)
    return f"""# Model {model.path.name or model.hash[:12]} for {spec.title}

Anomaly detector of the device type `{spec.name}`, version {spec.version}: {len(spec.sensors)} sensors, a reading
every {spec.interval_s:g} s. It says how odd a reading is, which sensors are to blame, and what was expected.

## What it learnt from

{model.summary.get("rows"):,} readings of {len(split.training)} devices, from {_day(ingested.snapshot.start_ms)} to
{_day(split.cut_ms)}, without {len(ingested.labels)} reported faults. The snapshot has
{ingested.snapshot.rows:,} readings, hash `{ingested.snapshot.fingerprint}`.
{len(split.held_out)} devices were kept unseen. Code `{model.code}`, version {model.code_version}.

## How it did on what it hadn't seen

{report.judged_rows:,} readings of {report.judged_devices} devices, from {_day(split.judged_ms)} on.
{_champion(report)}
Faults were put into copies of unseen readings: steps, drifts, noise, stuck sensors. Alerts outside of reported
faults count as false, though some may be of faults that nobody reported.

{head}{rows}
## The gate: {report.verdict}

| check | | figures |
| --- | --- | --- |
{checks}
## Where not to use it

On another device type. On a device in its first readings, which is `learning`. It knows seasons no longer than the
days it learnt from. It can't tell why a device is odd: it names sensors, not causes.
"""


def _champion(report: "Evaluation") -> str:
    if report.champion is None:
        return "No model served before it."
    told = next((check.told for check in report.checks if check.name == "champion"), "both are judged on the same rows")
    return f"The champion was version {report.champion}: {told}."


def page(text: str) -> str:
    """The card as a page of its own, without an address outside of it."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<title>Model card</title><style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;"
        "padding:0 1rem}table{border-collapse:collapse;display:block;overflow-x:auto}"
        f"td,th{{border-bottom:1px solid #ccc;padding:.25rem .75rem;text-align:left}}</style>{markdown(text)}</html>\n"
    )


def _told(value: float | None) -> str:
    return "-" if value is None else f"{value:,.4g}"


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
