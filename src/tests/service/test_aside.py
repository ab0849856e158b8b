"""Work beside the loop: run to its end, ended where it hangs or the loop stops, never begun after that."""

import threading
import time
from pathlib import Path

import pytest

from ...service.aside import NICENESS, Aside
from ...settings import Settings


def write(settings: Settings) -> None:
    """Leave word, with how low the priority is."""
    (settings.data / "done").write_text(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[16])


def fail(_: Settings) -> None:
    """End with an exit code of its own."""
    raise SystemExit(3)


def hang(settings: Settings) -> None:
    """Leave word of having begun, and never end."""
    (settings.data / "begun").touch()
    time.sleep(600)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings whose data folder is there."""
    return Settings(data=tmp_path)


def test_work_is_done_in_a_process_of_low_priority(settings: Settings) -> None:
    assert Aside(write, settings).run() == 0
    assert int((settings.data / "done").read_text()) == NICENESS
    assert Aside(fail, settings).run() == 3


def test_a_child_that_hangs_is_ended(settings: Settings) -> None:
    assert Aside(hang, settings, most_s=0.1).run() == -15


def test_stopping_ends_a_child_at_work_and_lets_none_begin(settings: Settings) -> None:
    aside, codes = Aside(hang, settings), list[int | None]()
    thread = threading.Thread(target=lambda: codes.append(aside.run()))
    thread.start()
    while not (settings.data / "begun").exists():
        assert thread.is_alive()
        time.sleep(0.02)
    aside.stop()
    thread.join(30)
    assert codes == [None]
    (settings.data / "begun").unlink()
    assert aside.run() is None and not (settings.data / "begun").exists()
