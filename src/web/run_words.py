"""Runs of pipelines and measures of models, in the words of the models page."""

from dataclasses import dataclass

from ..fleet.model_versions import ModelVersion
from ..pipelines.history import Made, Report
from ..pipelines.runs import Run, StepRun
from .words import duration, number, plural

STEP_WORDS = {
    "data_ingestion": "Take a snapshot",
    "data_validation": "Check the data",
    "data_transformation": "Prepare readings",
    "model_trainer": "Train",
    "model_evaluation": "Judge at the gate",
    "model_pusher": "Register and serve",
    "model_quality": "Count alerts judged",
    "shadow": "Judge what is watched",
    "fault_episodes": "Tell of reported faults",
    "fault_trainer": "Train",
    "fault_evaluation": "Judge at the gate",
    "fault_pusher": "Register and serve",
}
PIPELINE_WORDS = {
    "training": "Training",
    "monitoring": "Look at the models",
    "pull": "Fetch from SageMaker",
    "faults": "Training",
}
STATE_WORDS = {"done": "done", "stopped": "stopped by a gate", "failed": "failed", "running": "running"}
_MARKS = {"done": "healthy", "cached": "healthy", "stopped": "suspect", "failed": "faulty", "running": "learning"}


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of a run."""

    words: str
    status: str
    state: str
    took: str
    message: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, what fired it, and its steps."""

    id: str
    title: str
    status: str
    state: str
    trigger: str
    why: str
    started_ms: int
    took: str
    reason: str
    executor: str
    code: str
    steps: list[StepRow]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of a version and of the champion; `better` is None where they are alike or can't be compared."""

    name: str
    mine: str
    theirs: str
    better: bool | None


def trigger(run: Run) -> str:
    """What fired a run and who: "Schedule, by faultwatch"."""
    return f"{run.trigger.kind.capitalize()}, by {run.trigger.who}"


def run_row(run: Run, now_ms: int) -> RunRow:
    """A run as the page lists it."""
    ended = run.ended_ms if run.ended_ms is not None else now_ms
    return RunRow(
        id=run.id,
        title=PIPELINE_WORDS.get(run.pipeline, run.pipeline.capitalize()),
        status=_MARKS[run.state],
        state=STATE_WORDS[run.state],
        trigger=trigger(run),
        why=run.trigger.why,
        started_ms=run.started_ms,
        took=took(ended - run.started_ms),
        reason=run.reason,
        executor=run.executor,
        code=run.commit or run.code,
        steps=[_step(step) for step in run.steps],
    )


def _step(step: StepRun) -> StepRow:
    words = STEP_WORDS.get(step.name, step.name.replace("_", " ").capitalize())
    ended, started = step.ended_ms, step.started_ms
    length = took(ended - started) if ended is not None and started is not None and step.state != "cached" else ""
    return StepRow(words, _MARKS.get(step.state, "silent"), step.state, length, step.message)


def took(ms: int) -> str:
    """A duration; short ones with a tenth."""
    return f"{ms / 1000:.1f} s" if ms < 10_000 else duration(ms)


def learnt(version: ModelVersion, made: Made | None) -> str:
    """What a version was trained on."""
    if made is None:
        return version.note or "its first readings"
    rows = made.summaries.get("data_transformation", {}).get("rows")
    devices = made.summaries.get("data_ingestion", {}).get("training_devices")
    unseen = made.summaries.get("data_ingestion", {}).get("unseen_devices")
    if not isinstance(rows, int) or not isinstance(devices, int):
        return version.note
    kept = f", {number(unseen)} kept unseen" if isinstance(unseen, int) and unseen else ""
    return f"{number(rows)} readings of {plural(devices, 'device')}{kept}"


_MEASURES: tuple[tuple[str, str, int, float], ...] = (
    ("probes_caught", "Faults put in that it caught", 1, 0.005),
    ("probes_caught_step", "Sudden steps", 1, 0.005),
    ("probes_caught_drift", "Slow drifts", 1, 0.005),
    ("probes_caught_noise", "Noise", 1, 0.005),
    ("probes_caught_stuck", "Stuck sensors", 1, 0.005),
    ("reported_faults_seen", "Reported faults that it saw", 1, 0.005),
    ("probe_median_minutes", "Until it caught one, as a rule", -1, 5.0),
    ("false_alerts_per_device_day", "False alerts a device and month", -1, 0.001),
    ("rows_per_s", "Readings a second it judges", 0, 0.0),
    ("state_bytes_per_device", "Memory a device", 0, 0.0),
)
"""Figures of a gate's report: name, words, which way is better (0: neither), and what is alike."""


def measures(report: Report) -> list[Measure]:
    """The figures of a report side by side."""
    mine, theirs = report.challenger_figures, report.champion_figures
    found = []
    for name, words, way, alike in _MEASURES:
        if name not in mine and name not in theirs:
            continue
        one, other = mine.get(name), theirs.get(name)
        better = None
        if one is not None and other is not None and way and abs(one - other) > alike:
            better = (one - other) * way > 0
        found.append(Measure(words, _figure(name, one), _figure(name, other), better))
    return found


def _figure(name: str, value: float | None) -> str:
    if value is None:
        return "–"
    if name.startswith("probes_caught") or name == "reported_faults_seen":
        return f"{value:.0%}".replace("%", " %")
    if name == "probe_median_minutes":
        return f"{value:,.0f} min"
    if name == "false_alerts_per_device_day":
        return f"{value * 30:.2f}"
    return number(value) + (" bytes" if name.startswith("state_bytes") else "")
