"""The nginx of this machine, for tests of what stands before the service."""

import shutil
from pathlib import Path

BESIDE_THE_PATH = "/usr/sbin"
"""Where Debian keeps it, which people's PATH leaves out."""


def find() -> Path | None:
    """The system's nginx, or None."""
    path = shutil.which("nginx") or shutil.which("nginx", path=BESIDE_THE_PATH)
    return Path(path) if path else None


def why_absent() -> str | None:
    """None when nginx is here, else what was looked for."""
    return None if find() else f"no nginx on the PATH or in {BESIDE_THE_PATH}; install the system package nginx-light"
