"""What `python -m src.components.<name>` of each component shares: data folder, device type, one line of result."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from .artifact import Artifact
    from .workplace import Workplace

DataOption = Annotated[Path | None, typer.Option("--data", help="The data folder.", metavar="DIR")]
TypeOption = Annotated[
    str | None, typer.Option("--type", help="One device type. Default: every type that has readings.", metavar="NAME")
]


@contextmanager
def workplace(data: Path | None) -> "Iterator[Workplace]":
    """Settings, database and lake of a data folder that exists. Raises ConfigError where there is none."""
    from ..logs import configure
    from ..settings import load_settings
    from .workplace import Workplace

    settings = load_settings(data=data)
    configure(settings)
    opened = Workplace.open(settings)
    try:
        yield opened
    finally:
        opened.close()


def now_ms() -> int:
    """The time at which an artifact is made."""
    return time.time_ns() // 1_000_000


def show(made: "Artifact") -> None:
    """Print what a component made."""
    told = ", ".join(f"{name} {value}" for name, value in made.summary.items() if not isinstance(value, list))
    print(f"{made.component} {made.subject}: {told}\n  {made.path}")


def each_type(data: Path | None, type_name: str | None, step: "Callable[[Workplace, int, str], Artifact]") -> None:
    """Run a step for the types meant, one after the other, and print what it made."""
    with workplace(data) as place:
        for type_id, name in place.types(type_name):
            show(step(place, type_id, name))


def newest_of(place: "Workplace", type_id: int, *components: str) -> "dict[str, Artifact]":
    """The newest artifact of each component. Raises ModelError where one has made none yet."""
    from .artifact import newest

    return {component: newest(place.artifacts(component, type_id)) for component in components}
