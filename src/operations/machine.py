"""Examines what faultwatch runs on: versions, settings, folders, space, the clock."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import version as version_of
from pathlib import Path

from .. import __version__
from ..checks import free_bytes
from ..fleet.secrets import exposed
from ..settings import Settings, unknown_variables
from .findings import Finding
from .status import duration, size

SHOWN = ("deltalake", "polars", "numba", "sqlalchemy")
LEAST_SQLITE = (3, 35, 0)
"""The first that answers a change with the rows it changed, which faultwatch asks for."""

GIB = 1 << 30
TIGHT_BYTES = 5 * GIB
FULL_BYTES = 1 * GIB
CLOCK_SLACK_S = 60.0


class Machine:
    """Looks at a machine through the settings of one data folder; changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def versions(self) -> Iterator[Finding]:
        """This version, Python, and the libraries that matter most."""
        libraries = ", ".join(f"{name} {version_of(name)}" for name in SHOWN)
        words = f"faultwatch {__version__}, Python {platform.python_version()}, {libraries}, {platform.platform()}"
        if sys.version_info < (3, 11):
            yield Finding("fail", "versions", f"{words}; expected Python 3.11 or newer: install it, then `make setup`")
        elif sqlite3.sqlite_version_info < LEAST_SQLITE:
            yield Finding("fail", "versions", f"SQLite {sqlite3.sqlite_version}; expected 3.35: take a newer Python")
        else:
            yield Finding("ok", "versions", words)

    def environment(self) -> Iterator[Finding]:
        """The file of settings, and variables that set nothing."""
        complaints = unknown_variables()
        for complaint in complaints:
            yield Finding("warn", "settings", complaint)
        if not complaints:
            yield Finding("ok", "settings", f"{self._settings.file or 'no faultwatch.toml; the defaults'}")

    def folders(self) -> Iterator[Finding]:
        """The data folder and the key."""
        data, key = self._settings.data, self._settings.secret_key_file
        if not data.is_dir():
            yield Finding("fail", "data folder", f"{data} is not there; `faultwatch serve --data {data}` makes it")
            return
        if not os.access(data, os.W_OK | os.X_OK):
            yield Finding(
                "fail", "data folder", f"{data} may not be written by this user; run as the user it belongs to"
            )
        else:
            yield Finding("ok", "data folder", str(data))
        if key.exists() and exposed(key):
            yield Finding("fail", "secret key", f"{key} may be read by others: run `chmod 600 {key}`")
        elif key.exists():
            yield Finding("ok", "secret key", f"{key}, for its owner only")
        else:
            yield Finding("ok", "secret key", f"{key} is made when it is first needed")

    def space(self) -> Iterator[Finding]:
        """Free space of the data folder's disk, and of the lake's where that is another."""
        places = {"free space": self._settings.data}
        lake = self._settings.lake_url
        if "://" not in lake and not Path(lake).is_relative_to(self._settings.data):
            places["lake's space"] = Path(lake)
        for subject, place in places.items():
            free = free_bytes(place)
            words = f"{size(free)} at {place}"
            if free < FULL_BYTES:
                yield Finding("fail", subject, f"{words}; expected {size(FULL_BYTES)}: free some, or enlarge the disk")
            elif free < TIGHT_BYTES:
                yield Finding(
                    "warn", subject, f"{words}; below {size(TIGHT_BYTES)}: see what fills it (retention_days)"
                )
            else:
                yield Finding("ok", subject, words)

    def clock(self) -> Iterator[Finding]:
        """Whether the clock stands before what was written, and whether something keeps it right."""
        now_s = time.time()
        written_s = self._last_written_s()
        if written_s is not None and written_s > now_s + CLOCK_SLACK_S:
            yield Finding(
                "fail",
                "clock",
                f"it stands {duration(written_s - now_s)} before files that faultwatch wrote: set it right, and let NTP"
                " keep it so (`timedatectl set-ntp true`)",
            )
        elif _kept_by_ntp() is False:
            yield Finding("warn", "clock", "no NTP keeps it right; `timedatectl set-ntp true` lets one")
        else:
            yield Finding("ok", "clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now_s)))

    def _last_written_s(self) -> float | None:
        logs = (self._settings.data / "log").glob("shard-*/*.log")
        clocks = (self._settings.data / "published").glob("shard-*/clock.json")
        return max((path.stat().st_mtime for path in (*logs, *clocks)), default=None)


def _kept_by_ntp() -> bool | None:
    """Whether NTP keeps the clock; None where the system doesn't tell."""
    timedatectl = shutil.which("timedatectl")
    if timedatectl is None:
        return None
    try:
        done = subprocess.run(
            [timedatectl, "show", "--property=NTPSynchronized", "--value"], capture_output=True, text=True, timeout=5
        )
    except subprocess.TimeoutExpired:
        return None
    return {"yes": True, "no": False}.get(done.stdout.strip())
