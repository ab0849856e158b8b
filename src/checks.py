"""Checks of what the service stands on: each says in words what is wrong and what to do, or nothing."""

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from .exceptions import FaultwatchError

Probe = Callable[[], str | None]
"""Looks at one thing: None where it is fine, else what is wrong and what to do. It may block, and may raise a
FaultwatchError that says as much."""

WITHIN_S = 5.0
"""How long a probe may take; a database that doesn't answer at all must not keep /readyz from answering."""

LEAST_FREE_BYTES = 64 << 20
"""With less than this, a segment of the log, a disk is as good as full."""


class Checks:
    """Runs probes side by side, each at most once at a time: one that hangs holds one thread, not one per asking."""

    def __init__(self, probes: Mapping[str, Probe], within_s: float = WITHIN_S) -> None:
        self._probes = dict(probes)
        self._within_s = within_s
        self._running: dict[str, asyncio.Future[str | None]] = {}

    async def run(self) -> dict[str, str | None]:
        """The fault of each check by its name, None where there is none."""
        faults = await asyncio.gather(*(self._run(name) for name in self._probes))
        return dict(zip(self._probes, faults, strict=True))

    async def _run(self, name: str) -> str | None:
        task = self._running.get(name)
        if task is None:
            task = asyncio.ensure_future(asyncio.to_thread(fault_of, self._probes[name]))
            self._running[name] = task
            task.add_done_callback(lambda _: self._running.pop(name, None))
        try:
            return await asyncio.wait_for(asyncio.shield(task), self._within_s)
        except TimeoutError:
            return (
                f"no answer within {self._within_s:g} s; see whether the machine or the network behind it is there,"
                " and what the log of faultwatch says"
            )


def fault_of(probe: Probe) -> str | None:
    """What a probe finds; what it raises in its place."""
    try:
        return probe()
    except FaultwatchError as error:
        return str(error)


def free_bytes(path: Path) -> int:
    """Free space where `path` is, or would be made; 0 where that can't be told."""
    try:
        found = os.statvfs(next(place for place in (path, *path.parents) if place.exists()))
    except OSError:
        return 0
    return found.f_bavail * found.f_frsize


def full_disk(path: Path, least: int = LEAST_FREE_BYTES) -> str | None:
    """The fault of a disk that is as good as full."""
    free = free_bytes(path)
    if free >= least:
        return None
    return (
        f"the disk of {path} has {free / (1 << 20):.0f} MiB free; expected at least {least >> 20}: free some space"
        " (old backups, other programs' files), enlarge the disk, or keep readings for less long (retention_days)"
    )
