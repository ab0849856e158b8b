"""How commands run: sub-commands that load when they are asked for, one line for an error, exit codes.

0: done; 1: a bug (with a traceback) or a broken pipe; 2: what was asked for can't be done, and a line that
says why; 130: Ctrl-C.
"""

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from .exceptions import FaultwatchError

if TYPE_CHECKING:
    from typer._click import Command, Context

EXIT_ERROR = 2


@dataclass(frozen=True)
class Lazy:
    """A sub-command: where its code is, and what the list of commands says of it.

    `target` is `module:name`, the module seen from the package (`fleet.cli:tokens`). It names a `typer.Typer`
    with commands of its own, or a function, which is a command itself.
    """

    target: str
    help: str
    panel: str | None = None

    def load(self, name: str) -> "Command":
        """Import the module and make the command, under this name."""
        module, _, attribute = self.target.partition(":")
        found: typer.Typer | Callable[..., object] = getattr(
            importlib.import_module(f".{module}", __package__), attribute
        )
        command = typer.main.get_group(found) if isinstance(found, typer.Typer) else _command_of(found)
        command.name = name
        return command


class LazyGroup(TyperGroup):
    """A group of commands that imports a command's module only when that command is used."""

    registry: ClassVar[Mapping[str, Lazy]] = {}

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, lazy in self.registry.items():
            self.add_command(TyperCommand(name, help=lazy.help, rich_help_panel=lazy.panel))

    def resolve_command(self, ctx: "Context", args: list[str]) -> "tuple[str | None, Command | None, list[str]]":
        """Find the command that `args` begin with, and load it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and name in self.registry:
            command = self.registry[name].load(name)
        return name, command, rest


def run(app: typer.Typer | Callable[..., object], args: Sequence[str] | None = None) -> NoReturn:
    """Run a Typer app, or one function as a command, as a process of its own; never returns.

    `args` default to the command line's. A FaultwatchError becomes one line on stderr.
    """
    try:
        command = typer.main.get_command(app) if isinstance(app, typer.Typer) else _command_of(app)
        command.main(args)
    except FaultwatchError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(EXIT_ERROR)
    sys.exit(0)


def _command_of(function: Callable[..., object]) -> "Command":
    alone = typer.Typer(add_completion=False)
    alone.command()(function)
    return typer.main.get_command(alone)
