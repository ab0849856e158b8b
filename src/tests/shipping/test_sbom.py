"""The bill of materials: valid, and all of what is locked, each with a licence that may be passed on."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from ..checkout import ROOT, run

pytestmark = pytest.mark.timeout(300)
UV = Path(sys.executable).parent / "uv"
COPYLEFT = re.compile(r"\b(A?GPL|GPLv\d|SSPL|BUSL)", re.I)


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `make sbom` writes, its environment made outside the checkout."""
    folder = tmp_path_factory.mktemp("sbom")
    python, file = folder / "runtime" / "bin" / "python", folder / "faultwatch.cdx.json"
    commands: list[list[str | Path]] = [
        [UV, "venv", "--quiet", "--python", sys.executable, folder / "runtime"],
        [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", ROOT / "requirements.txt"],
        [ROOT / "scripts" / "sbom", file, python],
    ]
    for command in commands:
        done = run(command, timeout=280)
        assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def runtime(sbom: dict[str, Any]) -> list[dict[str, Any]]:
    """The components that requirements.txt locks, without those for other systems."""
    locked = dict(re.findall(r"^([\w.-]+)==([^\s;]+) \\$", (ROOT / "requirements.txt").read_text(), re.M))
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in locked.items()}
    found = [
        part
        for part in sbom["components"]
        if names.get(re.sub(r"[-_.]+", "-", part["name"]).lower()) == part["version"]
    ]
    assert len(found) == len(names), "not every locked package is in the bill of materials"
    return found


LICENCES_IN_WORDS = {"protobuf": "3-Clause BSD License"}
"""What packages say of themselves in words that the bill of materials doesn't take up."""


def test_it_is_cyclonedx_of_this_project(sbom: dict[str, Any]) -> None:
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    about = sbom["metadata"]["component"]
    assert (about["name"], about["type"]) == ("faultwatch", "application")
    assert about["licenses"][0]["license"]["id"] == "Apache-2.0"


def test_every_locked_package_has_an_address_and_a_licence_that_may_be_passed_on(sbom: dict[str, Any]) -> None:
    for part in runtime(sbom):
        assert part["purl"].startswith("pkg:pypi/"), part["name"]
        words = json.dumps(part.get("licenses", LICENCES_IN_WORDS.get(part["name"], [])))
        assert words != "[]", f"{part['name']} says no licence"
        assert not COPYLEFT.search(re.sub(r"\bLGPL\S*", "", words)), f"{part['name']}: {words}"


def test_it_says_what_needs_what(sbom: dict[str, Any]) -> None:
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in sbom["dependencies"]}
    (fastapi,) = (part for part in sbom["components"] if part["name"] == "fastapi")
    assert any(ref.startswith("starlette") for ref in needs[fastapi["bom-ref"]])


def test_the_verb_writes_it() -> None:
    assert "scripts/sbom dist/faultwatch.cdx.json" in run(["make", "--dry-run", "sbom"]).stdout
