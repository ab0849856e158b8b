"""The verbs of make, and the way from a bare checkout to a command that runs."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from .checkout import ROOT, run

PYTEST = Path(sys.executable).parent / "pytest"
VERBS = [
    "setup",
    "demo",
    "test",
    "infra-test",
    "verify",
    "lint",
    "format",
    "bench",
    "sbom",
    "scan",
    "runner",
    "deploy",
    "comment",
]
VERBS += ["docs", "clean"]
NOT_IN_A_CLONE = shutil.ignore_patterns(".venv", ".git", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")


def test_help_has_one_line_for_each_verb() -> None:
    lines = run(["make", "help"]).stdout.splitlines()
    assert [line.split()[1] for line in lines] == ["help", *VERBS]
    assert all(len(line.split()) > 4 for line in lines)


def test_make_alone_is_help() -> None:
    assert run(["make"]).stdout == run(["make", "help"]).stdout


def test_a_python_that_is_too_old_is_refused_by_name(tmp_path: Path) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\necho "$2" | grep -q "faultwatch needs Python 3.11 or newer" && exit 1\n')
    old.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-dev.txt", "pyproject.toml"):
        (tmp_path / name).touch()
    done = run(["make", "setup", f"PYTHON={old}"], cwd=tmp_path)
    assert done.returncode == 2
    assert not (tmp_path / ".venv").exists()


def test_what_is_required_and_absent_fails_the_run_by_name(tmp_path: Path) -> None:
    done = run(
        [PYTEST, "src/tests/test_makefile.py", "-k", "help"],
        env={"PATH": str(tmp_path), "FAULTWATCH_REQUIRE": "chromium"},
    )
    assert done.returncode == 1
    assert "chromium is required (FAULTWATCH_REQUIRE) and absent: none of chromium, " in done.stdout + done.stderr
    assert "passed" not in done.stdout


def test_what_is_required_by_a_name_nobody_knows_fails_the_run() -> None:
    done = run([PYTEST, "-k", "help"], env={"FAULTWATCH_REQUIRE": "chromium,mysql"})
    assert done.returncode == 1
    assert "FAULTWATCH_REQUIRE names 'mysql', which is none of caddy, chromium, nginx, " in done.stdout + done.stderr


def test_what_is_absent_and_not_required_is_named(tmp_path: Path) -> None:
    done = run([PYTEST, "src/tests/systems", "-k", "browser", "-rs"], env={"PATH": str(tmp_path)})
    assert done.returncode == 0, done.stdout
    assert re.search(r"SKIPPED .* chromium: none of chromium, ", done.stdout)


@pytest.mark.verify
def test_a_bare_checkout_anywhere_sets_itself_up(tmp_path: Path) -> None:
    clone = tmp_path / "a place with blanks"
    shutil.copytree(ROOT, clone, ignore=NOT_IN_A_CLONE)
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    done = run(["make", "setup"], cwd=clone, env={"PATH": path}, timeout=600)
    assert done.returncode == 0, done.stderr
    assert run([clone / ".venv/bin/faultwatch", "--version"], cwd=tmp_path).stdout.startswith("faultwatch 0.")
    assert run(["make", "clean"], cwd=clone).returncode == 0
    assert not (clone / ".venv").exists()
