"""Channels in the database: where an owner is told; address and secret are encrypted."""

from collections.abc import Sequence
from secrets import token_urlsafe
from urllib.parse import urlsplit

import msgspec
from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError, ConflictError
from . import models
from .models import ALERT_KINDS, SEVERITIES, ChannelKind, Severity
from .secrets import Secrets

MAX_NAME = 100
OPERATORS = "operators"
"""What stands for an owner's name where a channel belongs to none: its alerts are about models, for operators."""


class Target(msgspec.Struct, frozen=True):
    """A channel as its sender needs it, decrypted; never logged, never shown."""

    kind: str
    address: str
    secret: str | None

    def __repr__(self) -> str:
        return f"Target({self.kind})"


def target_of(address: str) -> Target:
    """What an address leads to: a webhook, with a new secret to sign by, or a service that Apprise knows.

    Raises ConfigError where a channel of this address could never deliver.
    """
    is_webhook = address.startswith(("http://", "https://"))
    target = Target("webhook", address, token_urlsafe(32)) if is_webhook else Target("apprise", address, None)
    check(target)
    return target


def check(target: Target) -> None:
    """Raise ConfigError where a channel of this address could never deliver."""
    if target.kind == "webhook":
        try:
            address = urlsplit(target.address)
            fits = address.scheme in ("http", "https") and bool(address.hostname) and address.port != 0
        except ValueError:  # a port or an IPv6 address that is none
            fits = False
        if not fits:
            raise ConfigError("address of a webhook: expected https://HOST/PATH (or http:// in your own network)")
        return
    import apprise

    if not apprise.Apprise().add(target.address):
        raise ConfigError(
            "address: Apprise doesn't know this kind, or a part of it is missing; expected one such as"
            " mailto://USER:PASSWORD@HOST or slack://TOKEN, see https://github.com/caronc/apprise/wiki"
        )


def add(
    session: Session,
    secrets: Secrets,
    owner_id: int | None,
    name: str,
    target: Target,
    now_ms: int,
    *,
    min_severity: Severity = "warning",
    kinds: Sequence[str] | None = None,
) -> int:
    """Add a channel of an owner, or of operators (`owner_id` None); return its id.

    Raises ConfigError on a bad severity or kind, ConflictError where the name is taken.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise ConfigError(f"channel name {name[:80]!r}: expected 1 to {MAX_NAME} characters")
    kind: ChannelKind = "webhook" if target.kind == "webhook" else "apprise"
    if unknown := sorted(set(kinds or ()) - set(ALERT_KINDS)):
        raise ConfigError(f"kind of alert {', '.join(map(repr, unknown))}: expected {', '.join(ALERT_KINDS)}")
    if owner_id is None and kinds:
        raise ConfigError("a channel of operators is told of models; leave out the kinds of alert")
    if min_severity not in SEVERITIES:
        raise ConfigError(f"min_severity {min_severity!r}: expected one of {', '.join(SEVERITIES)}")
    if session.scalar(_named(owner_id, name)) is not None:
        raise ConflictError(f"{_whose(owner_id)} a channel {name!r} already; remove it first, or choose another name")
    return session.execute(
        insert(models.Channel)
        .values(
            owner_id=owner_id,
            name=name,
            kind=kind,
            address=secrets.encrypt(target.address),
            secret=None if target.secret is None else secrets.encrypt(target.secret),
            min_severity=min_severity,
            kinds=None if kinds is None else sorted(set(kinds)),
            created_ms=now_ms,
        )
        .returning(models.Channel.id)
    ).scalar_one()


def target(session: Session, secrets: Secrets, owner_id: int | None, name: str) -> Target:
    """A channel of an owner, decrypted. Raises AccessError (404), StorageError where the key is another."""
    channel = _found(session, owner_id, name)
    return decrypted(secrets, channel.kind, channel.address, channel.secret)


def decrypted(secrets: Secrets, kind: str, address: str, secret: str | None) -> Target:
    """A channel's columns as its sender needs them. Raises StorageError where the key is another."""
    return Target(kind, secrets.decrypt(address), None if secret is None else secrets.decrypt(secret))


def remove(session: Session, owner_id: int | None, name: str) -> None:
    """Remove a channel and its notices, sent or not. Raises AccessError (404)."""
    channel = _found(session, owner_id, name)
    session.execute(delete(models.Channel).where(models.Channel.id == channel.id))


def get(session: Session, channel_id: int, owner_id: int | None) -> models.Channel:
    """A channel of an owner, or of any where `owner_id` is None. Raises AccessError (404)."""
    channel = session.get(models.Channel, channel_id)
    if channel is None or owner_id not in (None, channel.owner_id):
        raise AccessError(f"there is no channel {channel_id}", 404)
    return channel


def find(session: Session, owner_id: int | None, name: str) -> int:
    """The id of a channel of an owner, or of operators. Raises AccessError (404)."""
    return _found(session, owner_id, name).id


def _found(session: Session, owner_id: int | None, name: str) -> models.Channel:
    channel = session.scalar(_named(owner_id, name))
    if channel is None:
        raise AccessError(f"{_whose(owner_id)} no channel {name!r}; `faultwatch channels list` shows them", 404)
    return channel


def _whose(owner_id: int | None) -> str:
    return "operators have" if owner_id is None else "this owner has"


def _named(owner_id: int | None, name: str) -> Select[models.Channel]:
    return select(models.Channel).where(models.Channel.owner_id == owner_id, models.Channel.name == name)
