"""The documentation says what is so: commands, options, verbs, settings and links that it names are there."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer

from ..cli import app
from ..settings import Settings
from .checkout import ROOT, run_python

if TYPE_CHECKING:
    from typer._click import Command

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

FENCED = re.compile(r"^```[^\n]*\n(.*?)^```", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
COMMAND = re.compile(r"(?:^|[\s/(|])faultwatch((?:[ \t]+[^\s|;&#]+)+)")
LINK = re.compile(r"\]\(([^)\s]+)\)")


def code_of(text: str) -> list[str]:
    """Lines of code in a page: fenced blocks, with continued lines joined, and inline code."""
    lines = [line for block in FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    return lines + INLINE.findall(FENCED.sub("", text))


def find(words: list[str]) -> "tuple[Command, list[str]]":
    """The command that the words begin with, and the rest of them."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="faultwatch")
    while isinstance(command, typer.core.TyperGroup):
        while words and words[0].startswith("-"):
            words = words[1 if "=" in words[0] or words[0] == "--version" else 2 :]
        if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            break  # `faultwatch --help`, `faultwatch COMMAND`
        _, found, words = command.resolve_command(context, words)
        assert found is not None
        command, context = found, typer.Context(found, info_name=found.name, parent=context)
    return command, words


@pytest.mark.parametrize("name", NAMES)
def test_commands_and_options_in_a_page_exist(name: str) -> None:
    faults = []
    for line in code_of((ROOT / name).read_text(encoding="utf-8")):
        for said in COMMAND.findall(line):
            try:
                command, rest = find(said.split())
            except Exception as error:  # typer's own "No such command", which names the one that was meant
                faults.append(f"{line.strip()}: {error}")
                continue
            options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
            used = {word.partition("=")[0] for word in rest if re.match(r"--[a-z]", word)} - {"--help"}
            faults += [f"{line.strip()}: no option {option}" for option in sorted(used - options)]
    assert faults == []


@pytest.mark.parametrize("name", NAMES)
def test_verbs_of_make_in_a_page_exist(name: str) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    code = "\n".join(code_of((ROOT / name).read_text(encoding="utf-8")))
    assert set(re.findall(r"(?:^|\s)make ([a-z][a-z-]*)", code)) - verbs == set()


@pytest.mark.parametrize("name", NAMES)
def test_variables_in_a_page_are_settings(name: str) -> None:
    known = {f"FAULTWATCH_{field.upper()}" for field in Settings.model_fields}
    known |= {"FAULTWATCH_CONFIG", "FAULTWATCH_REQUIRE", "FAULTWATCH_SHARED_DATA"}
    assert set(re.findall(r"FAULTWATCH_[A-Z_]+[A-Z]", (ROOT / name).read_text(encoding="utf-8"))) - known == set()


@pytest.mark.parametrize("name", NAMES)
def test_links_in_a_page_lead_somewhere(name: str) -> None:
    page = ROOT / name
    targets = [link.partition("#")[0] for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [target for target in targets if target and not (page.parent / target).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    seen, ahead = {index}, [index]
    while ahead:
        page = ahead.pop()
        for link in LINK.findall(page.read_text(encoding="utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target not in seen and target.exists():
                seen.add(target)
                ahead.append(target)
    pages = set((ROOT / "docs").rglob("*.md"))
    assert sorted(str(page.relative_to(ROOT)) for page in pages - seen) == [], "link these from docs/index.md"


def test_the_reference_is_what_the_code_says() -> None:
    assert run_python("-m", "scripts.reference", "--check") == ""


def test_every_setting_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    assert [name for name in Settings.model_fields if f"\n## {name}\n" not in page] == []


def test_the_readme_begins_with_what_it_is_and_two_commands() -> None:
    first_screen = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:25]
    assert first_screen[0] == "# faultwatch"
    assert [line.split("#")[0].strip() for line in first_screen if line.startswith("make ")] == [
        "make demo",
        "make test",
    ]


def test_no_page_says_where_this_checkout_is() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in [*PAGES, ROOT / "CHANGELOG.md", ROOT / "Makefile"]}
    assert [str(path) for path, text in texts.items() if str(Path(ROOT)) in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_tests_that_a_page_names_are_there(name: str) -> None:
    """`pipelines/test_runner.py::test_a_gate_stops_a_run`, with or without the folder of tests before it."""
    missing = []
    for said in code_of((ROOT / name).read_text(encoding="utf-8")):
        for path, case in re.findall(r"(?<![\w/])(?:src/tests/)?((?:\w+/)*test_\w+\.py)(?:::(\w+))?", said):
            file = ROOT / "src" / "tests" / path
            if not file.is_file() or (case and f"def {case}(" not in file.read_text(encoding="utf-8")):
                missing.append(f"{path}::{case}" if case else path)
    assert missing == []
