"""What the settings page shows: the sections a reader may see, and what they need to fill its forms."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ..fleet.access import Access
from ..fleet.models import ALERT_KINDS, SEVERITIES
from ..fleet.owners import OwnerEntry
from ..fleet.principal import Principal
from ..fleet.users import ROLES
from ..fleet.views import AuditView, ChannelView, DeadNotice, Page, RuleView, TokenView, UserView, WindowView
from ..telemetry.schema import DeviceType
from .alert_words import KIND_WORDS
from .identity import ROLE_WORDS
from .words import duration

Section = Literal["channels", "rules", "maintenance", "types", "tokens", "people", "audit"]
TITLES: Mapping[Section, str] = {
    "channels": "Channels",
    "rules": "Threshold rules",
    "maintenance": "Maintenance",
    "types": "Device types",
    "tokens": "Tokens",
    "people": "People",
    "audit": "Audit log",
}
SUBTITLES: Mapping[Section, str] = {
    "channels": "Where people are told of alerts.",
    "rules": "Values you want to hear of, whatever the models say.",
    "maintenance": "Times in which no alert of a device fires.",
    "types": "What devices measure, and when one counts as silent.",
    "tokens": "What devices and scripts show to be let in.",
    "people": "Who signs in, and what they may do.",
    "audit": "Who did what, newest first.",
}
_MANAGERS = ("admin", "owner")
_MAY_SEE: Mapping[Section, tuple[str, ...]] = {
    "channels": ("admin", "operator", "owner", "viewer"),
    "rules": ("admin", "operator", "owner", "viewer"),
    "maintenance": ("admin", "operator", "owner", "viewer"),
    "types": ("admin", "operator", "owner", "viewer"),
    "tokens": _MANAGERS,
    "people": ("admin",),
    "audit": ("admin",),
}


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A device type as it is now, and whether the reader may set its silence window."""

    type_id: int
    device_type: DeviceType
    owner: str | None
    silent_after: str
    may_set: bool


@dataclass(frozen=True, slots=True)
class SettingsPage:
    """The settings page; only the chosen section's part is filled."""

    section: Section
    sections: list[tuple[Section, str]]
    title: str
    subtitle: str
    may_manage: bool
    may_act: bool
    across: bool
    owners: list[OwnerEntry]
    roles: tuple[tuple[str, str], ...]
    severities: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    users: list[UserView]
    tokens: list[TokenView]
    channels: list[ChannelView]
    dead: list[DeadNotice]
    types: list[TypeRow]
    rules: list[RuleView]
    windows: list[WindowView]
    audit: Page[AuditView]
    trying: bool
    next: str | None


def sections_of(principal: Principal) -> list[Section]:
    """The sections a reader may see, in their order."""
    return [section for section, roles in _MAY_SEE.items() if principal.role in roles]


def settings_page(
    access: Access, principal: Principal, section: Section, now_ms: int, cursor: str | None = None
) -> SettingsPage:
    """Put the page together. `section` is one of `sections_of`."""
    trail: Page[AuditView] = Page([], None)
    if section == "audit":
        trail = access.audit(cursor)
    channels = access.channels() if section == "channels" else []
    page = access.rules(cursor, 200) if section == "rules" else Page[RuleView]([], None)
    following = page.next or trail.next
    return SettingsPage(
        section=section,
        sections=[(name, TITLES[name]) for name in sections_of(principal)],
        title=TITLES[section],
        subtitle=SUBTITLES[section],
        may_manage=principal.role in _MANAGERS,
        may_act=principal.role != "viewer",
        across=principal.sees_all,
        owners=access.owners(),
        roles=tuple((role, ROLE_WORDS[role]) for role in ROLES),
        severities=SEVERITIES,
        kinds=tuple((kind, KIND_WORDS[kind]) for kind in ALERT_KINDS),
        users=access.users() if section == "people" else [],
        tokens=access.tokens() if section == "tokens" else [],
        channels=channels,
        dead=access.dead_notices() if section == "channels" else [],
        types=_types(access, principal) if section in ("types", "rules") else [],
        rules=page.items,
        windows=access.windows(now_ms) if section == "maintenance" else [],
        audit=trail,
        trying=any(channel.tried_state == "pending" for channel in channels),
        next=following,
    )


def _types(access: Access, principal: Principal) -> list[TypeRow]:
    names = {owner.id: owner.name for owner in access.owners()}
    return [
        TypeRow(
            entry.type_id,
            entry.device_type,
            None if entry.owner_id is None else names.get(entry.owner_id),
            duration(entry.device_type.interval_ms * entry.device_type.silent_after),
            principal.may_manage(entry.owner_id),
        )
        for entry in sorted(access.types(), key=lambda entry: entry.device_type.title)
    ]
