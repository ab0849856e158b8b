"""The checkout the tests run in, and child processes of it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
CLOUD = ROOT / "cloud"
"""What src/cloud is a link to; not all that walks through a folder follows links."""


def sources(pattern: str) -> Iterator[tuple[Path, Path]]:
    """The files of the package that match: where each is, and its path within the package."""
    for folder, inside in ((SOURCE, Path()), (CLOUD, Path("cloud"))):
        for path in folder.rglob(pattern):
            if "helm" not in path.parts and path != SOURCE / "cloud" and SOURCE / "cloud" not in path.parents:
                yield path, inside / path.relative_to(folder)


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    timeout: float = 100,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it said; `env` is added to this process's environment.

    What a `make` above this process told its children stays away from the command.
    """
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**outside, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def run_python(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run this Python on `arguments` and return its standard output; an exit code other than 0 fails the test."""
    done = run([sys.executable, *arguments], cwd=cwd, env=env)
    assert done.returncode == 0, f"{done.args} exited with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout
