"""`faultwatch status`: one screen, the service running, stopped, killed or not ready."""

import subprocess
import sys
from pathlib import Path

from ..checkout import run
from .service import Fleet, Service, fleet_in, now_ms, rows_at


def status(data: Path) -> "subprocess.CompletedProcess[str]":
    """Run the command."""
    return run([sys.executable, "-m", "src", "status", "--data", data])


def lines(text: str) -> dict[str, str]:
    """What each line of the screen says, by its first words."""
    return {line[:10].strip(): line[11:] for line in text.splitlines()}


def test_a_running_service_is_shown_on_one_screen(running: tuple[Service, Fleet]) -> None:
    service, fleet = running
    at = now_ms()
    service.send(fleet.tokens["write"], rows_at(at, ["p-1", "p-2"]) + rows_at(at, ["p-3"], pressure=99.0))
    service.until(lambda: "3: 3 learning; 2 sent in the last minute" in status(service.data).stdout and {"shown": True})
    done = status(service.data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) <= 24
    shown = lines(done.stdout)
    assert shown["service"].startswith(f"running: role all, process {service.pid}, version 0.1.0, http://127.0.0.1:")
    assert shown["ready"] == "yes (all): log, scorer, database, lake, published"
    assert "2 taken, 0 here already, 1 refused (1 out_of_range)" in shown["readings"]
    assert "0 readings wait" in shown["loop"]
    assert shown["alerts"] == "0 open, 0 of them critical"
    assert shown["notices"] == "0 on their way; 0 given up"
    assert shown["disk"].endswith("free")


def test_a_service_that_is_stopped_or_was_killed_is_said_to_be(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet = fleet_in(data)
    assert "not running; `faultwatch serve" in status(data).stdout
    with Service(data) as service:
        service.until_ready()
        service.send(fleet.tokens["write"], rows_at(now_ms() - 180_000, ["p-1"]))
        with service.full_disk():
            assert service.try_to_send(fleet.tokens["write"], rows_at(now_ms(), ["p-1"])) == 503
            told = status(data)
            assert told.returncode == 1
            assert "NOT READY  log: " in told.stdout and "free space on that disk" in told.stdout.lower()
        service.kill()
    done = status(data)
    assert done.returncode == 1
    shown = lines(done.stdout)
    assert f"process {service.pid}" in shown["service"] and "it was killed" in shown["service"]
    assert "devices" in shown, "what was published last is shown all the same"


def test_a_service_that_took_its_leave_leaves_no_note(tmp_path: Path) -> None:
    data = tmp_path / "data"
    fleet_in(data)
    with Service(data) as service:
        service.until_ready()
    done = status(data)
    assert done.returncode == 1
    assert "not running" in lines(done.stdout)["service"]


def test_a_folder_without_anything_is_no_error(tmp_path: Path) -> None:
    done = status(tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stderr == ""
    shown = lines(done.stdout)
    assert shown["devices"] == "nothing was published yet"
    assert shown["alerts"].startswith("not known: there is no database at")
    assert not (tmp_path / "nothing").exists(), "looking makes nothing"
