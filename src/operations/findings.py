"""What an examination finds: one line, all right or not, with what to do."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from ..exceptions import FaultwatchError

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line: `warn` is worth a look, with `fail` faultwatch doesn't work, or won't for long."""

    level: Level
    subject: str
    words: str


Examination = Callable[[], Iterator[Finding]]


def examined(subject: str, examination: Examination) -> Iterator[Finding]:
    """The findings of an examination; where it can't be made, that is what it finds."""
    try:
        yield from examination()
    except FaultwatchError as error:
        yield Finding("fail", subject, str(error))
    except OSError as error:
        yield Finding("fail", subject, f"{error.strerror or error} ({error.filename}); check who owns that place")
