"""Models on disk and in the database: the folder each is kept in, and which one serves a type."""

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import Engine, func, insert, select, update

from ..components import learnt
from ..components.learnt import Learnt
from ..detection.detector import Detector
from ..exceptions import ModelError
from ..fleet import models
from ..fleet.database import reading, writing
from .patience import Insist, at_once
from .type_state import Installed

NAME_LENGTH = 12


class ModelStore:
    """Folders models/type-N/<first digits of the content's SHA-256> below the data folder, and their rows.

    `insist` asks the database for a version while a record is applied that taught a type.
    """

    def __init__(self, folder: Path, engine: Engine, insist: Insist = at_once) -> None:
        self._folder = folder
        self._engine = engine
        self._insist = insist

    def path(self, type_id: int, name: str) -> Path:
        """The folder of a model."""
        return self._folder / f"type-{type_id}" / name

    def load(self, type_id: int, name: str, version: int) -> Installed:
        """Read a model. Raises ModelError where its folder is gone or damaged."""
        path = self.path(type_id, name)
        if not path.is_dir():
            raise ModelError(f"model {name} of type {type_id} is not in {path}; restore the folder or train again")
        return Installed(name, version, Detector.load(path))

    def keep(self, type_id: int, detector: Detector, now_ms: int, note: str, source: Learnt | None = None) -> Installed:
        """Save a detector under its content's hash, give it the next version of its type, and make it champion.

        The same detector keeps its folder and version, so that a replay of the log changes nothing. `source` is what
        it learnt from, None where that isn't known.
        """
        name = self._save(type_id, detector, source)
        version = self._insist("model", lambda: self._register(type_id, name, now_ms, note))
        return Installed(name, version, detector)

    def _register(self, type_id: int, name: str, now_ms: int, note: str) -> int:
        """The version under which the database knows a model; one it doesn't know becomes champion."""
        with writing(self._engine) as session:
            known = session.scalar(
                select(models.TrainedModel.version).where(
                    models.TrainedModel.type_id == type_id, models.TrainedModel.folder == name
                )
            )
            if known is not None:
                return known
            newest = session.scalar(
                select(func.max(models.TrainedModel.version)).where(models.TrainedModel.type_id == type_id)
            )
            version: int = (newest or 0) + 1
            session.execute(
                update(models.TrainedModel).where(models.TrainedModel.type_id == type_id).values(champion=False)
            )
            session.execute(
                insert(models.TrainedModel).values(
                    type_id=type_id,
                    version=version,
                    folder=name,
                    trained_ms=now_ms,
                    champion=True,
                    promoted_ms=now_ms,
                    note=note,
                )
            )
        return version

    def champion(self, type_id: int) -> tuple[str, int] | None:
        """Folder name and version of the model that serves a type, if one does."""
        with reading(self._engine) as session:
            row = session.execute(
                select(models.TrainedModel.folder, models.TrainedModel.version).where(
                    models.TrainedModel.type_id == type_id, models.TrainedModel.champion
                )
            ).one_or_none()
        return (row.folder, row.version) if row else None

    def _save(self, type_id: int, detector: Detector, source: Learnt | None) -> str:
        parent = self._folder / f"type-{type_id}"
        parent.mkdir(parents=True, exist_ok=True)
        waiting = Path(tempfile.mkdtemp(dir=parent, prefix=".saving-"))
        try:
            detector.save(waiting)
            name = _content_hash(waiting)
            if source is not None:
                learnt.write(waiting, source)
            if not self.path(type_id, name).exists():
                # On disk before a checkpoint or the database can name it.
                for path in (*waiting.iterdir(), waiting):
                    _fsync(path)
                os.replace(waiting, self.path(type_id, name))
                _fsync(parent)
        finally:
            shutil.rmtree(waiting, ignore_errors=True)
        return name


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:NAME_LENGTH]
