"""systemd's own checker of units."""

import shutil
from pathlib import Path


def find() -> Path | None:
    """systemd-analyze on the PATH, or None."""
    path = shutil.which("systemd-analyze")
    return Path(path) if path else None


def why_absent() -> str | None:
    """None when it is here, else what was looked for."""
    return None if find() else "no systemd-analyze on the PATH; it comes with systemd"
