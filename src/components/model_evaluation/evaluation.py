"""Judges a trained model on devices and times it hasn't seen, beside the champion, and says whether it may serve."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import structlog

from ...detection.detector import Detector
from ...exceptions import DataValidationError, ModelError
from .. import learnt
from ..artifact import Artifact, Detail, flat, make
from ..data_ingestion import Ingested, read_ingested
from ..replaying import DeviceRows
from ..workplace import Placed, Workplace, site_numbers
from .beside import Ground, common_ground
from .card import card, page
from .gate import Check, GateConfig, Slice, figures, judge, verdict
from .probes import KINDS
from .trial import Unseen, try_out

log = structlog.get_logger(__name__)

COMPONENT = "model_evaluation"
REPORT_FILE = "evaluation.json"
PAGE_FILE = "evaluation.html"
CARD_FILE = "card.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """`false_alerts_per_device_day`, the budget at which alerts are counted; faults are put into copies of up to
    `most_probes` devices; `gate`, what is asked of a challenger."""

    false_alerts_per_device_day: float = 1 / 30
    most_probes: int = 50
    gate: GateConfig = field(default_factory=GateConfig)


class Evaluation(msgspec.Struct, frozen=True):
    """The report: figures of the challenger, those of the champion on the rows that are new to it too, and every check
    of the gate."""

    verdict: str
    reason: str
    champion: int | None
    challenger_figures: dict[str, float]
    champion_figures: dict[str, float]
    checks: list[Check]
    judged_rows: int
    judged_devices: int


def run(
    config: EvaluationConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Judge the model of `inputs["model_trainer"]` on the unseen rows of `inputs["data_ingestion"]`.

    The summary's `verdict` is `pass` or `fail`, with a `reason`. Raises ModelError where the model can't be read.
    """
    model, source = inputs["model_trainer"], inputs["data_ingestion"]
    ingested = read_ingested(source)
    challenger = Detector.load(model.path)
    unseen = _unseen(ingested, place, config, model)
    champion, version, ground = _champion(place, type_id, unseen, config.gate)
    place.progress(0.4)
    budget = config.false_alerts_per_device_day
    mine = try_out(challenger, unseen, budget)
    place.progress(0.7)
    beside = None
    if champion is not None and isinstance(ground, Ground):
        beside = ground.beside(mine, try_out(champion, unseen, budget), lambda part: _slices(part, ingested))
    model_bytes = sum(file.stat().st_size for file in model.path.iterdir())
    checks = judge(mine, unseen, beside, budget, model_bytes, config.gate)
    told = ground.told if isinstance(ground, Ground) else ground
    if told:
        checks.append(Check("champion", True, told))
    said = verdict(checks)
    report = Evaluation(
        said["verdict"],
        said["reason"],
        version,
        figures(mine, unseen),
        {} if beside is None else figures(beside.champion, beside.unseen),
        checks,
        len(unseen.after),
        int((unseen.device_days > 0).sum()),
    )

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        text = card(report, ingested, model)
        (folder / CARD_FILE).write_text(text)
        (folder / PAGE_FILE).write_text(page(text))
        return {
            "verdict": said["verdict"],
            "reason": said["reason"],
            "champion": version,
            "false_alerts_per_device_day": report.challenger_figures["false_alerts_per_device_day"],
            "probes_caught": report.challenger_figures.get("probes_caught"),
        }

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_ingestion": source, "model_trainer": model},
        config=flat(asdict(config)),
        now_ms=now_ms,
        write=write,
    )
    log.info("model.evaluated", type=source.subject, verdict=said["verdict"], reason=said["reason"] or None)
    return made


def read_report(artifact: Artifact) -> Evaluation:
    """The report that an artifact of this component holds."""
    return msgspec.json.decode((artifact.path / REPORT_FILE).read_bytes(), type=Evaluation)


def _champion(
    place: Workplace, type_id: int, unseen: Unseen, config: GateConfig
) -> tuple[Detector | None, int | None, Ground | str]:
    """The detector that serves, its version, and what it may be compared on, or why it can't be."""
    found = place.champion(type_id)
    if found is None:
        return None, None, ""
    folder = place.models(type_id) / found.folder
    ground = common_ground(unseen, folder, found.version, config)
    if isinstance(ground, str):
        return None, found.version, ground
    try:
        return Detector.load(folder), found.version, ground
    except ModelError as error:
        log.warning("champion.unreadable", version=found.version, reason=str(error))
        return None, found.version, f"version {found.version} can't be read and was not compared with: {error}"


def _unseen(ingested: Ingested, place: Workplace, config: EvaluationConfig, model: Artifact) -> Unseen:
    split, device_type = ingested.split, ingested.device_type
    by_time = split.cut_ms == split.judged_ms
    columns = ["device_key", "timestamp", *device_type.sensor_names]
    parts = []
    for part in place.lake.snapshot_chunks(ingested.sample, columns=columns):
        parts.append(part if by_time else part.filter(pl.col("device_key").is_in(split.held_out)))
    frame = pl.concat(parts).sort("device_key", "timestamp")
    rows = DeviceRows.of(frame, device_type.sensor_names, site_numbers(ingested.devices))
    source = learnt.read(model.path)
    if source is not None and source.holds(rows.keys, rows.slots, rows.ts)[rows.ts >= split.judged_ms].any():
        raise ModelError(
            f"model {model.path.name} has learnt from rows that it would be judged on: it is of another snapshot than"
            f" {ingested.snapshot.fingerprint}; run data_transformation and model_trainer on this one"
        )
    unseen = Unseen.of(rows, split.judged_ms, ingested.labels, device_type.interval_ms, config.most_probes)
    if not len(unseen.before) or not len(unseen.after):
        raise DataValidationError(
            f"{ingested.snapshot.rows} readings of type {device_type.name!r} leave none to judge a model on: devices"
            " settle before a time and are judged after it, and none has readings on both sides; wait for more"
        )
    return unseen


def _slices(unseen: Unseen, ingested: Ingested) -> list[Slice]:
    if unseen.probes is None:
        return []
    placed = {device.device_key: device for device in ingested.devices}
    of = [placed.get(int(unseen.after.keys[slot])) for slot in unseen.probes.of]
    found = [Slice(kind, unseen.probes.kind == place) for place, kind in enumerate(KINDS)]
    for word, name in (("owner", _owner), ("site", _site)):
        names = [None if one is None else name(one) for one in of]
        for each in sorted({told for told in names if told is not None}):
            found.append(Slice(f"{word} {each}", np.array([told == each for told in names])))
    return found


def _owner(placed: Placed) -> str | None:
    return placed.owner


def _site(placed: Placed) -> str | None:
    return placed.full_site
