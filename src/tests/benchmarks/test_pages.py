"""Pages are looked at while rows come in."""

from pathlib import Path

from ...benchmarks.pages import LEAST_LOOKS, measure
from ...benchmarks.throughput import Load


def test_every_page_answers_while_every_row_is_accepted(tmp_path: Path) -> None:
    figures = measure(Load(devices=1_000, sensors=8, minutes=3, form="arrow", rows_per_request=100), tmp_path)
    assert figures["rows_accepted"] == 3_000
    looks, page_ms = figures["looks"], figures["page_ms"]
    assert isinstance(looks, int) and looks >= LEAST_LOOKS
    assert isinstance(page_ms, dict) and set(page_ms) == {"fleet", "devices", "device", "alerts"}
    assert all(0 < each["p50"] <= each["p95"] for each in page_ms.values())
