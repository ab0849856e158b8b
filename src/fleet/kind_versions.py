"""Versions of the model that names kinds of fault: which serves, which served before."""

import msgspec
from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from ..exceptions import ModelError
from . import audit, models

Table = models.KindModelVersion


class KindVersion(msgspec.Struct, frozen=True):
    """A version of the model of kinds; fields as in `models.KindModelVersion`."""

    version: int
    folder: str
    trained_ms: int
    champion: bool
    promoted_ms: int | None
    run: str | None
    note: str

    @property
    def role(self) -> str:
        """What it is now: champion, or nothing."""
        return "champion" if self.champion else ""


_COLUMNS = tuple(getattr(Table, name) for name in KindVersion.__struct_fields__)


def versions(session: Session) -> list[KindVersion]:
    """Every version, the newest first."""
    return [KindVersion(*row) for row in session.execute(select(*_COLUMNS).order_by(Table.version.desc()))]


def get(session: Session, version: int) -> KindVersion:
    """One version. Raises ModelError where there is none of that number."""
    known = versions(session)
    found = next((one for one in known if one.version == version), None)
    if found is None:
        numbers = ", ".join(str(one.version) for one in known) or "none yet"
        raise ModelError(f"the model of kinds has no version {version}; there are: {numbers}")
    return found


def champion(session: Session) -> KindVersion | None:
    """The version that names kinds, if one does."""
    return next((one for one in versions(session) if one.champion), None)


def before(session: Session) -> KindVersion:
    """The version that served before the champion. Raises ModelError where none did."""
    served = [one for one in versions(session) if one.promoted_ms is not None and not one.champion]
    if not served:
        raise ModelError("no version named kinds before the champion; there is nothing to roll back to")
    return max(served, key=lambda one: (one.promoted_ms or 0, one.version))


def add(session: Session, folder: str, run: str | None, note: str, now_ms: int) -> KindVersion:
    """Give a model's folder the next version; one that has a version keeps it."""
    known = next((one for one in versions(session) if one.folder == folder), None)
    if known is not None:
        return known
    version = 1 + (session.scalar(select(func.max(Table.version))) or 0)
    values = {"version": version, "folder": folder, "trained_ms": now_ms, "run": run, "note": note}
    session.execute(insert(Table).values(champion=False, **values))
    return get(session, version)


def promote(session: Session, found: KindVersion, who: str, now_ms: int) -> None:
    """Make a version the one that names kinds, from the next look at the alerts on."""
    if found.champion:
        return
    session.execute(update(Table).values(champion=False))
    session.execute(update(Table).where(Table.version == found.version).values(champion=True, promoted_ms=now_ms))
    audit.write(session, who, "model promoted", "kinds of fault", f"version {found.version}", now_ms)
