"""What the models page shows: which version serves each type, what wants to, how it did, and what keeps it right.

Who sees all owners sees all of it. An owner sees which version watches their devices, and their own budget of alerts:
the rest is made of the devices of every owner.
"""

from dataclasses import dataclass

from markupsafe import Markup

from ..components.html import markdown
from ..fleet.access import Access
from ..fleet.alert_budget import Spent
from ..fleet.device_types import TypeEntry
from ..fleet.model_versions import ModelVersion
from ..fleet.principal import Principal
from ..fleet.views import AlertQuery, AlertTab, AlertView
from ..pipelines.history import CheckTold, Made, Report, beside, made_by
from ..pipelines.runs import Run, Runs
from . import kinds_view, run_words
from .parts import Parts
from .words import Reader, number, plural

BUDGET_DAYS = 7.0
SHOWN = 12
"""So many versions and runs are named."""

_OPEN: tuple[AlertTab, ...] = ("open", "acknowledged", "silenced")


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A device type in the list beside the page."""

    type_id: int
    name: str
    title: str
    status: str
    words: str


@dataclass(frozen=True, slots=True)
class Trouble:
    """An open alert about a type's models."""

    id: int
    sentence: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Budget:
    """Alerts of a type that nobody confirmed, against those allowed; bars: (owner, count, allowed, percent, over)."""

    days: str
    found: int
    allowed: str
    bars: list[tuple[str, int, str, int, bool]]


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A version: its alias, what it learnt from, what the gate said, what fired its run."""

    version: int
    alias: str
    pill: str
    until_ms: int | None
    trained_ms: int
    learnt: str
    gate: str
    passed: bool
    trigger: str
    run: str | None
    chosen: bool
    promotable: bool


@dataclass(frozen=True, slots=True)
class Measured:
    """A version beside the champion on the same rows they hadn't seen."""

    title: str
    words: str
    champion: int | None
    rows: list[run_words.Measure]
    checks: list[CheckTold]
    failed: int


@dataclass(frozen=True, slots=True)
class TypeView:
    """The chosen type."""

    type_id: int
    title: str
    status: str
    champion: int | None
    since_ms: int | None
    sentences: list[str]
    troubles: list[Trouble]
    budget: Budget | None
    before: int | None
    challenger: int | None
    versions: list[VersionRow]
    more_versions: int
    measured: Measured | None
    card: Markup
    card_of: int | None
    runs: list[run_words.RunRow]


@dataclass(frozen=True, slots=True)
class ModelsPage:
    """The models page."""

    headline: str
    under: str
    types: list[TypeRow]
    chosen: TypeView | None
    full: bool
    kinds_row: tuple[str, str] | None = None
    kinds: kinds_view.KindsView | None = None


def models_page(
    parts: Parts,
    access: Access,
    principal: Principal,
    reader: Reader,
    type_id: int | None,
    version: int | None,
    *,
    of_kinds: bool = False,
) -> ModelsPage:
    """Put the page together, `of_kinds` for the model of kinds of fault in place of a type's.

    Raises AccessError (404) for a type that the reader doesn't see.
    """
    types = sorted(access.types(), key=lambda entry: (entry.device_type.title, entry.type_id))
    versions = access.model_versions([entry.type_id for entry in types])
    troubles = _troubles(access, principal, reader.now_ms)
    chosen = access.type(type_id) if type_id is not None else _first(types, versions, troubles)
    full = principal.sees_all
    rows = [_row(entry, versions[entry.type_id], troubles, full) for entry in types]
    kinds = access.kind_versions()
    view, shown = None, None
    if of_kinds:
        shown = kinds_view.kinds_view(parts, kinds, troubles, reader, version)
    elif chosen is not None:
        view = _type(parts, access, principal, reader, chosen, versions[chosen.type_id], troubles, version)
    headline, under = _lead(rows, versions, troubles, full)
    return ModelsPage(headline, under, rows, view, full, kinds_view.row_of(kinds, troubles) if full else None, shown)


def _troubles(access: Access, principal: Principal, now_ms: int) -> list[AlertView]:
    if not principal.sees_all:
        return []
    found: list[AlertView] = []
    for tab in _OPEN:
        found += access.alerts(AlertQuery(tab=tab, kind="model", limit=200), now_ms).items
    return found


def _first(
    types: list[TypeEntry], versions: dict[int, list[ModelVersion]], troubles: list[AlertView]
) -> TypeEntry | None:
    """The type to begin with: one in trouble, else one that is watched, else one with a model."""
    names = {alert.subject for alert in troubles}
    ranked = sorted(
        types,
        key=lambda entry: (
            entry.device_type.name not in names,
            not any(one.challenger for one in versions[entry.type_id]),
            not versions[entry.type_id],
        ),
    )
    return ranked[0] if ranked else None


def _row(entry: TypeEntry, versions: list[ModelVersion], troubles: list[AlertView], full: bool) -> TypeRow:
    champion = next((one for one in versions if one.champion), None)
    watched = next((one for one in versions if one.challenger), None)
    words = "no model yet" if champion is None else f"version {champion.version}"
    if watched is not None and full:
        words += f", {watched.version} is watched"
    spec = entry.device_type
    return TypeRow(entry.type_id, spec.name, spec.title, _status(entry, champion, troubles), words)


def _status(entry: TypeEntry, champion: ModelVersion | None, troubles: list[AlertView]) -> str:
    mine = [alert for alert in troubles if alert.subject == entry.device_type.name and alert.severity != "info"]
    return "suspect" if mine else "learning" if champion is None else "healthy"


def _lead(
    rows: list[TypeRow], versions: dict[int, list[ModelVersion]], troubles: list[AlertView], full: bool
) -> tuple[str, str]:
    if not rows:
        return "No device type yet.", "A model belongs to a type of device; make one first."
    if not any(versions.values()):
        return (
            "No type has a model yet.",
            "A type learns by itself from its first readings; nothing is judged until then.",
        )
    serving = sum(any(one.champion for one in found) for found in versions.values())
    watched = sum(any(one.challenger for one in found) for found in versions.values())
    said = [f"{number(serving)} of {plural(len(rows), 'type')} {'is' if serving == 1 else 'are'} judged by a model."]
    if watched and full:
        said.append(
            f"{plural(watched, 'new version')} {'is' if watched == 1 else 'are'} watched beside, alerting nobody."
        )
    urgent = {alert.subject for alert in troubles if alert.severity != "info"}
    if urgent:
        return f"{plural(len(urgent), 'model')} {'needs' if len(urgent) == 1 else 'need'} you.", " ".join(said)
    if troubles:
        return f"{plural(len(troubles), 'notice')} on models.", " ".join(said)
    return "Models are as they should be." if full else "What watches your devices.", " ".join(said)


def _type(
    parts: Parts,
    access: Access,
    principal: Principal,
    reader: Reader,
    entry: TypeEntry,
    versions: list[ModelVersion],
    troubles: list[AlertView],
    version: int | None,
) -> TypeView:
    champion = next((one for one in versions if one.champion), None)
    watched = next((one for one in versions if one.challenger), None)
    served = [one for one in versions if one.promoted_ms is not None and not one.champion]
    mine = [alert for alert in troubles if alert.subject == entry.device_type.name]
    budget = _budget(parts, access, entry, any(alert.cause == "budget_exceeded" for alert in mine), reader.now_ms)
    status = _status(entry, champion, troubles)
    full = principal.sees_all
    name, data = entry.device_type.name, parts.settings.data
    made = {one.version: made_by(data, one.run) for one in versions[:SHOWN]} if full else {}
    about = _about(versions, version, watched, champion) if full else None
    if about is not None and about.version not in made:
        made[about.version] = made_by(data, about.run)
    what = None if about is None else made[about.version]
    shadow = beside(data, entry.type_id, name, watched.version) if full and watched is not None else None
    return TypeView(
        type_id=entry.type_id,
        title=entry.device_type.title,
        status=status,
        champion=None if champion is None else champion.version,
        since_ms=None if champion is None else champion.promoted_ms or champion.trained_ms,
        sentences=_sentences(champion, watched if full else None, shadow, budget, reader),
        troubles=[Trouble(alert.id, alert.said(reader.now_ms), alert.fired_ms) for alert in mine],
        budget=budget,
        before=max(served, key=lambda one: (one.promoted_ms or 0, one.version)).version if served else None,
        challenger=None if watched is None or not full else watched.version,
        versions=[_version(one, made.get(one.version), about, reader) for one in versions[:SHOWN]] if full else [],
        more_versions=max(0, len(versions) - SHOWN) if full else 0,
        measured=_measured(about, what, shadow if about is watched else None),
        card=Markup(markdown(what.card, top=3)) if what is not None and what.card else Markup(),  # nosec B704
        card_of=None if about is None else about.version,
        runs=_runs(parts, entry, reader) if full else [],
    )


def _about(
    versions: list[ModelVersion], wanted: int | None, watched: ModelVersion | None, champion: ModelVersion | None
) -> ModelVersion | None:
    """The version whose measures and card are shown: the one asked for, else what is watched, else what serves."""
    asked = next((one for one in versions if one.version == wanted), None)
    return asked or watched or champion


def _budget(parts: Parts, access: Access, entry: TypeEntry, exceeded: bool, now_ms: int) -> Budget | None:
    """The budget of a type; `exceeded`, whether it is so by more than chance, which an alert says."""
    spent = access.alerts_spent(
        entry.type_id,
        now_ms,
        BUDGET_DAYS,
        parts.settings.false_alerts_per_device_month,
        parts.settings.max_alerts_a_day,
    )
    if not spent:
        return None
    allowed, found = sum(one.allowed for one in spent), sum(one.unconfirmed for one in spent)
    worst = sorted(spent, key=lambda one: (one.allowed - one.unconfirmed, one.owner))
    bars = [_bar(one, exceeded) for one in worst[:5]]
    return Budget(f"{BUDGET_DAYS:g} days", found, f"{allowed:.1f}", bars)


def _bar(one: Spent, exceeded: bool) -> tuple[str, int, str, int, bool]:
    share = min(100, round(100 * one.unconfirmed / max(one.allowed, 1e-9)))
    return one.owner, one.unconfirmed, f"{one.allowed:.1f}", share, exceeded and one.unconfirmed > one.allowed


def _sentences(
    champion: ModelVersion | None,
    watched: ModelVersion | None,
    shadow: Report | None,
    budget: Budget | None,
    reader: Reader,
) -> list[str]:
    if champion is None:
        return ["No model judges these devices yet. The type learns by itself from its first readings."]
    since = champion.promoted_ms or champion.trained_ms
    said = [f"Version {champion.version} serves since {reader.text(since)}."]
    if budget is not None:
        alerts = plural(budget.found, "alert")
        said.append(f"{alerts} that nobody confirmed in {budget.days}; {budget.allowed} are allowed.")
    if watched is not None:
        until = watched.shadow_until_ms or 0
        over = until <= reader.now_ms
        when = "until the next round, which decides" if over else f"until {reader.text(until)}"
        said.append(f"Version {watched.version} is watched beside it {when}, and alerts nobody.")
        if shadow is not None:
            bad = [check.name for check in shadow.checks if not check.passed]
            said.append(f"So far it fails at {', '.join(bad)}." if bad else "So far it passes every check.")
    return said


def _version(one: ModelVersion, made: Made | None, about: ModelVersion | None, reader: Reader) -> VersionRow:
    pill = {"champion": "Champion", "challenger": "Challenger"}.get(one.role, "")
    in_shadow = one.challenger and one.shadow_until_ms is not None
    verdict = made.report.verdict if made is not None and made.report is not None else ""
    return VersionRow(
        version=one.version,
        alias=one.role,
        pill=f"{pill}, in shadow" if in_shadow else pill,
        until_ms=one.shadow_until_ms if in_shadow else None,
        trained_ms=one.trained_ms,
        learnt=run_words.learnt(one, made),
        gate={"pass": "passed", "fail": "refused"}.get(verdict, "not judged"),
        passed=verdict == "pass",
        trigger="by itself" if made is None else run_words.trigger(made.run),
        run=one.run,
        chosen=about is not None and about.version == one.version,
        promotable=not one.champion,
    )


def _measured(about: ModelVersion | None, made: Made | None, shadow: Report | None) -> Measured | None:
    report = shadow or (None if made is None else made.report)
    if about is None or report is None:
        return None
    rows = run_words.measures(report)
    if shadow is not None:
        title = f"Version {about.version} beside version {report.champion}, while it is watched"
        words = f"the same {number(report.rows)} readings that came since it was trained"
    elif report.champion is None:
        title, words = f"Version {about.version} at its gate", f"{number(report.judged_rows)} readings unseen before"
    else:
        title = f"Version {about.version} beside version {report.champion}, at its gate"
        words = f"the same {number(report.judged_rows)} readings, unseen by either"
    failed = sum(not check.passed for check in report.checks)
    return Measured(title, words, report.champion, rows, report.checks, failed)


def _runs(parts: Parts, entry: TypeEntry, reader: Reader) -> list[run_words.RunRow]:
    runs = Runs(parts.settings.data)
    name = entry.device_type.name
    found: list[Run] = runs.lately("training", entry.type_id, name, most=SHOWN // 2)
    found += runs.lately("monitoring", entry.type_id, name, most=SHOWN // 2)
    newest = sorted(found, key=lambda run: run.started_ms, reverse=True)
    return [run_words.run_row(run, reader.now_ms) for run in newest]
