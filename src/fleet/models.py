"""The tables of the fleet database, one class each, the same on SQLite and PostgreSQL.

Times are int64 milliseconds since 1970 UTC in columns named `..._ms`: portable, exact, and what the rest of
the package computes with. Ids of devices, alerts, events and commands are never given twice, not even after
a deletion, because log, lake and open pages remember them.
"""

from typing import Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeEngine

Role = Literal["admin", "operator", "owner", "viewer"]
AlertState = Literal["firing", "resolved"]
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
"""From the mildest to the worst; a channel takes its `min_severity` and worse."""
TokenScope = Literal["write", "read", "metrics"]
ChannelKind = Literal["apprise", "webhook"]
OutboxState = Literal["pending", "sent", "dead"]
JobState = Literal["waiting", "running", "done", "failed"]
ReportSource = Literal["operator", "import"]
"""Said on a page or through the API, or read from a file."""
AlertKind = Literal["anomaly", "sensor", "silent", "threshold", "site", "model"]
ALERT_KINDS: tuple[AlertKind, ...] = ("anomaly", "sensor", "silent", "threshold", "site")
"""Kinds that an owner's channel may choose from; of `model` operators alone are told."""
Comparison = Literal["above", "below"]

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def rank(severity: str) -> int:
    """The place of a severity from the mildest (0) to the worst."""
    return [str(word) for word in SEVERITIES].index(severity)


_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
"""Every constraint has a name, so that a migration can find it on both databases."""


def _counted() -> TypeEngine[int]:
    # SQLite counts only in a column that is literally INTEGER, which holds 64 bits there.
    return BigInteger().with_variant(Integer(), "sqlite")


def _json() -> TypeEngine[Json]:
    return JSON[Json](none_as_null=True).with_variant(JSONB[Json](none_as_null=True), "postgresql")


def _sorted_text() -> TypeEngine[str]:
    # Pages order and continue by these; by bytes it's the same order on both databases, and by index.
    return String().with_variant(String(collation="C"), "postgresql")


class Base(DeclarativeBase):
    """What all tables share."""

    metadata = MetaData(naming_convention=_NAMES)


class Owner(Base):
    """An organisation that owns devices."""

    __tablename__ = "owners"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String, unique=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)


class User(Base):
    """A person who signs in; `email` is kept in lower case. Roles owner and viewer belong to one owner."""

    __tablename__ = "users"
    __table_args__ = (
        CheckConstraint("email = lower(email)", "email_lower"),
        CheckConstraint("role IN ('admin', 'operator') OR owner_id IS NOT NULL", "owner_of_role"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String, unique=True)
    name: Mapped[str] = mapped_column(String)
    password_hash: Mapped[str] = mapped_column(String)
    role: Mapped[str] = mapped_column(String)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"), index=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    disabled: Mapped[bool] = mapped_column(default=False)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until_ms: Mapped[int | None] = mapped_column(BigInteger)


class UserSession(Base):
    """A signed-in browser; only the hash of its cookie is kept."""

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String, unique=True)
    csrf_token: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger, index=True)


class SetupLink(Base):
    """The one-time link of a first start, by which the first admin makes an account."""

    __tablename__ = "setup_links"

    token_hash: Mapped[str] = mapped_column(String, primary_key=True)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    expires_ms: Mapped[int] = mapped_column(BigInteger)
    used_ms: Mapped[int | None] = mapped_column(BigInteger)


class Site(Base):
    """A place of an owner, with the time zone people there live in."""

    __tablename__ = "sites"
    __table_args__ = (UniqueConstraint("owner_id", "slug"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    slug: Mapped[str] = mapped_column(_sorted_text())
    name: Mapped[str] = mapped_column(_sorted_text())
    time_zone: Mapped[str] = mapped_column(String, default="UTC")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]


class DeviceType(Base):
    """A type's name and id; an owner's own, or shared by all where `owner_id` is null."""

    __tablename__ = "device_types"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        Index(
            "ix_device_types_shared_name",
            "name",
            unique=True,
            sqlite_where=text("owner_id IS NULL"),
            postgresql_where=text("owner_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(_sorted_text())


class DeviceTypeVersion(Base):
    """One version of a type, never changed; `spec` is a `telemetry.schema.DeviceType` as JSON."""

    __tablename__ = "device_type_versions"

    type_id: Mapped[int] = mapped_column(ForeignKey("device_types.id"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    spec: Mapped[str] = mapped_column(Text)
    created_ms: Mapped[int] = mapped_column(BigInteger)


class Device(Base):
    """A device; `id` is its device_key in log, lake and state."""

    __tablename__ = "devices"
    __table_args__ = (
        UniqueConstraint("owner_id", "device_id"),
        Index("ix_devices_device_id_id", "device_id", "id"),
        Index("ix_devices_owner_id_id", "owner_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    device_id: Mapped[str] = mapped_column(_sorted_text())
    name: Mapped[str] = mapped_column(_sorted_text())
    type_id: Mapped[int] = mapped_column(ForeignKey("device_types.id"), index=True)
    site_id: Mapped[int | None] = mapped_column(ForeignKey("sites.id"), index=True)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    tags: Mapped[dict[str, str] | None] = mapped_column(_json())
    registered_ms: Mapped[int] = mapped_column(BigInteger)


class Token(Base):
    """What a device or a script shows: `write` may only write readings, `read` may only read. Kept as a hash."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), index=True)
    name: Mapped[str] = mapped_column(String)
    prefix: Mapped[str] = mapped_column(String)
    hash: Mapped[str] = mapped_column(String, unique=True)
    scope: Mapped[str] = mapped_column(String, server_default=text("'write'"))
    may_register: Mapped[bool] = mapped_column(default=True)
    device_ids: Mapped[list[str] | None] = mapped_column(_json())
    created_ms: Mapped[int] = mapped_column(BigInteger)
    revoked_ms: Mapped[int | None] = mapped_column(BigInteger)
    last_used_ms: Mapped[int | None] = mapped_column(BigInteger)


class TrainedModel(Base):
    """A model of a device type; `folder` is its name below models/type-N of the data folder.

    The champion serves; the challenger, of which a type has one at most, is watched until `shadow_until_ms` first.
    `promoted_ms`, when it last became champion; `run`, the pipeline's run that made it, null where a type learnt by
    itself.
    """

    __tablename__ = "models"
    __table_args__ = (
        UniqueConstraint("type_id", "version"),
        Index(
            "ix_models_champion",
            "type_id",
            unique=True,
            sqlite_where=text("champion"),
            postgresql_where=text("champion"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("device_types.id"))
    version: Mapped[int]
    folder: Mapped[str] = mapped_column(String)
    trained_ms: Mapped[int] = mapped_column(BigInteger)
    champion: Mapped[bool] = mapped_column(default=False)
    note: Mapped[str] = mapped_column(Text, default="")
    challenger: Mapped[bool] = mapped_column(default=False, server_default=false())
    shadow_until_ms: Mapped[int | None] = mapped_column(BigInteger)
    promoted_ms: Mapped[int | None] = mapped_column(BigInteger)
    run: Mapped[str | None] = mapped_column(String)


class KindModelVersion(Base):
    """A version of the model that names kinds of fault, of devices of all types; columns as in `TrainedModel`, its
    folder is below models/fault-kinds."""

    __tablename__ = "kind_models"
    __table_args__ = (
        Index(
            "ix_kind_models_champion",
            "champion",
            unique=True,
            sqlite_where=text("champion"),
            postgresql_where=text("champion"),
        ),
    )

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    folder: Mapped[str] = mapped_column(String, unique=True)
    trained_ms: Mapped[int] = mapped_column(BigInteger)
    champion: Mapped[bool] = mapped_column(default=False)
    promoted_ms: Mapped[int | None] = mapped_column(BigInteger)
    run: Mapped[str | None] = mapped_column(String)
    note: Mapped[str] = mapped_column(Text, default="")


class Alert(Base):
    """Something to act on, about a device, a site, or a model; acknowledged and silenced are marks on it.

    One of kind `model` belongs to no owner: `cause` and `subject` say what is wrong with what, `link` leads there.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        CheckConstraint("state IN ('firing', 'resolved')", "state"),
        CheckConstraint("severity IN ('info', 'warning', 'critical')", "severity"),
        Index(
            "ix_alerts_open_of_device",
            "device_key",
            "kind",
            "rule",
            unique=True,
            sqlite_where=text("state = 'firing' AND device_key IS NOT NULL"),
            postgresql_where=text("state = 'firing' AND device_key IS NOT NULL"),
        ),
        Index(
            "ix_alerts_open_of_site",
            "site_id",
            "kind",
            unique=True,
            sqlite_where=text("state = 'firing' AND device_key IS NULL"),
            postgresql_where=text("state = 'firing' AND device_key IS NULL"),
        ),
        Index(
            "ix_alerts_open_of_cause",
            "cause",
            "subject",
            unique=True,
            sqlite_where=text("state = 'firing' AND cause IS NOT NULL"),
            postgresql_where=text("state = 'firing' AND cause IS NOT NULL"),
        ),
        Index("ix_alerts_device_key_fired_ms", "device_key", "fired_ms"),
        Index("ix_alerts_state_fired_ms", "state", "fired_ms"),
        Index("ix_alerts_owner_id_state_fired_ms", "owner_id", "state", "fired_ms"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    device_key: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    site_id: Mapped[int | None] = mapped_column(ForeignKey("sites.id"), index=True)
    kind: Mapped[str] = mapped_column(String)
    rule: Mapped[int] = mapped_column(default=-1)
    sensor: Mapped[str | None] = mapped_column(String)
    state: Mapped[str] = mapped_column(String)
    severity: Mapped[str] = mapped_column(String)
    first_signs_ms: Mapped[int | None] = mapped_column(BigInteger)
    pending_ms: Mapped[int | None] = mapped_column(BigInteger)
    fired_ms: Mapped[int] = mapped_column(BigInteger)
    resolved_ms: Mapped[int | None] = mapped_column(BigInteger)
    resolution: Mapped[str | None] = mapped_column(Text)
    score: Mapped[float | None]
    peak_score: Mapped[float | None]
    sentence: Mapped[str] = mapped_column(Text)
    blame: Mapped[list[dict[str, Json]] | None] = mapped_column(_json())
    model_version: Mapped[int | None]
    historic: Mapped[bool] = mapped_column(default=False)
    acknowledged_ms: Mapped[int | None] = mapped_column(BigInteger)
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    silenced_until_ms: Mapped[int | None] = mapped_column(BigInteger)
    silenced_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    confirmed_ms: Mapped[int | None] = mapped_column(BigInteger)
    confirmed_by: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    confirmed_kind: Mapped[str | None] = mapped_column(String)
    cause: Mapped[str | None] = mapped_column(String)
    subject: Mapped[str | None] = mapped_column(String)
    link: Mapped[str | None] = mapped_column(Text)


class AlertHistory(Base):
    """What happened to an alert, in order; `who` is null where faultwatch did it itself."""

    __tablename__ = "alert_history"

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"), index=True)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    what: Mapped[str] = mapped_column(String)
    who: Mapped[str | None] = mapped_column(String)
    text: Mapped[str] = mapped_column(Text, default="")


class LikelyKinds(Base):
    """What kind of fault an alert is taken for, by readings up to `until_ms`; `kinds` are the likeliest few with their
    probabilities, none where `why_not` says why. Looked at again at `next_ms`, where it isn't null."""

    __tablename__ = "likely_kinds"

    alert_id: Mapped[int] = mapped_column(
        ForeignKey("alerts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    at_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int] = mapped_column(BigInteger)
    next_ms: Mapped[int | None] = mapped_column(BigInteger, index=True)
    model_version: Mapped[int]
    kinds: Mapped[list[dict[str, Json]]] = mapped_column(_json())
    signs: Mapped[list[str]] = mapped_column(_json())
    why_not: Mapped[str] = mapped_column(Text, default="")


class Rule(Base):
    """A rule of an owner about a sensor of a type, or of one device; never changed, over where `removed_ms` is set."""

    __tablename__ = "rules"
    __table_args__ = (
        CheckConstraint("comparison IN ('above', 'below')", "comparison"),
        CheckConstraint("severity IN ('info', 'warning', 'critical')", "severity"),
        Index("ix_rules_owner_id_type_id", "owner_id", "type_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"))
    type_id: Mapped[int] = mapped_column(ForeignKey("device_types.id"))
    device_key: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    sensor: Mapped[str] = mapped_column(String)
    comparison: Mapped[str] = mapped_column(String)
    value: Mapped[float]
    back: Mapped[float]
    hold_ms: Mapped[int] = mapped_column(BigInteger)
    severity: Mapped[str] = mapped_column(String)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String)
    removed_ms: Mapped[int | None] = mapped_column(BigInteger)


class FaultReport(Base):
    """A label: this device was faulty from then to then; open while `end_ms` is null."""

    __tablename__ = "fault_reports"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_key: Mapped[int] = mapped_column(ForeignKey("devices.id"), index=True)
    start_ms: Mapped[int] = mapped_column(BigInteger)
    end_ms: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String)
    source: Mapped[str] = mapped_column(String)
    said_by: Mapped[str] = mapped_column(String)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id"))
    created_ms: Mapped[int] = mapped_column(BigInteger)


class Maintenance(Base):
    """A window in which nobody is told about a device; open-ended while `until_ms` is null."""

    __tablename__ = "maintenance"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_key: Mapped[int] = mapped_column(ForeignKey("devices.id"), index=True)
    from_ms: Mapped[int] = mapped_column(BigInteger)
    until_ms: Mapped[int | None] = mapped_column(BigInteger)
    reason: Mapped[str] = mapped_column(Text, default="")
    who: Mapped[str] = mapped_column(String)


class Command(Base):
    """A person's word on its way to the log; done when the record with its id has been applied as number `seq`."""

    __tablename__ = "commands"
    __table_args__ = (
        Index(
            "ix_commands_pending",
            "id",
            sqlite_where=text("done_ms IS NULL"),
            postgresql_where=text("done_ms IS NULL"),
        ),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    kind: Mapped[str] = mapped_column(String)
    device_key: Mapped[int | None] = mapped_column(ForeignKey("devices.id"))
    payload: Mapped[dict[str, Json]] = mapped_column(_json())
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    created_ms: Mapped[int] = mapped_column(BigInteger)
    done_ms: Mapped[int | None] = mapped_column(BigInteger)
    seq: Mapped[int | None] = mapped_column(BigInteger)


class Channel(Base):
    """Where an owner is told, or operators of their models where `owner_id` is null; address and secret are encrypted
    and never shown again."""

    __tablename__ = "channels"
    __table_args__ = (
        UniqueConstraint("owner_id", "name"),
        Index(
            "ix_channels_operators_name",
            "name",
            unique=True,
            sqlite_where=text("owner_id IS NULL"),
            postgresql_where=text("owner_id IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    name: Mapped[str] = mapped_column(String)
    kind: Mapped[str] = mapped_column(String)
    address: Mapped[str] = mapped_column(Text)
    secret: Mapped[str | None] = mapped_column(Text)
    min_severity: Mapped[str] = mapped_column(String, default="warning")
    kinds: Mapped[list[str] | None] = mapped_column(_json())
    created_ms: Mapped[int] = mapped_column(BigInteger)
    disabled: Mapped[bool] = mapped_column(default=False, server_default=false())


class Outbox(Base):
    """A notice on its way to a channel, written in the same transaction as what it tells of; a trial has no alert."""

    __tablename__ = "outbox"
    __table_args__ = (
        Index(
            "ix_outbox_due",
            "next_attempt_ms",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
        Index("ix_outbox_alert_id_channel_id", "alert_id", "channel_id"),
    )

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    idempotency_key: Mapped[str] = mapped_column(String, unique=True)
    alert_id: Mapped[int | None] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    channel_id: Mapped[int] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), index=True)
    payload: Mapped[dict[str, Json]] = mapped_column(_json())
    state: Mapped[str] = mapped_column(String, default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    created_ms: Mapped[int] = mapped_column(BigInteger)
    next_attempt_ms: Mapped[int] = mapped_column(BigInteger)
    sent_ms: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[str | None] = mapped_column(Text)


class Event(Base):
    """News for open pages, for operators only where `owner_id` is null; a page that comes back asks for all after the
    last id it saw."""

    __tablename__ = "events"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("owners.id"))
    kind: Mapped[str] = mapped_column(String)
    device_key: Mapped[int | None] = mapped_column(BigInteger)
    alert_id: Mapped[int | None] = mapped_column(BigInteger)
    payload: Mapped[dict[str, Json]] = mapped_column(_json())


class Watermark(Base):
    """How far a shard's log has gone into the database, the lake and the checkpoint."""

    __tablename__ = "watermarks"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    applied_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    lake_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    state_seq: Mapped[int] = mapped_column(BigInteger, default=0)
    updated_ms: Mapped[int] = mapped_column(BigInteger)


class BackfillJob(Base):
    """A file that is taken in, or was; counts grow while it runs."""

    __tablename__ = "backfill_jobs"

    id: Mapped[int] = mapped_column(primary_key=True)
    file_name: Mapped[str] = mapped_column(String)
    file_hash: Mapped[str] = mapped_column(String, index=True)
    type_id: Mapped[int] = mapped_column(ForeignKey("device_types.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("owners.id"), index=True)
    state: Mapped[str] = mapped_column(String, default="waiting")
    rows_total: Mapped[int | None] = mapped_column(BigInteger)
    rows_done: Mapped[int] = mapped_column(BigInteger, default=0)
    scored: Mapped[int] = mapped_column(BigInteger, default=0)
    alerts: Mapped[int] = mapped_column(default=0)
    message: Mapped[str] = mapped_column(Text, default="")
    created_ms: Mapped[int] = mapped_column(BigInteger)
    finished_ms: Mapped[int | None] = mapped_column(BigInteger)


class AuditEntry(Base):
    """Who did what to what, and when."""

    __tablename__ = "audit_log"

    id: Mapped[int] = mapped_column(_counted(), primary_key=True)
    at_ms: Mapped[int] = mapped_column(BigInteger, index=True)
    who: Mapped[str] = mapped_column(String)
    what: Mapped[str] = mapped_column(String)
    subject: Mapped[str] = mapped_column(String)
    detail: Mapped[str] = mapped_column(Text, default="")
