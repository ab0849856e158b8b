"""Owners and their sites."""

import re
import unicodedata
from collections.abc import Mapping

import msgspec
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError, ConflictError
from . import models
from .database import among


class OwnerEntry(msgspec.Struct, frozen=True):
    """An owner."""

    id: int
    name: str
    created_ms: int


class SiteEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A site; `slug` is what devices name in their readings."""

    id: int
    owner_id: int
    slug: str
    name: str
    time_zone: str
    latitude: float | None
    longitude: float | None


def add(session: Session, name: str, now_ms: int) -> int:
    """Return the owner of that name, made where there was none. Raises ConfigError on an empty name."""
    clean = _clean(name)
    known = session.scalar(select(models.Owner.id).where(models.Owner.name == clean))
    if known is not None:
        return known
    return session.execute(
        insert(models.Owner).values(name=clean, created_ms=now_ms).returning(models.Owner.id)
    ).scalar_one()


def rename(session: Session, owner_id: int, name: str) -> None:
    """Give an owner another name. Raises ConfigError on an empty one, ConflictError where it is taken."""
    clean = _clean(name)
    if session.scalar(select(models.Owner.id).where(models.Owner.name == clean, models.Owner.id != owner_id)):
        raise ConflictError(f"there is an owner called {clean!r} already")
    session.execute(update(models.Owner).where(models.Owner.id == owner_id).values(name=clean))


def remove(session: Session, owner_id: int) -> None:
    """Remove an owner of whom nothing is left. Raises ConflictError that says what there still is."""
    for table, words in (
        (models.Device, "devices"),
        (models.User, "people"),
        (models.Token, "tokens"),
        (models.Channel, "channels"),
        (models.DeviceType, "device types"),
        (models.Rule, "rules"),
        (models.BackfillJob, "files that were taken in"),
        (models.Event, "events"),
    ):
        count = session.scalar(select(func.count()).select_from(table).where(table.owner_id == owner_id))
        if count:
            raise ConflictError(f"this owner has {count:,} {words}; an owner can be removed when nothing of it is left")
    session.execute(delete(models.Site).where(models.Site.owner_id == owner_id))
    session.execute(delete(models.Owner).where(models.Owner.id == owner_id))


def all_owners(session: Session) -> list[OwnerEntry]:
    """Every owner, by name."""
    rows = session.execute(
        select(models.Owner.id, models.Owner.name, models.Owner.created_ms).order_by(models.Owner.name)
    )
    return [OwnerEntry(*row) for row in rows]


def find(session: Session, name: str) -> int:
    """The id of the owner of that name. Raises AccessError (404) that lists the names there are."""
    known = session.scalar(select(models.Owner.id).where(models.Owner.name == " ".join(name.split())))
    if known is None:
        names = ", ".join(repr(owner.name) for owner in all_owners(session)) or "none yet"
        raise AccessError(f"no owner is called {name!r}; there are: {names}", 404)
    return known


def set_site(
    session: Session,
    owner_id: int,
    slug: str,
    name: str,
    time_zone: str = "UTC",
    latitude: float | None = None,
    longitude: float | None = None,
) -> int:
    """Make a site, or give the one of that slug these particulars; return its id."""
    values = {"name": name, "time_zone": time_zone, "latitude": latitude, "longitude": longitude}
    changed = session.execute(
        update(models.Site)
        .where(models.Site.owner_id == owner_id, models.Site.slug == slug_of(slug))
        .values(**values)
        .returning(models.Site.id)
    ).scalar_one_or_none()
    if changed is not None:
        return changed
    return session.execute(
        insert(models.Site).values(owner_id=owner_id, slug=slug_of(slug), **values).returning(models.Site.id)
    ).scalar_one()


def site_ids(session: Session, owner_id: int, names: set[str]) -> Mapping[str, int]:
    """Ids of an owner's sites by the names that readings give them, made where there are none yet."""
    slugs = {name: slug_of(name) for name in names}
    found = _sites_by_slug(session, owner_id, set(slugs.values()))
    titles: dict[str, str] = {}
    for name, slug in sorted(slugs.items()):
        if slug not in found:
            titles.setdefault(slug, name if name != slug else slug.replace("-", " ").title())
    if titles:
        session.execute(
            insert(models.Site),
            [{"owner_id": owner_id, "slug": slug, "name": title, "time_zone": "UTC"} for slug, title in titles.items()],
        )
        found = _sites_by_slug(session, owner_id, set(slugs.values()))
    return {name: found[slug] for name, slug in slugs.items()}


def site_name(session: Session, site_id: int) -> str:
    """What people call a site."""
    return session.execute(select(models.Site.name).where(models.Site.id == site_id)).scalar_one()


def _clean(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > 200 or not clean.isprintable():
        raise ConfigError(f"owner name {name[:80]!r}: expected 1 to 200 characters")
    return clean


def slug_of(name: str) -> str:
    """A site's slug: `Harbour East` and `harbour_east` are both `harbour-east`.

    Raises ConfigError where the name has no letter or digit.
    """
    plain = unicodedata.normalize("NFKD", name).casefold()
    slug = re.sub(r"[^\w]+|_+", "-", "".join(c for c in plain if not unicodedata.combining(c))).strip("-")
    if not slug or len(slug) > 200:
        raise ConfigError(f"site {name!r}: expected a name with 1 to 200 letters and digits")
    return slug


def _sites_by_slug(session: Session, owner_id: int, slugs: set[str]) -> dict[str, int]:
    rows = session.execute(
        select(models.Site.slug, models.Site.id).where(
            models.Site.owner_id == owner_id, among(session, models.Site.slug, sorted(slugs))
        )
    )
    return {slug: site_id for slug, site_id in rows}
