"""Work in a child process of low priority, so that no reading waits for it."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..settings import Settings

Work = Callable[["Settings"], None]

NICENESS = 10


class Aside:
    """Runs `work(settings)` in a child, one at a time, until it is stopped. `work` is a function of a module.

    A child that takes longer than `most_s` hangs, and is ended.
    """

    def __init__(self, work: Work, settings: "Settings", most_s: float | None = None) -> None:
        self._work = work
        self._settings = settings
        self._most_s = most_s
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._child: SpawnProcess | None = None

    def run(self) -> int | None:
        """Run it once, and wait; the exit code of the child, None where it was stopped, or never began for that."""
        with self._lock:
            if self._stopped.is_set():
                return None
            # Started while other threads run: a fork would take their locks along.
            child = multiprocessing.get_context("spawn").Process(target=_lowly, args=(self._work, self._settings))
            child.start()
            self._child = child
        child.join(self._most_s)
        if child.is_alive():
            child.terminate()
            child.join()
        return None if self._stopped.is_set() else child.exitcode

    def stop(self) -> None:
        """Let nothing begin any more, and end a child at work."""
        with self._lock:
            self._stopped.set()
        if self._child is not None:
            self._child.terminate()


def _lowly(work: Work, settings: "Settings") -> None:
    os.nice(NICENESS)
    work(settings)
