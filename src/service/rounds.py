"""Looks at the models every few hours, in a child process of low priority, so that training never delays a reading."""

import threading
from typing import TYPE_CHECKING

import structlog

from ..exceptions import FaultwatchError
from .aside import Aside

if TYPE_CHECKING:
    from ..components.workplace import Workplace
    from ..settings import Settings

log = structlog.get_logger(__name__)

FIRST_S = 600.0
"""After the start the loop has its own to do."""


class Rounds:
    """Runs `one_round` in a child process every `settings.monitor_hours`; the next begins once the last is over."""

    def __init__(self, settings: "Settings", first_s: float = FIRST_S) -> None:
        self._settings = settings
        self._first_s = first_s
        self._stopping = threading.Event()
        self._round = Aside(one_round, settings)
        self._thread = threading.Thread(target=self._run, name="rounds", daemon=True)
        self.done = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a run that is under way is ended too, and gone on with by the next round."""
        self._stopping.set()
        self._round.stop()
        self._thread.join()

    def _run(self) -> None:
        wait = self._first_s
        while not self._stopping.wait(wait):
            if exit_code := self._round.run():
                log.error("rounds.failed", exit_code=exit_code, meaning="the next round tries again")
            self.done += 1
            wait = self._settings.monitor_hours * 3600


def one_round(settings: "Settings") -> None:
    """Look at the models of every type, and train again what is due; what fails for one type doesn't stop the next."""
    from ..components.command import now_ms
    from ..components.workplace import Workplace
    from ..logs import configure
    from ..pipelines.watching import watch

    configure(settings)
    place = Workplace.open(settings)
    try:
        for type_id, name in place.types():
            try:
                for line in watch(place, type_id, settings, now_ms):
                    log.info("round", type=name, told=line.strip())
            except FaultwatchError as error:
                log.error("round.failed", type=name, reason=str(error), meaning="the champion goes on serving")
    except FaultwatchError as error:
        log.warning("round.nothing", reason=str(error))
    try:
        _learn_kinds(place, settings)
    finally:
        place.close()


def _learn_kinds(place: "Workplace", settings: "Settings") -> None:
    """Train the model of kinds again, where enough faults with a kind are new."""
    from ..components.command import now_ms
    from ..components.workplace import EVERY_TYPE, FAULT_KINDS
    from ..pipelines.faults import FAULTS, due
    from ..pipelines.operating import run_and_record, told

    try:
        trigger = due(place, settings, now_ms())
        if trigger is not None:
            for line in told(place, run_and_record(FAULTS, place, EVERY_TYPE, trigger, clock=now_ms)):
                log.info("round", type=FAULT_KINDS, told=line.strip())
    except FaultwatchError as error:
        log.error("round.failed", type=FAULT_KINDS, reason=str(error), meaning="the champion goes on naming kinds")
