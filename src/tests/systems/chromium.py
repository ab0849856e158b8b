"""The Chromium of this machine, for tests that look at pages as a person does."""

import shutil
from dataclasses import dataclass
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""No sandbox because continuous integration runs as root; nothing that would talk to the outside."""


@dataclass(frozen=True)
class Chromium:
    """What Playwright needs: `chromium.launch(executable_path=c.executable, args=list(c.arguments))`."""

    executable: Path
    arguments: tuple[str, ...] = ARGUMENTS


def find() -> Chromium | None:
    """The first Chromium on the PATH, or None."""
    for name in NAMES:
        if path := shutil.which(name):
            return Chromium(Path(path))
    return None


def why_absent() -> str | None:
    """None when a Chromium is here, else what was looked for."""
    return None if find() else f"none of {', '.join(NAMES)} on the PATH; install the system package chromium"
