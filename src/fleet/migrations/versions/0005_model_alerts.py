"""Alerts about models, which belong to no owner, and channels of operators, who are told of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COUNTED = ("alerts", "events")
"""Tables whose ids are never given twice."""


def upgrade() -> None:
    """Let `owner_id` of alerts, channels and events be null; add `cause`, `subject` and `link` to alerts."""
    given = _last_ids()
    checks = (
        sa.CheckConstraint("state IN ('firing', 'resolved')", name=op.f("ck_alerts_state")),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_alerts_severity")),
    )
    # SQLite makes these tables anew, and would forget what it doesn't read back: checks, and how ids are counted.
    counted = {"sqlite_autoincrement": True}
    with op.batch_alter_table("alerts", table_args=checks, table_kwargs=counted) as alerts:
        alerts.alter_column("owner_id", existing_type=sa.Integer(), nullable=True)
        alerts.add_column(sa.Column("cause", sa.String(), nullable=True))
        alerts.add_column(sa.Column("subject", sa.String(), nullable=True))
        alerts.add_column(sa.Column("link", sa.Text(), nullable=True))
    _unique("ix_alerts_open_of_cause", "alerts", ["cause", "subject"], "state = 'firing' AND cause IS NOT NULL")
    with op.batch_alter_table("events", table_kwargs=counted) as events:
        events.alter_column("owner_id", existing_type=sa.Integer(), nullable=True)
    with op.batch_alter_table("channels") as channels:
        channels.alter_column("owner_id", existing_type=sa.Integer(), nullable=True)
    _unique("ix_channels_operators_name", "channels", ["name"], "owner_id IS NULL")
    for table, last in given.items():
        # The copy counts from the largest id that is left, and those of deleted rows were given too.
        op.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name").bindparams(name=table))
        op.execute(sa.text("INSERT INTO sqlite_sequence VALUES (:name, :last)").bindparams(name=table, last=last))


def _last_ids() -> dict[str, int]:
    if op.get_bind().dialect.name != "sqlite":
        return {}
    found = op.get_bind().execute(sa.text("SELECT name, seq FROM sqlite_sequence"))
    return {name: last for name, last in found if name in COUNTED}


def _unique(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
