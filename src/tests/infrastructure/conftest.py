"""A copy of infrastructure/ to run Terraform in, so that nothing is left in the checkout."""

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ..checkout import ROOT
from ..systems import required
from ..systems import terraform as terraform_system

INFRASTRUCTURE = ROOT / "infrastructure"
LEFT_OUT = shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars", "plan.*")


@dataclass(frozen=True)
class Workplace:
    """A copy of infrastructure/ and a Terraform that runs in it."""

    folder: Path
    variables: dict[str, str]

    def with_variables(self, variables: dict[str, str]) -> "Workplace":
        """The same place, with more in Terraform's environment."""
        return replace(self, variables=self.variables | variables)

    def terraform(self, where: str, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """What `terraform ARGUMENTS` says in a folder of the copy."""
        program = terraform_system.find()
        assert program is not None
        return subprocess.run(
            [program, f"-chdir={self.folder / where}", *arguments],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def must(self, where: str, *arguments: str, timeout: float = 600) -> str:
        """The same, for what may not fail: its output, or the test fails with both outputs."""
        done = self.terraform(where, *arguments, timeout=timeout)
        if done.returncode:
            said = f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
            pytest.fail(f"terraform {' '.join(arguments)}: {done.returncode}\n{said}")
        return done.stdout


def workplace_in(folder: Path) -> Workplace:
    """A fresh copy of infrastructure/ below a folder."""
    required.skip_or_fail_if_absent("terraform")
    shutil.copytree(INFRASTRUCTURE, folder / "infrastructure", ignore=LEFT_OUT)
    return Workplace(folder / "infrastructure", terraform_system.environment(folder))


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A copy of infrastructure/ for the tests of a module."""
    return workplace_in(tmp_path_factory.mktemp("terraform"))
