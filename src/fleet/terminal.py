"""What the commands about the fleet share: the database of a data folder, the owner meant, tables, the time."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..exceptions import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ..settings import Settings
    from .administration import Administration

DataOption = Annotated[Path | None, typer.Option("--data", help="The data folder.", metavar="DIR")]
OwnerOption = Annotated[
    str | None, typer.Option("--owner", help="Whose. May be left out where there is one owner only.", metavar="NAME")
]


@contextmanager
def opened(data: Path | None) -> "Iterator[tuple[Settings, Engine]]":
    """The settings and the migrated database of a data folder, made where there is none."""
    from ..settings import load_settings
    from . import database

    settings = load_settings(data=data)
    settings.data.mkdir(parents=True, exist_ok=True)
    engine = database.connect(settings.database_url)
    try:
        database.migrate(engine)
        yield settings, engine
    finally:
        engine.dispose()


@contextmanager
def administering(engine: "Engine") -> "Iterator[Administration]":
    """What whoever may open the data folder sets, in one transaction."""
    from .administration import Administration
    from .audit import COMMAND_LINE
    from .database import writing
    from .principal import Principal

    with writing(engine) as session:
        yield Administration(session, Principal(None, "admin", None, COMMAND_LINE), now_ms())


def owner_meant(engine: "Engine", name: str | None) -> int:
    """The id of the owner of that name, or of the only one. Raises ConfigError where that isn't clear."""
    from . import owners
    from .database import reading

    with reading(engine) as session:
        if name is not None:
            return owners.find(session, name)
        known = owners.all_owners(session)
    if not known:
        raise ConfigError("there is no owner yet; `faultwatch owners add NAME` makes one")
    if len(known) > 1:
        raise ConfigError(f"name the owner with --owner; there are: {', '.join(repr(owner.name) for owner in known)}")
    return known[0].id


def show(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; tabs where the output goes to a program."""
    import sys

    lines = [list(headings), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    if not sys.stdout.isatty():
        print("\n".join("\t".join(line) for line in lines))
        return
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // 1_000_000


def when(at_ms: int | None) -> str:
    """A time as people read it, in UTC; empty where there is none."""
    return "" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
