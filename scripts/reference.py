"""Write docs/reference from the code: `python -m scripts.reference`; with `--check` only say what is out of date."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from src.cli import app
from src.metrics import Metrics
from src.settings import Settings, explain

if TYPE_CHECKING:
    from typer._click import Command, Context

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
GENERATED = "<!-- Written by `make docs`; change the code instead. -->"
WIDTH = 110


def settings_page() -> str:
    """Every setting with default, unit, what it takes and what it is for."""
    parts = [
        GENERATED,
        "# Settings",
        "Every setting has one name: `port` in `faultwatch.toml` is `FAULTWATCH_PORT` in the environment. What counts,"
        " first to last: what the command line says, the environment, the file, the default. The file is the one that"
        " `FAULTWATCH_CONFIG` (or `--config`) names, else `faultwatch.toml` in the current folder, else in the data"
        " folder; relative paths in it are meant from the folder it is in. An empty variable counts as not set.",
        "`faultwatch settings` shows the values that are in force and where each came from; secrets are masked.",
        '```toml\n# faultwatch.toml\nport = 9000\nretention_days = 400\nmax_body_bytes = "16 MiB"\n```',
    ]
    for line in explain(Settings()):
        unit = f" {line.unit}" if line.unit and line.default != "not set" else ""
        parts += [
            f"## {line.name}",
            line.description,
            f"- default: `{line.default}`{unit}\n- takes: {line.expected}\n- variable: `{line.variable}`",
        ]
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """The help text of every command, as `--help` prints it."""
    parts = [GENERATED, "# Commands"]
    root = typer.main.get_command(app)
    for name, help_text in _help_texts(root, _context(root, "faultwatch", None)):
        parts += [f"## {name}", f"```text\n{help_text}\n```"]
    return "\n\n".join(parts) + "\n"


def _help_texts(command: "Command", context: "Context") -> "Iterator[tuple[str, str]]":
    if isinstance(command, typer.core.TyperCommand | typer.core.TyperGroup):
        command.rich_markup_mode = None  # plain text, whatever the terminal
    lines = command.get_help(context).splitlines()
    yield context.command_path, "\n".join(line.rstrip() for line in lines)
    if isinstance(command, typer.core.TyperGroup):
        for name in command.list_commands(context):
            _, found, _ = command.resolve_command(context, [name])
            if found is not None and not found.hidden:
                yield from _help_texts(found, _context(found, name, context))


def _context(command: "Command", name: str, parent: "Context | None") -> "Context":
    return typer.Context(command, info_name=name, parent=parent, terminal_width=WIDTH, max_content_width=WIDTH)


def metrics_page() -> str:
    """Every metric with its kind, its labels and what it says."""
    parts = [
        GENERATED,
        "# Metrics",
        "`GET /metrics` of a running service, in Prometheus' text format: for this machine itself, or for a token that"
        " `faultwatch tokens create --scope metrics` makes. [How to watch the service](../how-to/watch-the-service.md)"
        " says what to do with them. With the roles apart each process has the figures of its own part.",
    ]
    lines = ["| name | kind | labels | |", "| --- | --- | --- | --- |"]
    for family in Metrics().described():
        lines.append(f"| `{family.name}` | {family.kind} | {', '.join(family.labels)} | {family.help} |")
    return "\n\n".join([*parts, "\n".join(lines)]) + "\n"


PAGES = {"settings.md": settings_page, "commands.md": commands_page, "metrics.md": metrics_page}


def main() -> None:
    """Write the pages, or with `--check` exit with 1 where one of them differs from the code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name, page in PAGES.items():
        path, text = FOLDER / name, page()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(str(path.relative_to(FOLDER.parents[1])))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if stale:
        print(f"{'out of date, `make docs` writes them' if check else 'written'}: {', '.join(stale)}")
    sys.exit(bool(stale) and check)


if __name__ == "__main__":
    main()
