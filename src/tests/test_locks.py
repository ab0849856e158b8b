"""The locks hold what pyproject.toml asks for: each with its hashes, and no address of an index."""

import re
import tomllib
from typing import cast

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from .checkout import ROOT

LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-aws.txt", "requirements-infra.txt")
EXTRAS = {"requirements-dev.txt": "dev", "requirements-aws.txt": "aws"}


def read_lock(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of hashes of each package in a lock."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    found: dict[str, tuple[str, int]] = {}
    for entry in entries:
        requirement = Requirement(entry.partition("\\\n")[0])
        version = next(iter(requirement.specifier)).version
        found[canonicalize_name(requirement.name)] = (version, len(re.findall(r"--hash=sha256:[0-9a-f]{64}", entry)))
    return found


def asked_for(name: str) -> list[Requirement]:
    """What pyproject.toml asks for, for this lock."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text())
    if name == "requirements-infra.txt":  # tools that can't share an environment with the package
        return [Requirement(text) for text in said["dependency-groups"]["infra"]]
    project = said["project"]
    texts = cast(list[str], project["dependencies"])
    if name in EXTRAS:
        texts = texts + cast(list[str], project["optional-dependencies"][EXTRAS[name]])
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_locked_to_a_version_it_allows(name: str) -> None:
    lock = read_lock(name)
    missing = [
        str(wanted)
        for wanted in asked_for(name)
        if (entry := lock.get(canonicalize_name(wanted.name))) is None or not wanted.specifier.contains(entry[0])
    ]
    assert missing == [], f"compile {name} again; the command is in CONTRIBUTING.md"


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_has_hashes(name: str) -> None:
    assert [package for package, (_, hashes) in read_lock(name).items() if hashes == 0] == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_index_and_no_file(name: str) -> None:
    text = (ROOT / name).read_text()
    assert not re.search(
        r"://|^-|--index|--find-links| @ ", re.sub(r"^ +--hash=\S+( \\)?$", "", text, flags=re.M), re.M
    )


@pytest.mark.parametrize("more", EXTRAS)
def test_a_lock_with_an_extra_contains_the_runtime_lock(more: str) -> None:
    runtime, extended = (read_lock(name) for name in ("requirements.txt", more))
    assert {name: entry for name, entry in runtime.items() if extended.get(name) != entry} == {}


def test_what_goes_to_aws_is_what_was_tested() -> None:
    tested, shipped = read_lock("requirements-dev.txt"), read_lock("requirements-aws.txt")
    assert {name: entry for name, entry in shipped.items() if tested.get(name) != entry} == {}


def test_no_python_is_named_for_installing() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]["pip"]
    assert "python-version" not in settings, "uv would install packages for that Python into every other's environment"
