"""Prometheus' own checker of rules and configurations."""

import shutil
from pathlib import Path


def find() -> Path | None:
    """promtool on the PATH, or None."""
    path = shutil.which("promtool")
    return Path(path) if path else None


def why_absent() -> str | None:
    """None when promtool is here, else what was looked for."""
    return None if find() else "no promtool on the PATH; install the system package prometheus"
