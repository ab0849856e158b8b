"""`faultwatch benchmark detection`: ours and its peers on the same rows, by the same rule, with files that show it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from ..exceptions import ConfigError
from . import fleet_events, protocol_fleet, protocol_skab
from .contestants import TAIL
from .report import Result, figures_of, machine, table, write_picture

Protocol = Literal["skab", "fleet"]
Size = Literal["ci", "medium", "full"]
Results = Mapping[str, Sequence[Result]]


def run(protocol: Protocol, data: Path | None, size: Size, json_file: Path, say: Callable[[str], None]) -> str:
    """Measure, write the JSON file, and a table and a picture beside it; return the table.

    Raises ConfigError where a folder of data is wanted and missing, or the extra `benchmarks` isn't installed.
    """
    date = f"{datetime.now(UTC):%Y-%m-%d}"
    results, more, tables = _skab(data, size, say) if protocol == "skab" else _fleet(size, say)
    figures = {name: figures_of(each) for name, each in results.items()}
    text = table(figures) + tables
    stem = json_file.with_suffix("")
    table_file, picture = Path(f"{stem}.md"), Path(f"{stem}.png")
    table_file.write_text(text, encoding="utf-8")
    write_picture(picture, f"{protocol} ({size})", results)
    told: dict[str, object] = {
        "benchmark": "detection",
        "protocol": protocol,
        "size": size,
        "machine": machine(),
        "date": date,
        "tail": TAIL,
        "table": table_file.name,
        "picture": picture.name,
        "detectors": figures,
        **more,
    }
    json_file.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    return text


def _skab(data: Path | None, size: Size, say: Callable[[str], None]) -> tuple[Results, dict[str, object], str]:
    if data is None:
        raise ConfigError("--protocol skab needs --data FOLDER: a copy of the data of github.com/waico/SKAB")
    results = protocol_skab.measure(data, size, say)
    halves = {
        half: {name: figures_of(each) for name, each in part.items()}
        for half, part in protocol_skab.halves(results).items()
    }
    alone = {name: {result.name: _alone(result) for result in each} for name, each in results.items()}
    return results, {"halves": halves, "experiments": alone}, ""


def _fleet(size: Size, say: Callable[[str], None]) -> tuple[Results, dict[str, object], str]:
    outcome = protocol_fleet.measure(size, say)
    summary = fleet_events.summary(outcome.watched)
    rows = [fleet_events.by_kind(kind, events) for kind, events in fleet_events.kinds(outcome.watched)]
    return outcome.results, {"fleet": summary, "kinds": rows}, "\n" + fleet_events.kinds_table(rows)


def _alone(result: Result) -> dict[str, float | int | None]:
    figures = figures_of([result])
    return {key: figures[key] for key in ("f1", "far", "mar", "event_recall", "median_minutes_to_detect")}
