"""What a benchmark of detectors writes: figures as JSON, a table, and a picture of precision against recall."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import ConfigError
from .measures import Bools, Events, Floats, Judged, Rows, average_precision, volume_under_surface

Figure = float | int | None
Figures = dict[str, Figure]

COLUMNS = {
    "f1": "F1",
    "far": "FAR",
    "mar": "MAR",
    "precision": "precision",
    "recall": "recall",
    "auc_pr": "AUC-PR",
    "vus_pr": "VUS-PR",
    "event_recall": "events seen",
    "false_alarms_per_device_day": "false alarms a device-day",
    "median_minutes_to_detect": "median minutes to detect",
    "rows_per_s": "rows/s",
    "bytes_per_device": "bytes a device",
}
"""Keys of a detector's figures, and how the table calls them."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one detector made of one device (or experiment): its rows judged, its threshold, what it cost."""

    name: str
    judged: Judged
    threshold: float
    seconds: float
    bytes_per_device: int


def figures_of(results: Sequence[Result]) -> Figures:
    """The figures of one detector over all devices. Areas are means over the devices that had an anomaly."""
    judged = [result.judged for result in results]
    rows, events = Rows.of(judged), Events.of(judged)
    faulty = [one for one in judged if one.anomaly.any()]
    seconds = sum(result.seconds for result in results)
    figures: Figures = {
        "f1": rows.f1,
        "far": rows.far,
        "mar": rows.mar,
        "precision": rows.precision,
        "recall": rows.recall,
        "auc_pr": _mean([average_precision(one.anomaly, one.score) for one in faulty]),
        "vus_pr": _mean([volume_under_surface(one.anomaly, one.score) for one in faulty]),
        "event_recall": events.recall,
        "false_alarms_per_device_day": events.false_a_day,
        "median_minutes_to_detect": events.median_delay,
    }
    figures = {key: None if value is None else round(value, 4) for key, value in figures.items()}
    figures["rows_per_s"] = round(sum(len(one) for one in judged) / max(seconds, 1e-9))
    figures["bytes_per_device"] = max((result.bytes_per_device for result in results), default=0)
    return figures


def machine() -> str:
    """The machine that measured, in a line."""
    return f"{platform.machine()}, {processor()}, Python {platform.python_version()}"


def processor() -> str:
    """What the processor calls itself, where that is told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def table(figures: Mapping[str, Figures]) -> str:
    """Figures by detector as a Markdown table."""
    lines = [
        "| detector | " + " | ".join(COLUMNS.values()) + " |",
        "| --- |" + " ---: |" * len(COLUMNS),
    ]
    for name, each in figures.items():
        cells = " | ".join(_cell(each[key]) for key in COLUMNS)
        lines.append(f"| {name} | {cells} |")
    return "\n".join(lines) + "\n"


def write_picture(path: Path, title: str, results: Mapping[str, Sequence[Result]]) -> None:
    """Draw precision against recall over all thresholds, a dot where each detector's own threshold is.

    Scores of a device are taken in units of its threshold, so that devices can be drawn together. Raises ConfigError
    where matplotlib isn't installed.
    """
    try:
        from matplotlib.figure import Figure as Drawing
    except ImportError as error:
        raise ConfigError(
            f"the picture needs matplotlib ({error}); install it with: pip install 'faultwatch[benchmarks]'"
        ) from error
    drawing = Drawing(figsize=(7, 6), layout="constrained")
    axes = drawing.add_subplot()
    for name, each in results.items():
        recall, precision = curve(each)
        rows = Rows.of([result.judged for result in each])
        (line,) = axes.plot(recall, precision, linewidth=2.2 if name == "faultwatch" else 1.1, label=name)
        if rows.recall is not None and rows.precision is not None:
            axes.plot([rows.recall], [rows.precision], "o", color=line.get_color())
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision", title=title)
    axes.grid(alpha=0.3)
    axes.legend(title="dot: the threshold set without labels", loc="lower left")
    drawing.savefig(path, format="png")


def curve(results: Sequence[Result], points: int = 400) -> tuple[Floats, Floats]:
    """Recall and precision (k,) over thresholds from the oddest row to all rows, devices together."""
    anomaly: Bools = np.concatenate([result.judged.anomaly for result in results])
    score = np.concatenate([np.nan_to_num(one.judged.score) / max(one.threshold, 1e-12) for one in results])
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(anomaly[order])
    at = np.unique(np.linspace(0, len(order) - 1, points).astype(np.int64))
    return hits[at] / max(int(hits[-1]), 1), hits[at] / (at + 1)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _cell(value: Figure) -> str:
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"
