"""Progress bars: one for each step of a run, on a terminal; nothing elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from .runs import Run, StepRun

_MARKS = {"cached": "as before", "done": "done", "stopped": "stopped", "failed": "failed", "running": ""}


class Bars:
    """Draws a run on stderr; a context. Bars stay when the run is over."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[mark]}"),
            TimeElapsedColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._progress.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._progress.stop()

    def begun(self, run: Run) -> None:
        """A bar for each step of a run."""
        self._tasks = {
            step.name: self._progress.add_task(f"{run.type_name} {step.name}", total=1.0, start=False, mark="")
            for step in run.steps
        }

    def step(self, run: Run, step: StepRun) -> None:
        """A step has begun or ended."""
        task = self._tasks[step.name]
        self._progress.start_task(task)
        if step.state in ("done", "cached"):
            self._progress.update(task, completed=1.0)
        self._progress.update(task, mark=_MARKS.get(step.state, ""))

    def progress(self, step: str, done: float) -> None:
        """So much of a step is done."""
        self._progress.update(self._tasks[step], completed=done)
