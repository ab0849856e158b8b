"""Tokens of devices and scripts: shown once, kept as a hash, revoked within seconds."""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import get_args

import msgspec
from sqlalchemy import Engine, insert, select, update
from sqlalchemy.orm import Session

from ..exceptions import AccessError
from . import models
from .database import applying, reading
from .models import TokenScope

PREFIX = "fw_"
REMEMBERED_S = 2.0
"""How long an answer about a token is believed: a revoked one stops within this time."""
REMEMBERED_TOKENS = 100_000
USED_EVERY_MS = 60_000
"""`last_used_ms` is written at most this often, so that a device doesn't cost a write per request."""


class TokenInfo(msgspec.Struct, frozen=True):
    """What a token allows: for one owner, registering devices or not, some devices (None: all of the owner)."""

    token_id: int
    owner_id: int
    may_register: bool
    device_ids: frozenset[str] | None
    scope: TokenScope = "write"


class TokenEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A token as lists show it: never itself, only how it begins."""

    id: int
    owner_id: int
    name: str
    prefix: str
    scope: str
    may_register: bool
    device_ids: list[str] | None
    created_ms: int
    revoked_ms: int | None
    last_used_ms: int | None


def create(
    session: Session,
    owner_id: int,
    name: str,
    now_ms: int,
    *,
    scope: TokenScope = "write",
    may_register: bool = True,
    device_ids: Iterable[str] | None = None,
) -> str:
    """Make a token and return it: the only time it is seen.

    A token for some devices registers none. One of scope `read` sees what a viewer of the owner sees; one of scope
    `metrics` opens `/metrics` and nothing of any owner's.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    named = None if device_ids is None else sorted(set(device_ids))
    session.execute(
        insert(models.Token).values(
            owner_id=owner_id,
            name=name,
            prefix=token[: len(PREFIX) + 6],
            hash=_hash(token),
            scope=scope,
            may_register=may_register and named is None and scope == "write",
            device_ids=named,
            created_ms=now_ms,
        )
    )
    return token


def all_tokens(session: Session, owner_id: int | None = None) -> list[TokenEntry]:
    """Tokens of one owner or of all, the newest first."""
    query = select(models.Token).order_by(models.Token.id.desc())
    if owner_id is not None:
        query = query.where(models.Token.owner_id == owner_id)
    return [
        TokenEntry(**{field: getattr(token, field) for field in TokenEntry.__struct_fields__})
        for token in session.scalars(query)
    ]


def revoke(session: Session, token_id: int, now_ms: int) -> None:
    """End a token; one that has ended stays so. Raises AccessError (404) where there is none of that id."""
    ended = session.execute(
        update(models.Token)
        .where(models.Token.id == token_id, models.Token.revoked_ms.is_(None))
        .values(revoked_ms=now_ms)
        .returning(models.Token.id)
    ).all()
    if not ended and session.get(models.Token, token_id) is None:
        raise AccessError(f"no token has the id {token_id}; `faultwatch tokens list` shows them", 404)


class Tokens:
    """Answers who a token belongs to, from memory for a few seconds; any thread may ask.

    `clock` gives seconds that only go forward, `now_ms` the wall clock for `last_used_ms`.
    """

    def __init__(
        self,
        engine: Engine,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._now_ms = now_ms
        self._known: dict[str, tuple[float, TokenInfo | None]] = {}
        self._lock = threading.Lock()

    def authenticate(self, token: str, scope: TokenScope = "write") -> TokenInfo | None:
        """What the token allows, None where it is unknown, revoked, or made for another scope."""
        hashed = _hash(token)
        now = self._clock()
        with self._lock:
            until, info = self._known.get(hashed, (0.0, None))
        if until <= now:
            info = self._look_up(hashed) if token.startswith(PREFIX) else None
            self._remember(hashed, now + REMEMBERED_S, info)
        return info if info is not None and info.scope == scope else None

    def _remember(self, hashed: str, until: float, info: TokenInfo | None) -> None:
        with self._lock:
            if len(self._known) >= REMEMBERED_TOKENS:
                self._known.clear()
            self._known[hashed] = (until, info)

    def _look_up(self, hashed: str) -> TokenInfo | None:
        with reading(self._engine) as session:
            token = session.scalar(
                select(models.Token).where(models.Token.hash == hashed, models.Token.revoked_ms.is_(None))
            )
            scope = next((known for known in get_args(TokenScope) if token is not None and known == token.scope), None)
            if token is None or scope is None:
                return None
            info = TokenInfo(
                token_id=token.id,
                owner_id=token.owner_id,
                may_register=token.may_register,
                device_ids=None if token.device_ids is None else frozenset(token.device_ids),
                scope=scope,
            )
            last_used_ms = token.last_used_ms
        now_ms = self._now_ms()
        if last_used_ms is None or now_ms - last_used_ms >= USED_EVERY_MS:
            with applying(self._engine) as session:
                session.execute(
                    update(models.Token).where(models.Token.id == info.token_id).values(last_used_ms=now_ms)
                )
        return info


def _hash(token: str) -> str:
    # A token is 256 random bits: a plain hash can't be searched, and is quick to compute per request.
    return hashlib.sha256(token.encode()).hexdigest()
