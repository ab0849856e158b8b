"""`Refusals`: the rows of a group of requests that are not taken, for quarantine and for the answers."""

from collections import Counter
from collections.abc import Mapping, Sequence

from ..telemetry.records import BadRow
from .answers import EXAMPLES, Example


class Refusals:
    """Bad rows, and for each request how many there are for which reason, and the first of them.

    `outside`: by its place in `bad_rows`, the time (ms) of a row out of range, and a bit for each sensor that was.
    """

    def __init__(self) -> None:
        self.bad_rows: list[BadRow] = []
        self.outside: dict[int, tuple[int, int]] = {}
        self._reasons: dict[int, Counter[str]] = {}
        self._examples: dict[int, list[Example]] = {}

    def add(self, request: int, number: int, row: BadRow, outside: tuple[int, int] | None = None) -> None:
        """Row `number` of a request is not taken."""
        if outside is not None:
            self.outside[len(self.bad_rows)] = outside
        self.bad_rows.append(row)
        self._reasons.setdefault(request, Counter())[row.reason] += 1
        examples = self._examples.setdefault(request, [])
        examples.append(Example(number, row.device_id, row.reason, row.message))
        if len(examples) > 100:
            examples[:] = _first(examples)

    def reasons(self, request: int) -> Mapping[str, int]:
        """How many rows of a request are not taken for which reason, the most frequent first."""
        return dict(self._reasons[request].most_common()) if request in self._reasons else {}

    def examples(self, request: int) -> Sequence[Example]:
        """The first rows of a request that are not taken."""
        return _first(self._examples[request]) if request in self._examples else ()


def _first(examples: Sequence[Example]) -> list[Example]:
    return sorted(examples, key=lambda example: example.row)[:EXAMPLES]
