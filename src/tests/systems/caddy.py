"""The Caddy of this machine, which checks the example of it."""

import shutil
from pathlib import Path


def find() -> Path | None:
    """Caddy on the PATH, or None."""
    path = shutil.which("caddy")
    return Path(path) if path else None


def why_absent() -> str | None:
    """None when Caddy is here, else what was looked for."""
    return None if find() else "no caddy on the PATH; install the system package caddy"
