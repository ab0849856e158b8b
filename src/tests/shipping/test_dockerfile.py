"""The image: its Dockerfile is clean, and its own lines make an environment in which faultwatch runs."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ...telemetry.published import Clock, Publisher
from ..checkout import ROOT, run
from . import dockerfile

pytestmark = pytest.mark.timeout(300)
BIN = Path(sys.executable).parent
FILE = ROOT / "Dockerfile"
IN_THE_BASE = {"libc", "libdl", "libgcc_s", "libm", "libpthread", "libresolv", "librt", "libstdc++", "libz"}
"""System libraries of python:3.12-slim-bookworm, as its packages libc6, libgcc-s1, libstdc++6 and zlib1g bring them."""

STAGES = dockerfile.stages(dockerfile.read(FILE))


@dataclass(frozen=True)
class Image:
    """The folder that stands for the image's file system, and the environment its processes have."""

    root: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command as the engine would, but for the user."""
        return subprocess.run(
            command, cwd=self.environment["HOME"], env=self.environment, capture_output=True, text=True, timeout=100
        )

    def installed(self) -> dict[str, int]:
        """Every file of the image but byte code, and when it was last written, in ns."""
        files = (path for path in (self.root / "opt").rglob("*") if "__pycache__" not in path.parts)
        return {str(path): path.lstat().st_mtime_ns for path in files if not path.is_dir()}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What both stages make, begun with a Python that has pip and nothing else."""
    folder = tmp_path_factory.mktemp("image")
    assert run([sys.executable, "-m", "venv", folder / "base"]).returncode == 0
    outside = {
        **_way_out(),
        "UV_HTTP_TIMEOUT": "300",
        "PATH": os.pathsep.join([str(folder / "base/bin"), "/usr/bin", "/bin"]),
    }
    root = folder / "root"
    root.mkdir()
    dockerfile.Build(root, outside, {"UV_COMPILE_BYTECODE": "0"}).do(STAGES["build"])
    environment = {"PATH": "/usr/bin:/bin"}
    # Byte code comes with the first import here, of what is imported, and not of everything with the build.
    given = {"USER_ID": str(os.getuid()), "PYTHONDONTWRITEBYTECODE": ""}
    dockerfile.Build(root, environment, given).do(STAGES["run"])
    return Image(root, environment)


def _way_out() -> dict[str, str]:
    """What this machine's environment says of the way to the index of packages, which an engine has from elsewhere."""
    own = ("PYTHON", "FAULTWATCH_", "VIRTUAL_ENV", "COV_", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def test_hadolint_has_nothing_to_say() -> None:
    for path in (FILE, ROOT / ".devcontainer" / "Dockerfile", ROOT / "cloud" / "aws" / "Dockerfile"):
        done = run([BIN / "hadolint", path])
        assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_speak_up(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN apt-get install curl\n")
    done = run([BIN / "hadolint", bad])
    assert done.returncode == 1 and "DL3006" in done.stdout and "DL3008" in done.stdout


def test_all_stages_stand_on_one_base_that_is_pinned_by_its_digest() -> None:
    (base,) = (part.rest for part in STAGES[""] if part.word == "ARG")
    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert [part.rest for parts in STAGES.values() for part in parts if part.word == "FROM"] == [
        "${PYTHON} AS build",
        "${PYTHON} AS libraries",
        "${PYTHON} AS run",
    ]


def test_the_last_stage_installs_nothing_and_is_nobody_in_particular() -> None:
    lines = [part.rest for part in STAGES["run"] if part.word == "RUN"]
    assert [line for line in lines if re.search(r"\b(apt|pip|uv|gcc|curl|wget)\b", line)] == []
    (user,) = (part.rest for part in STAGES["run"] if part.word == "USER")
    assert user == "${USER_ID}:${USER_ID}"
    assert {"HEALTHCHECK", "EXPOSE", "ENTRYPOINT", "CMD", "LABEL"} <= {part.word for part in STAGES["run"]}


def test_the_last_stage_has_the_system_libraries_that_packages_look_for(image: Image) -> None:
    compiled = [str(path) for path in (image.root / "opt").rglob("*.so*") if path.is_file()]
    said = run(["ldd", *compiled]).stdout
    wanted = set(re.findall(r"(lib[\w+]+)\.so[.\d]* => /(?:usr/)?lib/", said))
    (copied,) = (part.rest for part in STAGES["libraries"] if part.word == "RUN")
    brought = set(re.findall(r"(lib\w+)\.so", copied))
    assert wanted - brought <= IN_THE_BASE
    assert brought <= wanted, "the stage brings what nothing looks for"


def test_labels_are_those_of_the_oci() -> None:
    (labels,) = (part.rest for part in STAGES["run"] if part.word == "LABEL")
    names = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", labels))
    assert names == {"title", "description", "licenses", "version", "revision", "source"}


def test_the_image_for_sagemaker_is_the_same_with_another_user_and_entry() -> None:
    parts = [(part.word, part.rest) for part in dockerfile.read(ROOT / "cloud" / "aws" / "Dockerfile")]
    assert parts == [
        ("ARG", "IMAGE"),
        ("FROM", "${IMAGE}"),
        ("USER", "0:0"),
        ("EXPOSE", "8080"),
        ("HEALTHCHECK", "NONE"),
        ("ENTRYPOINT", '["faultwatch", "cloud"]'),
        ("CMD", '["serve"]'),
    ]


def test_only_what_is_copied_goes_to_the_engine() -> None:
    files = dockerfile.context(ROOT)
    assert {name.split("/")[0] for name in files} == {
        "LICENSE",
        "NOTICE",
        "README.md",
        "cloud",
        "pyproject.toml",
        "src",
        *(path.name for path in ROOT.glob("requirements*.txt")),
    }
    assert [name for name in files if name.startswith("src/tests") or "__pycache__" in name] == []
    assert "src/cloud" in files and "cloud/cli.py" in files and [name for name in files if "helm" in name] == []


def test_its_lines_install_the_command_and_no_tool(image: Image) -> None:
    done = image.run("faultwatch", "--help")
    assert done.returncode == 0 and "serve" in done.stdout, done.stderr
    programs = {path.name for path in (image.root / "opt/faultwatch/bin").iterdir()}
    assert programs & {"pip", "pip3", "uv", "pytest", "black"} == set()
    python = image.run("python", "-c", "import faultwatch; print(faultwatch.__file__)")
    assert python.stdout.startswith(str(image.root / "opt/faultwatch")), python.stderr


def test_its_environment_is_the_lock_and_nothing_else(image: Image) -> None:
    lines = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"
    there = {re.sub(r"[-_.]+", "-", name.lower()) for name in image.run("python", "-c", lines).stdout.split()}
    locked = re.findall(r"^([a-z0-9][\w.-]*==[^\s;]+)( ;.*)? \\$", (ROOT / "requirements.txt").read_text(), re.M)
    always = {re.sub(r"[-_.]+", "-", name.lower()) for name, marker in locked if not marker}
    assert always <= there
    assert {name.split("==")[0] for name in there - always} <= {"faultwatch", *_conditional(locked)}


def test_the_production_checklist_finds_the_lock_in_it(image: Image) -> None:
    lines = (
        "from faultwatch.operations.installed import complaints, find_lock\n"
        "lock = find_lock(None)\n"
        "print(lock, *complaints(lock.read_text()))"
    )
    done = image.run("python", "-c", lines)
    assert done.stdout.strip() == str(image.root / "opt/faultwatch/requirements.txt"), done.stderr


def _conditional(locked: list[tuple[str, str]]) -> set[str]:
    return {re.sub(r"[-_.]+", "-", name.split("==")[0].lower()) for name, marker in locked if marker}


@contextmanager
def serving(image: Image, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """The image's command on a free port of the loopback."""
    command = [*_words("ENTRYPOINT"), *_words("CMD"), "--port", "0", *options]
    environment = {**image.environment, "FAULTWATCH_HOST": "127.0.0.1"}
    with subprocess.Popen(
        command, cwd=image.environment["HOME"], env=environment, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def check_follows(image: Image, *options: str, within_s: float) -> None:
    """Assert that the image's health check says no before the service runs, yes while it does, no after it."""
    (line,) = (part.rest for part in STAGES["run"] if part.word == "HEALTHCHECK")
    check = dockerfile.Instruction("CMD", line.partition("CMD ")[2]).words
    assert image.run(*check).returncode == 1
    before = image.installed()
    with serving(image, *options) as process:
        deadline = time.monotonic() + within_s
        while (done := image.run(*check)).returncode != 0:
            assert process.poll() is None and time.monotonic() < deadline, done.stdout
            time.sleep(0.2)
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert image.run(*check).returncode == 1
    assert image.installed() == before, "it wrote where a read-only root file system would not let it"


def test_its_health_check_follows_the_pages(image: Image) -> None:
    now_ms = time.time_ns() // 1_000_000
    published = Publisher(Path(image.environment["FAULTWATCH_DATA"]) / "published" / "shard-0")
    published.publish(Clock(now_ms=now_ms, published_ms=now_ms, last_seq=0, applied_seq=0, lake_seq=0), {})
    check_follows(image, "--role", "web", within_s=120)


@pytest.mark.verify
@pytest.mark.timeout(900)
def test_its_health_check_follows_loop_and_pages(image: Image) -> None:
    check_follows(image, within_s=600)  # the first start compiles the loop


def _words(word: str) -> list[str]:
    (found,) = (part.words for part in STAGES["run"] if part.word == word)
    return found
