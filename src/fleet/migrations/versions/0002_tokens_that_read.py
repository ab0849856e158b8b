"""Tokens that may read, and an inbox that is found by owner and state.

Every token made before could only write, and goes on to.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add `tokens.scope`; widen the index of an owner's alerts; index devices as pages sort them."""
    op.add_column("tokens", sa.Column("scope", sa.String(), server_default=sa.text("'write'"), nullable=False))
    op.drop_index("ix_alerts_owner_id", "alerts")
    op.create_index("ix_alerts_owner_id_state_fired_ms", "alerts", ["owner_id", "state", "fired_ms"])
    op.create_index("ix_devices_device_id_id", "devices", ["device_id", "id"])
    op.create_index("ix_devices_owner_id_id", "devices", ["owner_id", "id"])
