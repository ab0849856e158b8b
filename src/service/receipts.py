"""`Receipts`: the answers that requests with an idempotency key got, so that a repetition gets the same."""

from collections import OrderedDict
from collections.abc import Iterable

from ..telemetry.records import Receipt

KEEP_MS = 24 * 3_600_000
MOST = 100_000


class Receipts:
    """Answers by token and key, for `keep_ms`, the newest `most` of them."""

    def __init__(self, seed: Iterable[Receipt], now_ms: int, keep_ms: int = KEEP_MS, most: int = MOST) -> None:
        self.keep_ms = keep_ms
        self.most = most
        self._answers: OrderedDict[tuple[int, str], tuple[int, bytes]] = OrderedDict()
        self.add(seed, now_ms)

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, token_id: int, key: str, now_ms: int) -> bytes | None:
        """The answer that this token got under this key, None where it is new or too long ago."""
        kept = self._answers.get((token_id, key))
        return kept[1] if kept is not None and now_ms - kept[0] < self.keep_ms else None

    def add(self, receipts: Iterable[Receipt], now_ms: int) -> None:
        """Keep answers given at `now_ms`; forget the oldest."""
        for receipt in receipts:
            self._answers[receipt.token_id, receipt.key] = (now_ms, receipt.answer)
            self._answers.move_to_end((receipt.token_id, receipt.key))
        while self._answers:
            given_ms = next(iter(self._answers.values()))[0]
            if len(self._answers) <= self.most and now_ms - given_ms < self.keep_ms:
                break
            self._answers.popitem(last=False)
