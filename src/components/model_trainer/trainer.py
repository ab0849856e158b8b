"""Fits the detector on transformed rows and keeps it under its content's hash, where the service can load it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog

from ...detection.config import DetectorConfig
from ...detection.detector import Detector
from .. import learnt
from ..artifact import Artifact, Detail, make
from ..data_transformation import load_rows
from ..workplace import Workplace

log = structlog.get_logger(__name__)

COMPONENT = "model_trainer"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainerConfig:
    """`false_alerts_per_device_day`, the budget that the detector's own alarm keeps; `learn_readings` of a device."""

    false_alerts_per_device_day: float = 1 / 30
    learn_readings: int = 300


def run(config: TrainerConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """Fit the detector of a type on the rows of `inputs["data_transformation"]`.

    The artifact is a model's folder, and what it learnt from; nobody serves it yet. The same rows give the same files.
    Raises ModelError on too few rows.
    """
    source = inputs["data_transformation"]
    rows = load_rows(source)
    detector = Detector(
        DetectorConfig(
            false_alerts_per_device_day=config.false_alerts_per_device_day, learn_readings=config.learn_readings
        )
    ).fit(rows)
    enter, _ = detector.threshold(config.false_alerts_per_device_day)

    def write(folder: Path) -> Mapping[str, Detail]:
        detector.save(folder)
        learnt.write(folder, learnt.Learnt.of(rows.device, rows.ts))
        return {"rows": len(rows), "seasonal": detector.seasonal, "alert_above": round(enter, 2)}

    made = make(
        place.models(type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_transformation": source},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("model.trained", type=source.subject, model=made.path.name, rows=len(rows))
    return made
