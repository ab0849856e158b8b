"""Versions of models in the database: which serves, which is watched, which served before."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from ..exceptions import ConflictError, ModelError
from . import audit, commands, models
from .models import Json

Table = models.TrainedModel


class ModelVersion(msgspec.Struct, frozen=True):
    """A version of a type's model; fields as in `models.TrainedModel`."""

    type_id: int
    version: int
    folder: str
    trained_ms: int
    champion: bool
    challenger: bool
    shadow_until_ms: int | None
    promoted_ms: int | None
    run: str | None
    note: str

    @property
    def role(self) -> str:
        """What it is now: champion, challenger, or nothing."""
        return "champion" if self.champion else "challenger" if self.challenger else ""


_COLUMNS = tuple(getattr(Table, name) for name in ModelVersion.__struct_fields__)


def versions(session: Session, type_id: int) -> list[ModelVersion]:
    """Every version of a type's model, the newest first."""
    rows = session.execute(select(*_COLUMNS).where(Table.type_id == type_id).order_by(Table.version.desc()))
    return [ModelVersion(*row) for row in rows]


def get(session: Session, type_id: int, version: int) -> ModelVersion:
    """One version. Raises ModelError where there is none of that number."""
    known = versions(session, type_id)
    found = next((one for one in known if one.version == version), None)
    if found is None:
        numbers = ", ".join(str(one.version) for one in known) or "none yet"
        raise ModelError(f"the type has no model version {version}; there are: {numbers}")
    return found


def champion(session: Session, type_id: int) -> ModelVersion | None:
    """The version that serves a type, if one does."""
    return next((one for one in versions(session, type_id) if one.champion), None)


def challenger(session: Session, type_id: int) -> ModelVersion | None:
    """The version that is watched, if one is."""
    return next((one for one in versions(session, type_id) if one.challenger), None)


def all_of(session: Session, type_ids: Sequence[int]) -> dict[int, list[ModelVersion]]:
    """Every version of the models of some types, the newest first, in one question."""
    rows = session.execute(select(*_COLUMNS).where(Table.type_id.in_(type_ids)).order_by(Table.version.desc()))
    found: dict[int, list[ModelVersion]] = {type_id: [] for type_id in type_ids}
    for row in rows:
        found[row.type_id].append(ModelVersion(*row))
    return found


def before(session: Session, type_id: int) -> ModelVersion:
    """The version that served before the champion. Raises ModelError where none did."""
    served = [one for one in versions(session, type_id) if one.promoted_ms is not None and not one.champion]
    if not served:
        raise ModelError("no version served before the champion; there is nothing to roll back to")
    return max(served, key=lambda one: (one.promoted_ms or 0, one.version))


def add(session: Session, type_id: int, folder: str, run: str | None, note: str, now_ms: int) -> ModelVersion:
    """Give a model's folder the next version of its type; one that has a version keeps it."""
    known = next((one for one in versions(session, type_id) if one.folder == folder), None)
    if known is not None:
        return known
    version = 1 + (session.scalar(select(func.max(Table.version)).where(Table.type_id == type_id)) or 0)
    values = {"type_id": type_id, "version": version, "folder": folder, "trained_ms": now_ms, "run": run, "note": note}
    session.execute(insert(Table).values(champion=False, **values))
    return get(session, type_id, version)


def watch(session: Session, found: ModelVersion, until_ms: int) -> None:
    """Make a version the challenger until a time; one that was challenger before isn't any more."""
    _unwatch(session, found.type_id)
    _set(session, found, challenger=True, shadow_until_ms=until_ms)


def dismiss(session: Session, found: ModelVersion) -> None:
    """A challenger has lost: it is nothing any more."""
    _set(session, found, challenger=False, shadow_until_ms=None)


def promote(session: Session, found: ModelVersion, who: str, now_ms: int, warm: str = "") -> int | None:
    """Make a version champion and queue its swap; return the command's id, None where it is champion already.

    A running loop takes it up between two records; the next start does where none runs. `warm` as in
    `telemetry.records.ModelSwap`.
    """
    if found.champion:
        return None
    session.execute(update(Table).where(Table.type_id == found.type_id).values(champion=False))
    _unwatch(session, found.type_id)
    _set(session, found, champion=True, promoted_ms=now_ms)
    payload: dict[str, Json] = {"type_id": found.type_id, "folder": found.folder, "version": found.version}
    if warm:
        payload["warm"] = warm
    audit.write(session, who, "model promoted", f"type {found.type_id}", f"version {found.version}", now_ms)
    return commands.add(session, "model_swap", None, payload, None, now_ms)


def roll_back(session: Session, type_id: int, who: str, now_ms: int) -> ModelVersion:
    """Have the version serve that served before, with what devices have learnt since; return it.

    Raises ModelError where none did.
    """
    found = before(session, type_id)
    audit.write(session, who, "model rolled back", f"type {type_id}", f"to version {found.version}", now_ms)
    promote(session, found, who, now_ms)
    return found


def swapped(session: Session, command_id: int) -> bool:
    """Whether the loop has taken up a swap. Raises ConflictError where there is no such command."""
    row = session.execute(select(models.Command.done_ms).where(models.Command.id == command_id)).one_or_none()
    if row is None:
        raise ConflictError(f"no command has the id {command_id}")
    return row.done_ms is not None


def _unwatch(session: Session, type_id: int) -> None:
    session.execute(update(Table).where(Table.type_id == type_id).values(challenger=False, shadow_until_ms=None))


def _set(session: Session, found: ModelVersion, **values: object) -> None:
    where = (Table.type_id == found.type_id, Table.version == found.version)
    session.execute(update(Table).where(*where).values(**values))
