"""`Replies`: answers on their way from the thread of intake to the event loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from .answers import Answer

Tell = Callable[[Answer], None]


class Replies:
    """Hands answers out in the event loop, which is woken once for all of a group.

    Whoever hasn't got one within `within_s` seconds is told `instead`.
    """

    def __init__(self, within_s: float, instead: Answer) -> None:
        self._within_s = within_s
        self._instead = instead
        self._given: deque[tuple[_Asked, Answer]] = deque()
        self._waking = False
        # Answers come nearly in order: one timer, for the oldest, does for all.
        self._expected: deque[tuple[float, _Asked]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def expect(self, tell: Tell) -> Tell:
        """What any thread may call with the answer, once; `tell` then gets it in the event loop, or `instead`."""
        loop = asyncio.get_running_loop()
        asked = _Asked(tell)
        self._expected.append((loop.time() + self._within_s, asked))
        if self._timer is None:
            self._timer = loop.call_later(self._within_s, self._expire, loop)
        return partial(self._give, loop, asked)

    def _give(self, loop: asyncio.AbstractEventLoop, asked: "_Asked", answer: Answer) -> None:
        self._given.append((asked, answer))
        if not self._waking:
            self._waking = True
            try:
                loop.call_soon_threadsafe(self._hand_out)
            except RuntimeError:
                self._waking = False  # the loop has ended, and with it whoever waited

    def _hand_out(self) -> None:
        # Cleared first: an answer that comes from here on wakes the loop again.
        self._waking = False
        while self._given:
            asked, answer = self._given.popleft()
            asked.hear(answer)
        while self._expected and self._expected[0][1].tell is None:
            self._expected.popleft()

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        while self._expected and (self._expected[0][1].tell is None or self._expected[0][0] <= now):
            _, asked = self._expected.popleft()
            asked.hear(self._instead)
        self._timer = loop.call_at(self._expected[0][0], self._expire, loop) if self._expected else None


class _Asked:
    """Somebody who waits for an answer; `tell` is None once it came."""

    __slots__ = ("tell",)

    def __init__(self, tell: Tell) -> None:
        self.tell: Tell | None = tell

    def hear(self, answer: Answer) -> None:
        """Tell the first answer, and no other."""
        if self.tell is not None:
            tell, self.tell = self.tell, None
            tell(answer)
