"""GitHub's workflows: what checks them is content, and they run nothing that isn't run here."""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ..checkout import ROOT, run

BIN = Path(sys.executable).parent
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
VERSION = re.compile(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")

EXECUTED = {
    "make lint": "the run of the tests itself",
    "make test": "the run of the tests itself",
    "sudo scripts/system-packages": "the run of the tests itself",
    "make sbom": "test_sbom.py",
    "make scan": "test_image_scan.py",
    "make deploy": "test_deploy.py",
    "make runner": "test_raise_runner.py",
    "make comment": "test_plan_comment.py",
    "make infra-test": "the run of continuous integration itself",
    'scripts/infrastructure plan "$ENVIRONMENT"': "test_infrastructure_script.py",
    'scripts/infrastructure apply "$ENVIRONMENT"': "test_infrastructure_script.py",
}
"""Where each `run:` of a workflow is executed."""


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job, with the name of its file and its own."""
    for file in FILES:
        for name, job in yaml.safe_load(file.read_text(encoding="utf-8"))["jobs"].items():
            yield f"{file.stem}/{name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step, with its job's name."""
    for name, job in jobs():
        for step in job.get("steps", []):
            yield name, step


def test_the_workflows_are_there() -> None:
    assert [file.name for file in FILES] == ["deploy.yml", "main.yml", "terraform.yml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.name))
def test_its_checkers_have_nothing_to_say(file: Path) -> None:
    commands: list[list[str | Path]] = [
        [BIN / "actionlint", file],
        [BIN / "zizmor", "--offline", "--no-progress", "--quiet", "--persona=pedantic", file],
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", file],
    ]
    for command in commands:
        done = run(command)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_checkers_would_speak_up(tmp_path: Path) -> None:
    text = (FOLDER / "main.yml").read_text(encoding="utf-8")
    broken = {
        "actionlint": (text.replace("${{ matrix.python }}", "${{ matrix.pyton }}"), []),
        "zizmor": (re.sub(r"@[0-9a-f]{40} # v", "@v", text), ["--offline", "--no-progress", "--quiet"]),
        "check-jsonschema": (text.replace("runs-on:", "run-on:"), ["--builtin-schema", "vendor.github-workflows"]),
    }
    for program, (content, options) in broken.items():
        file = tmp_path / f"{program}.yml"
        file.write_text(content, encoding="utf-8")
        assert run([BIN / program, *options, file]).returncode != 0, program


def test_every_action_is_pinned_by_its_commit_and_says_which_version_that_is() -> None:
    for file in FILES:
        for line in re.findall(r"uses: ([^.].*)", file.read_text(encoding="utf-8")):
            assert VERSION.fullmatch(line), f"{file.name}: {line}"


def test_an_action_has_one_version_everywhere() -> None:
    used = {step["uses"] for _, step in steps() if "uses" in step}
    assert len({name.partition("@")[0] for name in used}) == len(used)


def test_every_run_is_a_verb_or_a_script_that_tests_execute() -> None:
    lines = {step["run"] for _, step in steps() if "run" in step}
    assert lines <= set(EXECUTED)
    verbs = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for line in lines - {"make infra-test"}:
        words = line.removeprefix("sudo ").split()
        if words[0] == "make":
            assert words[1] in verbs and len(words) == 2, line
        else:
            assert (ROOT / words[0]).stat().st_mode & 0o111, line
    for where in EXECUTED.values():
        assert not where.startswith("test_") or (Path(__file__).parent / where).is_file(), where


def test_no_job_has_more_rights_than_it_uses() -> None:
    for file in FILES:
        assert yaml.safe_load(file.read_text(encoding="utf-8"))["permissions"] == {}, file.name
    for name, job in jobs():
        called = [step for other, step in steps() if "uses" in job and other.startswith("deploy/")]
        uses = " ".join(str(step.get("uses", step.get("run"))) for step in job.get("steps", called))
        wanted = {"contents": "read"}
        if "configure-aws-credentials" in uses:
            wanted["id-token"] = "write"
        if "make comment" in uses:
            wanted["pull-requests"] = "write"
        assert job["permissions"] == wanted, name
        assert "uses" in job or job["timeout-minutes"] <= 60, name


def test_no_key_is_stored_and_roles_are_taken_on() -> None:
    for file in FILES:
        assert not re.search(r"secrets\.|access-key", file.read_text(encoding="utf-8")), file.name
    for name, step in steps():
        if "configure-aws-credentials" in step.get("uses", ""):
            assert set(step["with"]) == {"role-to-assume", "aws-region"}, name


def test_what_has_rights_runs_on_what_was_merged_only() -> None:
    for name, job in jobs():
        condition, needs = str(job.get("if", "")), job.get("needs", [])
        if name.startswith("deploy/"):
            continue  # reached by a call only
        if "id-token" in job["permissions"] and "image" not in (needs if isinstance(needs, list) else [needs]):
            assert "github.event_name == 'push'" in condition or "head.repo.full_name" in condition, name
    called = yaml.safe_load((FOLDER / "deploy.yml").read_text(encoding="utf-8"))
    assert set(called[True]) == {"workflow_call"}  # YAML reads `on` as a truth value
    self_hosted = {name for name, job in jobs() if "self-hosted" in str(job.get("runs-on"))}
    assert self_hosted == {"deploy/deploy"}
    assert dict(jobs())["terraform/apply"]["environment"]["name"].startswith("infrastructure-")


def test_each_image_is_built_on_its_architecture_as_the_docs_say() -> None:
    made = dict(jobs())
    pulled = made["main/build"]["strategy"]["matrix"]["include"]
    assert {one["runner"]: one["lock"] for one in pulled} == {
        "ubuntu-24.04-arm": "requirements.txt",
        "ubuntu-24.04": "requirements-aws.txt",
    }
    assert made["main/image"]["runs-on"] == "ubuntu-24.04-arm" and made["main/sagemaker"]["runs-on"] == "ubuntu-24.04"
    builds = [
        step["with"] for name, step in steps() if name == "main/sagemaker" and "build-push" in step.get("uses", "")
    ]
    assert [build["context"] for build in builds] == [".", "cloud/aws"]
    assert "LOCK=requirements-aws.txt" in builds[0]["build-args"] and "steps.base.outputs" in builds[1]["build-args"]
    page = (ROOT / "docs" / "how-to" / "deploy-aws.md").read_text(encoding="utf-8")
    for build in builds:
        assert build["provenance"] is False and build["tags"].rpartition("-")[2] in re.findall(r"\)-(\w+)", page)


@pytest.mark.skipif(shutil.which("shellcheck", path=BIN) is None, reason="shellcheck has no build for this machine")
def test_shellcheck_has_nothing_to_say_of_the_scripts() -> None:
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix == ""]
    assert len(scripts) >= 3
    done = run([BIN / "shellcheck", *scripts, ROOT / ".ci/run"])
    assert done.returncode == 0, done.stdout
