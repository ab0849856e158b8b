"""Receipts: the same key, the same answer, for a day, and never without end."""

from ...service.receipts import Receipts
from ...telemetry.records import Receipt


def test_an_answer_is_kept_for_its_token_and_its_time() -> None:
    receipts = Receipts([], 0, keep_ms=100)
    receipts.add([Receipt(1, "k", b"a")], 10)
    assert receipts.answer(1, "k", 109) == b"a"
    assert receipts.answer(2, "k", 10) is None
    assert receipts.answer(1, "k", 110) is None


def test_the_oldest_go_first_by_time_and_by_number() -> None:
    receipts = Receipts([Receipt(1, "old", b"")], 0, keep_ms=100, most=2)
    receipts.add([Receipt(1, "a", b""), Receipt(1, "b", b"")], 50)
    assert receipts.answer(1, "old", 50) is None
    assert len(receipts) == 2
    receipts.add([], 149)
    assert len(receipts) == 2
    receipts.add([], 150)
    assert len(receipts) == 0
