"""A small fleet that tests talk to the engine through: slots send readings, time passes, operators speak."""

from collections.abc import Iterable, Sequence

import numpy as np

from ...alerts.engine import (
    Devices,
    EngineConfig,
    EngineState,
    Kind,
    Observations,
    Rejected,
    Rows,
    State,
    Status,
    Transition,
    Word,
    WordKind,
    step,
)

START = 1_700_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
ENTER, LEAVE = 4.0, 2.0
ODD, CALM, GRAVE, BETWEEN = 5.0, 1.0, 9.0, 3.0
ALL = 0b1111


class Fleet:
    """Devices that report every minute and are silent after five; `now` is the log's clock."""

    def __init__(
        self, n: int = 1, *, site: int | Sequence[int] = -1, owner: int = 0, config: EngineConfig | None = None
    ) -> None:
        self.state = EngineState.new(config=config)
        self.now = START
        self.seen: list[Transition] = []
        sites = np.broadcast_to(np.asarray(site), n)
        devices = Devices.of(range(n), interval_ms=MINUTE, silent_after_ms=5 * MINUTE, site=sites, owner=owner)
        self.step(Observations(started=True, devices=devices))

    def step(self, observations: Observations) -> list[Transition]:
        """One step at `now`; remembers what it changed."""
        changed = list(step(self.state, observations, self.now))
        self.seen += changed
        return changed

    def send(
        self,
        slots: int | Iterable[int] = 0,
        score: float = CALM,
        *,
        ts: int | None = None,
        present: int = ALL,
        stuck: int = 0,
        live: bool = True,
        learning: bool = False,
    ) -> list[Transition]:
        """Each of `slots` sends one reading, at `now` unless `ts` says otherwise."""
        who = [slots] if isinstance(slots, int) else list(slots)
        rows = Rows.of(
            who,
            self.now if ts is None else ts,
            score,
            enter=ENTER,
            leave=LEAVE,
            present=present,
            stuck=stuck,
            live=live,
            learning=learning,
        )
        return self.step(Observations(rows=rows))

    def reject(self, slot: int = 0, sensors: int = 1) -> list[Transition]:
        """A row of `slot` is rejected because `sensors` are out of range."""
        return self.step(Observations(rejected=Rejected.of(slot, self.now, sensors)))

    def run(self, scores: Iterable[float], slot: int = 0) -> list[Transition]:
        """One reading a minute, with these scores."""
        changed = []
        for score in scores:
            self.now += MINUTE
            changed += self.send(slot, score)
        return changed

    def minutes(self, n: float, sending: Iterable[int] = (), score: float = CALM) -> list[Transition]:
        """Let minutes pass with a tick at the end of each, while `sending` report."""
        changed = []
        for _ in range(round(n)):
            self.now += MINUTE
            if sending:
                changed += self.send(sending, score)
            changed += self.tick()
        return changed

    def tick(self) -> list[Transition]:
        """Time has passed up to `now`."""
        return self.step(Observations(tick=True))

    def say(
        self,
        kind: WordKind,
        slot: int = 0,
        alert: Kind | None = None,
        *,
        rule: int = -1,
        minutes: tuple[float, float] | None = None,
    ) -> list[Transition]:
        """An operator's word; `minutes` from now is the window of maintenance."""
        word = Word(slot, kind, alert, rule)
        if minutes is not None:
            begin, end = (self.now + round(each * MINUTE) for each in minutes)
            word = Word(slot, kind, alert, rule, begin, end)
        return self.step(Observations(words=[word]))

    def status(self, slot: int = 0) -> Status:
        """The status of a device."""
        return Status(int(self.state.status[slot]))


def moves(changed: Iterable[Transition]) -> list[tuple[Kind, State, State]]:
    """What changed, without the details."""
    return [(each.kind, each.from_state, each.to_state) for each in changed]


def firings(changed: Iterable[Transition], kind: Kind | None = None) -> list[Transition]:
    """Those that began to fire."""
    return [
        each
        for each in changed
        if (each.from_state, each.to_state) == (State.PENDING, State.FIRING) and kind in (None, each.kind)
    ]


def endings(changed: Iterable[Transition], kind: Kind | None = None) -> list[Transition]:
    """Those that resolved."""
    return [each for each in changed if each.to_state == State.RESOLVED and kind in (None, each.kind)]
