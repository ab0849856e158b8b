"""The project a running faultwatch was made of, where it is there: its format, its tests, its infrastructure."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from .findings import Finding

CODE = ("src", "scripts", "cloud")
FORMAT = (("black", "--check", "--quiet"), ("isort", "--check-only", "--quiet"), ("flake8",))
ML_TESTS = ("detection", "components", "pipelines")
INFRASTRUCTURE_VERB = "infra-test"
NOT_HERE = "not checked: no checkout of the project is here; run it from one (continuous integration does)"


def find_checkout(place: Path) -> Path | None:
    """The checkout that this module runs from, else the one that `place` is in; None where neither is one."""
    candidates = (Path(__file__).parents[2], place, *place.parents)
    return next((folder for folder in candidates if _is_checkout(folder)), None)


def _is_checkout(folder: Path) -> bool:
    file = folder / "pyproject.toml"
    return file.is_file() and re.search(r'^name = "faultwatch"$', file.read_text(encoding="utf-8"), re.M) is not None


class Project:
    """Runs the project's own tools; changes nothing in the checkout but caches."""

    def __init__(self, checkout: Path | None, environment: str) -> None:
        self._checkout = checkout
        self._environment = environment

    def formatting(self) -> Iterator[Finding]:
        """Whether black, isort and flake8 have nothing to say."""
        if self._checkout is None:
            yield Finding("warn", "format", NOT_HERE)
            return
        code = [name for name in CODE if any((self._checkout / name).rglob("*.py"))]
        for program, *options in FORMAT:
            done = self._run([sys.executable, "-m", program, *options, *code])
            if done.returncode:
                yield Finding(
                    "fail", "format", f"{program}: {_end(done)}; `make format` mends it, `make lint` shows it"
                )
                return
        yield Finding("ok", "format", f"black, isort and flake8 have nothing to say of {', '.join(code)}")

    def ml_tests(self) -> Iterator[Finding]:
        """Whether the tests of the machine learning pass."""
        if self._checkout is None:
            yield Finding("warn", "ml tests", NOT_HERE)
            return
        folders = [f"src/tests/{name}" for name in ML_TESTS if (self._checkout / "src/tests" / name).is_dir()]
        if not folders:
            yield Finding("fail", "ml tests", f"there are none: expected src/tests/{', '.join(ML_TESTS)}")
            return
        done = self._run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *folders])
        yield self._verdict("ml tests", done, f"`pytest {' '.join(folders)}` shows them")

    def infrastructure_tests(self) -> Iterator[Finding]:
        """Whether the tests of the infrastructure pass."""
        if self._checkout is None or not (self._checkout / "infrastructure").is_dir():
            yield Finding("warn", "infra tests", NOT_HERE if self._checkout is None else "no infrastructure/ is here")
            return
        done = self._run(["make", "--no-print-directory", INFRASTRUCTURE_VERB])
        yield self._verdict("infra tests", done, f"`make {INFRASTRUCTURE_VERB}` shows them")

    def drift(self) -> Iterator[Finding]:
        """Whether the account is what the environment's Terraform says, by a plan that keeps no lock."""
        if self._checkout is None:
            yield Finding("warn", "drift", NOT_HERE)
            return
        folder = self._checkout / "infrastructure" / "environments" / self._environment
        if not folder.is_dir():
            words = f"not checked: there is no {folder.relative_to(self._checkout)}; --environment names another"
            yield Finding("warn", "drift", words)
        elif shutil.which("terraform") is None:
            yield Finding("warn", "drift", "not checked: no terraform on the PATH; install 1.11 or newer")
        elif not (folder / ".terraform").is_dir():
            words = f"no state is known here; expected `terraform init` in {folder.relative_to(self._checkout)}"
            yield Finding("fail", "drift", words)
        else:
            yield self._planned(folder)

    def _planned(self, folder: Path) -> Finding:
        command = ["terraform", f"-chdir={folder}", "plan", "-detailed-exitcode", "-input=false", "-lock=false"]
        done = self._run([*command, "-no-color"])
        if done.returncode == 0:
            return Finding("ok", "drift", f"{self._environment} is what its Terraform says")
        if done.returncode == 2:
            verdict = next((line for line in done.stdout.splitlines() if line.startswith("Plan:")), "a change")
            return Finding("fail", "drift", f"{self._environment} would change: {verdict} Apply it, or take it back")
        fault = next((line.strip(" │") for line in done.stderr.splitlines() if "Error:" in line), _end(done))
        return Finding("fail", "drift", f"no plan could be made of {self._environment}: {fault}")

    def _run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(command, cwd=self._checkout, capture_output=True, text=True)

    @staticmethod
    def _verdict(subject: str, done: "subprocess.CompletedProcess[str]", how: str) -> Finding:
        if done.returncode:
            return Finding("fail", subject, f"{_end(done)}; {how}")
        return Finding("ok", subject, _end(done))


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    """The last line a command said, of its errors where it failed and said any."""
    said = done.stderr if done.returncode and done.stderr.strip() else done.stdout
    lines = [line.strip(" =╵│") for line in said.splitlines() if line.strip(" =╵│╷")]
    return lines[-1] if lines else f"exit code {done.returncode}"
