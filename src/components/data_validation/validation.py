"""Runs every check on a snapshot, writes the report, and says whether it is fit to learn from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import structlog

from ...exceptions import ModelError
from ..artifact import FILE, NAME_LENGTH, Artifact, Detail, flat, make, read
from ..data_ingestion import Ingested, read_ingested
from ..data_ingestion.ingestion import training_rows
from ..html import page, paragraph, section, table
from ..workplace import Workplace
from . import checks
from .checks import Check, Limits
from .counting import closely, count, thin
from .drift import SensorDrift, drift, drift_section
from .statistics import SensorStatistics, statistics

log = structlog.get_logger(__name__)

COMPONENT = "data_validation"
REPORT_FILE = "report.json"
STATISTICS_FILE = "statistics.json"
PAGE_FILE = "report.html"
VERDICTS = {"passed": "pass", "warned": "warn", "failed": "fail"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationConfig:
    """What the checks allow. `compare`: with what the champion learnt from; not so where data are meant to have
    changed, as by other units."""

    limits: Limits = field(default_factory=Limits)
    compare: bool = True


class Report(msgspec.Struct, frozen=True):
    """What was found; `verdict` is pass, warn or fail. Drift warns: it is a reason to learn anew, not to refuse to."""

    verdict: str
    reason: str
    rows: int
    checks: list[Check]
    drift: list[SensorDrift]


def run(
    config: ValidationConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Check the snapshot in `inputs["data_ingestion"]`; the artifact holds the report as JSON and as HTML, and
    statistics of what would be learnt from.

    The summary's `verdict` is pass, warn or fail; with the last, `reason` says which checks failed and what was found.
    Raises StorageError where the lake no longer holds the snapshot.
    """
    source = inputs["data_ingestion"]
    report, learnt = _report(config, read_ingested(source), place, type_id, now_ms)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        (folder / STATISTICS_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(learnt), indent=1) + b"\n")
        (folder / PAGE_FILE).write_text(_page(source.subject, report), encoding="utf-8")
        return {
            "verdict": report.verdict,
            "reason": report.reason,
            "rows": report.rows,
            "checks": len(report.checks),
            "warned": _named(report, "warned"),
            "drifted": ", ".join(sorted({one.sensor for one in report.drift if one.pooled or one.by_device})),
        }

    made = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=source.subject,
        inputs={"data_ingestion": source},
        config=flat(asdict(config)),
        now_ms=now_ms,
        write=write,
    )
    log.info("snapshot.validated", type=source.subject, verdict=report.verdict, rows=report.rows)
    return made


def read_report(artifact: Artifact) -> Report:
    """The report that an artifact of this component holds."""
    return msgspec.json.decode((artifact.path / REPORT_FILE).read_bytes(), type=Report)


def _report(
    config: ValidationConfig, ingested: Ingested, place: Workplace, type_id: int, now_ms: int
) -> tuple[Report, list[SensorStatistics]]:
    device_type, snapshot, limits = ingested.device_type, ingested.snapshot, config.limits
    sensors = device_type.sensors
    rows = thin(place.lake, snapshot, sensors, device_type.interval_ms)
    place.progress(0.2)
    form = checks.schema(rows, device_type)
    if form.verdict == "failed":
        return _judged(device_type.name, [form], [], snapshot.rows), []
    counts = count(place.lake, snapshot, sensors)
    place.progress(0.4)
    columns = ["device_key", "timestamp", *device_type.sensor_names]
    looked = closely(
        place.lake.snapshot_chunks(ingested.sample, columns=columns),
        sensors,
        device_type.interval_ms,
        limits.still_rows,
    )
    place.progress(0.7)
    reports = [(label.device_key, label.start_ms, label.end_ms) for label in ingested.labels]
    learnt = statistics(training_rows(rows, ingested.split), sensors)
    champion = _champion(place, type_id) if config.compare else None
    found = [
        form,
        *checks.ranges(counts, sensors, limits),
        *checks.missing(counts, sensors, limits),
        *checks.duplicates(counts, snapshot.rows, looked, device_type.sends, limits),
        *checks.still(looked, limits),
        checks.spacing(looked, device_type, limits),
        *checks.labels(reports, (snapshot.start_ms, snapshot.end_ms), rows["device_key"].n_unique(), now_ms, limits),
        *checks.skew({one.sensor: one for one in learnt}, champion, sensors, limits),
    ]
    drifts = drift(rows, device_type.sensor_names, {one.device_key: one.full_site for one in place.placed(type_id)})
    return _judged(device_type.name, found, drifts, snapshot.rows), learnt


def _judged(type_name: str, found: list[Check], drifts: list[SensorDrift], rows: int) -> Report:
    verdicts = {check.verdict for check in found}
    if any(one.pooled or one.by_device for one in drifts):
        verdicts.add("warned")
    worst = next(verdict for verdict in ("failed", "warned", "passed") if verdict in verdicts)
    return Report(VERDICTS[worst], _reason(type_name, found), rows, found, drifts)


def _reason(type_name: str, found: Sequence[Check]) -> str:
    """Which checks failed, what was found and what to do; empty where none failed."""
    failed = [check for check in found if check.verdict == "failed"]
    if not failed:
        return ""
    named = "; ".join(f"{check.name} of {check.subject}: {check.found}" for check in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    todo = "; ".join(dict.fromkeys(f"{check.name}: {checks.WHAT_TO_DO[check.name]}" for check in failed))
    return f"{type_name} isn't fit to learn from: {named}{more}. What to do: {todo}; or choose other days (--days)"


def _named(report: Report, verdict: str) -> str:
    return ", ".join(f"{check.name} of {check.subject}" for check in report.checks if check.verdict == verdict)


def _champion(place: Workplace, type_id: int) -> dict[str, SensorStatistics] | None:
    """Statistics of what the champion learnt from; None where no model serves, or where none was validated: a model
    that the service learnt by itself, or one of an older version."""
    serving = place.champion(type_id)
    if serving is None:
        return None
    try:
        model = read(place.models(type_id) / serving.folder)
        transformed = model.inputs["data_transformation"][:NAME_LENGTH]
        ingested = read(place.artifacts("data_transformation", type_id) / transformed).inputs["data_ingestion"]
    except (ModelError, KeyError):
        return None
    for file in sorted(place.artifacts(COMPONENT, type_id).glob(f"*/{FILE}")):
        try:
            artifact = read(file.parent)
            if artifact.inputs.get("data_ingestion") == ingested:
                return {one.sensor: one for one in read_statistics(artifact)}
        except (ModelError, OSError, msgspec.MsgspecError):
            continue
    return None


def read_statistics(artifact: Artifact) -> list[SensorStatistics]:
    """Statistics of what was to be learnt from, of an artifact of this component."""
    return msgspec.json.decode((artifact.path / STATISTICS_FILE).read_bytes(), type=list[SensorStatistics])


def _page(subject: str, report: Report) -> str:
    looked = [(check.verdict, check.name, check.subject, check.found) for check in report.checks]
    return page(
        f"Validation of {subject}: {report.verdict}",
        paragraph(f"{report.rows:,} rows.")
        + section("Checks", table(("verdict", "check", "of", "found"), looked, verdict=0))
        + drift_section(report.drift),
    )
