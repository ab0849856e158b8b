"""The monitoring pipeline: how the model that serves does on what people said since, and how the one that is watched
would have done beside it. With the thresholds of training's gate."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import msgspec
import polars as pl

from ..components import data_ingestion, learnt
from ..components.artifact import Artifact, Detail, flat, make
from ..components.data_ingestion import Ingested, read_ingested
from ..components.data_ingestion.ingestion import DAY_MS
from ..components.model_evaluation import GateConfig
from ..components.model_evaluation.beside import Ground, common_ground
from ..components.model_evaluation.gate import Check, figures, judge, verdict
from ..components.model_evaluation.intervals import rate
from ..components.model_evaluation.trial import Unseen, try_out
from ..components.model_pusher import serve
from ..components.replaying import DeviceRows
from ..components.workplace import Workplace, site_numbers
from ..detection.detector import Detector
from ..fleet import judged_alerts, model_versions
from ..fleet.database import reading, writing
from ..fleet.model_versions import ModelVersion
from .steps import Pipeline, Step

QUALITY_FILE = "model_quality.json"
SHADOW_FILE = "shadow.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityConfig:
    """Over the last `days`: the model's quality has fallen where alerts that people judged are `judged_least` or more
    and fewer than `least_confirmed` of them were confirmed, or where alerts that nobody confirmed are past
    `budget_times` the budget by the low end of their interval."""

    days: float = 7.0
    judged_least: int = 10
    least_confirmed: float = 0.3
    budget_times: float = 2.0
    per_device_month: float = 1.0
    most_a_day: float = 3.0


class Quality(msgspec.Struct, frozen=True):
    """What people said of a type's alerts, and how many there were; `fallen` says why it is too few or too many."""

    days: float
    devices: int
    opened: int
    confirmed: int
    dismissed: int
    budget: float
    fallen: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowConfig:
    """A challenger is judged beside the champion on what came since it was trained, with faults put into copies of up
    to `most_probes` devices, by the `gate`; before it serves it lives through the last `warm_days`."""

    false_alerts_per_device_day: float = 1 / 30
    most_probes: int = 30
    warm_days: float = 14.0
    gate: GateConfig = field(default_factory=GateConfig)


class Shadow(msgspec.Struct, frozen=True):
    """How a challenger did beside the champion, on the same rows, alerting nobody. `decision`: `none` (nobody is
    watched), `watching`, `promoted` or `refused`."""

    decision: str
    reason: str
    challenger: int | None
    champion: int | None
    rows: int = 0
    challenger_figures: dict[str, float] = {}
    champion_figures: dict[str, float] = {}
    checks: list[Check] = []


def model_quality(
    config: QualityConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Compare what people said of alerts with the budget, over the days before the newest reading."""
    source = inputs["data_ingestion"]
    ingested = read_ingested(source)
    since_ms = ingested.snapshot.end_ms - round(config.days * DAY_MS)
    with reading(place.engine) as session:
        said = judged_alerts.of_type(session, type_id, since_ms)
    n_devices = int(source.summary["devices"] or 0)  # type: ignore[arg-type]
    budget = min(n_devices * config.per_device_month / 30, config.most_a_day) * config.days
    quality = Quality(
        config.days,
        n_devices,
        said.opened,
        said.confirmed,
        said.dismissed,
        round(budget, 2),
        _fallen(config, said, budget),
    )

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / QUALITY_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(quality), indent=1) + b"\n")
        return {
            "opened": said.opened,
            "confirmed": said.confirmed,
            "dismissed": said.dismissed,
            "fallen": quality.fallen,
        }

    return make(
        place.artifacts("model_quality", type_id),
        component="model_quality",
        subject=source.subject,
        inputs={"data_ingestion": source},
        config=flat(asdict(config)),
        now_ms=now_ms,
        write=write,
    )


def _fallen(config: QualityConfig, said: judged_alerts.Said, budget: float) -> str:
    judged = said.confirmed + said.dismissed
    if judged >= config.judged_least and said.confirmed < config.least_confirmed * judged:
        return (
            f"{said.confirmed} of {judged} judged alerts were confirmed; expected {config.least_confirmed:.0%} or more"
        )
    found = rate(said.opened - said.confirmed, 1.0)
    if found.low > config.budget_times * budget:
        return (
            f"{said.opened - said.confirmed} alerts that nobody confirmed in {config.days:g} days, where the budget is"
            f" {budget:.1f}"
        )
    return ""


def shadow(
    config: ShadowConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Judge the challenger, if there is one, beside the champion; promote or refuse it once its time is over."""
    source = inputs["data_ingestion"]
    with reading(place.engine) as session:
        challenger, champion = model_versions.challenger(session, type_id), model_versions.champion(session, type_id)
    if challenger is None or champion is None:
        told = Shadow("none", "", None, None if champion is None else champion.version)
    else:
        told = _beside(config, read_ingested(source), place, challenger, champion, now_ms)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / SHADOW_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n")
        return {"decision": told.decision, "challenger": told.challenger, "reason": told.reason}

    return make(
        place.artifacts("shadow", type_id),
        component="shadow",
        subject=source.subject,
        inputs={"data_ingestion": source},
        config=flat(asdict(config)),
        now_ms=now_ms,
        write=write,
    )


def _beside(
    config: ShadowConfig,
    ingested: Ingested,
    place: Workplace,
    challenger: ModelVersion,
    champion: ModelVersion,
    now_ms: int,
) -> Shadow:
    over = now_ms >= (challenger.shadow_until_ms or 0)
    spec = ingested.device_type
    columns = ["device_key", "timestamp", *spec.sensor_names]
    frame = pl.concat(list(place.lake.snapshot_chunks(ingested.sample, columns=columns))).sort(
        "device_key", "timestamp"
    )
    rows = DeviceRows.of(frame, spec.sensor_names, site_numbers(ingested.devices))
    folder, serving = (place.models(one.type_id) / one.folder for one in (challenger, champion))
    source = learnt.read(folder)
    from_ms = challenger.trained_ms if source is None else max(challenger.trained_ms, source.until_ms)
    unseen = Unseen.of(rows, from_ms, ingested.labels, spec.interval_ms, config.most_probes)
    both = (challenger.version, champion.version)
    if not len(unseen.after) or not len(unseen.before):
        if over:
            return _refused(place, challenger, Shadow("refused", "no reading came while it was watched", *both))
        return Shadow("watching", "no reading came since it was trained", *both)
    budget = config.false_alerts_per_device_day
    mine = try_out(Detector.load(folder), unseen, budget)
    ground, beside = common_ground(unseen, serving, champion.version, config.gate), None
    if isinstance(ground, Ground):
        beside = ground.beside(mine, try_out(Detector.load(serving), unseen, budget), lambda _: [])
    size = sum(file.stat().st_size for file in folder.iterdir())
    checks = judge(mine, unseen, beside, budget, size, config.gate)
    why = ground.told if isinstance(ground, Ground) else ground
    if why:
        checks.append(Check("champion", True, why))
    said = verdict(checks)
    theirs = {} if beside is None else figures(beside.champion, beside.unseen)
    told = Shadow("watching", said["reason"], *both, len(unseen.after), figures(mine, unseen), theirs, checks)
    if not over:
        return told
    if said["verdict"] == "fail":
        return _refused(place, challenger, msgspec.structs.replace(told, decision="refused"))
    serve(place, challenger, now_ms, config.warm_days)
    return msgspec.structs.replace(told, decision="promoted")


def _refused(place: Workplace, challenger: ModelVersion, told: Shadow) -> Shadow:
    with writing(place.engine) as session:
        model_versions.dismiss(session, challenger)
    return told


def read_shadow(artifact: Artifact) -> Shadow:
    """What an artifact of `shadow` holds."""
    return msgspec.json.decode((artifact.path / SHADOW_FILE).read_bytes(), type=Shadow)


MONITORING = Pipeline(
    "monitoring",
    (
        Step("data_ingestion", data_ingestion.run, data_ingestion.IngestionConfig(days=35.0)),
        Step("model_quality", model_quality, QualityConfig(), inputs=("data_ingestion",)),
        Step("shadow", shadow, ShadowConfig(), inputs=("data_ingestion",)),
    ),
)
