"""Looks at a snapshot from all sides and writes one page on it, the figures as files, and the findings as JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import polars as pl
import structlog

from ..artifact import Artifact, Detail, make
from ..data_ingestion import Ingested, read_ingested
from ..data_validation.counting import thin
from ..data_validation.drift import SensorDrift, drift, period_ms
from ..workplace import Workplace
from . import report
from .profile import SensorProfile, count, profiles
from .shapes import HOURS, WEEKDAYS, correlations, distribution, seasons

log = structlog.get_logger(__name__)

COMPONENT = "eda"
PAGE_FILE = "report.html"
FINDINGS_FILE = "findings.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class EdaConfig:
    """`stretches`, into so many parts a map of what is missing cuts the time; `devices`, at most so many of those that
    lack most, or have most faults, are shown."""

    stretches: int = 60
    devices: int = 40


class Findings(msgspec.Struct, frozen=True):
    """What was found of `rows` stored rows: sensors, the share of expected values that are missing, Spearman's
    correlations (n_sensors, n_sensors; None where there is none), and drift."""

    rows: int
    looked_at: int
    devices: int
    missing: float
    sensors: list[SensorProfile]
    correlations: list[list[float | None]]
    reports: int
    drift: list[SensorDrift]


def run(config: EdaConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int) -> Artifact:
    """Look at the snapshot in `inputs["data_ingestion"]`; the artifact holds a page without outside addresses, each
    of its figures as SVG, and the findings as JSON.

    All rows are counted as a stream; shapes are those of up to a million of them, at even distances. Raises
    StorageError where the lake no longer holds the snapshot.
    """
    source = inputs["data_ingestion"]
    findings, page, figures = _looked_at(config, read_ingested(source), place, type_id)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / PAGE_FILE).write_text(page, encoding="utf-8")
        (folder / FINDINGS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(findings), indent=1) + b"\n")
        for name, drawing in figures.items():
            (folder / f"{name}.svg").write_text(drawing, encoding="utf-8")
        return {
            "rows": findings.rows,
            "devices": findings.devices,
            "missing": round(findings.missing, 4),
            "reports": findings.reports,
            "drifted": ", ".join(sorted({one.sensor for one in findings.drift if one.pooled or one.by_device})),
            "page": PAGE_FILE,
        }

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_ingestion": source},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("snapshot.explored", type=source.subject, rows=findings.rows)
    return made


def read_findings(artifact: Artifact) -> Findings:
    """The findings that an artifact of this component holds."""
    return msgspec.json.decode((artifact.path / FINDINGS_FILE).read_bytes(), type=Findings)


def _looked_at(
    config: EdaConfig, ingested: Ingested, place: Workplace, type_id: int
) -> tuple[Findings, str, dict[str, str]]:
    device_type, snapshot = ingested.device_type, ingested.snapshot
    names, interval = device_type.sensor_names, device_type.interval_ms
    counted = count(place.lake, snapshot, device_type.sensors, interval, config.stretches)
    place.progress(0.3)
    rows = thin(place.lake, snapshot, device_type.sensors, interval)
    place.progress(0.5)
    moments = rows["timestamp"].dt.epoch("ms").to_numpy()
    is_newest = moments > int(moments.max()) - period_ms(rows)
    shapes = report.Shapes(
        {name: distribution(_values(rows, name), is_newest) for name in names},
        seasons(rows, names, pl.col("timestamp").dt.hour(), HOURS),
        seasons(rows, names, pl.col("timestamp").dt.weekday() - 1, WEEKDAYS),
        correlations(rows, names),
    )
    place.progress(0.8)
    drifts = drift(rows, names, {one.device_key: one.full_site for one in place.placed(type_id)})
    findings = Findings(
        counted.rows,
        len(rows),
        len(counted.devices),
        float(np.nanmean(counted.by_device)) if counted.by_device.size else 0.0,
        profiles(counted, rows, device_type.sensors),
        [[None if np.isnan(one) else round(float(one), 4) for one in line] for line in shapes.correlations],
        len(ingested.labels),
        drifts,
    )
    seen = report.Seen(ingested, findings.rows, findings.sensors, counted, shapes, drifts, place.device_ids(type_id))
    figures = report.figures(seen, config.devices)
    return findings, report.page_of(seen, figures, rows), figures


def _values(rows: pl.DataFrame, name: str) -> np.ndarray:
    return rows[name].cast(pl.Float64).fill_null(float("nan")).to_numpy()
