"""Versions of the model that names kinds of fault, and what kind each alert is taken for."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make `kind_models` and `likely_kinds`."""
    json = sa.JSON().with_variant(JSONB(), "postgresql")
    op.create_table(
        "kind_models",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("trained_ms", sa.BigInteger(), nullable=False),
        sa.Column("champion", sa.Boolean(), nullable=False),
        sa.Column("promoted_ms", sa.BigInteger(), nullable=True),
        sa.Column("run", sa.String(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_kind_models")),
        sa.UniqueConstraint("folder", name=op.f("uq_kind_models_folder")),
    )
    only = sa.text("champion")
    op.create_index(
        "ix_kind_models_champion", "kind_models", ["champion"], unique=True, sqlite_where=only, postgresql_where=only
    )
    op.create_table(
        "likely_kinds",
        sa.Column(
            "alert_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=True),
        sa.Column("model_version", sa.Integer(), nullable=False),
        sa.Column("kinds", json, nullable=False),
        sa.Column("signs", json, nullable=False),
        sa.Column("why_not", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name=op.f("fk_likely_kinds_alert_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("pk_likely_kinds")),
    )
    op.create_index("ix_likely_kinds_next_ms", "likely_kinds", ["next_ms"])
