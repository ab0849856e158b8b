"""The tutorial, executed as it is written: from a clone to the mail, and to the alert on the page."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from ..checkout import ROOT
from ..systems.chromium import Chromium

PAGE = (ROOT / "docs" / "tutorial" / "first-alert.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
INSTALLING, MAKING, LEARNING, MAIL_SERVER, TELLING, SERVING, SENDING = BLOCKS


class Terminal:
    """A shell in the folder of the tutorial; what is exported in one block holds in the next."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self._folder = folder
        self._environment = {**os.environ, **environment}

    def run(self, block: str, timeout: float = 110) -> str:
        """Run a block of the page to its end; what it prints. One that fails fails the test."""
        script = f"set -e\n{block}\nenv -0 > .environment"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        pairs = (self._folder / ".environment").read_text().split("\0")
        self._environment = dict(pair.split("=", 1) for pair in pairs if pair)
        return done.stdout

    @contextmanager
    def running(self, block: str, until: str) -> Iterator["Screen"]:
        """Run a block whose last command goes on until Ctrl-C; begins once the screen shows `until`."""
        path = self._folder / f"screen-{time.monotonic_ns()}"
        with path.open("w") as output:
            process = subprocess.Popen(
                ["bash", "-c", f"set -e\n{block.rstrip()}"],
                cwd=self._folder,
                env={**self._environment, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            screen = Screen(path, process)
            screen.wait_for(until)
            yield screen
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise


class Screen:
    """What a program that runs has printed so far."""

    def __init__(self, path: Path, process: "subprocess.Popen[bytes]") -> None:
        self._path = path
        self._process = process

    @property
    def text(self) -> str:
        """All of it."""
        return self._path.read_text(encoding="utf-8")

    def wait_for(self, pattern: str, within_s: float = 60) -> "re.Match[str]":
        """Wait until something is on it."""
        deadline = time.monotonic() + within_s
        while not (found := re.search(pattern, self.text, re.S)):
            assert self._process.poll() is None, f"it ended:\n{self.text}"
            assert time.monotonic() < deadline, f"{pattern!r} not within {within_s:g} s:\n{self.text}"
            time.sleep(0.05)
        return found

    def wait_for_port(self, port: int, within_s: float = 60) -> None:
        """Wait until it listens."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                return socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                assert self._process.poll() is None, f"it ended:\n{self.text}"
                assert time.monotonic() < deadline, f"nothing listens on port {port}:\n{self.text}"
                time.sleep(0.05)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def as_installed(folder: Path) -> Terminal:
    """A folder as `make setup` leaves it, with this very code and the packages of this Python."""
    (folder / ".venv").symlink_to(sys.prefix)
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    return Terminal(folder, PYTHONPATH=str(ROOT), PATH=path)


def follow(terminal: Terminal, chromium: Chromium, device: str, sensor: str, learn: int = 1000) -> None:
    """From step 3 on, to the mail about a live reading and the page that its link opens; `learn` rows are good ones."""
    mail_port, port = free_port(), free_port()
    elsewhere = f"export FAULTWATCH_PORT={port}\n"
    mail_server, telling = (block.replace(":8025", f":{mail_port}") for block in (MAIL_SERVER, TELLING))
    with ExitStack() as stack:
        assert "has learnt what is normal" in terminal.run(
            elsewhere + LEARNING.replace("1000", str(learn)), timeout=300
        )
        mail = stack.enter_context(terminal.running(mail_server + "\n", until=""))
        mail.wait_for_port(mail_port)
        assert "took the test message" in terminal.run(telling)
        mail.wait_for(r"Subject: Test: My company")
        service = stack.enter_context(terminal.running(SERVING, until=r"http://\S+/setup/\S+"))
        link = service.wait_for(r"http://\S+/setup/\S+")[0]
        told = terminal.run(SENDING.replace("1000", str(learn)))
        assert re.search(r"[\d,]+ readings of 1 device accepted$", told.strip(), re.M), told
        link_in_mail = rf"http://127.0.0.1:{port}/alerts\?chosen=3D(\d+)\s"
        found = mail.wait_for(rf"Subject: (Warning|Critical): {device}\b.*?{sensor}.*?{link_in_mail}")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium.executable, args=list(chromium.arguments))
            page = browser.new_page()
            page.goto(link)
            for name, value in (("name", "Kim"), ("email", "kim@example.com"), ("password", "a long enough word")):
                page.fill(f"input[name={name}]", value)
            page.click("form button")
            page.wait_for_url(re.compile(r"/$"))
            page.goto(f"http://127.0.0.1:{port}/alerts?chosen={found[2]}")
            expect(page.locator("main")).to_contain_text(re.compile(f"{sensor}.*what is normal for this pump"))
            expect(page.locator("main")).to_contain_text(device)
            browser.close()


@pytest.mark.timeout(400)
def test_the_file_that_the_page_makes_leads_to_a_mail_about_its_fault(tmp_path: Path, chromium: Chromium) -> None:
    terminal = as_installed(tmp_path)
    terminal.run(MAKING)
    follow(terminal, chromium, "pump-001", "Vibration")


@pytest.mark.verify
@pytest.mark.timeout(900)
def test_a_real_recording_leads_from_a_clone_to_a_mail_within_five_minutes(
    shared_data: Path, tmp_path: Path, chromium: Chromium
) -> None:
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    clone = tmp_path / "faultwatch"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    terminal = Terminal(clone, PATH=path)
    terminal.run(INSTALLING, timeout=600)
    shutil.copy(shared_data / "skab" / "valve1-00.csv", clone / "readings.csv")
    follow(terminal, chromium, "readings", "Volume Flow RateRMS", learn=400)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    worked_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"from the clone to the alert on the page: {time.monotonic() - began:.0f} s, {worked_s:.0f} s of them worked")
    assert worked_s < 300, "in processor time: on a machine that is busy with other things all takes longer"
