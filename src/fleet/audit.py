"""The audit log: who did what to what, written in the transaction that does it."""

from sqlalchemy import insert
from sqlalchemy.orm import Session

from . import models

COMMAND_LINE = "command line"
"""Who acts where nobody has signed in: whoever may open the data folder."""


def write(session: Session, who: str, what: str, subject: str, detail: str, now_ms: int) -> None:
    """Write down an act; no secrets in `detail`."""
    row = {"at_ms": now_ms, "who": who, "what": what, "subject": subject, "detail": detail}
    session.execute(insert(models.AuditEntry).values(row))
