"""How far each shard's log has gone: into the database, into the lake, into a checkpoint of the state."""

import msgspec
from sqlalchemy import case, insert, select, update
from sqlalchemy.orm import Session

from . import models


class Watermarks(msgspec.Struct, frozen=True):
    """Numbers of the last records that are in each; 0 where none is."""

    applied_seq: int = 0
    lake_seq: int = 0
    state_seq: int = 0

    @property
    def deletable(self) -> int:
        """The last record that nothing needs any more."""
        return min(self.applied_seq, self.lake_seq, self.state_seq)


def read(session: Session, shard: int) -> Watermarks:
    """A shard's watermarks; all 0 before its first record."""
    row = session.execute(
        select(models.Watermark.applied_seq, models.Watermark.lake_seq, models.Watermark.state_seq).where(
            models.Watermark.shard == shard
        )
    ).one_or_none()
    return Watermarks(*row) if row else Watermarks()


def advance(
    session: Session,
    shard: int,
    now_ms: int,
    *,
    applied_seq: int = 0,
    lake_seq: int = 0,
    state_seq: int = 0,
) -> None:
    """Move watermarks forward; one that is further already stays."""
    given = {"applied_seq": applied_seq, "lake_seq": lake_seq, "state_seq": state_seq}
    further = {
        name: case((getattr(models.Watermark, name) < seq, seq), else_=getattr(models.Watermark, name))
        for name, seq in given.items()
    }
    moved = session.execute(
        update(models.Watermark)
        .where(models.Watermark.shard == shard)
        .values(updated_ms=now_ms, **further)
        .returning(models.Watermark.shard)
    )
    if not moved.all():
        session.execute(insert(models.Watermark).values(shard=shard, updated_ms=now_ms, **given))
