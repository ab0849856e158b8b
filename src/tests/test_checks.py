"""Checks: words for what is wrong, and an answer even where what is looked at never gives one."""

import asyncio
import threading
import time
from pathlib import Path

from ..checks import Checks, free_bytes, full_disk
from ..exceptions import StorageError


def test_what_a_probe_says_or_raises_is_the_fault() -> None:
    def broken() -> str | None:
        raise StorageError("the disk is gone: put it back")

    faults = asyncio.run(Checks({"fine": lambda: None, "odd": lambda: "odd: do this", "broken": broken}).run())
    assert faults == {"fine": None, "odd": "odd: do this", "broken": "the disk is gone: put it back"}


def test_a_probe_that_hangs_is_a_fault_and_holds_one_thread() -> None:
    asked: list[int] = []
    released = threading.Event()

    def hanging() -> str | None:
        asked.append(1)
        released.wait()
        return None

    async def ask_thrice() -> list[dict[str, str | None]]:
        checks = Checks({"database": hanging, "log": lambda: None}, within_s=0.05)
        found = [await checks.run() for _ in range(3)]
        released.set()
        while (last := await checks.run())["database"] is not None:
            await asyncio.sleep(0.01)
        return [*found, last]

    began = time.monotonic()
    *hung, answered = asyncio.run(ask_thrice())
    assert time.monotonic() - began < 2
    assert all(str(faults["database"]).startswith("no answer within 0.05 s") for faults in hung)
    assert all(faults["log"] is None for faults in hung)
    assert answered == {"database": None, "log": None}
    assert len(asked) == 1, "one probe for all that asked while it hung"


def test_a_full_disk_says_how_much_is_left_and_what_to_do(tmp_path: Path) -> None:
    assert full_disk(tmp_path / "not" / "there" / "yet") is None
    fault = full_disk(tmp_path, least=1 << 62)
    assert fault is not None
    assert f"the disk of {tmp_path} has {free_bytes(tmp_path) >> 20}"[:-2] in fault
    assert "free some space" in fault
