"""People's words, copied from the database into the log: each once, in their order."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Protocol

import msgspec
import structlog
from sqlalchemy import Engine, select

from ..components import warming
from ..exceptions import ModelError, StorageError
from ..fleet import backfill_jobs, device_types, models
from ..fleet.commands import Command, pending
from ..fleet.database import among, reading, writing
from ..settings import Settings
from ..telemetry import records
from ..telemetry.schema import encode_type
from . import backfill
from .model_store import ModelStore

log = structlog.get_logger(__name__)

WORDS = frozenset({"new_normal", "dismiss", "confirm", "repaired", "maintenance", "maintenance_end", "not_faulty"})
CHUNKS_AHEAD = 2
"""Chunks of a backfill that may be logged and not yet applied."""


class Submit(Protocol):
    """Takes records for the log; the future gives their numbers once they are on disk."""

    def submit(self, batch: Sequence[records.Record]) -> "Future[list[int]]":
        """Queue records to be logged together."""


class Listener:
    """Polls the table `commands`; `seen` holds the ids that the log has already.

    `has_more`: whether there is something to do even where nobody says more, such as the rest of a file.
    """

    def __init__(
        self, engine: Engine, settings: Settings, intake: Submit, seen: Iterable[int], clock: Callable[[], int]
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._intake = intake
        self._models = ModelStore(settings.data / "models", engine)
        self.has_more = True
        self._seen = set(seen)
        self._clock = clock
        # Rows of each job in the log. The database says how many were applied, which is fewer while it is away.
        self._logged_rows: dict[int, int] = {}

    def poll(self, stopping: threading.Event) -> None:
        """Log what was said since the last time. Raises StorageError where database or log don't answer."""
        with reading(self._engine) as session:
            new = [command for command in pending(session) if command.id not in self._seen]
        for command in new:
            record = self._record(command)
            if record is not None:
                self._intake.submit([*self._introduction(record), record]).result()
            self._seen.add(command.id)
        self._take_files(stopping)

    def _record(self, command: Command) -> records.Record | None:
        now_ms = self._clock()
        payload = command.payload
        if command.kind in WORDS:
            return records.Word(
                now_ms=now_ms,
                command_id=command.id,
                kind=command.kind,  # type: ignore[arg-type]
                device_key=command.device_key or 0,
                payload=msgspec.json.encode(payload),
            )
        if command.kind == "type_version":
            with reading(self._engine) as session:
                types = {entry.type_id: entry for entry in device_types.newest(session)}
            entry = types[int(str(payload["type_id"]))]
            return records.TypeVersion(
                now_ms=now_ms,
                type_id=entry.type_id,
                owner_id=entry.owner_id,
                spec=encode_type(entry.device_type),
                command_id=command.id,
            )
        if command.kind == "model_swap":
            swap = records.ModelSwap(
                now_ms=now_ms,
                type_id=int(str(payload["type_id"])),
                model=str(payload["folder"]),
                version=int(str(payload["version"])),
                command_id=command.id,
                warm=str(payload.get("warm", "")),
            )
            return swap if self._can_be_loaded(swap) else None
        if command.kind == "rule":
            said = {**payload, "type": "rule", "now_ms": now_ms, "command_id": command.id}
            return msgspec.convert(said, records.Rule)
        log.warning("command.unknown", kind=command.kind, id=command.id)
        return None

    def _can_be_loaded(self, swap: records.ModelSwap) -> bool:
        """Whether the model is there and whole: once it is in the log, every start needs it."""
        try:
            self._models.load(swap.type_id, swap.model, swap.version)
            if swap.warm:
                warming.read(self._settings.data / "spool", swap.warm)
        except (ModelError, StorageError) as error:
            log.error("model.refused", command=swap.command_id, reason=str(error), meaning="the one in use goes on")
            return False
        return True

    def _introduction(self, record: records.Record) -> list[records.Record]:
        """The device of a rule may not have sent anything yet, and the log not know it."""
        if isinstance(record, records.Rule) and record.device_key is not None:
            return [self._devices([record.device_key])]
        return []

    def _take_files(self, stopping: threading.Event) -> None:
        """Log the chunks of files that wait, oldest job first, no faster than they are applied."""
        with reading(self._engine) as session:
            jobs = backfill_jobs.unfinished(session)
        self.has_more = bool(jobs)
        for job in jobs:
            try:
                manifest = backfill.read_manifest(self._settings.data, job.id)
            except StorageError as error:
                with writing(self._engine) as session:
                    backfill_jobs.fail(session, job.id, str(error), self._clock())
                continue
            if self._logged_rows.get(job.id, job.rows_done) < manifest.rows and not self._take_file(
                job, manifest, stopping
            ):
                return

    def _take_file(self, job: backfill_jobs.Job, manifest: backfill.Manifest, stopping: threading.Event) -> bool:
        """Log chunks of a file as far as others were applied; whether that was all of them."""
        if job.id not in self._logged_rows:
            self._intake.submit([self._devices(manifest.device_keys)]).result()
            self._logged_rows[job.id] = job.rows_done
        rest = msgspec.structs.replace(job, rows_done=self._logged_rows[job.id])
        for batch in backfill.batches(self._settings.data, manifest, rest, self._clock()):
            ahead = self._logged_rows[job.id] - self._rows_done(job.id)
            if ahead > CHUNKS_AHEAD * backfill.CHUNK_ROWS or stopping.is_set():
                return False
            self._intake.submit(batch).result()
            self._logged_rows[job.id] += sum(record.rows for record in batch if isinstance(record, records.Backfill))
        return True

    def _rows_done(self, job_id: int) -> int:
        with reading(self._engine) as session:
            return backfill_jobs.get(session, job_id).rows_done

    def _devices(self, keys: Sequence[int]) -> records.Devices:
        columns = (models.Device.id, models.Device.device_id, models.Device.type_id)
        with reading(self._engine) as session:
            query = select(*columns, models.Device.owner_id, models.Device.site_id)
            rows = session.execute(query.where(among(session, models.Device.id, keys)).order_by(models.Device.id))
            entries = tuple(records.DeviceEntry(*row) for row in rows)
        return records.Devices(now_ms=self._clock(), devices=entries)
