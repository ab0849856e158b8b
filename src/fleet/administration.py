"""What people set: rules, and all else on the page of settings. Who may, what it changes, where it is written down.

An owner sets what is theirs, an admin everything; operators and viewers look. Every act is in the audit log.
"""

from sqlalchemy.orm import Session

from ..exceptions import AccessError, ConfigError
from . import audit, device_types, owners, rules
from .database import may_write
from .device_types import TypeEntry
from .principal import Principal


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
        """The id of the owner that `name` says, of their own where it is None; another's doesn't exist for them."""
        only = self._principal.only_owner
        known = {owner.name: owner.id for owner in owners.all_owners(self._session) if only in (None, owner.id)}
        if name is None:
            if len(known) != 1:
                raise ConfigError(f"name the owner; there are: {', '.join(map(repr, known)) or 'none yet'}")
            return next(iter(known.values()))
        if name not in known:
            raise AccessError(f"no owner is called {name!r}", 404)
        return known[name]

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

    def _audit(self, what: str, subject: str, detail: str = "") -> None:
        audit.write(self._session, self._principal.called, what, subject, detail, self._now_ms)
