"""What people set: accounts, tokens, channels, rules. Who may, what it changes, where it is written down.

An owner sets what is theirs, an admin everything; operators and viewers look. Every act is in the audit log.
"""

from collections.abc import Sequence
from typing import get_args

import msgspec
from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError
from . import audit, channels, device_types, models, outbox, owners, rules, tokens, users
from .access import Access
from .channels import Target
from .database import may_write
from .device_types import TypeEntry
from .models import Role, Severity, TokenScope
from .principal import Principal
from .secrets import Secrets
from .users import UserEntry

MAX_NAME = 100
MAX_SILENT_AFTER = 10_000


class Administration:
    """What `principal` sets at `now_ms`, in a session of `database.writing`.

    Raises AccessError with 404 for what is another owner's, with 403 for who may not; ConfigError for what makes no
    sense, ConflictError for what can't be as things stand.
    """

    def __init__(self, session: Session, principal: Principal, now_ms: int) -> None:
        if not may_write(session):
            raise RuntimeError("administration needs a session of database.writing")
        self._session = session
        self._principal = principal
        self._now_ms = now_ms

    def owner_meant(self, name: str | None) -> int:
        """The id of the owner that `name` says, of their own where it is None, whose things they may set."""
        self._principal.must_manage_some()
        only = self._principal.only_owner
        known = {owner.name: owner.id for owner in owners.all_owners(self._session) if only in (None, owner.id)}
        if name is None:
            if len(known) != 1:
                raise ConfigError(f"name the owner; there are: {', '.join(map(repr, known)) or 'none yet'}")
            return next(iter(known.values()))
        if name not in known:
            raise AccessError(f"no owner is called {name!r}", 404)
        return known[name]

    def device_key(self, owner_id: int, device_id: str) -> int:
        """The key of an owner's device. Raises AccessError (404)."""
        return Access(self._session, Principal(None, "owner", owner_id)).device(device_id).key

    # People and owners, for admins

    def add_user(self, email: str, name: str, password_hash: str, role: Role, owner_id: int | None) -> UserEntry:
        """Make an account; `password_hash` as `users.hashed` gives it."""
        self._principal.must_administer()
        user = users.add(self._session, email, name, password_hash, role, owner_id, self._now_ms)
        self._audit("account added", f"account {user.email}", role)
        return user

    def set_role(self, user_id: int, role: Role, owner_id: int | None) -> UserEntry:
        """Give an account another role; it is signed out."""
        self._principal.must_administer()
        users.change_role(self._session, user_id, role, owner_id)
        user = users.get(self._session, user_id)
        self._audit("role changed", f"account {user.email}", role)
        return user

    def set_password(self, user_id: int, password_hash: str) -> UserEntry:
        """Give an account another password; it is signed out everywhere."""
        self._principal.must_administer()
        users.change_password(self._session, user_id, password_hash)
        user = users.get(self._session, user_id)
        self._audit("password changed", f"account {user.email}")
        return user

    def set_user_disabled(self, user_id: int, disabled: bool) -> UserEntry:
        """Let an account sign in, or no longer."""
        self._principal.must_administer()
        users.change_disabled(self._session, user_id, disabled)
        user = users.get(self._session, user_id)
        self._audit("account disabled" if disabled else "account enabled", f"account {user.email}")
        return user

    def add_owner(self, name: str) -> int:
        """Return the owner of that name, made where there was none."""
        self._principal.must_administer()
        known = {owner.id for owner in owners.all_owners(self._session)}
        owner_id = owners.add(self._session, name, self._now_ms)
        if owner_id not in known:
            self._audit("owner added", f"owner {' '.join(name.split())}")
        return owner_id

    def rename_owner(self, owner_id: int, name: str) -> None:
        """Give an owner another name."""
        self._principal.must_administer()
        before = self._owner_name(owner_id)
        owners.rename(self._session, owner_id, name)
        self._audit("owner renamed", f"owner {before}", f"to {' '.join(name.split())}")

    def remove_owner(self, owner_id: int) -> None:
        """Remove an owner of whom nothing is left."""
        self._principal.must_administer()
        name = self._owner_name(owner_id)
        owners.remove(self._session, owner_id)
        self._audit("owner removed", f"owner {name}")

    # Tokens

    def add_token(
        self,
        owner_id: int,
        name: str,
        *,
        scope: TokenScope = "write",
        may_register: bool = True,
        device_ids: Sequence[str] | None = None,
    ) -> str:
        """Make a token and return it: the only time it is seen."""
        self._principal.must_manage(owner_id)
        clean = " ".join(name.split())
        if not 1 <= len(clean) <= MAX_NAME or not clean.isprintable():
            raise ConfigError(f"token name {name[:80]!r}: expected 1 to {MAX_NAME} characters")
        if scope not in get_args(TokenScope):
            raise ConfigError(f"scope {scope!r}: expected one of {', '.join(get_args(TokenScope))}")
        token = tokens.create(
            self._session,
            owner_id,
            clean,
            self._now_ms,
            scope=scope,
            may_register=may_register,
            device_ids=device_ids or None,
        )
        self._audit("token made", f"token {token[:9]}… of {self._owner_name(owner_id)}", f"{clean}, {scope}")
        return token

    def revoke_token(self, token_id: int) -> None:
        """End a token; one that has ended stays so."""
        known = self._session.get(models.Token, token_id)
        if known is None or self._principal.only_owner not in (None, known.owner_id):
            raise AccessError(f"no token has the id {token_id}; `faultwatch tokens list` shows them", 404)
        self._principal.must_manage(known.owner_id)
        if known.revoked_ms is None:
            tokens.revoke(self._session, token_id, self._now_ms)
            self._audit("token revoked", f"token {known.prefix}… of {self._owner_name(known.owner_id)}", known.name)

    # Channels

    def add_channel(
        self,
        owner_id: int | None,
        secrets: Secrets,
        name: str,
        target: Target,
        *,
        min_severity: Severity = "warning",
        kinds: Sequence[str] | None = None,
    ) -> int:
        """Add a channel of an owner, or of operators (None: for admins); address and secret are never shown again."""
        self._principal.must_manage(owner_id)
        channel_id = channels.add(
            self._session,
            secrets,
            owner_id,
            name,
            target,
            self._now_ms,
            min_severity=min_severity,
            kinds=kinds or None,
        )
        self._audit("channel added", f"channel {' '.join(name.split())} of {self._owner_name(owner_id)}", target.kind)
        return channel_id

    def remove_channel(self, channel_id: int) -> None:
        """Remove a channel and its notices, sent or not."""
        channel = self._channel(channel_id)
        self._principal.must_manage(channel.owner_id)
        subject = self._called(channel)
        channels.remove(self._session, channel.owner_id, channel.name)
        self._audit("channel removed", subject)

    def set_channel_disabled(self, channel_id: int, disabled: bool) -> None:
        """Let a channel rest: what is on its way waits, and nothing new is queued."""
        channel = self._channel(channel_id)
        self._principal.must_manage(channel.owner_id)
        if channel.disabled != disabled:
            channel.disabled = disabled
            self._audit("channel disabled" if disabled else "channel enabled", self._called(channel))

    def try_channel(self, channel_id: int) -> int:
        """Queue a test message; return the notice's id."""
        channel = self._channel(channel_id)
        self._principal.must_act()
        self._audit("channel tested", self._called(channel))
        owner = self._owner_name(channel.owner_id)
        return outbox.queue_trial(self._session, channel.id, owner, channel.name, self._now_ms)

    def try_again(self, notice_id: int) -> None:
        """Let a notice that was given up be sent."""
        notice = self._session.get(models.Outbox, notice_id)
        channel = None if notice is None else self._session.get(models.Channel, notice.channel_id)
        if channel is None or self._principal.only_owner not in (None, channel.owner_id):
            raise AccessError(f"there is no notice {notice_id}", 404)
        self._principal.must_act()
        outbox.try_again(self._session, notice_id, self._now_ms)
        self._audit("notice tried again", self._called(channel), f"notice {notice_id}")

    # Types

    def set_silent_after(self, type_id: int, intervals: int) -> None:
        """Say after how many intervals without a reading a device of a type is silent: a new version of the type."""
        only = self._principal.only_owner
        found = [entry for entry in device_types.newest(self._session) if entry.type_id == type_id]
        if not found or (only is not None and found[0].owner_id not in (None, only)):
            raise AccessError(f"there is no device type {type_id}", 404)
        self._principal.must_manage(found[0].owner_id)
        if not 2 <= intervals <= MAX_SILENT_AFTER:
            raise ConfigError(f"silent after {intervals} intervals: expected 2 to {MAX_SILENT_AFTER:,}")
        before = found[0].device_type
        if before.silent_after != intervals:
            after = msgspec.structs.replace(before, silent_after=intervals)
            device_types.add(self._session, found[0].owner_id, after, self._now_ms)
            self._audit("silence window set", f"type {before.name}", f"{before.silent_after} to {intervals} intervals")

    # Rules

    def add_rule(self, owner_id: int, type_name: str, new: rules.NewRule) -> int:
        """Put a rule of an owner in force; return its id, which is an old one where that says the same."""
        self._principal.must_manage(owner_id)
        entry = self._type(owner_id, type_name)
        known = {rule.id for rule in rules.in_force(self._session, owner_id)}
        rule_id = rules.add(
            self._session, owner_id, entry.type_id, entry.device_type, new, self._principal.called, self._now_ms
        )
        if rule_id not in known:
            self._audit("rule added", f"rule {rule_id}", f"{type_name}: {new.sensor} {new.comparison} {new.value:g}")
        return rule_id

    def remove_rule(self, rule_id: int) -> None:
        """Take a rule back; its open alerts end."""
        found = [rule for rule in rules.in_force(self._session, self._principal.only_owner) if rule.id == rule_id]
        if not found:
            raise AccessError(f"there is no rule {rule_id}", 404)
        self._principal.must_manage(found[0].owner_id)
        rule = rules.remove(self._session, rule_id, self._now_ms)
        self._audit("rule removed", f"rule {rule_id}", f"{rule.sensor} {rule.comparison} {rule.value:g}")

    # How

    def _type(self, owner_id: int, name: str) -> TypeEntry:
        entry = device_types.find(self._session, owner_id, name)
        if entry is None or entry.owner_id not in (None, owner_id):
            raise AccessError(f"there is no device type {name!r}", 404)
        return entry

    def _channel(self, channel_id: int) -> models.Channel:
        return channels.get(self._session, channel_id, self._principal.only_owner)

    def _owner_name(self, owner_id: int | None) -> str:
        if owner_id is None:
            return channels.OPERATORS
        names = {owner.id: owner.name for owner in owners.all_owners(self._session)}
        if owner_id not in names:
            raise AccessError(f"no owner has the id {owner_id}", 404)
        return names[owner_id]

    def _called(self, channel: models.Channel) -> str:
        return f"channel {channel.name} of {self._owner_name(channel.owner_id)}"

    def _audit(self, what: str, subject: str, detail: str = "") -> None:
        audit.write(self._session, self._principal.called, what, subject, detail, self._now_ms)
