"""The how-to page on data of one's own, executed from the downloaded files to the alert on the dashboard."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ..checkout import ROOT, SOURCE
from ..systems.chromium import Chromium

PAGE = (ROOT / "docs" / "how-to" / "your-own-data.md").read_text(encoding="utf-8")
FOUR, OTHER = (block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S))


@pytest.fixture
def downloaded(shared_data: Path, tmp_path: Path) -> Path:
    """A folder with SKAB as its repository lays it out."""
    for path in (shared_data / "skab").glob("valve*.csv"):
        folder, number = path.stem.split("-")
        target = tmp_path / "SKAB" / "data" / folder / f"{int(number)}.csv"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return tmp_path


def command(line: str, folder: Path) -> list[str]:
    """A command of the page as a shell would start it, its patterns expanded."""
    first, *words = shlex.split(line)
    assert first == "faultwatch"
    spread = [sorted(str(path.relative_to(folder)) for path in folder.glob(w)) if "*" in w else [w] for w in words]
    return [sys.executable, "-m", SOURCE.name, *(word for found in spread for word in found)]


def run(line: str, folder: Path) -> str:
    """Run a command of the page; what it prints."""
    done = subprocess.run(command(line, folder), cwd=folder, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def environment() -> dict[str, str]:
    """The checkout's own code, wherever the command runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "FAULTWATCH_PORT": "0"}


@contextmanager
def serving(line: str, folder: Path) -> Iterator[str]:
    """Run the page's `serve` and give the link that it prints."""
    process = subprocess.Popen(command(line, folder), cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        links = (re.search(r"http://\S+/setup/\S+", told) for told in process.stderr)
        yield next(found[0] for found in links if found)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in (0, 130)  # 130: ended by Ctrl-C


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable, args=list(chromium.arguments))
        yield browser.new_page()
        browser.close()


def test_four_commands_lead_from_the_files_to_an_alert(downloaded: Path, page: Page) -> None:
    inferring, adding, ingesting, starting = FOUR
    assert "'anomaly' is left out" in run(inferring, downloaded)
    assert "testbed version 1" in run(adding, downloaded)
    told = run(ingesting, downloaded)
    counts = re.search(r"([\d,]+) readings of (\d+) devices taken in, ([\d,]+) judged, (\d+) alerts", told)
    assert counts is not None, told
    readings, devices, judged, alerts = (int(count.replace(",", "")) for count in counts.groups())
    assert (readings - judged, devices) == (400 * 8, 8) and alerts > 0
    with serving(starting, downloaded) as link:
        page.goto(link)
        for name, value in (("name", "Kim"), ("email", "kim@example.com"), ("password", "a long enough word")):
            page.fill(f"input[name={name}]", value)
        page.click("form button")
        page.wait_for_url(re.compile(r"/$"))
        page.goto(page.url + "alerts?tab=resolved")
        found = page.locator("#inbox li.row")
        expect(found.first).to_contain_text("what is normal for this testbed")
        page.goto(link.split("/setup/")[0] + "/devices/0")
        expect(page.locator("#charts[data-drawn]")).to_be_visible()


def test_the_other_commands_of_the_page_run_on_files_of_the_same_name(downloaded: Path) -> None:
    inferring, ingesting = OTHER
    run(FOUR[0], downloaded)
    run(FOUR[1], downloaded)
    run(inferring, downloaded)
    told = run(f'{ingesting} --owner "My lab"', downloaded)
    assert "readings of 2 devices taken in" in told
    assert "no reading was judged" in told and "--learn N" in told
