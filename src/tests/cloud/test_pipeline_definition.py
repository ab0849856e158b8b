"""The definition is valid: its frame by a schema written from AWS's documentation, the arguments of each step by
botocore's model of the API that the step calls, and each reference by what it refers to."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from botocore.model import ListShape, Shape, StructureShape
from jsonschema import Draft202012Validator

from ...cloud.aws.sagemaker_pipeline import compile_pipeline, definition_text
from ...pipelines.training import TRAINING
from .environments import IMAGE, made
from .sagemaker_here import OPERATIONS, Here, api, complaints

SCHEMA = json.loads((Path(__file__).parent / "pipeline_definition.schema.json").read_text(encoding="utf-8"))
DESCRIBED = {"Processing": "DescribeProcessingJob", "Training": "DescribeTrainingJob"}
EXECUTION = {"CurrentDateTime", "PipelineArn", "PipelineExecutionArn", "PipelineExecutionId", "PipelineName"}
FUNCTIONS = {"Get", "Std:Join", "Std:JsonGet"}

Definition = dict[str, Any]


def compiled() -> Definition:
    """The training pipeline's definition, as it is when it has been read again."""
    found: Definition = json.loads(definition_text(compile_pipeline(TRAINING, made(), IMAGE, "pump")))
    return found


def faults(definition: Definition) -> list[str]:
    """All that is wrong with a definition."""
    found = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(SCHEMA).iter_errors(definition)]
    return found or [*_misnamed(definition), *_misfit(definition), *_dangling(definition)]


def all_steps(definition: Definition) -> Iterator[dict[str, Any]]:
    """The steps in their order, with those inside of conditions."""
    for step in definition["Steps"]:
        yield step
        if step["Type"] == "Condition":
            yield from [*step["Arguments"]["IfSteps"], *step["Arguments"]["ElseSteps"]]


def _misnamed(definition: Definition) -> Iterator[str]:
    """Names that two things have, and waiting for what doesn't come before."""
    names = [step["Name"] for step in all_steps(definition)]
    yield from (f"two steps are named {name}" for name in sorted({name for name in names if names.count(name) > 1}))
    parameters = [one["Name"] for one in definition["Parameters"]]
    if len(set(parameters)) < len(parameters):
        yield "two parameters have one name"
    before: set[str] = set()
    for step in all_steps(definition):
        yield from (f"{step['Name']} waits for {name}" for name in step.get("DependsOn", []) if name not in before)
        before.add(step["Name"])


def _misfit(definition: Definition) -> Iterator[str]:
    """What the API of each step has against its arguments."""
    here = Here(definition, Path(), {})
    for step in all_steps(definition):
        if step["Type"] in OPERATIONS:
            try:
                here.requests[step["Name"]] = here.resolve(step["Arguments"])
            except (KeyError, StopIteration):  # a reference to nothing, which is told of below
                continue
            if said := complaints(step["Type"], here.requests[step["Name"]]):
                yield f"{step['Name']}: {said}"


def _dangling(definition: Definition) -> Iterator[str]:
    """References to what isn't there, or not before the step that refers to it; functions that nobody knows."""
    before: dict[str, dict[str, Any]] = {}
    parameters = {one["Name"] for one in definition["Parameters"]}
    for step in all_steps(definition):
        arguments = step["Arguments"]
        if step["Type"] == "Condition":
            arguments = arguments["Conditions"]
        for reference in references(arguments):
            kind, _, rest = reference.partition(".")
            known = {
                "Parameters": lambda: rest in parameters,
                "Execution": lambda: rest in EXECUTION,
                "Steps": lambda: rest.partition(".")[0] in before and _is_told(before, *rest.split(".", 1)),
            }[kind]()
            if not known:
                yield f"{step['Name']} refers to {reference}"
        before[step["Name"]] = step


def references(value: Any) -> Iterator[str]:
    """What a value asks the service to fill in."""
    if isinstance(value, list):
        for one in value:
            yield from references(one)
    elif isinstance(value, Mapping):
        functions = [name for name in value if name == "Get" or name.startswith("Std:")]
        assert set(functions) <= FUNCTIONS and (
            not functions or len(value) == 1
        ), f"no function of the service: {value}"
        if "Get" in value:
            yield value["Get"]
        else:
            for one in value.values():
                yield from references(one)


def _is_told(before: Mapping[str, dict[str, Any]], name: str, path: str) -> bool:
    """Whether the service tells this of a step: what Describe... answers of its job, or a file that the step names."""
    step = before[name]
    if path.startswith("PropertyFiles."):
        files = {one["PropertyFileName"]: one["OutputName"] for one in step.get("PropertyFiles", [])}
        return files.get(path.partition(".")[2]) in _outputs(step)
    shape: Shape | None = api().operation_model(DESCRIBED[step["Type"]]).output_shape
    for part, key in re.findall(r"(\w+)(?:\['([^']+)'\])?", path):
        if not isinstance(shape, StructureShape) or part not in shape.members:
            return False
        shape = shape.members[part]
        if key:
            if not isinstance(shape, ListShape) or key not in _outputs(step):
                return False
            shape = shape.member
    return shape is not None and shape.type_name == "string"


def _outputs(step: Mapping[str, Any]) -> set[str]:
    """Names of a job's outputs."""
    return {one["OutputName"] for one in step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", [])}


def test_the_definition_is_valid() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert faults(compiled()) == []
    kinds = {step["Type"] for step in all_steps(compiled())}
    assert kinds == {"Processing", "Training", "Condition", "RegisterModel", "Fail"}


def change(path: str, value: object) -> Callable[[Definition], None]:
    """What sets a place of a definition, written as `Steps.0.Name`."""

    def changed(definition: Definition) -> None:
        *way, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place: Any = definition
        for part in way:
            place = place[part]
        place[last] = value

    return changed


TRAINER = next(index for index, step in enumerate(compiled()["Steps"]) if step["Type"] == "Training")
GATE = len(compiled()["Steps"]) - 1
UNKNOWN_OUTPUT = {"Get": "Steps.data_ingestion.ProcessingOutputConfig.Outputs['readings'].S3Output.S3Uri"}


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (change("Version", "2021"), "'2020-12-01' was expected"),
        (change("Extra", 1), "'Extra' was unexpected"),
        (change("Parameters/0/Type", "Text"), "'Text' is not one of"),
        (change("Parameters/0/DefaultValue", 7), "7 is not of type 'string'"),
        (change("Parameters/1/Name", "Image"), "two parameters have one name"),
        (change("Steps/0/Name", "data ingestion"), "does not match"),
        (change("Steps/0/Type", "Script"), "'Script' is not one of"),
        (change("Steps/0/Depends", []), "'Depends' was unexpected"),
        (change("Steps/1/DependsOn", ["model_pusher"]), "waits for model_pusher"),
        (change("Steps/1/Name", "data_ingestion"), "two steps are named data_ingestion"),
        (change("Steps/0/PropertyFiles/0/FilePath", "/verdict.json"), "should not be valid"),
        (change("Steps/0/RetryPolicies/0/ExceptionType", ["Step.BAD_LUCK"]), "is not valid under any"),
        (change("Steps/0/RetryPolicies/0/MaxAttempts", 21), "greater than the maximum"),
        (change("Steps/0/RetryPolicies/0/ExpireAfterMin", 5), "is valid under each of"),
        (change(f"Steps/{TRAINER}/CacheConfig", {"Enabled": True, "ExpireAfter": "30 days"}), "does not match"),
        (change(f"Steps/{TRAINER}/PropertyFiles", []), "'PropertyFiles' was unexpected"),
        (change(f"Steps/{TRAINER}/Arguments/RoleArn", 5), "Invalid type for parameter RoleArn"),
        (change(f"Steps/{TRAINER}/Arguments/HyperParameters/days", {"Get": "Parameters.days"}), "Parameters.days"),
        (change("Steps/0/Arguments/Environment/OF", {"Get": "Execution.Owner"}), "refers to Execution.Owner"),
        (change("Steps/0/PropertyFiles/0/OutputName", "nothing"), "refers to Steps.data_ingestion.PropertyFiles"),
        (change(f"Steps/{GATE}/Arguments/Conditions/0/Type", "Alike"), "'Alike' is not one of"),
        (change(f"Steps/{GATE}/Arguments/Conditions/0/LeftValue", {"Get": "Steps.nobody.Says"}), "Steps.nobody.Says"),
        (change(f"Steps/{GATE}/Arguments/ElseSteps/0/Arguments", {}), "'ErrorMessage' is a required property"),
        (change(f"Steps/{GATE}/Arguments/IfSteps/0/CacheConfig", {"Enabled": True}), "'CacheConfig' was unexpected"),
        (change(f"Steps/{GATE}/Arguments/IfSteps/0/Arguments/ModelPackageDescription", UNKNOWN_OUTPUT), "['readings']"),
    ],
)
def test_what_is_wrong_with_one_is_found(broken: Callable[[Definition], None], words: str) -> None:
    definition = deepcopy(compiled())
    broken(definition)
    assert any(words in fault for fault in faults(definition)), faults(definition)
