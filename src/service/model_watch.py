"""Looks at how runs of pipelines went, whoever ran them and whatever became of its process, and has operators told."""

import threading
import time
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine

from ..exceptions import FaultwatchError
from ..fleet import device_types
from ..fleet.database import reading

if TYPE_CHECKING:
    from ..settings import Settings
    from ..telemetry.lake import Lake

log = structlog.get_logger(__name__)

EVERY_S = 300.0


class ModelWatch:
    """Settles the alerts about models every `every_s`, first after one such time: what a start does comes first."""

    def __init__(self, settings: "Settings", engine: Engine, lake: "Lake", every_s: float = EVERY_S) -> None:
        self._settings = settings
        self._engine = engine
        self._lake = lake
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the look that is under way."""
        self._stopping.set()
        self._thread.join()

    def look(self, now_ms: int) -> None:
        """Look at every type once, and at the model of kinds. Raises StorageError where the database doesn't answer."""
        from ..components.workplace import Workplace
        from ..pipelines.alarms import settle, settle_faults

        place = Workplace(self._settings.data, self._engine, self._lake)
        with reading(self._engine) as session:
            types = [entry.type_id for entry in device_types.newest(session)]
        for type_id in types:
            settle(place, type_id, self._settings, now_ms)
        settle_faults(place, now_ms)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                self.look(time.time_ns() // 1_000_000)
            except FaultwatchError as error:
                log.warning("model_watch.failed", reason=str(error), meaning="the next look finds the same")
