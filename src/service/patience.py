"""How code that advances the state asks storage for something: at once, or until it answers."""

from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Insist(Protocol):
    """Asks storage for what a record can't be applied without."""

    def __call__(self, what: str, question: Callable[[], Answer], /) -> Answer:
        """The answer to a question that may be asked again; `what` names it in the log."""


def at_once(what: str, question: Callable[[], Answer], /) -> Answer:
    """Ask once: a StorageError is the caller's."""
    return question()
