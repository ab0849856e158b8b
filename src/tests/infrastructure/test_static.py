"""Terraform's own checks and assertions, and checkov's: none of them needs an account, or even a simulator."""

import json
import re
from pathlib import Path

import hcl2
import pytest

from ..checkout import ROOT, run
from .conftest import INFRASTRUCTURE, Workplace

pytestmark = pytest.mark.infra
CHECKOV = ROOT / ".venv-infra" / "bin" / "checkov"
ENVIRONMENTS = ("dev", "prod")


def modules() -> list[Path]:
    """Folders of modules that are put together: all but the environments."""
    return sorted(path.parent for path in INFRASTRUCTURE.glob("*/outputs.tf"))


def test_everything_is_in_its_format(workplace: Workplace) -> None:
    done = workplace.terraform(".", "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, f"run `terraform fmt -recursive infrastructure`\n{done.stdout}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_valid(environment: str, workplace: Workplace) -> None:
    where = f"environments/{environment}"
    workplace.must(where, "init", "-backend=false", "-lockfile=readonly")
    said = json.loads(workplace.must(where, "validate", "-json"))
    assert said["diagnostics"] == []


def test_the_assertions_hold(workplace: Workplace) -> None:
    workplace.must(".", "init", "-backend=false", "-lockfile=readonly")
    said = workplace.must(".", "test", "-no-color", timeout=1500)
    assert re.search(r"Success! \d{2,} passed, 0 failed\.", said)


def test_every_module_has_assertions() -> None:
    tested = "\n".join(path.read_text() for path in (INFRASTRUCTURE / "tests").glob("*.tftest.hcl"))
    names = [f"./{module.name}" for module in modules()] + [f"./environments/{name}" for name in ENVIRONMENTS]
    assert [name for name in names if f'"{name}"' not in tested] == []


def test_checkov_finds_nothing_that_is_not_explained() -> None:
    if not CHECKOV.exists():
        pytest.fail(f"no {CHECKOV.relative_to(ROOT)}; `make infra-test` installs it", pytrace=False)
    what = ["--directory", str(INFRASTRUCTURE), "--framework", "terraform"]
    done = run([CHECKOV, *what, "--skip-download", "--quiet", "--compact", "--output", "json"], timeout=600)
    said = json.loads(done.stdout)
    faults = [f"{f['check_id']} {f['resource']}: {f['check_name']}" for f in said["results"]["failed_checks"]]
    assert faults == []
    assert said["summary"]["passed"] > 150, said["summary"]
    assert done.returncode == 0, done.stderr


def test_every_exception_says_why() -> None:
    skips = [
        line.strip()
        for path in INFRASTRUCTURE.rglob("*.tf")
        for line in path.read_text().splitlines()
        if "checkov:skip" in line
    ]
    assert len(skips) > 5
    assert [line for line in skips if not re.fullmatch(r"#checkov:skip=CKV2?_AWS_\d+:\S.{25,}", line)] == []


@pytest.mark.parametrize("module", modules(), ids=lambda path: path.name)
def test_variables_and_outputs_are_described_and_typed(module: Path) -> None:
    files = [hcl2.loads(path.read_text()) for path in module.glob("*.tf")]
    variables = {name: of for file in files for block in file.get("variable", []) for name, of in block.items()}
    outputs = {name: of for file in files for block in file.get("output", []) for name, of in block.items()}
    assert [name for name, of in variables.items() if not {"description", "type"} <= set(of)] == []
    assert [name for name, of in outputs.items() if "description" not in of] == []
    versions = (module / "versions.tf").read_text()
    assert 'required_version = ">= 1.11, < 2.0"' in versions
    assert 'version = "~> 5.100"' in versions


def test_one_version_of_the_provider_everywhere() -> None:
    locks = {path.read_text() for path in INFRASTRUCTURE.rglob(".terraform.lock.hcl") if ".terraform" not in path.parts}
    assert len(locks) == 1
    assert len(re.findall(r'"(?:h1|zh):', locks.pop())) > 10, "the lock is of one platform only"
