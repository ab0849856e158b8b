"""News for open pages: one task reads the database and the loop's snapshot, every stream gets its owner's part."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import msgspec
import polars as pl
import structlog
from sqlalchemy import Engine

from ..exceptions import StorageError
from ..fleet import events
from ..fleet.database import reading
from .roster import Roster, Rosters

POLL_S = 0.3
PING_S = 15.0
"""A stream without news says so this often, so that nobody between closes it."""
CATCH_UP = 1000
"""Who missed more events than this is told to load anew."""
MAX_CHANGED = 5000
"""Who would get more changes of status at once is told to load the fleet anew."""
QUEUE = 256
"""Messages that may wait for a slow reader; the stream of one who is slower ends, and they come back."""

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class _Stream:
    owner_id: int | None
    told: Roster | None = None
    queue: asyncio.Queue[bytes | None] = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def give(self, message: bytes) -> None:
        try:
            self.queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        while not self.queue.empty():
            self.queue.get_nowait()
        self.queue.put_nowait(None)


class Feed:
    """Serves the event streams of one process until `shutdown` is set."""

    def __init__(self, engine: Engine, rosters: Rosters, shutdown: asyncio.Event) -> None:
        self._engine = engine
        self._rosters = rosters
        self._shutdown = shutdown
        self._streams: set[_Stream] = set()
        self._last_id: int | None = None

    @property
    def streams(self) -> int:
        """How many pages, or groups of tabs, listen now."""
        return len(self._streams)

    async def run(self) -> None:
        """Poll for news until the shutdown; then end every stream, so that the server can go."""
        while not self._shutdown.is_set():
            try:
                if self._last_id is None:
                    self._last_id = await asyncio.to_thread(self._newest_id)
                await self._poll()
            except StorageError as error:
                # Pages say that they aren't live; the next poll may find the database again.
                log.warning("feed.not_read", reason=str(error))
            except Exception as error:  # a bug; it must not end the news of every page until the next start
                log.error("feed.bug", exc_info=error)
            try:
                await asyncio.wait_for(self._shutdown.wait(), POLL_S)
            except TimeoutError:
                continue
        for stream in list(self._streams):
            stream.end()

    async def stream(self, owner_id: int | None, after: int | None) -> AsyncIterator[bytes]:
        """Server-sent events of one owner (None: of all) until shutdown; `after`: the last id its reader saw."""
        mine = _Stream(owner_id)
        self._streams.add(mine)
        try:
            async for message in self._greeting(mine, after):
                yield message
            while not self._shutdown.is_set():
                try:
                    waiting = await asyncio.wait_for(mine.queue.get(), PING_S)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if waiting is None:
                    return
                yield waiting
        finally:
            self._streams.discard(mine)

    async def _greeting(self, mine: _Stream, after: int | None) -> AsyncIterator[bytes]:
        """What happened since `after`, then where the fleet stands."""
        newest, missed = await asyncio.to_thread(self._missed, mine.owner_id, after)
        yield b"retry: 1000\n" + _message("hello", {}, newest if after is None else None)
        for event in missed[:CATCH_UP]:
            yield _event(event)
        if len(missed) > CATCH_UP:
            yield _message("historic_alerts", {"changes": len(missed)}, newest)
        mine.told = await asyncio.to_thread(self._rosters.now)
        # Who comes back may have missed changes of status, which aren't kept: they load the fleet anew.
        yield _message("fleet", {**_fleet(mine.told, mine.owner_id, None), "reload": after is not None})

    def _missed(self, owner_id: int | None, after: int | None) -> tuple[int, list[events.EventEntry]]:
        with reading(self._engine) as session:
            newest = events.last_id(session)
            if after is None:
                return newest, []
            return newest, events.after(session, after, CATCH_UP + 1, owner_id)

    def _newest_id(self) -> int:
        with reading(self._engine) as session:
            return events.last_id(session)

    async def _poll(self) -> None:
        for event in await asyncio.to_thread(self._fresh):
            self._last_id = event.id
            message = _event(event)
            for stream in list(self._streams):
                if stream.owner_id in (None, event.owner_id):
                    stream.give(message)
        if not self._streams:
            return
        await self._tell_fleet(await asyncio.to_thread(self._rosters.now))

    def _fresh(self) -> list[events.EventEntry]:
        with reading(self._engine) as session:
            return events.after(session, self._last_id or 0)

    async def _tell_fleet(self, roster: Roster) -> None:
        """Tell each stream what changed since it was told last; those who were told the same get the same."""
        messages: dict[tuple[int | None, int], bytes] = {}
        changes: dict[int, pl.DataFrame] = {}
        for stream in list(self._streams):
            if stream.told is None or stream.told is roster:
                continue
            before, stream.told = stream.told, roster
            if id(before) not in changes:
                changes[id(before)] = await asyncio.to_thread(_changes, before, roster)
            what = (stream.owner_id, id(before))
            if what not in messages:
                messages[what] = _message("fleet", _fleet(roster, stream.owner_id, changes[id(before)]))
            stream.give(messages[what])


def _changes(before: Roster, after: Roster) -> pl.DataFrame:
    """Devices whose status is another than before: device_key, owner_id, status."""
    old = before.frame.select("device_key", pl.col("status").alias("was"))
    both = after.frame.select("device_key", "owner_id", "status").join(old, on="device_key", how="left")
    return both.filter(pl.col("status").ne_missing(pl.col("was"))).drop("was")


def _fleet(roster: Roster, owner_id: int | None, changed: pl.DataFrame | None) -> dict[str, object]:
    said: dict[str, object] = {
        "at_ms": roster.published_ms or time.time_ns() // 1_000_000,
        "counts": roster.counts(owner_id),
        "devices": roster.of(owner_id).height,
        "readings_per_min": roster.readings_per_min(owner_id),
        "changed": [],
    }
    if changed is not None:
        mine = changed if owner_id is None else changed.filter(pl.col("owner_id") == owner_id)
        said["changed"] = [list(row) for row in mine.select("device_key", "status").head(MAX_CHANGED).iter_rows()]
        said["reload"] = mine.height > MAX_CHANGED
    return said


def _event(event: events.EventEntry) -> bytes:
    data = {**event.payload, "at_ms": event.at_ms, "device_key": event.device_key, "alert_id": event.alert_id}
    return _message(event.kind, data, event.id)


def _message(kind: str, data: Mapping[str, object], event_id: int | None = None) -> bytes:
    number = b"" if event_id is None else b"id: %d\n" % event_id
    return number + b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(data))
