"""The gate of the model of kinds: on devices not learnt from it must beat the champion, or naming what is frequent.

The champion is judged by its own recipe and labels, fold by fold without the devices of that fold: as it serves, it
has seen most of these faults, and would look better than it is on any others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
import numpy as np
import structlog

from ...exceptions import ModelError
from ...faults.kinds import KindModel, LabelledEpisodes
from ...faults.labels import I64
from ...faults.smoothing import F64
from ...fleet.likely_kinds import SAID_FROM
from ..artifact import Artifact, Detail, make, read
from ..workplace import EVERY_TYPE, Workplace
from .card import card
from .episodes import COMPONENT as EPISODES
from .episodes import Episodes, read_episodes

log = structlog.get_logger(__name__)

COMPONENT = "fault_evaluation"
REPORT_FILE = "evaluation.json"
CARD_FILE = "card.md"
LEAST = 0.01
"""What a kind counts at least that wasn't thought possible: one such fault doesn't decide alone."""

SURE = 1.645
BINS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultEvaluationConfig:
    """Devices are dealt to `folds`, by `seed`."""

    folds: int = 5
    seed: int = 2


class Figures(msgspec.Struct, frozen=True):
    """How kinds were named on devices not learnt from; each fault counts alike, all its rows together.

    `log_loss` of the probability of what it was; shares `named_right` of all, and when a fault was over; the share
    that is named at all (`said`), and of that the share right; `calibration_error`, how far what was said is from what
    was so.
    """

    log_loss: float
    named_right: float
    named_right_at_end: float
    said: float
    said_right: float
    calibration_error: float


class Judged(msgspec.Struct, frozen=True):
    """The verdict, and of what: figures of this model, of the champion's recipe, and of naming what is frequent."""

    verdict: str
    reason: str
    faults: int
    devices: int
    kinds: dict[str, int]
    champion: int | None
    model: Figures
    champion_figures: Figures | None
    frequent: Figures


def run(
    config: FaultEvaluationConfig, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
) -> Artifact:
    """Judge the model of `inputs["fault_trainer"]` on `inputs["fault_episodes"]`, by folds that share no device."""
    source, made = inputs["fault_episodes"], inputs["fault_trainer"]
    episodes, model = read_episodes(source), KindModel.load(made.path)
    known = place.kind_champion()
    serves = known is not None and known.folder == made.path.name
    report = judge(config, episodes, model, None if known is None or serves else _champion(place, known.folder))
    if serves:
        report = msgspec.structs.replace(report, verdict="pass", reason="it is the version that serves")
    report = msgspec.structs.replace(report, champion=None if known is None else known.version)

    def write(folder: Path) -> Mapping[str, Detail]:
        (folder / REPORT_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")
        (folder / CARD_FILE).write_text(card(report, made), encoding="utf-8")
        figures: dict[str, Detail] = {name: round(value, 4) for name, value in _plain(report.model).items()}
        if report.champion_figures is not None:
            figures |= {f"champion_{name}": round(value, 4) for name, value in _plain(report.champion_figures).items()}
        return {"verdict": report.verdict, "reason": report.reason, "devices": report.devices, **figures}

    artifact = make(
        place.artifacts(COMPONENT, type_id),
        component=COMPONENT,
        subject=made.subject,
        inputs={"fault_episodes": source, "fault_trainer": made},
        config=asdict(config),
        now_ms=now_ms,
        write=write,
    )
    log.info("fault_model.judged", model=made.path.name, verdict=report.verdict, reason=report.reason)
    return artifact


@dataclass(frozen=True, slots=True)
class Champion:
    """What serves: its model, and the episodes that it learnt from; None where they aren't there any more."""

    model: KindModel
    learnt: LabelledEpisodes | None


def judge(
    config: FaultEvaluationConfig, episodes: Episodes, model: KindModel, champion: Champion | None = None
) -> Judged:
    """Name each fault by models of the folds that its device isn't in, and compare."""
    labelled = episodes.labelled
    fold = _folds(labelled.device, config)
    kinds = sorted({*model.kinds, *labelled.kinds, *(() if champion is None else champion.model.kinds)})
    mine, theirs = np.zeros((len(fold), len(kinds))), np.zeros((len(fold), len(kinds)))
    # By the shares of these very faults: what is compared with is as good as can be.
    frequent = np.tile(_shares(labelled, kinds), (len(fold), 1))
    for each in np.unique(fold).tolist():
        seen, unseen = labelled.taken(fold != each), fold == each
        features = labelled.features[unseen]
        mine[unseen] = _said(KindModel.of_kinds(seen, model.kinds), features, kinds)
        if champion is not None:
            theirs[unseen] = _said(_without(champion, labelled.device[unseen]), features, kinds)
    figures = [
        None if said is theirs and champion is None else _figures(said, kinds, episodes)
        for said in (mine, theirs, frequent)
    ]
    own, other, base = figures
    assert own is not None and base is not None
    n_faults = len(np.unique(labelled.fault))
    reason = _refusal(own, other, base, _sure_gain(mine, frequent, kinds, labelled), n_faults)
    counts = {kind: len(np.unique(labelled.fault[np.array(labelled.kinds) == kind])) for kind in kinds}
    return Judged(
        verdict="fail" if reason else "pass",
        reason=reason,
        faults=n_faults,
        devices=len(np.unique(labelled.device)),
        kinds={kind: count for kind, count in counts.items() if count},
        champion=None,
        model=own,
        champion_figures=other,
        frequent=base,
    )


def read_judged(artifact: Artifact) -> Judged:
    """The report in an artifact of this component."""
    return msgspec.json.decode((artifact.path / REPORT_FILE).read_bytes(), type=Judged)


def _refusal(model: Figures, champion: Figures | None, frequent: Figures, sure_gain: float, n_faults: int) -> str:
    """Why a model doesn't pass; nothing where it does."""
    if sure_gain <= 0 or model.named_right <= frequent.named_right:
        return (
            f"it names {model.named_right:.0%} right on devices it hasn't learnt from (log loss {model.log_loss:.3f});"
            f" naming the most frequent kind is right for {frequent.named_right:.0%} ({frequent.log_loss:.3f}), and"
            f" with {n_faults} faults that may be chance"
        )
    if champion is not None and (model.log_loss >= champion.log_loss or model.named_right < champion.named_right):
        return (
            f"it doesn't beat the version that serves on the same faults: log loss {model.log_loss:.3f} against"
            f" {champion.log_loss:.3f}, {model.named_right:.0%} named right against {champion.named_right:.0%}"
        )
    return ""


def _champion(place: Workplace, folder: str) -> Champion | None:
    """The version that serves; None where this version of faultwatch can't read it: then it names nothing either."""
    try:
        made = read(place.models(EVERY_TYPE) / folder)
        model = KindModel.load(made.path)
    except ModelError as error:
        log.warning("fault_model.unreadable", folder=folder, reason=str(error))
        return None
    for parent in place.artifacts(EPISODES, EVERY_TYPE).glob(f"{made.inputs['fault_episodes'][:12]}*"):
        try:
            return Champion(model, read_episodes(read(parent)).labelled)
        except ModelError as error:
            log.warning("fault_model.episodes_unreadable", folder=folder, reason=str(error))
    return Champion(model, None)


def _without(champion: Champion, devices: I64) -> KindModel:
    """The champion as if it had never seen some devices; as it is, where what it learnt from is gone."""
    if champion.learnt is None:
        return champion.model
    kept = ~np.isin(champion.learnt.device, devices)
    return KindModel.of_kinds(champion.learnt.taken(kept), champion.model.kinds) if kept.any() else champion.model


def _folds(device: I64, config: FaultEvaluationConfig) -> I64:
    names, numbers = np.unique(device, return_inverse=True)
    order = np.random.Generator(np.random.Philox(key=config.seed)).permutation(len(names))
    result: I64 = order[numbers] % min(config.folds, len(names))
    return result


def _said(model: KindModel, features: F64, kinds: Sequence[str]) -> F64:
    """Probabilities (n, K) of all kinds, 0 of those that the model doesn't know."""
    found = np.zeros((len(features), len(kinds)))
    found[:, np.searchsorted(list(kinds), list(model.kinds))] = model.probability(features)
    return found


def _shares(labelled: LabelledEpisodes, kinds: Sequence[str]) -> F64:
    told, share = np.array(labelled.kinds), labelled.share
    counts = np.array([share[told == kind].sum() for kind in kinds])
    result: F64 = counts / counts.sum()
    return result


def _figures(said: F64, kinds: Sequence[str], episodes: Episodes) -> Figures:
    labelled = episodes.labelled
    share, truth = labelled.share, np.searchsorted(list(kinds), list(labelled.kinds))
    right, highest = said.argmax(axis=1) == truth, said.max(axis=1)
    named = highest >= SAID_FROM
    whole = episodes.whole
    return Figures(
        log_loss=float(share @ _losses(said, kinds, labelled) / share.sum()),
        named_right=_mean(right, share),
        named_right_at_end=float(right[whole].mean()) if whole.any() else 0.0,
        said=_mean(named, share),
        said_right=_mean(right[named], share[named]),
        calibration_error=_calibration_error(highest, right, share),
    )


def _losses(said: F64, kinds: Sequence[str], labelled: LabelledEpisodes) -> F64:
    """-log of the probability of what each row was, (n,)."""
    truth = np.searchsorted(list(kinds), list(labelled.kinds))
    result: F64 = -np.log(np.clip(said[np.arange(len(truth)), truth], LEAST, 1.0))
    return result


def _sure_gain(said: F64, frequent: F64, kinds: Sequence[str], labelled: LabelledEpisodes) -> float:
    """By how much the log loss is below that of naming what is frequent, less 1.645 standard errors over faults: with
    labels that mean nothing it is above 0 one time in twenty."""
    gain = (_losses(frequent, kinds, labelled) - _losses(said, kinds, labelled)) * labelled.share
    _, fault = np.unique(labelled.fault, return_inverse=True)
    by_fault = np.bincount(fault, gain)
    return float(by_fault.mean() - SURE * by_fault.std(ddof=1) / np.sqrt(len(by_fault)))


def _mean(what: np.ndarray, share: F64) -> float:
    return float(share @ what / share.sum()) if len(what) else 0.0


def _calibration_error(highest: F64, right: np.ndarray, share: F64) -> float:
    """Mean distance between what was said and what was so, over fifths of the rows by what was said."""
    parts = [part for part in np.array_split(np.argsort(highest, kind="stable"), BINS) if len(part)]
    off = [abs(float(share[part] @ (highest[part] - right[part]))) for part in parts]
    return sum(off) / float(share.sum())


def _plain(figures: Figures) -> dict[str, float]:
    return {name: getattr(figures, name) for name in Figures.__struct_fields__}
