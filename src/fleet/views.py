"""What pages and API are given: values without a database behind them."""

from typing import Generic, Literal, TypeVar

import msgspec

from ..alerts.sentences import filled
from .models import Json, Severity

T = TypeVar("T")

DeviceSort = Literal["device_id", "-device_id", "registered", "-registered"]
AlertTab = Literal["open", "acknowledged", "silenced", "resolved", "all"]
"""`open`: firing, nobody has acknowledged it, not silenced now; the four first have each alert once."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some items and where the next page begins, None where this is the last."""

    items: list[T]
    next: str | None


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device, with the names of what it belongs to."""

    key: int
    owner_id: int
    owner: str
    device_id: str
    name: str
    type_id: int
    type_name: str
    site_id: int | None
    site: str | None
    time_zone: str | None
    latitude: float | None
    longitude: float | None
    tags: dict[str, str] | None
    registered_ms: int


class DeviceQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices: `search` is part of an id or name in any case; `keys` those of some statuses, say."""

    search: str = ""
    type_id: int | None = None
    site_id: int | None = None
    owner_id: int | None = None
    keys: list[int] | None = None
    sort: DeviceSort = "device_id"
    cursor: str | None = None
    limit: int = 50


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """An alert, with the names of what it is about and of who marked it; `said` gives its sentence for a time."""

    id: int
    owner_id: int | None
    owner: str | None
    device_key: int | None
    device_id: str | None
    device_name: str | None
    type_id: int | None
    site_id: int | None
    site: str | None
    time_zone: str | None
    kind: str
    rule: int
    sensor: str | None
    state: Literal["firing", "resolved"]
    severity: Severity
    first_signs_ms: int | None
    pending_ms: int | None
    fired_ms: int
    resolved_ms: int | None
    resolution: str | None
    score: float | None
    peak_score: float | None
    sentence: str
    blame: list[dict[str, Json]] | None
    model_version: int | None
    historic: bool
    acknowledged_ms: int | None
    acknowledged_by: str | None
    silenced_until_ms: int | None
    silenced_by: str | None
    confirmed_ms: int | None
    confirmed_by: str | None
    confirmed_kind: str | None
    cause: str | None
    subject: str | None
    link: str | None

    def said(self, now_ms: int) -> str:
        """The sentence, with how long it has lasted, or did."""
        began_ms = self.fired_ms if self.first_signs_ms is None else self.first_signs_ms
        return filled(self.sentence, (now_ms if self.resolved_ms is None else self.resolved_ms) - began_ms)


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that is in force, with the names of what it is about; `sensor_title` and `words` are for people."""

    id: int
    owner_id: int
    owner: str
    type_id: int
    type_name: str
    device_id: str | None
    sensor: str
    sensor_title: str
    comparison: Literal["above", "below"]
    value: float
    back: float
    hold_ms: int
    severity: Severity
    words: str
    created_ms: int
    created_by: str


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which alerts; `from_ms` and `until_ms` choose those that were open at some time between (`until_ms` excluded)."""

    tab: AlertTab = "open"
    kind: str | None = None
    severity: Severity | None = None
    device_key: int | None = None
    site_id: int | None = None
    owner_id: int | None = None
    search: str = ""
    from_ms: int | None = None
    until_ms: int | None = None
    historic: bool | None = None
    cursor: str | None = None
    limit: int = 50


class AlertCounts(msgspec.Struct, frozen=True):
    """How many alerts each tab of the inbox has."""

    open: int
    acknowledged: int
    silenced: int
    resolved: int


class HistoryEntry(msgspec.Struct, frozen=True):
    """Something that happened to an alert; `who` is None where faultwatch did it itself."""

    at_ms: int
    what: str
    who: str | None
    text: str


class NoticeView(msgspec.Struct, frozen=True):
    """A notice about an alert: to which channel, what it told, and what became of it."""

    channel: str
    news: str
    state: str
    attempts: int
    created_ms: int
    sent_ms: int | None
    last_error: str | None


class MaintenanceView(msgspec.Struct, frozen=True):
    """A window of maintenance; open-ended where `until_ms` is None."""

    id: int
    from_ms: int
    until_ms: int | None
    reason: str
    who: str


class FaultReportView(msgspec.Struct, frozen=True):
    """A device was faulty from `start_ms` to `end_ms`; still is, where that is None."""

    id: int
    start_ms: int
    end_ms: int | None
    kind: str
    source: str
    said_by: str
    alert_id: int | None


class ReportedFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault report with its device; the fault lasts where `end_ms` is None."""

    id: int
    owner_id: int
    owner: str
    device_id: str
    device_name: str
    start_ms: int
    end_ms: int | None
    kind: str
    source: str
    said_by: str
    alert_id: int | None
    created_ms: int


class ChannelView(msgspec.Struct, frozen=True):
    """A channel without its address and secret, which are never shown again; how many of its notices are in each state.

    `owner` is None for a channel of operators, who are told of models.

    `tried_state` and the rest are of the newest trial: pending, sent or dead, when, and why it was not taken.
    """

    id: int
    owner_id: int | None
    name: str
    kind: str
    min_severity: str
    kinds: list[str] | None
    created_ms: int
    disabled: bool
    owner: str | None
    sent: int
    pending: int
    dead: int
    tried_state: str | None = None
    tried_ms: int | None = None
    tried_error: str | None = None


class DeadNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that was given up: what it told, to whom, how often it was tried, and what the last answer was."""

    id: int
    owner_id: int | None
    channel: str
    news: str
    sentence: str
    subject: str
    attempts: int
    created_ms: int
    last_error: str | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """An account; `owner` is None for those who see all owners."""

    id: int
    email: str
    name: str
    role: str
    owner_id: int | None
    owner: str | None
    disabled: bool
    created_ms: int


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token: never itself, only how it begins."""

    id: int
    owner_id: int
    owner: str
    name: str
    prefix: str
    scope: str
    may_register: bool
    device_ids: list[str] | None
    created_ms: int
    revoked_ms: int | None
    last_used_ms: int | None


class WindowView(msgspec.Struct, frozen=True, kw_only=True):
    """A window of maintenance that is open or to come, with its device."""

    id: int
    owner_id: int
    owner: str
    device_id: str
    device_name: str
    from_ms: int
    until_ms: int | None
    reason: str
    who: str


class AuditView(msgspec.Struct, frozen=True):
    """Who did what to what."""

    id: int
    at_ms: int
    who: str
    what: str
    subject: str
    detail: str


class JobView(msgspec.Struct, frozen=True):
    """A file that is or was taken in."""

    id: int
    owner_id: int
    file_name: str
    type_id: int
    state: str
    rows_total: int | None
    rows_done: int
    scored: int
    alerts: int
    message: str
    created_ms: int
    finished_ms: int | None
