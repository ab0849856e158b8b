"""Challengers beside champions: which version wants to serve, until when it is watched, which run made it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add `challenger`, `shadow_until_ms`, `promoted_ms` and `run` to `models`; versions so far all served once."""
    op.add_column("models", sa.Column("challenger", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("models", sa.Column("shadow_until_ms", sa.BigInteger(), nullable=True))
    op.add_column("models", sa.Column("promoted_ms", sa.BigInteger(), nullable=True))
    op.add_column("models", sa.Column("run", sa.String(), nullable=True))
    op.execute("UPDATE models SET promoted_ms = trained_ms")
