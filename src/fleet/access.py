"""The one way of the web to the fleet database: every question names who asks, and sees what is theirs.

What belongs to another owner does not exist for who asks: AccessError with status 404, never 403.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select, true, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from ..exceptions import AccessError, ConfigError, ConflictError
from . import alert_budget, device_types, events, kind_versions, likely_kinds, model_versions, models, questions
from .alert_budget import Spent
from .database import among
from .device_types import TypeEntry
from .events import EventEntry
from .kind_versions import KindVersion
from .likely_kinds import Found
from .model_versions import ModelVersion
from .owners import OwnerEntry, SiteEntry
from .principal import Principal
from .views import (
    AlertCounts,
    AlertQuery,
    AlertView,
    AuditView,
    ChannelView,
    DeadNotice,
    DeviceQuery,
    DeviceView,
    FaultReportView,
    HistoryEntry,
    JobView,
    MaintenanceView,
    NoticeView,
    Page,
    ReportedFault,
    RuleView,
    TokenView,
    UserView,
    WindowView,
)

__all__ = ["Access", "Principal"]

MAX_PAGE = 1000


class Access:
    """What `principal` may see. The session may be any of `database`; acts are in `acts.Acts`."""

    def __init__(self, session: Session, principal: Principal) -> None:
        self._session = session
        self._principal = principal

    # The fleet

    def owners(self) -> list[OwnerEntry]:
        """The owners they see, by name."""
        query = select(models.Owner.id, models.Owner.name, models.Owner.created_ms).where(self._theirs(models.Owner.id))
        return [OwnerEntry(*row) for row in self._session.execute(query.order_by(models.Owner.name))]

    def sites(self) -> list[SiteEntry]:
        """The sites they see, by name."""
        query = questions.sites().where(self._theirs(models.Site.owner_id))
        query = query.order_by(models.Site.name, models.Site.id)
        return [SiteEntry(**row) for row in self._session.execute(query).mappings()]

    def site(self, site_id: int) -> SiteEntry:
        """One site. Raises AccessError (404)."""
        query = questions.sites().where(models.Site.id == site_id, self._theirs(models.Site.owner_id))
        row = self._session.execute(query).mappings().one_or_none()
        if row is None:
            raise AccessError(f"there is no site {site_id}", 404)
        return SiteEntry(**row)

    def types(self) -> list[TypeEntry]:
        """The types they see, in their newest versions: those of their owner and the shared ones."""
        only = self._principal.only_owner
        return [entry for entry in device_types.newest(self._session) if only is None or entry.owner_id in (None, only)]

    def type(self, type_id: int) -> TypeEntry:
        """One type in its newest version. Raises AccessError (404)."""
        for entry in self.types():
            if entry.type_id == type_id:
                return entry
        raise AccessError(f"there is no device type {type_id}", 404)

    def device(self, device_id: str, owner: str | None = None) -> DeviceView:
        """The device an owner calls so; `owner` names them where several do.

        Raises AccessError (404), and ConflictError where who asks sees several devices of that id.
        """
        query = questions.devices().where(models.Device.device_id == device_id, self._theirs(models.Device.owner_id))
        if owner is not None:
            query = query.where(models.Owner.name == owner)
        found = [questions.device(row) for row in self._session.execute(query.order_by(models.Owner.name)).mappings()]
        if not found:
            raise AccessError(f"there is no device {device_id!r}", 404)
        if len(found) > 1:
            names = ", ".join(repr(device.owner) for device in found)
            raise ConflictError(
                f"several owners have a device {device_id!r}: {names}; add ?owner=NAME with one of them"
            )
        return found[0]

    def device_by_key(self, device_key: int) -> DeviceView:
        """The device of a key. Raises AccessError (404)."""
        found = self.devices_by_keys([device_key])
        if not found:
            raise AccessError(f"there is no device with the key {device_key}", 404)
        return found[0]

    def devices_by_keys(self, device_keys: Sequence[int]) -> list[DeviceView]:
        """The devices of some keys, in the order of the keys, those they don't see left out."""
        query = questions.devices().where(among(self._session, models.Device.id, device_keys))
        query = query.where(self._theirs(models.Device.owner_id))
        found = {device.key: device for device in map(questions.device, self._session.execute(query).mappings())}
        return [found[key] for key in device_keys if key in found]

    def devices(self, query: DeviceQuery) -> Page[DeviceView]:
        """A page of the devices they see, sorted on the server; `query.cursor` is the `next` of the page before."""
        first = models.Device.id if query.sort.endswith("registered") else models.Device.device_id
        order = (first, models.Device.id)
        chosen = questions.devices().where(*self._device_conditions(query))
        rows, following = self._page(chosen, order, query.sort.startswith("-"), query.cursor, query.limit)
        return Page([questions.device(row) for row in rows], following)

    def device_keys(self, query: DeviceQuery) -> list[int]:
        """The keys of all devices the query finds, whatever its page, in ascending order."""
        conditions = self._device_conditions(query)
        return list(self._session.scalars(select(models.Device.id).where(*conditions).order_by(models.Device.id)))

    def maintenance(self, device_key: int) -> list[MaintenanceView]:
        """A device's windows of maintenance, the newest first. Raises AccessError (404)."""
        self.device_by_key(device_key)
        columns = [getattr(models.Maintenance, name) for name in MaintenanceView.__struct_fields__]
        query = select(*columns).where(models.Maintenance.device_key == device_key)
        rows = self._session.execute(query.order_by(models.Maintenance.from_ms.desc(), models.Maintenance.id.desc()))
        return [MaintenanceView(*row) for row in rows]

    def fault_reports(self, device_key: int) -> list[FaultReportView]:
        """A device's fault reports, the newest first. Raises AccessError (404)."""
        self.device_by_key(device_key)
        columns = [getattr(models.FaultReport, name) for name in FaultReportView.__struct_fields__]
        query = select(*columns).where(models.FaultReport.device_key == device_key)
        rows = self._session.execute(query.order_by(models.FaultReport.start_ms.desc(), models.FaultReport.id.desc()))
        return [FaultReportView(*row) for row in rows]

    def reported_faults(
        self, cursor: str | None = None, limit: int = 100, device_key: int | None = None
    ) -> Page[ReportedFault]:
        """A page of the fault reports they see, of one device where it is named, those made last first."""
        report = models.FaultReport
        query = questions.reported().where(self._theirs(models.Device.owner_id))
        if device_key is not None:
            query = query.where(report.device_key == device_key)
        rows, following = self._page(query, (report.created_ms, report.id), True, cursor, limit)
        names = ReportedFault.__struct_fields__
        return Page([ReportedFault(**{name: row[name] for name in names}) for row in rows], following)

    def reported_fault(self, report_id: int) -> ReportedFault:
        """One fault report. Raises AccessError (404)."""
        query = questions.reported().where(self._theirs(models.Device.owner_id), models.FaultReport.id == report_id)
        row = self._session.execute(query).mappings().one_or_none()
        if row is None:
            raise AccessError(f"there is no fault report {report_id}", 404)
        return ReportedFault(**row)

    def rules(self, cursor: str | None = None, limit: int = 100) -> Page[RuleView]:
        """A page of the owners' rules they see, by id."""
        query = questions.rules().where(self._theirs(models.Rule.owner_id))
        rows, following = self._page(query, (models.Rule.owner_id, models.Rule.id), False, cursor, limit)
        types = {entry.type_id: entry for entry in device_types.newest(self._session)}
        return Page([questions.rule(dict(row), types) for row in rows], following)

    def rule(self, rule_id: int) -> RuleView:
        """One rule that is in force. Raises AccessError (404)."""
        query = questions.rules().where(self._theirs(models.Rule.owner_id), models.Rule.id == rule_id)
        row = self._session.execute(query).mappings().one_or_none()
        if row is None:
            raise AccessError(f"there is no rule {rule_id}", 404)
        return questions.rule(dict(row), {entry.type_id: entry for entry in device_types.newest(self._session)})

    # Models

    def model_versions(self, type_ids: Sequence[int]) -> dict[int, list[ModelVersion]]:
        """Versions of the models of types they see, the newest first."""
        seen = {entry.type_id for entry in self.types()}
        return model_versions.all_of(self._session, [type_id for type_id in type_ids if type_id in seen])

    def kind_versions(self) -> list[KindVersion]:
        """Versions of the model of kinds of fault, the newest first; none for who sees the devices of one owner: it
        is made of the faults of all."""
        return kind_versions.versions(self._session) if self._principal.sees_all else []

    def alerts_spent(
        self, type_id: int, until_ms: int, days: float, per_device_month: float, most_a_day: float
    ) -> list[Spent]:
        """The budget of false alerts of the owners they see, against what was; as `alert_budget.of_type`."""
        only = self._principal.only_owner
        return alert_budget.of_type(self._session, type_id, until_ms, days, per_device_month, most_a_day, only)

    # Alerts

    def alerts(self, query: AlertQuery, now_ms: int) -> Page[AlertView]:
        """A page of the alerts they see, the newest first; `now_ms` tells which silences still hold."""
        chosen = questions.alerts().where(*self._alert_conditions(query, now_ms))
        order = (models.Alert.fired_ms, models.Alert.id)
        rows, following = self._page(chosen, order, True, query.cursor, query.limit)
        return Page([questions.alert(row) for row in rows], following)

    def alert_counts(self, query: AlertQuery, now_ms: int) -> AlertCounts:
        """How many alerts each tab has for the query's filters, whatever its tab and page."""
        conditions = self._alert_conditions(query, now_ms, with_tab=False)
        counts = self._session.execute(questions.alert_counts().where(*conditions), {"now_ms": now_ms})
        return AlertCounts(**counts.mappings().one())

    def alert(self, alert_id: int) -> AlertView:
        """One alert. Raises AccessError (404)."""
        query = questions.alerts().where(models.Alert.id == alert_id, self._theirs(models.Alert.owner_id))
        row = self._session.execute(query).mappings().one_or_none()
        if row is None:
            raise AccessError(f"there is no alert {alert_id}", 404)
        return questions.alert(row)

    def likely_kinds(self, alert_ids: Sequence[int]) -> dict[int, Found]:
        """What kind of fault alerts they see are taken for, by id; those that nothing was found of are left out."""
        seen = select(models.Alert.id).where(
            among(self._session, models.Alert.id, alert_ids), self._theirs(models.Alert.owner_id)
        )
        return likely_kinds.of_alerts(self._session, list(self._session.scalars(seen)))

    def alert_history(self, alert_id: int) -> list[HistoryEntry]:
        """What happened to an alert, in order. Raises AccessError (404)."""
        self.alert(alert_id)
        history = models.AlertHistory
        query = select(history.at_ms, history.what, history.who, history.text).where(history.alert_id == alert_id)
        return [HistoryEntry(*row) for row in self._session.execute(query.order_by(history.at_ms, history.id))]

    def notices(self, alert_id: int) -> list[NoticeView]:
        """Who was told of an alert, in order. Raises AccessError (404)."""
        self.alert(alert_id)
        query = select(models.Outbox, models.Channel.name).join(
            models.Channel, models.Channel.id == models.Outbox.channel_id
        )
        query = query.where(models.Outbox.alert_id == alert_id).order_by(models.Outbox.id)
        return [
            NoticeView(
                channel=name,
                news=str(notice.payload["event"]),
                state=notice.state,
                attempts=notice.attempts,
                created_ms=notice.created_ms,
                sent_ms=notice.sent_ms,
                last_error=notice.last_error,
            )
            for notice, name in self._session.execute(query)
        ]

    # What else

    def channels(self) -> list[ChannelView]:
        """The channels they see, those of operators first, by owner and name, without addresses and secrets."""
        channel, notice = models.Channel, models.Outbox
        counted = ("sent", "pending", "dead")
        counts = [func.count(notice.id).filter(notice.state == state).label(state) for state in counted]
        own = [getattr(channel, name) for name in ChannelView.__struct_fields__ if hasattr(channel, name)]
        query = select(*own, models.Owner.name.label("owner"), *counts).outerjoin(
            models.Owner, models.Owner.id == channel.owner_id
        )
        query = query.outerjoin(notice, (notice.channel_id == channel.id) & notice.alert_id.is_not(None))
        query = query.where(self._theirs(channel.owner_id)).group_by(channel.id, models.Owner.name)
        order = (channel.owner_id.is_not(None), models.Owner.name, channel.name)
        rows = self._session.execute(query.order_by(*order)).mappings().all()
        trials = self._trials([row["id"] for row in rows])
        return [ChannelView(**row, **trials.get(row["id"], {})) for row in rows]

    def dead_notices(self, limit: int = 100) -> list[DeadNotice]:
        """Notices that were given up, the newest first; trials are not among them."""
        notice, channel = models.Outbox, models.Channel
        query = select(notice, channel.name, channel.owner_id).join(channel, channel.id == notice.channel_id)
        query = query.where(self._theirs(channel.owner_id), notice.state == "dead", notice.alert_id.is_not(None))
        rows = self._session.execute(query.order_by(notice.id.desc()).limit(limit))
        return [questions.dead(found, name, owner_id) for found, name, owner_id in rows]

    def _trials(self, channel_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
        """The newest trial of each channel."""
        notice = models.Outbox
        newest = select(func.max(notice.id)).where(
            among(self._session, notice.channel_id, channel_ids), notice.alert_id.is_(None)
        )
        rows = self._session.scalars(select(notice).where(notice.id.in_(newest.group_by(notice.channel_id))))
        return {
            row.channel_id: {
                "tried_state": row.state,
                "tried_ms": row.sent_ms or row.created_ms,
                "tried_error": row.last_error,
            }
            for row in rows
        }

    def users(self) -> list[UserView]:
        """Accounts, by email: of their owner, or all for who sees all owners."""
        user = models.User
        own = [getattr(user, name) for name in UserView.__struct_fields__ if name != "owner"]
        query = select(*own, models.Owner.name.label("owner")).outerjoin(models.Owner, models.Owner.id == user.owner_id)
        if not self._principal.sees_all:
            query = query.where(user.owner_id == self._principal.only_owner)
        return [UserView(**row) for row in self._session.execute(query.order_by(user.email)).mappings()]

    def tokens(self) -> list[TokenView]:
        """Tokens, those that hold first, then the newest first."""
        token = models.Token
        own = [getattr(token, name) for name in TokenView.__struct_fields__ if name != "owner"]
        query = select(*own, models.Owner.name.label("owner")).join(models.Owner, models.Owner.id == token.owner_id)
        query = query.where(self._theirs(token.owner_id)).order_by(token.revoked_ms.is_not(None), token.id.desc())
        return [TokenView(**row) for row in self._session.execute(query).mappings()]

    def windows(self, now_ms: int) -> list[WindowView]:
        """Windows of maintenance that are open or to come, the first one first."""
        window, device = models.Maintenance, models.Device
        query = (
            select(
                *(getattr(window, name) for name in ("id", "from_ms", "until_ms", "reason", "who")),
                device.owner_id,
                device.device_id,
                device.name.label("device_name"),
                models.Owner.name.label("owner"),
            )
            .join(device, device.id == window.device_key)
            .join(models.Owner, models.Owner.id == device.owner_id)
            .where(self._theirs(device.owner_id), or_(window.until_ms.is_(None), window.until_ms > now_ms))
            .order_by(window.from_ms, window.id)
        )
        return [WindowView(**row) for row in self._session.execute(query).mappings()]

    def audit(self, cursor: str | None = None, limit: int = 50) -> Page[AuditView]:
        """A page of the audit log, the newest first. Raises AccessError (403) for who is no admin."""
        self._principal.must_administer()
        entry = models.AuditEntry
        query = select(*(getattr(entry, name) for name in AuditView.__struct_fields__))
        rows, following = self._page(query, (entry.at_ms, entry.id), True, cursor, limit)
        return Page([AuditView(*(row[name] for name in AuditView.__struct_fields__)) for row in rows], following)

    def jobs(self, limit: int = 100) -> list[JobView]:
        """Files that were or are taken in, the newest first."""
        columns = [getattr(models.BackfillJob, name) for name in JobView.__struct_fields__]
        query = select(*columns).where(self._theirs(models.BackfillJob.owner_id))
        return [
            JobView(*row) for row in self._session.execute(query.order_by(models.BackfillJob.id.desc()).limit(limit))
        ]

    def events(self, last_id: int, limit: int = 1000) -> list[EventEntry]:
        """News after an id, oldest first."""
        return events.after(self._session, last_id, limit, self._principal.only_owner)

    # How

    def _theirs(self, owner_id: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]) -> ColumnElement[bool]:
        """What is nobody's (null) is for those who see all."""
        return true() if self._principal.sees_all else owner_id == self._principal.only_owner

    def _device_conditions(self, query: DeviceQuery) -> list[ColumnElement[bool]]:
        device = models.Device
        found = [self._theirs(device.owner_id)]
        for column, wanted in ((device.type_id, query.type_id), (device.site_id, query.site_id)):
            if wanted is not None:
                found.append(column == wanted)
        if query.owner_id is not None:
            found.append(device.owner_id == query.owner_id)
        if query.keys is not None:
            found.append(among(self._session, device.id, query.keys))
        if query.search.strip():
            found.append(questions.contains(query.search, device.device_id, device.name))
        return found

    def _alert_conditions(self, query: AlertQuery, now_ms: int, with_tab: bool = True) -> list[ColumnElement[bool]]:
        alert = models.Alert
        found = [self._theirs(alert.owner_id)]
        if with_tab and query.tab != "all":
            found.append(questions.in_tab(query.tab, now_ms))
        if query.site_id is not None:
            found.append(or_(alert.site_id == query.site_id, models.Device.site_id == query.site_id))
        for name in ("kind", "severity", "device_key", "owner_id", "historic"):
            if (wanted := getattr(query, name)) is not None:
                found.append(getattr(alert, name) == wanted)
        if query.until_ms is not None:
            found.append(alert.fired_ms < query.until_ms)
        if query.from_ms is not None:
            found.append(or_(alert.resolved_ms.is_(None), alert.resolved_ms >= query.from_ms))
        if query.search.strip():
            found.append(questions.contains(query.search, alert.sentence, models.Device.device_id, models.Device.name))
        return found

    def _page(
        self, query: Select[Any], order: tuple[Any, Any], descending: bool, cursor: str | None, limit: int
    ) -> tuple[Sequence[Any], str | None]:
        """The rows of a page and the cursor of the next: the two values that its last row is sorted by."""
        if not 1 <= limit <= MAX_PAGE:
            raise ConfigError(f"limit {limit}: expected 1 to {MAX_PAGE}")
        if cursor is not None:
            place = tuple_(*questions.read_cursor(cursor, order))
            query = query.where(tuple_(*order) < place if descending else tuple_(*order) > place)
        query = query.add_columns(order[0].label("_first"), order[1].label("_second"))
        query = query.order_by(*(column.desc() if descending else column for column in order)).limit(limit + 1)
        rows = self._session.execute(query).mappings().all()
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], questions.write_cursor(last["_first"], last["_second"])
