"""Runs of pipelines: a folder each, whose `run.json` says at any moment how far it is, so that one that was killed can
be gone on with."""

import fcntl
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from .. import __version__
from ..components.code import code_hash, commit
from ..exceptions import ConflictError, ModelError, StorageError

FILE = "run.json"
FORMAT = 1
WHO = "faultwatch"
"""Who fires a run that no person asked for."""

TriggerKind = Literal["on demand", "schedule", "new data", "model quality", "drift"]
RunState = Literal["running", "done", "stopped", "failed"]
StepState = Literal["waiting", "running", "done", "cached", "stopped", "failed"]


class Trigger(msgspec.Struct, frozen=True):
    """What fired a run, who or what it was, and why."""

    kind: TriggerKind = "on demand"
    who: str = "command line"
    why: str = ""


class StepRun(msgspec.Struct, kw_only=True):
    """How a step fared; `folder` of its artifact is seen from the data folder."""

    name: str
    state: StepState = "waiting"
    attempts: int = 0
    started_ms: int | None = None
    ended_ms: int | None = None
    hash: str = ""
    folder: str = ""
    message: str = ""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return ((self.ended_ms or 0) - (self.started_ms or 0)) / 1000 if self.ended_ms else 0.0


class Run(msgspec.Struct, kw_only=True):
    """One run of a pipeline for one device type: what fired it, on which code and machine, and every step."""

    id: str
    pipeline: str
    type_id: int
    type_name: str
    trigger: Trigger
    started_ms: int
    steps: list[StepRun]
    state: RunState = "running"
    reason: str = ""
    ended_ms: int | None = None
    executor: str = ""
    code_version: str = __version__
    code: str = ""
    commit: str | None = None
    previous_champion: int | None = None
    recorded: bool = False
    format: int = FORMAT

    def step(self, name: str) -> StepRun:
        """The step of a name. Raises ModelError where the run has none."""
        found = next((step for step in self.steps if step.name == name), None)
        if found is None:
            raise ModelError(f"run {self.id} has no step {name!r}; it has {', '.join(s.name for s in self.steps)}")
        return found


class Runs:
    """The runs below a data folder."""

    def __init__(self, data: Path) -> None:
        self.folder = data / "runs"

    def begin(
        self,
        pipeline: str,
        steps: list[str],
        type_id: int,
        type_name: str,
        trigger: Trigger,
        previous_champion: int | None,
        now_ms: int,
    ) -> Run:
        """A new run, on disk."""
        moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d-%H%M%S")
        wanted, number = f"{moment}-{pipeline}-{type_name}", 1
        while (self.folder / (name := wanted if number == 1 else f"{wanted}-{number}")).exists():
            number += 1
        run = Run(
            id=name,
            pipeline=pipeline,
            type_id=type_id,
            type_name=type_name,
            trigger=trigger,
            started_ms=now_ms,
            steps=[StepRun(name=step) for step in steps],
            executor=f"local, {platform.node()}, process {os.getpid()}",
            code=code_hash(),
            commit=commit(),
            previous_champion=previous_champion,
        )
        self.save(run)
        return run

    def save(self, run: Run) -> None:
        """Write how far a run is, all or nothing. Raises StorageError where the disk doesn't take it."""
        folder = self.folder / run.id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            waiting = folder / f"{FILE}.tmp"
            with waiting.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(waiting, folder / FILE)
        except OSError as error:
            raise StorageError(f"run {run.id} can't be written below {folder}: {error.strerror}; free space") from error

    def get(self, run_id: str) -> Run:
        """The run of an id. Raises ModelError where there is none, or it is damaged or of a newer version."""
        path = self.folder / run_id / FILE
        try:
            run = msgspec.json.decode(path.read_bytes(), type=Run)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelError(
                f"no run {run_id!r} below {self.folder}; `faultwatch pipeline status` lists them"
            ) from error
        except msgspec.MsgspecError as error:
            raise ModelError(f"{path} is damaged ({error}); delete its folder") from error
        if run.format > FORMAT:
            raise ModelError(f"{path} has format {run.format}; this version reads up to {FORMAT}: update faultwatch")
        return run

    def all(self, pipeline: str | None = None, type_id: int | None = None) -> list[Run]:
        """Every run that can be read, of a pipeline and of a type, the newest first."""
        found = []
        for path in self.folder.glob(f"*/{FILE}"):
            try:
                run = self.get(path.parent.name)
            except ModelError:
                continue
            if pipeline in (None, run.pipeline) and type_id in (None, run.type_id):
                found.append(run)
        return sorted(found, key=lambda run: (run.started_ms, run.id), reverse=True)

    def lately(self, pipeline: str, type_id: int, type_name: str, most: int = 1) -> list[Run]:
        """The newest runs of a pipeline for a type, `most` at most; of all others only the names are looked at."""
        wanted = re.compile(rf"\d{{8}}-\d{{6}}-{re.escape(pipeline)}-{re.escape(type_name)}(-\d+)?")
        try:
            names = sorted((name for name in os.listdir(self.folder) if wanted.fullmatch(name)), reverse=True)
        except FileNotFoundError:
            return []
        found: list[Run] = []
        for name in names:
            if len(found) == most:
                break
            try:
                run = self.get(name)
            except ModelError:
                continue
            if (run.pipeline, run.type_id) == (pipeline, type_id):
                found.append(run)
        return sorted(found, key=lambda run: (run.started_ms, run.id), reverse=True)

    @contextmanager
    def only(self, pipeline: str, type_id: int) -> Iterator[None]:
        """Nobody else runs this pipeline for this type meanwhile. Raises ConflictError where somebody does."""
        with self._lock(pipeline, type_id) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConflictError(
                    f"pipeline {pipeline!r} is running for type {type_id} in another process; wait until it is done"
                    " (faultwatch pipeline status)"
                ) from error
            yield

    def _lock(self, pipeline: str, type_id: int) -> TextIO:
        path = self.folder / f"{pipeline}-{type_id}.lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return path.open("a+")
        except OSError as error:
            raise StorageError(f"{path} can't be opened: {error.strerror}; free space on that disk") from error

    def is_held(self, run: Run) -> bool:
        """Whether some process is at work on a run that says it is running."""
        try:
            with self.only(run.pipeline, run.type_id):
                return False
        except ConflictError:
            return True
