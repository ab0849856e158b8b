"""The definition for SageMaker says what the declaration says: steps, order, parameters and condition."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ...cloud.aws import container
from ...cloud.aws.sagemaker_pipeline import compile_pipeline, definition_text, parameter_name
from ...components import data_validation, model_trainer
from ...exceptions import ConfigError
from ...pipelines.steps import Pipeline, Step
from ...pipelines.training import TRAINING
from .environments import IMAGE, made
from .sagemaker_here import Here

KINDS = {"model_trainer": "Training", "model_pusher": "RegisterModel"}


def compiled(pipeline: Pipeline = TRAINING) -> dict[str, Any]:
    """A definition, as it is when it has been read again."""
    text = definition_text(compile_pipeline(pipeline, made(), IMAGE, "pump"))
    found: dict[str, Any] = msgspec.json.decode(text)
    return found


def differences(definition: Mapping[str, Any], pipeline: Pipeline) -> list[str]:
    """Where a definition and a declaration part."""
    *jobs, condition = definition["Steps"]
    (last,) = condition["Arguments"]["IfSteps"]
    found = [*jobs, last]
    parted = []
    if [step["Name"] for step in found] != [step.name for step in pipeline.steps]:
        return ["steps or their order"]
    for place, (step, declared) in enumerate(zip(found, pipeline.steps, strict=True)):
        if step["Type"] != KINDS.get(declared.name, "Processing"):
            parted.append(f"{declared.name}: kind")
        before = [one.name for one in pipeline.steps[max(place - 1, 0) : place]]
        if step in jobs and step.get("DependsOn", []) != before:
            parted.append(f"{declared.name}: order")
        if ("CacheConfig" in step) != (declared.cached and step in jobs):
            parted.append(f"{declared.name}: cached")
        if {policy["MaxAttempts"] for policy in step.get("RetryPolicies", [])} != {declared.retries} - {0}:
            parted.append(f"{declared.name}: retries")
        if step in jobs and inputs_of(step) - {"models"} != set(declared.inputs):
            parted.append(f"{declared.name}: inputs")
    properties = [one["LeftValue"]["Std:JsonGet"]["PropertyFile"] for one in condition["Arguments"]["Conditions"]]
    asked = {one["Get"].split(".")[1] for one in properties}
    if asked != {name for name in pipeline.steps[-1].inputs if KINDS.get(name) is None}:
        parted.append("condition")
    if configs(definition, pipeline) != {step.name: step.config for step in pipeline.steps[:-1]}:
        parted.append("parameters")
    return parted


def inputs_of(step: Mapping[str, Any]) -> set[str]:
    """Names of a job's inputs."""
    arguments = step["Arguments"]
    if step["Type"] == "Training":
        return {one["ChannelName"] for one in arguments["InputDataConfig"]}
    return {one["InputName"] for one in arguments["ProcessingInputs"]}


def configs(definition: Mapping[str, Any], pipeline: Pipeline) -> dict[str, object]:
    """What each step's config comes to in a container, by what the definition says where a start changes nothing."""
    found: dict[str, object] = {}
    for job in definition["Steps"][:-1]:
        arguments = Here(definition, Path(), {}).resolve(_told(job))
        pairs = dict(one.split("=", 1) for one in arguments) if isinstance(arguments, list) else arguments
        blank = next(step for step in TRAINING_AND_MORE if step.name == job["Name"])
        found[job["Name"]] = container.told(blank, pairs).config
    return found


def _told(job: Mapping[str, Any]) -> Any:
    if job["Type"] == "Training":
        return job["Arguments"]["HyperParameters"]
    words = job["Arguments"]["AppSpecification"]["ContainerArguments"]
    return [after for word, after in zip(words, words[1:], strict=False) if word == "--set"]


VALIDATION = Step("data_validation", data_validation.run, data_validation.ValidationConfig(), ("data_ingestion",))
TRAINING_AND_MORE = (*TRAINING.steps, VALIDATION)


def with_validation() -> Pipeline:
    """The declaration with one more step, unless it has that by now."""
    if any(step.name == VALIDATION.name for step in TRAINING.steps):
        return TRAINING
    first, *rest = TRAINING.steps
    return Pipeline("training", (first, VALIDATION, *rest))


def test_the_definition_says_what_the_declaration_says() -> None:
    assert differences(compiled(), TRAINING) == []
    assert differences(compiled(with_validation()), with_validation()) == []


def test_a_declaration_that_moves_on_is_noticed() -> None:
    old = compiled()
    *before, last = TRAINING.steps
    assert differences(
        old, Pipeline("training", (*TRAINING.steps[:1], replace(VALIDATION, name="new"), *TRAINING.steps[1:]))
    ) == ["steps or their order"]
    changed = TRAINING.configured(data_ingestion={"days": 7.0})
    assert differences(old, changed) == ["parameters"] and differences(compiled(changed), changed) == []
    stubborn = Pipeline("training", (*before, replace(last, retries=7)))
    assert differences(old, stubborn) == ["model_pusher: retries"]
    fewer = Pipeline("training", (*before, replace(last, inputs=("model_trainer", "model_evaluation"))))
    assert differences(old, fewer) == ["condition"] and differences(compiled(fewer), fewer) == []
    never = Pipeline("training", (*(replace(step, cached=False) for step in before), last))
    assert {"data_transformation: cached", "model_trainer: cached"} <= set(differences(old, never))


def test_every_field_of_every_config_is_a_parameter() -> None:
    names = {one["Name"]: one for one in compiled()["Parameters"]}
    ingestion = next(step for step in TRAINING.steps if step.name == "data_ingestion")
    for name, value in asdict(ingestion.config).items():  # type: ignore[call-overload]
        assert names[parameter_name(ingestion, name)]["DefaultValue"] == value
    assert names["model_evaluation__gate__least_caught"]["Type"] == "Float"
    assert names["model_evaluation__most_probes"]["Type"] == "Integer"
    assert all(len(name) <= 64 and name.replace("_", "").isalnum() for name in names)
    assert len(names) == len(compiled()["Parameters"]) <= 200


def test_the_same_declaration_gives_the_same_text_line_by_line() -> None:
    text = definition_text(compile_pipeline(TRAINING, made(), IMAGE, "pump"))
    again = definition_text(compile_pipeline(TRAINING, made(), IMAGE, "pump"))
    assert text == again and len(text.splitlines()) > 100 and "password" not in text


def test_a_pipeline_that_pushes_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="ends with 'model_trainer'; expected the pusher"):
        compile_pipeline(
            Pipeline("odd", (Step("model_trainer", model_trainer.run, model_trainer.TrainerConfig()),)),
            made(),
            IMAGE,
            "pump",
        )
