"""Runs every check on a snapshot, writes the report, and says whether it is fit to learn from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import polars as pl
import structlog
from sqlalchemy import select

from ...detection.detector import Detector
from ...exceptions import DataValidationError
from ...fleet import models
from ...fleet.database import reading
from ...telemetry.lake_snapshots import Snapshot
from ..artifact import Artifact, Detail, make
from ..data_ingestion.ingestion import SNAPSHOT_FILE
from ..html import page, paragraph, section, table
from ..workplace import Workplace
from . import checks
from .checks import Check, Limits, Verdict
from .drift import SensorDrift, drift

log = structlog.get_logger(__name__)

COMPONENT = "data_validation"
REPORT_FILE = "report.json"
PAGE_FILE = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What the checks allow."""

    limits: Limits = field(default_factory=Limits)


class Report(msgspec.Struct, frozen=True):
    """What was found. Drift warns: it is a reason to learn anew, not one to refuse to."""

    verdict: Verdict
    rows: int
    checks: list[Check]
    drift: list[SensorDrift]


def run(
    config: ValidationConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Check the snapshot in `inputs["data_ingestion"]`; the artifact holds the report as JSON and as HTML.

    The summary's `verdict` is passed, warned or failed; `accept` raises on the last. Raises StorageError where the lake
    no longer holds the snapshot.
    """
    source = inputs["data_ingestion"]
    snapshot = msgspec.json.decode((source.path / SNAPSHOT_FILE).read_bytes(), type=Snapshot)
    frame = place.lake.read_snapshot(snapshot).sort("device_key", "timestamp")
    report = _report(config.limits, frame, place, type_id)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        (folder / PAGE_FILE).write_text(_page(source.subject, report), encoding="utf-8")
        return {
            "verdict": report.verdict,
            "checks": len(report.checks),
            "failed": [f"{check.name} {check.subject}" for check in report.checks if check.verdict == "failed"],
            "drifted": sorted({one.sensor for one in report.drift if one.pooled or one.by_device}),
        }

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_ingestion": source},
        config={name: value for name, value in asdict(config.limits).items()},
        now_ms=now_ms,
        write=write,
    )
    log.info("snapshot.validated", type=source.subject, verdict=report.verdict, rows=report.rows)
    return made


def read_report(artifact: Artifact) -> Report:
    """The report that an artifact of this component holds."""
    return msgspec.json.decode((artifact.path / REPORT_FILE).read_bytes(), type=Report)


def accept(artifact: Artifact) -> None:
    """Raise DataValidationError, with what was found, where the verdict is `failed`."""
    failed = [check for check in read_report(artifact).checks if check.verdict == "failed"]
    if failed:
        what = "; ".join(f"{check.name} of {check.subject}: {check.found}" for check in failed[:5])
        more = f" and {len(failed) - 5} more" if len(failed) > 5 else ""
        raise DataValidationError(
            f"the snapshot of type {artifact.subject!r} is not fit to learn from: {what}{more}; see"
            f" {artifact.path / PAGE_FILE}, mend the source or choose other days, then train again"
        )


def _report(limits: Limits, frame: pl.DataFrame, place: Workplace, type_id: int) -> Report:
    device_type = place.device_type(type_id)
    form = checks.schema(frame, device_type)
    if form.verdict == "failed" or frame.is_empty():
        return Report("failed", len(frame), [form], [])
    labels = place.labels(frame["device_key"].unique().to_list())
    reports = [(label.device_key, label.start_ms, label.end_ms) for label in labels]
    found = [
        form,
        *checks.ranges(frame, device_type, limits),
        *checks.missing(frame, device_type, limits),
        checks.duplicates(frame, limits),
        *checks.still(frame, device_type, limits),
        checks.spacing(frame, device_type, limits),
        *checks.labels(reports, frame, limits),
        *checks.skew(frame, _served(place, type_id), limits),
    ]
    present = [name for name in device_type.sensor_names if name in frame.columns]
    drifts = drift(frame, present, _sites(place))
    verdicts = {check.verdict for check in found} | {"warned" for one in drifts if one.pooled or one.by_device}
    verdict: Verdict = "failed" if "failed" in verdicts else "warned" if "warned" in verdicts else "passed"
    return Report(verdict, len(frame), found, drifts)


def _served(place: Workplace, type_id: int) -> dict[str, tuple[float, float]]:
    """Centre and spread of each sensor as the model that serves scales them; nothing where none does yet."""
    with reading(place.engine) as session:
        folder = session.scalar(
            select(models.TrainedModel.folder).where(
                models.TrainedModel.type_id == type_id, models.TrainedModel.champion.is_(True)
            )
        )
    if folder is None:
        return {}
    detector = Detector.load(place.models(type_id) / folder)
    scale = detector.arrays_["scale"]
    return {name: (float(scale[s, 0]), float(scale[s, 1])) for s, name in enumerate(detector.sensor_names_)}


def _sites(place: Workplace) -> dict[int, int | None]:
    with reading(place.engine) as session:
        return {key: site for key, site in session.execute(select(models.Device.id, models.Device.site_id)).all()}


def _page(subject: str, report: Report) -> str:
    looked = [(check.verdict, check.name, check.subject, check.found) for check in report.checks]
    drifts = [
        (
            "drifted" if one.pooled or one.by_device else "stable",
            one.slice,
            one.sensor,
            one.statistic,
            one.usual,
            one.pooled_p,
            one.plain_p,
            f"{one.moved} of {one.devices}" if one.devices else None,
            f"{one.expected:.1%}" if one.devices else None,
            one.device_p if one.devices else None,
        )
        for one in report.drift
    ]
    columns = ("", "slice", "sensor", "KS", "usual KS", "p", "plain KS p", "devices moved", "expected", "p by device")
    why = (
        "The newest period against the four before it. Pooled drift needs a small p-value and a KS statistic well past"
        " those of the earlier periods among themselves; the plain p-value calls almost any two weeks different."
    )
    return page(
        f"Validation of {subject}: {report.verdict}",
        paragraph(f"{report.rows:,} rows.")
        + section("Checks", table(("verdict", "check", "of", "found"), looked, verdict=0))
        + section("Drift", paragraph(why) + table(columns, drifts)),
    )
