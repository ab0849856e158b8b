"""Examines what faultwatch keeps: database, log, checkpoints, lake, and whether they fit each other."""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Engine

from ..exceptions import StorageError
from ..fleet import device_types, watermarks
from ..fleet.database import damage, newest_revision, reading, revision
from ..settings import Settings
from ..telemetry import checkpoint
from ..telemetry.lake import AnyTable, Lake
from ..telemetry.log import check_log
from .findings import Finding

SHARD = 0


class Storage:
    """Looks at the storage of one data folder, the service running or not; changes nothing."""

    def __init__(self, settings: Settings, engine: Engine, lake: Lake) -> None:
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._logs = settings.data / "log" / f"shard-{SHARD}"
        self._states = settings.data / "state" / f"shard-{SHARD}"

    def database(self) -> Iterator[Finding]:
        """Whether it is of this version, and whole."""
        place = self._engine.url.render_as_string(hide_password=True)
        found, newest = revision(self._engine), newest_revision()
        if found is None:
            yield Finding("warn", "database", f"{place} has no tables yet; `faultwatch migrate` makes them")
        elif found != newest:
            yield Finding(
                "warn",
                "database",
                f"{place} is at revision {found}, this version's is {newest}: `faultwatch migrate` brings it there;"
                " where it is of a newer version, start that one",
            )
        elif broken := damage(self._engine):
            yield Finding("fail", "database", f"{place} is damaged ({broken}): restore it from a backup")
        else:
            yield Finding("ok", "database", f"{place} at revision {found}, whole")

    def log(self) -> Iterator[Finding]:
        """Whether every record can be read, and none is missing that something else has seen."""
        first, last = check_log(self._logs)
        with reading(self._engine) as session:
            marks = watermarks.read(session, SHARD)
        seen = max(marks.applied_seq, marks.lake_seq, marks.state_seq)
        if last < seen:
            yield Finding(
                "fail",
                "log",
                f"{self._logs} ends at record {last}, but record {seen} was seen: records were lost. Restore the data"
                " folder from a backup, or move the log away to go on without them",
            )
        elif last < first:
            yield Finding("ok", "log", f"{self._logs} is empty")
        else:
            yield Finding("ok", "log", f"records {first:,} to {last:,} are whole")

    def checkpoints(self) -> Iterator[Finding]:
        """Whether the newest checkpoint can be read, and the log goes on from one that can."""
        whole: list[int] = []
        for path in sorted(self._states.glob("*.state")):
            try:
                whole.append(checkpoint.check(path))
            except StorageError as error:
                yield Finding(
                    "warn", "checkpoint", f"{error}; the one before it is used, and the next one takes its place"
                )
        first, last = check_log(self._logs)
        if last >= first and max(whole, default=0) < first - 1:
            yield Finding(
                "fail",
                "checkpoint",
                f"none reaches the log, which begins at record {first}: restore the data folder from a backup",
            )
        elif whole:
            yield Finding("ok", "checkpoint", f"of record {max(whole):,}, {last - max(whole):,} records back")
        else:
            yield Finding("ok", "checkpoint", "none yet; the log has every record")

    def lake(self) -> Iterator[Finding]:
        """Whether it can be reached, and has every file that its tables name."""
        self._lake.answers()
        with reading(self._engine) as session:
            types = {entry.type_id: entry.device_type.name for entry in device_types.newest(session)}
        rows = n_files = n_bytes = 0
        tables: list[tuple[AnyTable, str]] = [*types.items(), ("quarantine", "quarantine"), ("events", "events")]
        for table, name in tables:
            state = self._lake.table(table).state()
            if state is None:
                continue
            rows += int(state.files["num_records"].sum() or 0) if isinstance(table, int) else 0
            n_files, n_bytes = n_files + state.files.height, n_bytes + int(state.files["size_bytes"].sum() or 0)
            if missing := self._missing(self._lake.table(table).url, state.files["path"].to_list()):
                yield Finding(
                    "fail",
                    "lake",
                    f"table {name} lacks {len(missing):,} of its {state.files.height:,} files, such as {missing[0]}:"
                    " restore them from a backup",
                )
                return
        yield Finding(
            "ok", "lake", f"{rows:,} readings in {n_files:,} files, {n_bytes / 1e6:,.0f} MB, {self._lake.url}"
        )

    @staticmethod
    def _missing(url: str, paths: list[str]) -> list[str]:
        return [] if "://" in url else [path for path in paths if not Path(url, path).exists()]
