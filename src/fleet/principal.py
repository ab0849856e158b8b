"""Who asks, and what they may see and do."""

import msgspec

from ..exceptions import AccessError
from .models import Role


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

    def must_act(self) -> None:
        """Raise AccessError (403) where they may only look."""
        if self.role == "viewer":
            raise AccessError("viewers may look, not act; ask an owner or an operator to do it, or for another role")
