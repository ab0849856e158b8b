"""Make the tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

COUNTED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
SORTED_TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def index_some(name: str, table: str, columns: list[str], condition: str, unique: bool) -> None:
    """Index the rows that a condition holds for."""
    some = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=some, postgresql_where=some)


def upgrade() -> None:
    """Make the tables and their indices."""
    op.create_table(
        "audit_log",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_at_ms", "audit_log", ["at_ms"])

    op.create_table(
        "owners",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_owners"),
        sa.UniqueConstraint("name", name="uq_owners_name"),
    )
    op.create_table(
        "setup_links",
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("used_ms", sa.BigInteger()),
        sa.PrimaryKeyConstraint("token_hash", name="pk_setup_links"),
    )
    op.create_table(
        "watermarks",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("applied_seq", sa.BigInteger(), nullable=False),
        sa.Column("lake_seq", sa.BigInteger(), nullable=False),
        sa.Column("state_seq", sa.BigInteger(), nullable=False),
        sa.Column("updated_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_watermarks"),
    )
    op.create_table(
        "channels",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text()),
        sa.Column("min_severity", sa.String(), nullable=False),
        sa.Column("kinds", JSON),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_channels_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_channels"),
        sa.UniqueConstraint("owner_id", "name", name="uq_channels_owner_id_name"),
    )
    op.create_table(
        "device_types",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer()),
        sa.Column("name", SORTED_TEXT, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_device_types_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_device_types"),
        sa.UniqueConstraint("owner_id", "name", name="uq_device_types_owner_id_name"),
    )
    index_some("ix_device_types_shared_name", "device_types", ["name"], "owner_id IS NULL", unique=True)

    op.create_table(
        "events",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("device_key", sa.BigInteger()),
        sa.Column("alert_id", sa.BigInteger()),
        sa.Column("payload", JSON, nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_events_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at_ms", "events", ["at_ms"])

    op.create_table(
        "sites",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("slug", SORTED_TEXT, nullable=False),
        sa.Column("name", SORTED_TEXT, nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("latitude", sa.Double()),
        sa.Column("longitude", sa.Double()),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_sites_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sites"),
        sa.UniqueConstraint("owner_id", "slug", name="uq_sites_owner_id_slug"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("may_register", sa.Boolean(), nullable=False),
        sa.Column("device_ids", JSON),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ms", sa.BigInteger()),
        sa.Column("last_used_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_tokens_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_tokens"),
        sa.UniqueConstraint("hash", name="uq_tokens_hash"),
    )
    op.create_index("ix_tokens_owner_id", "tokens", ["owner_id"])

    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Integer()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until_ms", sa.BigInteger()),
        sa.CheckConstraint(
            "role IN ('admin', 'operator') OR owner_id IS NOT NULL", name=op.f("ck_users_owner_of_role")
        ),
        sa.CheckConstraint("email = lower(email)", name=op.f("ck_users_email_lower")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_users_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_index("ix_users_owner_id", "users", ["owner_id"])

    op.create_table(
        "backfill_jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("file_hash", sa.String(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rows_total", sa.BigInteger()),
        sa.Column("rows_done", sa.BigInteger(), nullable=False),
        sa.Column("scored", sa.BigInteger(), nullable=False),
        sa.Column("alerts", sa.Integer(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("finished_ms", sa.BigInteger()),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_backfill_jobs_owner_id"),
        sa.ForeignKeyConstraint(["type_id"], ["device_types.id"], name="fk_backfill_jobs_type_id"),
        sa.PrimaryKeyConstraint("id", name="pk_backfill_jobs"),
    )
    op.create_index("ix_backfill_jobs_file_hash", "backfill_jobs", ["file_hash"])
    op.create_index("ix_backfill_jobs_owner_id", "backfill_jobs", ["owner_id"])

    op.create_table(
        "device_type_versions",
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("spec", sa.Text(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["type_id"], ["device_types.id"], name="fk_device_type_versions_type_id"),
        sa.PrimaryKeyConstraint("type_id", "version", name="pk_device_type_versions"),
    )
    op.create_table(
        "devices",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("device_id", SORTED_TEXT, nullable=False),
        sa.Column("name", SORTED_TEXT, nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("site_id", sa.Integer()),
        sa.Column("latitude", sa.Double()),
        sa.Column("longitude", sa.Double()),
        sa.Column("tags", JSON),
        sa.Column("registered_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_devices_owner_id"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_devices_site_id"),
        sa.ForeignKeyConstraint(["type_id"], ["device_types.id"], name="fk_devices_type_id"),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("owner_id", "device_id", name="uq_devices_owner_id_device_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_devices_site_id", "devices", ["site_id"])
    op.create_index("ix_devices_type_id", "devices", ["type_id"])

    op.create_table(
        "models",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("trained_ms", sa.BigInteger(), nullable=False),
        sa.Column("champion", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["type_id"], ["device_types.id"], name="fk_models_type_id"),
        sa.PrimaryKeyConstraint("id", name="pk_models"),
        sa.UniqueConstraint("type_id", "version", name="uq_models_type_id_version"),
    )
    index_some("ix_models_champion", "models", ["type_id"], "champion", unique=True)

    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("csrf_token", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_sessions_user_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
        sa.UniqueConstraint("token_hash", name="uq_sessions_token_hash"),
    )
    op.create_index("ix_sessions_expires_ms", "sessions", ["expires_ms"])
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])

    op.create_table(
        "alerts",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("device_key", COUNTED),
        sa.Column("site_id", sa.Integer()),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("rule", sa.Integer(), nullable=False),
        sa.Column("sensor", sa.String()),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("first_signs_ms", sa.BigInteger()),
        sa.Column("pending_ms", sa.BigInteger()),
        sa.Column("fired_ms", sa.BigInteger(), nullable=False),
        sa.Column("resolved_ms", sa.BigInteger()),
        sa.Column("resolution", sa.Text()),
        sa.Column("score", sa.Double()),
        sa.Column("peak_score", sa.Double()),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("blame", JSON),
        sa.Column("model_version", sa.Integer()),
        sa.Column("historic", sa.Boolean(), nullable=False),
        sa.Column("acknowledged_ms", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.Integer()),
        sa.Column("silenced_until_ms", sa.BigInteger()),
        sa.Column("silenced_by", sa.Integer()),
        sa.Column("confirmed_ms", sa.BigInteger()),
        sa.Column("confirmed_by", sa.Integer()),
        sa.Column("confirmed_kind", sa.String()),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_alerts_severity")),
        sa.CheckConstraint("state IN ('firing', 'resolved')", name=op.f("ck_alerts_state")),
        sa.ForeignKeyConstraint(["acknowledged_by"], ["users.id"], name="fk_alerts_acknowledged_by"),
        sa.ForeignKeyConstraint(["confirmed_by"], ["users.id"], name="fk_alerts_confirmed_by"),
        sa.ForeignKeyConstraint(["device_key"], ["devices.id"], name="fk_alerts_device_key"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_alerts_owner_id"),
        sa.ForeignKeyConstraint(["silenced_by"], ["users.id"], name="fk_alerts_silenced_by"),
        sa.ForeignKeyConstraint(["site_id"], ["sites.id"], name="fk_alerts_site_id"),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alerts_device_key_fired_ms", "alerts", ["device_key", "fired_ms"])
    index_some(
        "ix_alerts_open_of_device",
        "alerts",
        ["device_key", "kind", "rule"],
        "state = 'firing' AND device_key IS NOT NULL",
        unique=True,
    )
    index_some(
        "ix_alerts_open_of_site", "alerts", ["site_id", "kind"], "state = 'firing' AND device_key IS NULL", unique=True
    )
    op.create_index("ix_alerts_owner_id", "alerts", ["owner_id"])
    op.create_index("ix_alerts_site_id", "alerts", ["site_id"])
    op.create_index("ix_alerts_state_fired_ms", "alerts", ["state", "fired_ms"])

    op.create_table(
        "commands",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("device_key", COUNTED),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("user_id", sa.Integer()),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("done_ms", sa.BigInteger()),
        sa.Column("seq", sa.BigInteger()),
        sa.ForeignKeyConstraint(["device_key"], ["devices.id"], name="fk_commands_device_key"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_commands_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_commands"),
        sqlite_autoincrement=True,
    )
    index_some("ix_commands_pending", "commands", ["id"], "done_ms IS NULL", unique=False)

    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_key", COUNTED, nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger()),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["device_key"], ["devices.id"], name="fk_maintenance_device_key"),
        sa.PrimaryKeyConstraint("id", name="pk_maintenance"),
    )
    op.create_index("ix_maintenance_device_key", "maintenance", ["device_key"])

    op.create_table(
        "alert_history",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("alert_id", COUNTED, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("who", sa.String()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_alert_history_alert_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_history"),
    )
    op.create_index("ix_alert_history_alert_id", "alert_history", ["alert_id"])

    op.create_table(
        "fault_reports",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("device_key", COUNTED, nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_ms", sa.BigInteger()),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("said_by", sa.String(), nullable=False),
        sa.Column("alert_id", COUNTED),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_fault_reports_alert_id"),
        sa.ForeignKeyConstraint(["device_key"], ["devices.id"], name="fk_fault_reports_device_key"),
        sa.PrimaryKeyConstraint("id", name="pk_fault_reports"),
    )
    op.create_index("ix_fault_reports_device_key", "fault_reports", ["device_key"])

    op.create_table(
        "outbox",
        sa.Column("id", COUNTED, nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("alert_id", COUNTED, nullable=False),
        sa.Column("channel_id", sa.Integer(), nullable=False),
        sa.Column("payload", JSON, nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_ms", sa.BigInteger(), nullable=False),
        sa.Column("sent_ms", sa.BigInteger()),
        sa.Column("last_error", sa.Text()),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_outbox_alert_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["channel_id"], ["channels.id"], name="fk_outbox_channel_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sa.UniqueConstraint("idempotency_key", name="uq_outbox_idempotency_key"),
    )
    op.create_index("ix_outbox_alert_id_channel_id", "outbox", ["alert_id", "channel_id"])
    op.create_index("ix_outbox_channel_id", "outbox", ["channel_id"])
    index_some("ix_outbox_due", "outbox", ["next_attempt_ms"], "state = 'pending'", unique=False)
