"""Files that are taken in by bulk: what each job has done so far."""

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from . import models


class Job(msgspec.Struct, frozen=True):
    """One job as it stands; `state` is preparing (its rows are being spooled), waiting, running, done or failed."""

    id: int
    file_name: str
    file_hash: str
    type_id: int
    owner_id: int
    state: str
    rows_total: int | None
    rows_done: int
    scored: int
    alerts: int
    message: str


_COLUMNS = tuple(getattr(models.BackfillJob, name) for name in Job.__struct_fields__)


def create(
    session: Session, *, file_name: str, file_hash: str, type_id: int, owner_id: int, rows_total: int, now_ms: int
) -> Job:
    """Add a job whose rows are yet to be spooled; it waits for its turn from `ready` on."""
    job_id = session.execute(
        insert(models.BackfillJob)
        .values(
            file_name=file_name,
            file_hash=file_hash,
            type_id=type_id,
            owner_id=owner_id,
            rows_total=rows_total,
            state="preparing",
            created_ms=now_ms,
        )
        .returning(models.BackfillJob.id)
    ).scalar_one()
    return get(session, job_id)


def ready(session: Session, job_id: int) -> None:
    """All rows of a job are spooled: it may be taken up."""
    session.execute(update(models.BackfillJob).where(models.BackfillJob.id == job_id).values(state="waiting"))


def get(session: Session, job_id: int) -> Job:
    """One job by its id."""
    return Job(*session.execute(select(*_COLUMNS).where(models.BackfillJob.id == job_id)).one())


def of_hash(session: Session, file_hash: str) -> Job | None:
    """The newest job of some content that has not failed, if it was taken in before or is being."""
    query = select(*_COLUMNS).where(models.BackfillJob.file_hash == file_hash, models.BackfillJob.state != "failed")
    row = session.execute(query.order_by(models.BackfillJob.id.desc()).limit(1)).one_or_none()
    return Job(*row) if row else None


def unfinished(session: Session) -> list[Job]:
    """Jobs that wait or run, oldest first."""
    query = select(*_COLUMNS).where(models.BackfillJob.state.in_(("waiting", "running")))
    return [Job(*row) for row in session.execute(query.order_by(models.BackfillJob.id))]


def advance(session: Session, job_id: int, rows: int, scored: int, alerts: int) -> None:
    """Count a chunk that was applied."""
    job = models.BackfillJob
    session.execute(
        update(job)
        .where(job.id == job_id)
        .values(
            state="running",
            rows_done=job.rows_done + rows,
            scored=job.scored + scored,
            alerts=job.alerts + alerts,
        )
    )


def finish(session: Session, job_id: int, now_ms: int) -> None:
    """Mark a job as done: the lake has all its rows."""
    session.execute(
        update(models.BackfillJob).where(models.BackfillJob.id == job_id).values(state="done", finished_ms=now_ms)
    )


def fail(session: Session, job_id: int, message: str, now_ms: int) -> None:
    """Mark a job as failed, and say why."""
    session.execute(
        update(models.BackfillJob)
        .where(models.BackfillJob.id == job_id)
        .values(state="failed", message=message, finished_ms=now_ms)
    )
