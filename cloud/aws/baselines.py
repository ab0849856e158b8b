"""What Model Monitor compares captured readings with: statistics.json and constraints.json in its documented format,
from the snapshot that training learnt from and judged on.

The format: "Schema for Statistics" and "Schema for Constraints" in SageMaker's documentation; `0.0` is its version.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl

from ...components.artifact import Artifact
from ...components.data_ingestion import read_ingested
from ...components.data_ingestion.ingestion import training_rows
from ...components.data_transformation.transformation import with_sensors
from ...components.model_evaluation.trial import reported
from ...components.replaying import DeviceRows, within_faults
from ...components.workplace import Workplace
from ...detection.detector import Detector
from ...exceptions import ModelError
from ...pipelines.prediction import score_rows

STATISTICS, CONSTRAINTS = "statistics.json", "constraints.json"
VERSION = 0.0
BUCKETS = 10
SKETCH = 2048
"""Most values that a sketch holds on a level."""

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

TEXTS = ("device_id", "timestamp")
COMPARED: dict[str, Json] = {
    "perform_comparison": "Enabled",
    "comparison_threshold": 0.1,
    "comparison_method": "Robust",
}
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Baseline:
    """Both files of one baseline."""

    statistics: dict[str, Json]
    constraints: dict[str, Json]

    def write(self, folder: Path) -> None:
        """Write both into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in ((STATISTICS, self.statistics), (CONSTRAINTS, self.constraints)):
            (folder / name).write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")


def data_quality(place: Workplace, snapshot: Artifact) -> Baseline:
    """The baseline of readings: what each sensor was like in the rows of a snapshot that are for training.

    Raises ModelError where there are none, StorageError where the lake has lost rows.
    """
    ingested = read_ingested(snapshot)
    sensors = ingested.device_type.sensor_names
    columns = ["device_key", "timestamp", *sensors]
    parts = [
        with_sensors(training_rows(part, ingested.split), sensors)
        for part in place.lake.snapshot_chunks(ingested.sample, columns=columns)
    ]
    frame = pl.concat(parts)
    if frame.is_empty():
        raise ModelError(f"the snapshot in {snapshot.path} has no rows for training; run data_ingestion again")
    devices = frame["device_key"].n_unique()
    features: list[Json] = [*_texts(frame, devices), *(_numbers(name, frame[name]) for name in sensors)]
    texts: list[Json] = [{"name": name, "inferred_type": "String", "completeness": 1.0} for name in TEXTS]
    allowed: list[Json] = [*texts, *(_allowed(name, frame[name]) for name in sensors)]
    monitoring: dict[str, Json] = {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 1.0,
        "domain_content_threshold": 1.0,
        "distribution_constraints": COMPARED,
    }
    return Baseline(
        {"version": VERSION, "dataset": {"item_count": len(frame)}, "features": features},
        {"version": VERSION, "features": allowed, "monitoring_config": monitoring},
    )


def model_quality(place: Workplace, snapshot: Artifact, model: Artifact) -> Baseline:
    """The baseline of the model: what it said of the rows on which it was judged, beside what fault reports say.

    By rows, as Model Monitor counts, and without peers, as an endpoint answers. Raises ModelError where no reported
    fault is among them, StorageError where the lake has lost rows.
    """
    ingested, detector = read_ingested(snapshot), Detector.load(model.path)
    sensors, split = detector.sensor_names_, ingested.split
    columns = ["device_key", "timestamp", *ingested.device_type.sensor_names]
    frame = pl.concat(place.lake.snapshot_chunks(ingested.sample, columns=columns))
    if split.cut_ms != split.judged_ms:
        frame = frame.filter(pl.col("device_key").is_in(split.held_out))
    rows = DeviceRows.of(frame.sort("device_key", "timestamp"), sensors, {})
    faulty = within_faults(rows.slots.astype(np.int64), rows.ts, rows.keys, reported(ingested.labels), 0)[
        rows.ts >= split.judged_ms
    ]
    if not faulty.any():
        raise ModelError(
            f"no reported fault is among the {len(faulty):,} readings on which the model in {model.path} was judged;"
            " report faults (docs/how-to/report-faults.md) and train again"
        )
    said = score_rows(detector, rows, split.judged_ms)["odd"].to_numpy()
    return _of_verdicts(said, faulty)


def _of_verdicts(said: npt.NDArray[np.bool_], faulty: npt.NDArray[np.bool_]) -> Baseline:
    """Counts and shares of a classifier of two classes."""
    caught, missed = int((said & faulty).sum()), int((~said & faulty).sum())
    false, quiet = int((said & ~faulty).sum()), int((~said & ~faulty).sum())
    shares = {
        "recall": caught / (caught + missed),
        "false_positive_rate": false / max(false + quiet, 1),
        "precision": caught / max(caught + false, 1),
        "accuracy": (caught + quiet) / len(said),
    }
    matrix: Json = {"0": {"0": quiet, "1": false}, "1": {"0": missed, "1": caught}}
    metrics: dict[str, Json] = {"confusion_matrix": matrix}
    metrics |= {name: {"value": share, "standard_deviation": "NaN"} for name, share in shares.items()}
    limits = {"recall": "LessThanThreshold", "false_positive_rate": "GreaterThanThreshold"}
    constraints: Json = {
        name: {"threshold": shares[name], "comparison_operator": operator} for name, operator in limits.items()
    }
    return Baseline(
        {"version": VERSION, "dataset": {"item_count": len(said)}, "binary_classification_metrics": metrics},
        {"version": VERSION, "binary_classification_constraints": constraints},
    )


def _texts(frame: pl.DataFrame, devices: int) -> Iterator[Json]:
    """What a captured reading has beside its sensors: whose it is and of when, always there."""
    for name, distinct in zip(TEXTS, (devices, frame["timestamp"].n_unique()), strict=True):
        common: Json = {"num_present": len(frame), "num_missing": 0}
        yield {
            "name": name,
            "inferred_type": "String",
            "string_statistics": {"common": common, "distinct_count": distinct},
        }


def _numbers(name: str, column: pl.Series) -> dict[str, Json]:
    values = np.sort(_present(column))
    common: Json = {"num_present": len(values), "num_missing": len(column) - len(values)}
    if not len(values):
        return {"name": name, "inferred_type": "Unknown", "numerical_statistics": {"common": common}}
    counts, edges = np.histogram(values, bins=BUCKETS)
    buckets: Json = [
        {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]
    sketch: Json = {"parameters": {"c": 0.64, "k": float(SKETCH)}, "data": _sketched(values)}
    return {
        "name": name,
        "inferred_type": "Fractional",
        "numerical_statistics": {
            "common": common,
            "mean": float(values.mean()),
            "sum": float(values.sum()),
            "std_dev": float(values.std()),
            "min": float(values[0]),
            "max": float(values[-1]),
            "distribution": {"kll": {"buckets": buckets, "sketch": sketch}},
        },
    }


def _sketched(values: Floats) -> list[Json]:
    """Sorted values (n,) as levels of a KLL sketch: on level l each stands for 2**l; the rest is on lower ones.

    Karnin, Lang, Liberty, "Optimal quantile approximation in streams", 2016.
    """
    level = max(0, int(np.ceil(np.log2(len(values) / SKETCH))))
    step = 1 << level
    whole = len(values) // step * step
    levels: list[Json] = [[] for _ in range(level + 1)]
    levels[level] = values[step // 2 : whole : step].tolist()
    rest = values[whole:]
    for lower in range(level):
        if len(rest) >> lower & 1:
            levels[lower] = [float(rest[len(rest) // 2])]
    return levels


def _allowed(name: str, column: pl.Series) -> dict[str, Json]:
    values = _present(column)
    found: dict[str, Json] = {
        "name": name,
        "inferred_type": "Fractional" if len(values) else "Unknown",
        "completeness": len(values) / len(column),
    }
    if len(values):
        found["num_constraints"] = {"is_non_negative": bool(values.min() >= 0)}
    return found


def _present(column: pl.Series) -> Floats:
    values = column.cast(pl.Float64).to_numpy()
    found: Floats = values[np.isfinite(values)]
    return found
