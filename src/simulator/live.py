"""A simulated fleet in time: which readings are due next, and sending them when they are."""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import polars as pl

from .fleet import EPOCH, Fleet
from .sending import Body, Pauses, Rejection, Sender, encode, requests_of


@dataclass(frozen=True, slots=True)
class Pace:
    """From when, how fast and for how long (in the fleet's time; None: without end) a fleet lives."""

    start: datetime
    speed: float = 1.0
    duration: timedelta | None = None

    def due(self, moment: datetime, began: datetime) -> datetime:
        """Return when the readings of `moment` go out, for a run that began at `began`.

        Never before `moment` itself: a fast fleet that has caught up with the clock goes on in real time.
        """
        return max(moment, began + (moment - self.start) / self.speed)


@dataclass(frozen=True, slots=True)
class Sent:
    """One type's readings of one moment after they were sent: rows by outcome, and how late they went out.

    `examples` are some of the rejected rows, with the server's reasons.
    """

    moment: datetime
    type_name: str
    accepted: int
    duplicate: int
    rejected: int
    late: timedelta
    examples: tuple[Rejection, ...] = ()


def moments(fleet: Fleet, start: datetime, end: datetime | None) -> Iterator[tuple[datetime, str]]:
    """Yield (moment, type) in order of time for every reading that is due from `start` until before `end`."""
    waiting = []
    for order, device_type in enumerate(fleet.types):
        first, _ = fleet.due(device_type, start, start)
        waiting.append((first * device_type.interval_ms, order))
    heapq.heapify(waiting)
    while True:
        ms, order = waiting[0]
        moment = EPOCH + timedelta(milliseconds=ms)
        if end is not None and moment >= end:
            return
        yield moment, fleet.types[order].name
        heapq.heapreplace(waiting, (ms + fleet.types[order].interval_ms, order))


def frame_at(fleet: Fleet, type_name: str, moment: datetime, homes: pl.Series) -> pl.DataFrame:
    """Return the readings of one type that are due at `moment`, as they are sent: with type and site.

    `homes` are the site ids of the type's devices, in the order of the group.
    """
    group = fleet.group(type_name)
    frame = fleet.readings(type_name, moment, moment + timedelta(milliseconds=1))
    if len(frame) < len(group):
        homes = pl.DataFrame({"device_id": group.ids, "site": homes}).join(
            frame.select("device_id"), on="device_id", how="semi", maintain_order="left"
        )["site"]
    return frame.select(
        "device_id",
        "timestamp",
        pl.lit(type_name).alias("type"),
        homes.alias("site"),
        pl.exclude("device_id", "timestamp"),
    )


def homes_of(fleet: Fleet) -> dict[str, pl.Series]:
    """Return the site ids of the devices of each type, in the order of its group."""
    names = pl.Series([site.id for site in fleet.sites])
    return {group.model.name: names.gather(pl.Series(group.site_of).cast(pl.UInt32)) for group in fleet.groups}


def run(
    fleet: Fleet,
    pace: Pace,
    sender: Sender,
    pauses: Pauses,
    body: Body = "arrow",
    parts: bool = False,
    sent: Callable[[Sent], None] = lambda moment: None,
) -> None:
    """Send the fleet's readings at `pace` until its duration is over, one request per type and moment.

    A type that sends `parts`, and every type with `parts`, sends each sensor on its own. Returns when the
    duration is over; a server that can't be reached is waited for, and what was due meanwhile goes out then.
    """
    began = pauses.now()
    run_key = f"simulate-{fleet.seed}-{round(began.timestamp() * 1000):x}"
    homes = homes_of(fleet)
    split = {device_type.name: parts or device_type.sends == "parts" for device_type in fleet.types}
    end = None if pace.duration is None else pace.start + pace.duration
    for moment, type_name in moments(fleet, pace.start, end):
        frame = frame_at(fleet, type_name, moment, homes[type_name])
        due = pace.due(moment, began)
        wait = (due - pauses.now()).total_seconds()
        if wait > 0:
            pauses.sleep(wait)
        answers = []
        for number, rows in enumerate(requests_of(frame, parts=split[type_name])):
            if rows.is_empty():
                continue
            key = f"{run_key}-{type_name}-{round(moment.timestamp() * 1000):x}-{number}"
            answers.append(sender.send(encode(rows, body), body, key))
        sent(
            Sent(
                moment=moment,
                type_name=type_name,
                accepted=sum(answer.accepted for answer in answers),
                duplicate=sum(answer.duplicate for answer in answers),
                rejected=sum(answer.rejected for answer in answers),
                late=max(timedelta(0), pauses.now() - due),
                examples=tuple(example for answer in answers for example in answer.examples),
            )
        )
