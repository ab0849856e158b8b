"""Fits the detector on transformed rows, keeps it under its content's hash, and asks the service to take it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import func, insert, select, update

from ...detection.config import DetectorConfig
from ...detection.detector import Detector
from ...fleet import commands, models
from ...fleet.database import writing
from ..artifact import NAME_LENGTH, Artifact, Detail, make
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

    The model is the newest of its type from here on. A running service swaps it in within seconds, without losing a
    reading; the next start does where none runs. The same rows give the same files. Raises ModelError on too few rows.
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
        return {"rows": len(rows), "seasonal": detector.seasonal, "alert_above": round(enter, 2)}

    made = make(
        place.models(type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_transformation": source},
        config={
            "false_alerts_per_device_day": config.false_alerts_per_device_day,
            "learn_readings": config.learn_readings,
        },
        now_ms=now_ms,
        write=write,
    )
    version = register(place, type_id, made, now_ms)
    log.info("model.trained", type=source.subject, version=version, rows=len(rows))
    return made


def register(place: Workplace, type_id: int, made: Artifact, now_ms: int) -> int:
    """Give a model the next version of its type, make it champion, and queue its swap; return the version.

    A model that is champion already stays as it is.
    """
    folder = made.hash[:NAME_LENGTH]
    model = models.TrainedModel
    with writing(place.engine) as session:
        known = session.execute(
            select(model.version, model.champion).where(model.type_id == type_id, model.folder == folder)
        ).one_or_none()
        if known is not None and known.champion:
            return int(known.version)
        session.execute(update(model).where(model.type_id == type_id).values(champion=False))
        if known is not None:
            version = int(known.version)
            session.execute(update(model).where(model.type_id == type_id, model.folder == folder).values(champion=True))
        else:
            version = 1 + (session.scalar(select(func.max(model.version)).where(model.type_id == type_id)) or 0)
            session.execute(
                insert(model).values(
                    type_id=type_id,
                    version=version,
                    folder=folder,
                    trained_ms=now_ms,
                    champion=True,
                    note=f"trained on {made.summary['rows']} readings",
                )
            )
        payload: dict[str, models.Json] = {"type_id": type_id, "folder": folder, "version": version}
        commands.add(session, "model_swap", None, payload, None, now_ms)
    return version
