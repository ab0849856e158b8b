"""Reads the training rows of a snapshot, leaves out what is known to be faulty, orders them, and says how.

Scaling, seasons and smoothing are the detector's own: it does them row by row, for training as for live readings,
so that there is one code for both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import structlog

from ...detection.blocks import TrainingRows
from ...exceptions import DataValidationError, ModelError
from ...telemetry.schema import DeviceType
from ..artifact import Artifact, Detail, make
from ..data_ingestion.ingestion import Ingested, read_ingested, training_rows
from ..workplace import Label, Workplace, site_numbers

log = structlog.get_logger(__name__)

COMPONENT = "data_transformation"
ROWS_FILE = "rows.arrow"
TRANSFORM_FILE = "transform.json"
SITE = ".site"
"""Column of the rows beside the sensors, whose names have no dot: which devices are peers."""

FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformationConfig:
    """Rows of a reported fault are left out, from `margin_hours` before the report's start on."""

    margin_hours: float = 6.0


class Transform(msgspec.Struct, frozen=True):
    """What the columns of the rows are: `sensors` in order, the smallest step of each, and the reporting interval."""

    sensors: list[str]
    precisions: list[float | None]
    interval_ms: int


def run(
    config: TransformationConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Write the training rows of the snapshot in `inputs["data_ingestion"]`, and the transform.

    Raises DataValidationError where nothing is left to learn from, StorageError where the lake no longer holds the
    snapshot.
    """
    source = inputs["data_ingestion"]
    ingested = read_ingested(source)
    device_type = ingested.device_type
    frame = _training(ingested, place)
    healthy = without_faults(frame, ingested.labels, round(config.margin_hours * 3_600_000))
    if frame.is_empty():
        raise DataValidationError(
            f"none of the {ingested.snapshot.rows} readings of type {device_type.name!r} in the snapshot are for"
            f" training: the {len(ingested.split.training)} devices that teach said nothing before the time that is"
            " kept unseen; wait for more readings"
        )
    if healthy.is_empty():
        raise DataValidationError(
            f"no readings of type {device_type.name!r} are left to learn from: {ingested.snapshot.rows} in the"
            f" snapshot, {len(frame)} for training, all of them within reported faults; close reports that are over"
        )
    sites = site_numbers(ingested.devices)
    site = healthy["device_key"].replace_strict(sites, default=-1, return_dtype=pl.Int32)

    def write(folder: Path) -> Mapping[str, Detail]:
        healthy.with_columns(site.alias(SITE)).write_ipc(folder / ROWS_FILE, compression="zstd")
        (folder / TRANSFORM_FILE).write_bytes(msgspec.json.encode(_transform(device_type)))
        devices = healthy["device_key"].n_unique()
        return {"rows": len(healthy), "devices": devices, "left_out": len(frame) - len(healthy)}

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=device_type.name,
        inputs={"data_ingestion": source},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("rows.transformed", type=device_type.name, rows=len(healthy), left_out=len(frame) - len(healthy))
    return made


def load_rows(artifact: Artifact) -> TrainingRows:
    """The rows of an artifact of this component, as the detector takes them. Raises ModelError where they don't fit."""
    transform = msgspec.json.decode((artifact.path / TRANSFORM_FILE).read_bytes(), type=Transform)
    frame = pl.read_ipc(artifact.path / ROWS_FILE)
    missing = [name for name in (SITE, *transform.sensors) if name not in frame.columns]
    if missing:
        raise ModelError(f"{artifact.path / ROWS_FILE} lacks {', '.join(missing)}; run {COMPONENT} again")
    values = frame.select(pl.col(transform.sensors).fill_null(float("nan"))).to_numpy()
    return TrainingRows(
        device=frame["device_key"].to_numpy(),
        ts=frame["timestamp"].dt.epoch("ms").to_numpy(),
        values=np.ascontiguousarray(values, np.float64),
        interval_ms=transform.interval_ms,
        sensor_names=transform.sensors,
        precisions=np.array([np.nan if step is None else step for step in transform.precisions], np.float64),
        site=frame[SITE].to_numpy().astype(np.int64),
    )


def _transform(device_type: DeviceType) -> Transform:
    return Transform(
        sensors=list(device_type.sensor_names),
        precisions=[sensor.precision for sensor in device_type.sensors],
        interval_ms=device_type.interval_ms,
    )


def with_sensors(frame: pl.DataFrame, sensors: Sequence[str]) -> pl.DataFrame:
    """Keys and sensors; a sensor that was added since the snapshot is missing in all of its rows."""
    columns = [pl.col(name) if name in frame.columns else pl.lit(None, pl.Float64()).alias(name) for name in sensors]
    return frame.select("device_key", "timestamp", *columns)


def without_faults(frame: pl.DataFrame, labels: Sequence[Label], margin_ms: int) -> pl.DataFrame:
    """The rows outside of reported faults, which begin `margin_ms` before their report says."""
    time = pl.col("timestamp").dt.epoch("ms")
    present = set(frame["device_key"].unique().to_list())
    faulty = pl.lit(False)
    for label in labels:
        if label.device_key in present:
            until = FOREVER_MS if label.end_ms is None else label.end_ms
            within = time.is_between(label.start_ms - margin_ms, until)
            faulty = faulty | ((pl.col("device_key") == label.device_key) & within)
    return frame.filter(~faulty)


def _training(ingested: Ingested, place: Workplace) -> pl.DataFrame:
    sensors = ingested.device_type.sensor_names
    parts = []
    wanted, done = ingested.sample.rows, 0
    for part in place.lake.snapshot_chunks(ingested.sample, columns=["device_key", "timestamp", *sensors]):
        parts.append(with_sensors(training_rows(part, ingested.split), sensors))
        done += len(part)
        place.progress(0.9 * done / max(wanted, 1))
    return pl.concat(parts).sort("device_key", "timestamp")
