"""People: accounts, passwords (argon2), sign-in with lock-out, sessions, and the first start's set-up link.

Each function is a transaction of its own: a wrong password has to be counted even though it is refused.
"""

import hashlib
import re
import secrets
from functools import cache

import msgspec
from pwdlib import PasswordHash
from pwdlib.exceptions import UnknownHashError
from sqlalchemy import Engine, delete, func, insert, select, update
from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError, ConflictError
from . import models
from .database import applying, reading, writing
from .models import Role
from .principal import Principal

ROLES: tuple[Role, ...] = ("admin", "operator", "owner", "viewer")
EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,190}")
MIN_PASSWORD, MAX_PASSWORD = 10, 1000
FREE_FAILURES = 5
"""Wrong passwords before an account waits; then it waits LOCK_MS, and twice as long with each further one."""
LOCK_MS = 30_000
MAX_LOCK_MS = 15 * 60_000
SESSION_MS = 12 * 3_600_000
SETUP_LINK_MS = 24 * 3_600_000
_WRONG = "this email and password don't belong together"


class UserEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An account without its password."""

    id: int
    email: str
    name: str
    role: Role
    owner_id: int | None
    created_ms: int
    disabled: bool

    @property
    def principal(self) -> Principal:
        """Who asks when they ask."""
        return Principal(self.id, self.role, self.owner_id, self.name)


class SignedIn(msgspec.Struct, frozen=True):
    """A session as its browser needs it: the `cookie` is seen here only."""

    cookie: str
    csrf_token: str
    user: UserEntry


class SessionEntry(msgspec.Struct, frozen=True):
    """A session that a cookie led to."""

    user: UserEntry
    csrf_token: str
    expires_ms: int

    @property
    def principal(self) -> Principal:
        """Who asks."""
        return self.user.principal


def create(
    engine: Engine, email: str, name: str, password: str, role: Role, owner_id: int | None, now_ms: int
) -> UserEntry:
    """Make an account.

    Raises ConfigError where email, password, role and owner don't fit, ConflictError where the email has one.
    """
    secret = hashed(password)
    with writing(engine) as session:
        return add(session, email, name, secret, role, owner_id, now_ms)


def all_users(engine: Engine) -> list[UserEntry]:
    """Every account, by email."""
    with reading(engine) as session:
        return [_entry(user) for user in session.scalars(select(models.User).order_by(models.User.email))]


def set_password(engine: Engine, email: str, password: str) -> None:
    """Give an account another password; its sessions end, its lock-out too. Raises AccessError (404), ConfigError."""
    secret = hashed(password)
    with writing(engine) as session:
        user = _find(session, email)
        change_password(session, user.id, secret)


def set_disabled(engine: Engine, email: str, disabled: bool) -> None:
    """Let an account sign in, or no longer; its sessions end. Raises AccessError (404)."""
    with writing(engine) as session:
        user = _find(session, email)
        change_disabled(session, user.id, disabled)


def add(
    session: Session, email: str, name: str, password_hash: str, role: Role, owner_id: int | None, now_ms: int
) -> UserEntry:
    """Make an account within a transaction; `password_hash` as `hashed` gives it. Raises what `create` does."""
    email = _email(email)
    _check_role(role, owner_id)
    if session.scalar(select(models.User.id).where(models.User.email == email)) is not None:
        raise ConflictError(f"there is an account for {email} already; `faultwatch users password` sets its password")
    user = models.User(
        email=email,
        name=" ".join(name.split()) or email.partition("@")[0],
        password_hash=password_hash,
        role=role,
        owner_id=owner_id if role in ("owner", "viewer") else None,
        created_ms=now_ms,
    )
    session.add(user)
    session.flush()
    return _entry(user)


def get(session: Session, user_id: int) -> UserEntry:
    """One account. Raises AccessError (404)."""
    return _entry(_get(session, user_id))


def by_email(session: Session, email: str) -> UserEntry:
    """The account of an address. Raises AccessError (404)."""
    return _entry(_find(session, email))


def change_password(session: Session, user_id: int, password_hash: str) -> None:
    """Give an account another password; its sessions end, its lock-out too. Raises AccessError (404)."""
    user = _get(session, user_id)
    user.password_hash, user.failures, user.locked_until_ms = password_hash, 0, None
    _end_sessions(session, user_id)


def change_disabled(session: Session, user_id: int, disabled: bool) -> None:
    """Let an account sign in, or no longer; its sessions end.

    Raises AccessError (404), and ConflictError where nobody would be left to administer.
    """
    user = _get(session, user_id)
    if disabled:
        _someone_must_administer(session, user)
    user.disabled = disabled
    _end_sessions(session, user_id)


def change_role(session: Session, user_id: int, role: Role, owner_id: int | None) -> None:
    """Give an account another role. Raises AccessError (404), ConfigError, and ConflictError for the last admin."""
    user = _get(session, user_id)
    _check_role(role, owner_id)
    if role != "admin":
        _someone_must_administer(session, user)
    user.role, user.owner_id = role, owner_id if role in ("owner", "viewer") else None
    _end_sessions(session, user_id)


def _get(session: Session, user_id: int) -> models.User:
    user = session.get(models.User, user_id)
    if user is None:
        raise AccessError(f"there is no account with the id {user_id}", 404)
    return user


def _check_role(role: str, owner_id: int | None) -> None:
    if role not in ROLES:
        raise ConfigError(f"role {role!r}: expected one of {', '.join(ROLES)}")
    if role in ("owner", "viewer") and owner_id is None:
        raise ConfigError(f"a user of role {role} belongs to an owner; name it")


def _someone_must_administer(session: Session, user: models.User) -> None:
    others = (models.User.role == "admin", models.User.disabled.is_(False), models.User.id != user.id)
    if user.role == "admin" and not user.disabled and session.scalar(select(models.User.id).where(*others)) is None:
        raise ConflictError(f"{user.email} is the only admin who can sign in; make another account an admin first")


def _end_sessions(session: Session, user_id: int) -> None:
    session.execute(delete(models.UserSession).where(models.UserSession.user_id == user_id))


def sign_in(engine: Engine, email: str, password: str, now_ms: int, lasts_ms: int = SESSION_MS) -> SignedIn:
    """Open a session for whoever the email and password belong to; expired ones of anybody are deleted.

    Raises AccessError: 401, the same for an unknown email, a wrong password and a disabled account; 429 where
    there were too many wrong ones. The password is checked outside of any transaction: that takes its time.
    """
    with reading(engine) as session:
        user = session.scalar(select(models.User).where(models.User.email == email.strip().lower()))
        known = None if user is None or user.disabled else (user.id, user.password_hash, user.locked_until_ms)
    if known is None:
        _fits(password, _someone())
        raise AccessError(_WRONG, 401)
    user_id, hashed, locked_until_ms = known
    if locked_until_ms is not None and locked_until_ms > now_ms:
        seconds = -(-(locked_until_ms - now_ms) // 1000)
        raise AccessError(f"too many wrong passwords; try again in {seconds} seconds", 429)
    fits = _fits(password, hashed)
    with writing(engine) as session:
        if fits:
            return _open_session(session, user_id, now_ms, lasts_ms)
        _count_failure(session, user_id, now_ms)
    raise AccessError(_WRONG, 401)


def session(engine: Engine, cookie: str, now_ms: int, lasts_ms: int = SESSION_MS) -> SessionEntry | None:
    """The session of a cookie, None where it has expired, was ended, or its account is disabled.

    Being used, it lasts `lasts_ms` from now; that is written down once it makes a tenth of a difference.
    """
    with reading(engine) as transaction:
        row = transaction.execute(
            select(models.UserSession, models.User)
            .join(models.User, models.User.id == models.UserSession.user_id)
            .where(
                models.UserSession.token_hash == _hash(cookie),
                models.UserSession.expires_ms > now_ms,
                models.User.disabled.is_(False),
            )
        ).one_or_none()
        if row is None:
            return None
        entry = SessionEntry(_entry(row[1]), row[0].csrf_token, row[0].expires_ms)
    if entry.expires_ms >= now_ms + lasts_ms * 9 // 10:
        return entry
    mine = models.UserSession.token_hash == _hash(cookie)
    with applying(engine) as transaction:
        transaction.execute(update(models.UserSession).where(mine).values(expires_ms=now_ms + lasts_ms))
    return msgspec.structs.replace(entry, expires_ms=now_ms + lasts_ms)


def sign_out(engine: Engine, cookie: str) -> None:
    """End the session of a cookie; it may have ended already."""
    with writing(engine) as session:
        session.execute(delete(models.UserSession).where(models.UserSession.token_hash == _hash(cookie)))


def make_setup_link(engine: Engine, now_ms: int) -> str | None:
    """The secret part of a one-time link for the first admin, None where there is an account already.

    An earlier link that nobody used ends: what the terminal shows last is the one that works.
    """
    with writing(engine) as session:
        if session.scalar(select(func.count()).select_from(models.User)):
            return None
        session.execute(delete(models.SetupLink).where(models.SetupLink.used_ms.is_(None)))
        token = secrets.token_urlsafe(24)
        expires_ms = now_ms + SETUP_LINK_MS
        link = insert(models.SetupLink).values(token_hash=_hash(token), created_ms=now_ms, expires_ms=expires_ms)
        session.execute(link)
        return token


def setup_link_holds(engine: Engine, token: str, now_ms: int) -> bool:
    """Whether a set-up link may still be used."""
    link = models.SetupLink
    holds = (link.token_hash == _hash(token), link.used_ms.is_(None), link.expires_ms > now_ms)
    with reading(engine) as session:
        return session.scalar(select(link.token_hash).where(*holds)) is not None


def use_setup_link(engine: Engine, token: str, email: str, name: str, password: str, now_ms: int) -> UserEntry:
    """Make the first admin by a set-up link, which then is used up.

    Raises AccessError (404) where the link doesn't hold; ConfigError where email or password don't fit, and the
    link may be used again.
    """
    link = models.SetupLink
    holds = (link.token_hash == _hash(token), link.used_ms.is_(None), link.expires_ms > now_ms)
    secret = hashed(password)
    with writing(engine) as session:
        if not session.execute(update(link).where(*holds).values(used_ms=now_ms).returning(link.token_hash)).all():
            raise AccessError(
                "this set-up link was used or has expired; start faultwatch again to be given a new one", 404
            )
        return add(session, email, name, secret, "admin", None, now_ms)


def _find(session: Session, email: str) -> models.User:
    user = session.scalar(select(models.User).where(models.User.email == email.strip().lower()))
    if user is None:
        raise AccessError(f"there is no account for {email!r}; `faultwatch users list` shows those there are", 404)
    return user


def _open_session(session: Session, user_id: int, now_ms: int, lasts_ms: int) -> SignedIn:
    user = session.get_one(models.User, user_id)
    user.failures, user.locked_until_ms = 0, None
    signed_in = SignedIn(secrets.token_urlsafe(32), secrets.token_urlsafe(32), _entry(user))
    session.execute(delete(models.UserSession).where(models.UserSession.expires_ms <= now_ms))
    session.execute(
        insert(models.UserSession).values(
            user_id=user_id,
            token_hash=_hash(signed_in.cookie),
            csrf_token=signed_in.csrf_token,
            created_ms=now_ms,
            expires_ms=now_ms + lasts_ms,
        )
    )
    return signed_in


def _count_failure(session: Session, user_id: int, now_ms: int) -> None:
    user = session.get_one(models.User, user_id, with_for_update=True)
    user.failures += 1
    if user.failures >= FREE_FAILURES:
        user.locked_until_ms = now_ms + min(MAX_LOCK_MS, LOCK_MS << min(user.failures - FREE_FAILURES, 10))


def _entry(user: models.User) -> UserEntry:
    role = next(role for role in ROLES if role == user.role)
    return UserEntry(
        id=user.id,
        email=user.email,
        name=user.name,
        role=role,
        owner_id=user.owner_id,
        created_ms=user.created_ms,
        disabled=user.disabled,
    )


def _email(email: str) -> str:
    clean = email.strip().lower()
    if not EMAIL.fullmatch(clean):
        raise ConfigError(f"email {email!r}: expected an address such as ada@example.org")
    return clean


def hashed(password: str) -> str:
    """The password as it is kept; takes its time, so not within a transaction. Raises ConfigError on a bad length."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ConfigError(f"the password has {len(password)} characters; expected {MIN_PASSWORD} to {MAX_PASSWORD}")
    return _passwords().hash(password)


def _fits(password: str, hashed: str) -> bool:
    try:
        return _passwords().verify(password[:MAX_PASSWORD], hashed)
    except UnknownHashError:
        return False


@cache
def _passwords() -> PasswordHash:
    return PasswordHash.recommended()


@cache
def _someone() -> str:
    """A hash to check against where there is no account, so that an unknown email takes as long as a wrong password."""
    return _passwords().hash(secrets.token_urlsafe(16))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
