"""Rules of owners, channels that rest, and notices that try a channel out and so tell of no alert."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make `rules`; add `channels.disabled`; let `outbox.alert_id` be null."""
    op.create_table(
        "rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=False),
        sa.Column("type_id", sa.Integer(), nullable=False),
        sa.Column("device_key", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("sensor", sa.String(), nullable=False),
        sa.Column("comparison", sa.String(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("back", sa.Double(), nullable=False),
        sa.Column("hold_ms", sa.BigInteger(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("created_ms", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("removed_ms", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("comparison IN ('above', 'below')", name=op.f("ck_rules_comparison")),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_rules_severity")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_rules_owner_id")),
        sa.ForeignKeyConstraint(["type_id"], ["device_types.id"], name=op.f("fk_rules_type_id")),
        sa.ForeignKeyConstraint(["device_key"], ["devices.id"], name=op.f("fk_rules_device_key")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rules")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rules_owner_id_type_id", "rules", ["owner_id", "type_id"])
    op.add_column("channels", sa.Column("disabled", sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table("outbox") as outbox:
        outbox.alter_column("alert_id", existing_type=sa.BigInteger(), nullable=True)
