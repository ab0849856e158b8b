"""Who asks, and what they may see and do."""

import msgspec

from ..exceptions import AccessError
from .models import Role

_NOT_THEIRS = "this is for the role owner, or for an admin; ask one of them to set it"


class Principal(msgspec.Struct, frozen=True):
    """A signed-in person (`user_id`), or a script with a read token (None); `name` is what audit and history say."""

    user_id: int | None
    role: Role
    owner_id: int | None
    name: str = ""

    def __post_init__(self) -> None:
        if self.role in ("owner", "viewer") and self.owner_id is None:
            raise AccessError(f"role {self.role} belongs to an owner, and none was given")

    @property
    def sees_all(self) -> bool:
        """Whether they see the devices of every owner."""
        return self.role in ("admin", "operator")

    @property
    def only_owner(self) -> int | None:
        """The one owner they see, None where they see all."""
        return None if self.sees_all else self.owner_id

    @property
    def called(self) -> str:
        """What audit log and history call them."""
        return self.name or f"user {self.user_id}"

    def may_manage(self, owner_id: int | None) -> bool:
        """Whether they may set what is an owner's (None: what all owners share): admins, and owners what is theirs."""
        return self.role == "admin" or (self.role == "owner" and owner_id is not None and owner_id == self.owner_id)

    def must_manage(self, owner_id: int | None) -> None:
        """Raise AccessError: 404 where the owner isn't theirs to see, 403 where they may not set what is theirs."""
        if owner_id is not None and self.only_owner not in (None, owner_id):
            raise AccessError("there is no such owner", 404)
        if not self.may_manage(owner_id):
            raise AccessError(_NOT_THEIRS)

    def must_manage_some(self) -> None:
        """Raise AccessError (403) where there is nothing that they may set."""
        if self.role not in ("admin", "owner"):
            raise AccessError(_NOT_THEIRS)

    def must_administer(self) -> None:
        """Raise AccessError (403) where they are no admin."""
        if self.role != "admin":
            raise AccessError("this is for admins; ask one of them to do it")

    def must_operate(self) -> None:
        """Raise AccessError (403) where what serves all owners isn't theirs to change."""
        if not self.sees_all:
            raise AccessError("models serve the devices of every owner; ask an operator to do it")

    def must_act(self) -> None:
        """Raise AccessError (403) where they may only look."""
        if self.role == "viewer":
            raise AccessError("viewers may look, not act; ask an owner or an operator to do it, or for another role")
