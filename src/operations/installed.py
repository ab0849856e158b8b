"""Compares what is installed with what the lock says."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from pathlib import Path

LOCK = "requirements.txt"
PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(\[[\w,.-]+\])?==(?P<version>[^\s;]+)\s*(;\s*(?P<condition>.+))?")


def find_lock(checkout: Path | None) -> Path | None:
    """The lock of a checkout, else the one that the container's image has beside its Python."""
    places = [Path(sys.prefix) / LOCK] if checkout is None else [checkout / LOCK]
    return next((place for place in places if place.is_file()), None)


def complaints(lock: str) -> Iterator[str]:
    """A line for each entry that is not frozen, or that is installed as something else or not at all.

    An entry with a condition (another system, another Python) may be absent; installed, it has to be that version.
    """
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        first, *rest = entry.replace("\\\n", "\n").splitlines()
        if first.startswith("#"):
            continue
        found = PINNED.fullmatch(first.strip())
        if found is None:
            yield f"{first.strip()!r} is not one version"
        elif not any("--hash=sha256:" in line for line in rest):
            yield f"{found['name']} has no hash"
        else:
            yield from _installed(found["name"], found["version"], found["condition"] is not None)


def _installed(name: str, wanted: str, may_be_absent: bool) -> Iterator[str]:
    try:
        there = version_of(name)
    except PackageNotFoundError:
        if not may_be_absent:
            yield f"{name} {wanted} is not installed"
        return
    if there != wanted:
        yield f"{name} {there} is installed, {wanted} is locked"
