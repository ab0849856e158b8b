"""Device types in the database: versions are added, never changed."""

from functools import cache

import msgspec
from sqlalchemy import Select, func, insert, select
from sqlalchemy.orm import Session

from ..exceptions import AccessError
from ..telemetry.schema import DeviceType, decode_type, encode_type
from . import commands, models, rules


class TypeEntry(msgspec.Struct, frozen=True):
    """A type as it is now: its id, whose it is (None: shared), its newest version."""

    type_id: int
    owner_id: int | None
    device_type: DeviceType


def newest(session: Session) -> list[TypeEntry]:
    """Every type in its newest version, by id."""
    return [TypeEntry(type_id, owner_id, decode_type(spec)) for type_id, owner_id, spec in session.execute(_newest())]


@cache
def _newest() -> Select[int, int | None, str]:
    """The question for them: putting it together takes longer than its answer."""
    latest = (
        select(models.DeviceTypeVersion.type_id, func.max(models.DeviceTypeVersion.version).label("version"))
        .group_by(models.DeviceTypeVersion.type_id)
        .subquery()
    )
    return (
        select(models.DeviceType.id, models.DeviceType.owner_id, models.DeviceTypeVersion.spec)
        .join(latest, latest.c.type_id == models.DeviceType.id)
        .join(
            models.DeviceTypeVersion,
            (models.DeviceTypeVersion.type_id == latest.c.type_id)
            & (models.DeviceTypeVersion.version == latest.c.version),
        )
        .order_by(models.DeviceType.id)
    )


def versions(session: Session, type_id: int) -> list[DeviceType]:
    """All versions of a type, the first one first."""
    specs = session.scalars(
        select(models.DeviceTypeVersion.spec)
        .where(models.DeviceTypeVersion.type_id == type_id)
        .order_by(models.DeviceTypeVersion.version)
    )
    return [decode_type(spec) for spec in specs]


def find(session: Session, owner_id: int | None, name: str) -> TypeEntry | None:
    """The type an owner means by a name: their own, else the shared one; None where there is neither."""
    named = [entry for entry in newest(session) if entry.device_type.name == name]
    own = [entry for entry in named if entry.owner_id == owner_id]
    shared = [entry for entry in named if entry.owner_id is None]
    return next(iter(own or shared), None)


def add(session: Session, owner_id: int | None, device_type: DeviceType, now_ms: int) -> tuple[int, int]:
    """Add a type, or a version to the one of that owner and name; return (type_id, version).

    A type equal to its newest version is left as it is. A running loop is told by a command. Raises
    ConfigError where the new version can't follow the old one.
    """
    known = session.execute(
        select(models.DeviceType.id).where(
            models.DeviceType.name == device_type.name,
            models.DeviceType.owner_id.is_not_distinct_from(owner_id),
        )
    ).scalar_one_or_none()
    if known is None:
        _owner_must_exist(session, owner_id)
        type_id = session.execute(
            insert(models.DeviceType).values(owner_id=owner_id, name=device_type.name).returning(models.DeviceType.id)
        ).scalar_one()
        added = msgspec.structs.replace(device_type, version=1)
    else:
        type_id = known
        before = versions(session, type_id)[-1]
        added = before.successor(device_type)
        if msgspec.structs.replace(added, version=before.version) == before:
            return type_id, before.version
    session.execute(
        insert(models.DeviceTypeVersion).values(
            type_id=type_id, version=added.version, spec=encode_type(added).decode(), created_ms=now_ms
        )
    )
    commands.add(session, "type_version", None, {"type_id": type_id, "version": added.version}, None, now_ms)
    rules.retire(session, type_id, [sensor.name for sensor in added.sensors if sensor.retired], now_ms)
    return type_id, added.version


def _owner_must_exist(session: Session, owner_id: int | None) -> None:
    if owner_id is not None and session.get(models.Owner, owner_id) is None:
        raise AccessError(f"no owner has the id {owner_id}", 404)
