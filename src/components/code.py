"""Which code is running: a hash of the sources that make artifacts, and git's commit where this is a checkout."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
ROOMS = ("components", "detection", "drift")
"""Whatever decides the bytes of an artifact is in these."""

LENGTH = 12


@cache
def code_hash() -> str:
    """The first digits of a SHA-256 over the sources of the rooms that make artifacts."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((PACKAGE / room).rglob("*.py")):
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:LENGTH]


@cache
def commit() -> str | None:
    """The commit that is checked out; None where the package is installed from a wheel."""
    git = PACKAGE.parent / ".git"
    try:
        if git.is_file():  # a work tree beside its repository
            git = (git.parent / git.read_text().removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        shared = git / (git / "commondir").read_text().strip() if (git / "commondir").is_file() else git
        for folder in (git, shared):
            if (folder / name).is_file():
                return (folder / name).read_text().strip()
        packed = (shared / "packed-refs").read_text().splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except OSError:
        return None
