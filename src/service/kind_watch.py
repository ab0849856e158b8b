"""Has the kinds of fault of open alerts named, in a child process of low priority, so that no reading waits for it."""

import os
import threading
import time
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine

from ..exceptions import FaultwatchError
from ..fleet import kind_versions, likely_kinds
from ..fleet.database import reading
from .aside import Aside

if TYPE_CHECKING:
    from ..settings import Settings

log = structlog.get_logger(__name__)

EVERY_S = 60.0
MOST_S = 300.0
"""A child that takes longer than this hangs, and is ended."""


class KindWatch:
    """Asks the database every `every_s` whether an alert is due, and starts `name_due` where one is: one child at a
    time, none while nothing is due or no model names kinds."""

    def __init__(self, settings: "Settings", engine: Engine, every_s: float = EVERY_S) -> None:
        self._engine = engine
        self._every_s = every_s
        self._stopping = threading.Event()
        self._naming = Aside(name_due, settings, MOST_S)
        self._thread = threading.Thread(target=self._run, name="kind-watch", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a child at work is ended too, what it has written down stays."""
        self._stopping.set()
        self._naming.stop()
        self._thread.join()

    def is_due(self, now_ms: int) -> bool:
        """Whether some alert is to be looked at. Raises StorageError where the database doesn't answer."""
        with reading(self._engine) as session:
            champion = kind_versions.champion(session)
            return champion is not None and bool(likely_kinds.due(session, champion.version, now_ms, 1))

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            try:
                if self.is_due(time.time_ns() // 1_000_000) and (exit_code := self._naming.run()):
                    log.error("kind_watch.child_failed", exit_code=exit_code, meaning="the next look tries again")
            except FaultwatchError as error:
                log.warning("kind_watch.failed", reason=str(error), meaning="the next look finds the same")


def name_due(settings: "Settings") -> None:
    """Name the kinds of the alerts that are due."""
    # One thread: sums of the size at hand gain nothing by more, and the other core is the scorer's.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from ..components.command import now_ms
    from ..components.workplace import Workplace
    from ..logs import configure
    from ..pipelines import naming

    configure(settings)
    place = Workplace.open(settings)
    try:
        naming.name_due(place, now_ms())
    except FaultwatchError as error:
        log.error("kinds.not_named", reason=str(error), meaning="alerts are told without their kind")
    finally:
        place.close()
