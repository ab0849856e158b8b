"""The local runner: caching, retries, gates, and going on after kill -9."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from ...components.artifact import Artifact, Detail, make
from ...components.workplace import Workplace
from ...exceptions import ConfigError, ConflictError, ModelError, StorageError
from ...pipelines.runner import execute
from ...pipelines.runs import Run, Runs, Trigger
from ...pipelines.steps import Pipeline, Step
from ..components import lakeside

ON_DEMAND = Trigger("on demand", "ann")


@dataclass(frozen=True)
class Words:
    """The config of a step that writes a word."""

    word: str = "hello"
    verdict: str = "pass"


class Writer:
    """A component that writes its word and counts how often it ran; fails as often as it is told to."""

    def __init__(self, name: str, failures: int = 0, error: Callable[[str], Exception] = StorageError) -> None:
        self.name, self.failures, self.error = name, failures, error
        self.runs = 0

    def __call__(
        self, config: Words, inputs: Mapping[str, Artifact], place: Workplace, type_id: int, now_ms: int
    ) -> Artifact:
        self.runs += 1
        if self.runs <= self.failures:
            raise self.error("the disk is full")

        def write(folder: Path) -> Mapping[str, Detail]:
            said = [(folder_of.path / "word").read_text() for folder_of in inputs.values()]
            (folder / "word").write_text(" ".join([*said, config.word]))
            return {"verdict": config.verdict, "reason": "" if config.verdict == "pass" else "too odd"}

        return make(
            place.artifacts(self.name, type_id),
            component=self.name,
            subject="pump",
            inputs=inputs,
            config={"word": config.word, "verdict": config.verdict},
            now_ms=now_ms,
            write=write,
        )


def pipeline(one: Writer, two: Writer, **words: str) -> Pipeline:
    return Pipeline(
        "talk",
        (
            Step("first", one, Words(words.get("first", "hello"))),
            Step("second", two, Words("world", words.get("verdict", "pass")), inputs=("first",), cached=True),
            Step("third", Writer("third"), Words("again"), inputs=("first", "second")),
        ),
    )


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace with a type."""
    made, _ = lakeside.with_readings(tmp_path / "data", 1, 1)
    return made


def run(of: Pipeline, place: Workplace, fresh: bool = False) -> tuple[Run, dict[str, Artifact]]:
    waits: list[float] = []
    done = execute(of, place, 1, ON_DEMAND, clock=lambda: 1_000 * len(waits) + 5, fresh=fresh, sleep=waits.append)
    assert waits == sorted(waits)
    return done


def test_steps_run_in_order_and_are_written_down(place: Workplace) -> None:
    done, made = run(pipeline(Writer("first"), Writer("second")), place)
    assert (made["third"].path / "word").read_text() == "hello hello world again"
    kept = Runs(place.data).get(done.id)
    assert kept == done and kept.state == "done" and kept.trigger == ON_DEMAND
    assert [step.state for step in kept.steps] == ["done", "done", "done"]
    assert [step.hash for step in kept.steps] == [artifact.hash for artifact in made.values()]
    assert made["third"].inputs == {"first": made["first"].hash, "second": made["second"].hash}
    place.close()


def test_a_step_runs_again_only_where_what_it_is_made_from_changed(place: Workplace) -> None:
    second = Writer("second")
    run(pipeline(Writer("first"), second), place)
    again, _ = run(pipeline(Writer("first"), second), place)
    assert second.runs == 1 and again.step("second").state == "cached"
    other, _ = run(pipeline(Writer("first"), second, first="good-bye"), place)
    assert second.runs == 2 and other.step("second").state == "done"
    (Path(place.data / other.step("second").folder) / "word").write_text("damaged")
    run(pipeline(Writer("first"), second, first="good-bye"), place)
    assert second.runs == 3
    place.close()


def test_what_storage_failed_is_tried_again(place: Workplace) -> None:
    done, _ = run(pipeline(Writer("first"), Writer("second", failures=2)), place)
    assert done.state == "done" and done.step("second").attempts == 3
    with pytest.raises(StorageError, match="the disk is full"):
        run(pipeline(Writer("first"), Writer("second", failures=3), first="bye"), place)
    failed = Runs(place.data).all("talk")[0]
    assert failed.state == "failed" and "second: the disk is full" in failed.reason
    worse = Writer("second", failures=1, error=ModelError)
    with pytest.raises(ModelError):
        run(pipeline(Writer("first"), worse, first="ciao"), place)
    assert worse.runs == 1
    place.close()


def test_a_gate_stops_a_run(place: Workplace) -> None:
    done, made = run(pipeline(Writer("first"), Writer("second"), verdict="fail"), place)
    assert done.state == "stopped" and done.reason == "second: too odd" and "third" not in made
    assert [step.state for step in done.steps] == ["done", "stopped", "waiting"]
    place.close()


def test_two_runs_of_a_type_dont_run_at_once(place: Workplace) -> None:
    with Runs(place.data).only("talk", 1), pytest.raises(ConflictError, match="running for type 1"):
        run(pipeline(Writer("first"), Writer("second")), place)
    place.close()


def test_a_pipeline_names_only_what_it_has() -> None:
    with pytest.raises(ConfigError, match="names of steps before it"):
        Pipeline("p", (Step("a", Writer("a"), Words(), inputs=("b",)),))
    steps = Pipeline("p", (Step("a", Writer("a"), Words()),))
    assert steps.configured(a={"word": "hi"}).steps[0].config == Words("hi")
    with pytest.raises(ConfigError, match="no step b"):
        steps.configured(b={})
    with pytest.raises(ConfigError, match="colour"):
        steps.configured(a={"colour": "red"})


def test_a_killed_run_is_gone_on_with(tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 400)
    place.close()
    root = __package__.partition(".")[0]
    code = f"from {root}.tests.pipelines.test_runner import train_and_hang; train_and_hang()"
    environment = os.environ | {"FAULTWATCH_DATA": str(tmp_path / "data")}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and any("hanging" in line for line in child.stdout)
    runs = Runs(tmp_path / "data")
    (left,) = runs.all("training")
    assert left.state == "running" and runs.is_held(left)
    child.send_signal(signal.SIGKILL)
    child.wait(60)
    child.stdout.close()
    assert not runs.is_held(left)
    from ...pipelines.training import TRAINING

    place = Workplace.open(lakeside.settings(tmp_path / "data"))
    done, made = execute(TRAINING, place, type_id, ON_DEMAND, clock=lambda: lakeside.NOW)
    assert done.id == left.id and done.state == "done" and len(runs.all("training")) == 1
    assert [(step.hash, step.attempts) for step in done.steps[:2]] == [(s.hash, s.attempts) for s in left.steps[:2]]
    assert done.step("model_trainer").attempts == 2 and made["model_pusher"].summary["version"] == 1
    place.close()


def train_and_hang() -> None:
    """Train, in a process of its own, up to the third step, and stay in it."""
    from ...pipelines.training import TRAINING

    def hang(*_arguments: object) -> Artifact:
        print("hanging", flush=True)
        while True:
            time.sleep(60)

    steps = tuple(Step(s.name, hang, s.config, s.inputs) if s.name == "model_trainer" else s for s in TRAINING.steps)
    place = Workplace.open(lakeside.settings(Path(os.environ["FAULTWATCH_DATA"])))
    execute(Pipeline("training", steps), place, 1, ON_DEMAND, clock=lambda: lakeside.NOW)
