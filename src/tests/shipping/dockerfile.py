"""A Dockerfile's instructions, and their work done in a folder where no container engine is at hand."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ..checkout import ROOT


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, and all that follows on its logical line."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """What follows, without flags; the exec form's array as its words."""
        if self.rest.startswith("["):
            return [str(word) for word in json.loads(self.rest)]
        return [word for word in self.rest.split() if not word.startswith("--")]


def read(path: Path) -> list[Instruction]:
    """The instructions of a Dockerfile, without comments, each on one line."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    parts = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [Instruction(word.upper(), rest) for word, rest in parts]


def stages(instructions: list[Instruction]) -> dict[str, list[Instruction]]:
    """The instructions of each stage by its name; those before the first stage under the empty name."""
    found: dict[str, list[Instruction]] = {"": []}
    name = ""
    for instruction in instructions:
        if instruction.word == "FROM":
            name = instruction.rest.split()[-1]
            found[name] = []
        found[name].append(instruction)
    return found


def context(folder: Path) -> list[str]:
    """The files of a checkout that .dockerignore lets through to the engine, by their relative paths."""
    rules = [line for line in (folder / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    files = (
        os.path.relpath(os.path.join(place, name), folder)
        for place, folders, names in os.walk(folder)
        for name in [*names, *(name for name in folders if os.path.islink(os.path.join(place, name)))]
        if not _prune(folders)
    )
    return [path for path in files if _let_through(path, rules)]


def _prune(folders: list[str]) -> bool:
    folders[:] = [name for name in folders if name not in (".git", ".venv", "__pycache__")]
    return False


def _let_through(path: str, rules: list[str]) -> bool:
    parents = ["/".join(path.split("/")[:n]) for n in range(1, path.count("/") + 2)]
    ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!").removeprefix("**/")
        names = [Path(parent).name for parent in parents] if "**/" in rule else parents
        if any(fnmatch(name, pattern) for name in names):
            ignored = not rule.startswith("!")
    return not ignored


@dataclass
class Build:
    """Does a stage's work below `root`, which stands for the file system of the image.

    Values of ENV and ARG that are paths get `root` before them; RUN lines use those variables and paths below their
    WORKDIR, so that the very same lines run. `given` overrides ARG and ENV.
    """

    root: Path
    environment: dict[str, str]
    given: Mapping[str, str] = field(default_factory=dict)
    workdir: Path = field(init=False)

    def __post_init__(self) -> None:
        self.workdir = self.root

    def do(self, instructions: list[Instruction]) -> None:
        """Follow the instructions of a stage; a RUN that fails fails the test with what it said."""
        for instruction in instructions:
            if instruction.word in ("ARG", "ENV"):
                self.environment.update(self._assigned(instruction.rest))
            elif instruction.word == "WORKDIR":
                self.workdir = self._below(instruction.rest)
                self.workdir.mkdir(parents=True, exist_ok=True)
            elif instruction.word == "COPY" and "--from=" not in instruction.rest:
                self._copy(instruction.words)
            elif instruction.word == "RUN":
                self._run(instruction.rest)

    def _assigned(self, rest: str) -> Iterator[tuple[str, str]]:
        for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S*))', rest):
            yield name, self.given.get(name, self._expanded(quoted or plain))

    def _expanded(self, value: str) -> str:
        if value.startswith("/"):
            value = str(self._below(value))
        return re.sub(r"\$\{?(\w+)\}?", lambda found: self.environment.get(found[1], ""), value)

    def _below(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _copy(self, words: list[str]) -> None:
        *sources, target = [re.sub(r"\$\{(\w+)\}", lambda found: self.environment[found[1]], word) for word in words]
        files = context(ROOT)
        for source in sources:
            chosen = [name for name in files if name == source or name.startswith(f"{source}/")]
            assert chosen, f"COPY {source}: .dockerignore keeps it from the engine, or it is not there"
            for name in chosen:
                inside = name.removeprefix(source).lstrip("/")
                folder = self.workdir / target
                place = folder / inside if inside else (folder / name if target.endswith("/") else folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, place, follow_symlinks=False)

    def _run(self, line: str) -> None:
        done = subprocess.run(
            ["sh", "-c", line], cwd=self.workdir, env=self.environment, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"RUN {line}\n{done.stdout}\n{done.stderr}"
