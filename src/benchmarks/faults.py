"""`faultwatch benchmark faults`: the fault model and its peers on the same folds, with files that show it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from ..exceptions import ConfigError
from . import protocol_cmapss
from .fault_measures import COLUMNS, Figures, Predicted, figures_of
from .report import machine

BINS = 10


def run(data: Path | None, json_file: Path, say: Callable[[str], None]) -> str:
    """Measure on C-MAPSS, write the JSON file, and a table and a picture beside it; return the table.

    Raises ConfigError where no data is named or the extra `benchmarks` isn't installed, DataValidationError where the
    file isn't C-MAPSS.
    """
    engines = protocol_cmapss.read(data)
    predicted, chosen = protocol_cmapss.measure(engines, say)
    return tell(engines, predicted, chosen, json_file)


def tell(
    engines: protocol_cmapss.Engines,
    predicted: Mapping[str, Predicted],
    chosen: Sequence[protocol_cmapss.Chosen],
    json_file: Path,
) -> str:
    """Write figures as JSON, and a table and a picture beside them; return the table."""
    figures = {name: figures_of(each) for name, each in predicted.items()}
    text = table(figures)
    stem = json_file.with_suffix("")
    table_file, picture = Path(f"{stem}.md"), Path(f"{stem}.png")
    table_file.write_text(text, encoding="utf-8")
    write_picture(picture, "C-MAPSS FD001: within 30 cycles of failure", predicted)
    write(
        json_file,
        "cmapss",
        {
            "engines": len(np.unique(engines.engine)),
            "rows": len(engines.left),
            "models": figures,
            "chosen": [asdict(choice) for choice in chosen],
            "table": table_file.name,
            "picture": picture.name,
        },
    )
    return text


def write(json_file: Path, protocol: Literal["cmapss", "fleet"], more: Mapping[str, object]) -> None:
    """Write figures with where and when they were measured."""
    told = {
        "benchmark": "faults",
        "protocol": protocol,
        "machine": machine(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        **more,
    }
    json_file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")


def table(figures: Mapping[str, Figures]) -> str:
    """Figures by model as a Markdown table."""
    lines = ["| model | " + " | ".join(COLUMNS.values()) + " |", "| --- |" + " ---: |" * len(COLUMNS)]
    for name, each in figures.items():
        lines.append(f"| {name} | " + " | ".join(_cell(key, each[key]) for key in COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def _cell(key: str, value: float | int | None) -> str:
    if value is None:
        return "-"
    return f"{value:g}" if key == "lead_time_median" else f"{value:.4f}"


def write_picture(path: Path, title: str, predicted: Mapping[str, Predicted]) -> None:
    """Draw precision against recall, and how often rows were faulty against how likely they were said to be."""
    try:
        from matplotlib.figure import Figure as Drawing
    except ImportError as error:
        raise ConfigError(
            f"the picture needs matplotlib ({error}); install it with: pip install 'faultwatch[benchmarks]'"
        ) from error
    drawing = Drawing(figsize=(12, 5.5), layout="constrained")
    curves, calibrated = drawing.subplots(1, 2)
    for name, each in predicted.items():
        width = 2.4 if name == protocol_cmapss.OURS else 1.0
        order = np.argsort(-each.probability, kind="stable")
        hits = np.cumsum(each.faulty[order])
        curves.plot(hits / hits[-1], hits / np.arange(1, len(hits) + 1), linewidth=width, label=name)
        bins = np.minimum((each.probability * BINS).astype(np.int64), BINS - 1)
        at = np.unique(bins)
        said = [float(each.probability[bins == one].mean()) for one in at]
        was = [float(each.faulty[bins == one].mean()) for one in at]
        calibrated.plot(said, was, marker="o", markersize=3, linewidth=width, label=name)
    calibrated.plot([0, 1], [0, 1], color="grey", linestyle=":")
    curves.set(xlim=(0.5, 1), ylim=(0.5, 1.01), xlabel="recall", ylabel="precision", title=title)
    calibrated.set(
        xlim=(0, 1), ylim=(0, 1), xlabel="said probability", ylabel="part that was faulty", title="calibration"
    )
    for axes in (curves, calibrated):
        axes.grid(alpha=0.3)
    curves.legend(loc="lower left")
    drawing.savefig(path, format="png")
