"""What a pipeline is: steps declared as data, which a runner, here or in a cloud, carries out."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Protocol

from ..components.artifact import Artifact
from ..components.workplace import Workplace
from ..exceptions import ConfigError


class Component(Protocol):
    """What a step runs: (config, artifacts of the steps before it, workplace, type id, now in ms) -> artifact."""

    def __call__(
        self, config: Any, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int, /
    ) -> Artifact: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A step: `inputs` names the steps whose artifacts it is made from.

    `cached`: the same inputs, config and code give the same artifact, so one that is there is taken; not so where a
    step looks at the lake, the database or the champion. A step is tried `retries` times more where storage fails it.
    """

    name: str
    component: Component
    config: object
    inputs: tuple[str, ...] = ()
    cached: bool = False
    retries: int = 2

    def configured(self, changes: Mapping[str, object]) -> "Step":
        """The same step, some fields of its config changed. Raises TypeError on a field that there isn't."""
        assert is_dataclass(self.config) and not isinstance(self.config, type)
        return replace(self, config=replace(self.config, **changes))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps in their order; each names only steps before it as inputs."""

    name: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            unknown = set(step.inputs) - seen
            if unknown or step.name in seen:
                raise ConfigError(
                    f"step {step.name!r} of pipeline {self.name!r}: inputs {', '.join(sorted(unknown)) or 'are fine'};"
                    " expected names of steps before it, and each name once"
                )
            seen.add(step.name)

    def configured(self, **changes: Mapping[str, object]) -> "Pipeline":
        """The same pipeline, some fields of some steps' configs changed: `configured(data_ingestion={"days": 7})`.

        Raises ConfigError on a step that it doesn't have, or a field that its config doesn't have.
        """
        unknown = set(changes) - {step.name for step in self.steps}
        if unknown:
            raise ConfigError(f"pipeline {self.name!r} has no step {', '.join(sorted(unknown))}")
        try:
            steps = [step.configured(changes.get(step.name, {})) for step in self.steps]
        except TypeError as error:
            raise ConfigError(f"pipeline {self.name!r}: {error}") from error
        return Pipeline(self.name, tuple(steps))
