"""The development container: what it says is what its specification takes, and its lines are ones that work."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from ...settings import Settings
from ..checkout import ROOT, run
from . import dockerfile

FOLDER = ROOT / ".devcontainer"
SETTINGS: dict[str, Any] = json.loads((FOLDER / "devcontainer.json").read_text(encoding="utf-8"))

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["build"],
    "properties": {
        "name": {"type": "string"},
        "build": {
            "type": "object",
            "additionalProperties": False,
            "required": ["dockerfile"],
            "properties": {"dockerfile": {"type": "string"}, "context": {"type": "string"}},
        },
        "features": {"type": "object", "additionalProperties": {"type": ["string", "boolean", "object"]}},
        "remoteUser": {"type": "string"},
        "hostRequirements": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "cpus": {"type": "integer", "minimum": 1},
                "memory": {"type": "string", "pattern": "^\\d+([tgmk]b)?$"},
                "storage": {"type": "string", "pattern": "^\\d+([tgmk]b)?$"},
            },
        },
        "postCreateCommand": {"type": ["string", "array", "object"]},
        "forwardPorts": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 65535}},
        "portsAttributes": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "string"},
                    "onAutoForward": {
                        "enum": ["notify", "openBrowser", "openBrowserOnce", "openPreview", "silent", "ignore"]
                    },
                },
            },
        },
        "customizations": {"type": "object", "additionalProperties": {"type": "object"}},
    },
}
"""The keys that are used, as the published schema of containers.dev types them."""


def test_the_specification_takes_it() -> None:
    jsonschema.validate(SETTINGS, SCHEMA, cls=jsonschema.Draft201909Validator)


def test_what_it_names_is_there() -> None:
    assert (FOLDER / SETTINGS["build"]["dockerfile"]).is_file()
    assert (FOLDER / SETTINGS["build"]["context"]).resolve() == ROOT
    stage = dockerfile.read(FOLDER / "Dockerfile")
    for part in (part for part in stage if part.word == "COPY"):
        assert (ROOT / part.words[0]).is_file()
    assert stage[-1] == dockerfile.Instruction("USER", SETTINGS["remoteUser"])
    assert any(f"useradd --create-home --uid 1000 --shell /bin/bash {SETTINGS['remoteUser']}" in p.rest for p in stage)


def test_it_stands_on_the_base_of_the_image() -> None:
    base = next(part.rest for part in dockerfile.read(FOLDER / "Dockerfile") if part.word == "FROM")
    assert f"PYTHON={base}" == next(part.rest for part in dockerfile.read(ROOT / "Dockerfile") if part.word == "ARG")


def test_the_port_of_the_dashboard_is_forwarded() -> None:
    assert SETTINGS["forwardPorts"] == [Settings.model_fields["port"].default]
    assert set(SETTINGS["portsAttributes"]) == {str(port) for port in SETTINGS["forwardPorts"]}


def test_the_tools_of_the_house_have_their_extensions_and_format_on_saving() -> None:
    code = SETTINGS["customizations"]["vscode"]
    assert {name.split(".")[1] for name in code["extensions"]} >= {
        "black-formatter",
        "isort",
        "flake8",
        "mypy-type-checker",
        "terraform",
    }
    assert code["settings"]["editor.formatOnSave"] is True
    named = {name.split(".")[0] for name in code["settings"] if name.endswith(".importStrategy")}
    assert named == {"black-formatter", "isort", "flake8", "mypy-type-checker"}


@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get to ask")
def test_its_system_packages_can_be_installed(tmp_path: Path) -> None:
    lines = " ".join(part.rest for part in dockerfile.read(FOLDER / "Dockerfile") if part.word == "RUN")
    (names,) = re.findall(r"apt-get install --yes --no-install-recommends ([^&]*)", lines)
    ours = re.findall(r"missing=\"\$missing ([\w-]+)\"", (ROOT / "scripts/system-packages").read_text())
    assert len(ours) >= 5
    if os.geteuid() == 0 and not list(Path("/var/lib/apt/lists").glob("*Packages*")):
        run(["apt-get", "update", "-qq"])
    done = run(["apt-get", "install", "--simulate", "--no-install-recommends", *names.split(), *ours])
    assert done.returncode == 0, done.stderr


@pytest.mark.verify
def test_what_it_runs_once_made_sets_a_checkout_up(tmp_path: Path) -> None:
    clone = tmp_path / "faultwatch"
    done = run(["git", "clone", "--quiet", ROOT, clone])
    assert done.returncode == 0, done.stderr
    path = os.pathsep.join([str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"])
    done = run(["sh", "-c", SETTINGS["postCreateCommand"]], cwd=clone, env={"PATH": path}, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (clone / ".git/hooks/pre-commit").is_file()
    assert run([clone / ".venv/bin/faultwatch", "--version"], cwd=tmp_path).returncode == 0
