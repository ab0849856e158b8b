"""Compiles a pipeline's declaration to a definition of SageMaker Pipelines: the same steps, in the same order, with the
same parameters, from the same image.

Everything comes from the declaration. The step that trains is a training job, the one that pushes registers the model,
every other is a processing job. A step whose verdict is `fail` ends its own job with the reason; of the steps that the
last one is made from, a condition asks for the verdict, and a step that fails tells the reason. The format is that of
the service's documentation ("Pipeline definition JSON schema"); what stands in `Arguments` is the request of the job's
own API.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass

import msgspec

from ...components import model_pusher, model_trainer
from ...components.artifact import Detail, flat
from ...exceptions import ConfigError
from ...pipelines.steps import Pipeline, Step
from .layout import ARTIFACT, ENTRYPOINT, MODELS, ROOT, VERDICT, VERDICT_FILE, Layout
from .made import Made

VERSION = "2020-12-01"
MADE_BY = "faultwatch"
CONDITION = "gate"
REFUSED = "refused"
KEPT_FOR = "P30D"
"""How long a cached step's output is taken instead of running it again (ISO 8601)."""

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
INSIDE = Layout(ROOT)


def compile_pipeline(pipeline: Pipeline, made: Made, image: str, type_name: str) -> dict[str, Json]:
    """The definition of a pipeline, for an environment that Terraform made; `image` is REPOSITORY@DIGEST.

    `type_name` is the device type where a start names none. Raises ConfigError where the declaration's last step isn't
    the pusher, which is what registers a model.
    """
    *before, last = pipeline.steps
    if last.component is not model_pusher.run:
        raise ConfigError(
            f"pipeline {pipeline.name!r} ends with {last.name!r}; expected the pusher, to register a model"
        )
    compiler = _Compiler(pipeline, made)
    steps = [compiler.job(step, first_of(before, step)) for step in before]
    return {
        "Version": VERSION,
        "Metadata": {"MadeBy": MADE_BY, "Pipeline": pipeline.name},
        "Parameters": [
            {"Name": "Image", "Type": "String", "DefaultValue": image},
            {"Name": "DeviceType", "Type": "String", "DefaultValue": type_name},
            {"Name": "Approval", "Type": "String", "DefaultValue": "PendingManualApproval"},
            {"Name": "ProcessingInstance", "Type": "String", "DefaultValue": "ml.m5.xlarge"},
            {"Name": "TrainingInstance", "Type": "String", "DefaultValue": "ml.m5.xlarge"},
            *(parameter(step, name, value) for step in before for name, value in settable(step).items()),
        ],
        "Steps": [*steps, compiler.condition(before, last)],
    }


def settable(step: Step) -> dict[str, Detail]:
    """The fields of a step's config that a start may change, by `name` or `outer.name`, with their defaults."""
    assert is_dataclass(step.config) and not isinstance(step.config, type)
    return {name: value for name, value in flat(asdict(step.config)).items() if not isinstance(value, list)}


def parameter_name(step: Step, field: str) -> str:
    """The pipeline's parameter for a field: letters, digits and underscores only."""
    return f"{step.name}__{field.replace('.', '__')}"


def parameter(step: Step, field: str, value: Detail) -> dict[str, Json]:
    """A parameter with its type and its default."""
    kinds = {bool: "Boolean", int: "Integer", float: "Float"}
    default = "null" if value is None else value
    return {
        "Name": parameter_name(step, field),
        "Type": kinds.get(type(value), "String"),
        "DefaultValue": default,
    }


def first_of(steps: Sequence[Step], step: Step) -> str | None:
    """The name of the step right before one, which it waits for as it does here; None for the first."""
    place = list(steps).index(step)
    return steps[place - 1].name if place else None


def definition_text(definition: Mapping[str, Json]) -> str:
    """A definition as text, the same for the same declaration, so that two of them can be compared line by line."""
    return msgspec.json.format(msgspec.json.encode(definition), indent=2).decode() + "\n"


def get(what: str) -> dict[str, Json]:
    """What the service fills in: a parameter, a property of a step."""
    return {"Get": what}


def join(on: str, *values: Json) -> dict[str, Json]:
    """Texts, and what the service fills in, one after the other; makes a text of a number, too."""
    return {"Std:Join": {"On": on, "Values": list(values)}}


def said(step: Step, path: str) -> dict[str, Json]:
    """What a step's verdict says."""
    return {"Std:JsonGet": {"PropertyFile": get(f"Steps.{step.name}.PropertyFiles.{VERDICT}"), "Path": path}}


class _Compiler:
    def __init__(self, pipeline: Pipeline, made: Made) -> None:
        self._pipeline = pipeline
        self._made = made
        self._steps = {step.name: step for step in pipeline.steps}
        self._asked = set(pipeline.steps[-1].inputs)

    def job(self, step: Step, after: str | None) -> dict[str, Json]:
        """A step that does work."""
        trains = _trains(step)
        found: dict[str, Json] = {
            "Name": step.name,
            "Type": "Training" if trains else "Processing",
            "Arguments": self._training(step) if trains else self._processing(step),
        }
        if after is not None:
            found["DependsOn"] = [after]
        if not trains:
            found["PropertyFiles"] = [
                {"PropertyFileName": VERDICT, "OutputName": VERDICT, "FilePath": VERDICT_FILE},
            ]
        if step.cached:
            found["CacheConfig"] = {"Enabled": True, "ExpireAfter": KEPT_FOR}
        return found | _retries(step)

    def condition(self, before: Sequence[Step], last: Step) -> dict[str, Json]:
        """What asks for the verdicts of those that the last step is made from, registers, or tells why not."""
        asked = [step for step in before if step.name in self._asked and not _trains(step)]
        conditions: list[Json] = [
            {"Type": "Equals", "LeftValue": said(step, "verdict"), "RightValue": "pass"} for step in asked
        ]
        reasons = join(" ", *(said(step, "reason") for step in asked))
        refused: Json = {"Name": REFUSED, "Type": "Fail", "Arguments": {"ErrorMessage": reasons}}
        return {
            "Name": CONDITION,
            "Type": "Condition",
            "DependsOn": [before[-1].name],
            "Arguments": {"Conditions": conditions, "IfSteps": [self._register(last)], "ElseSteps": [refused]},
        }

    def _processing(self, step: Step) -> dict[str, Json]:
        arguments = self._arguments(step)
        if step.name in self._asked:
            arguments.append("--told")
        for field in settable(step):
            arguments += ["--set", join("=", field, get(f"Parameters.{parameter_name(step, field)}"))]
        sagemaker = self._made.sagemaker
        return {
            "RoleArn": sagemaker.execution_role_arn,
            "AppSpecification": {
                "ImageUri": get("Parameters.Image"),
                "ContainerEntrypoint": list(ENTRYPOINT),
                "ContainerArguments": arguments,
            },
            "Environment": self._environment(),
            "NetworkConfig": {
                "EnableInterContainerTrafficEncryption": False,
                "EnableNetworkIsolation": False,
                "VpcConfig": self._network(),
            },
            "ProcessingInputs": [*self._inputs(step)],
            "ProcessingOutputConfig": {
                "KmsKeyId": sagemaker.kms_key_arn,
                "Outputs": [_output(ARTIFACT, self._place(step)), _output(VERDICT, self._place(step, VERDICT))],
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": get("Parameters.ProcessingInstance"),
                    "VolumeSizeInGB": 50,
                    "VolumeKmsKeyId": sagemaker.kms_key_arn,
                }
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 21_600},
        }

    def _training(self, step: Step) -> dict[str, Json]:
        sagemaker = self._made.sagemaker
        channels: list[Json] = [
            {"ChannelName": name, "DataSource": {"S3DataSource": _everything_at(self._artifact_of(name))}}
            for name in step.inputs
        ]
        return {
            "RoleArn": sagemaker.execution_role_arn,
            "AlgorithmSpecification": {
                "TrainingImage": get("Parameters.Image"),
                "TrainingInputMode": "File",
                "ContainerEntrypoint": list(ENTRYPOINT),
                "ContainerArguments": self._arguments(step),
            },
            "Environment": self._environment(),
            "HyperParameters": {
                field: join("", get(f"Parameters.{parameter_name(step, field)}")) for field in settable(step)
            },
            "InputDataConfig": channels,
            "OutputDataConfig": {"S3OutputPath": self._place(step), "KmsKeyId": sagemaker.kms_key_arn},
            "ResourceConfig": {
                "InstanceCount": 1,
                "InstanceType": get("Parameters.TrainingInstance"),
                "VolumeSizeInGB": 50,
                "VolumeKmsKeyId": sagemaker.kms_key_arn,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 21_600},
            "VpcConfig": self._network(),
        }

    def _register(self, last: Step) -> dict[str, Json]:
        (model,) = [name for name in last.inputs if _trains(self._steps[name])]
        evidence = {name: self._artifact_of(name) for name in last.inputs if name != model}
        container: dict[str, Json] = {"Image": get("Parameters.Image"), "ModelDataUrl": self._artifact_of(model)}
        found: dict[str, Json] = {
            "Name": last.name,
            "Type": "RegisterModel",
            "Arguments": {
                "ModelPackageGroupName": self._made.sagemaker.model_package_group,
                "ModelPackageDescription": join(" ", "Device type:", get("Parameters.DeviceType")),
                "ModelApprovalStatus": get("Parameters.Approval"),
                "InferenceSpecification": {
                    "Containers": [container],
                    "SupportedContentTypes": ["text/csv", "application/json"],
                    "SupportedResponseMIMETypes": ["text/csv", "application/json"],
                    "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
                    "SupportedTransformInstanceTypes": ["ml.m5.large"],
                },
                "CustomerMetadataProperties": {
                    "execution": get("Execution.PipelineExecutionId"),
                    "pipeline": self._pipeline.name,
                    **evidence,
                },
            },
        }
        return found | _retries(last)

    def _arguments(self, step: Step) -> list[Json]:
        return [step.name, "--pipeline", self._pipeline.name, join("=", "--type", get("Parameters.DeviceType"))]

    def _inputs(self, step: Step) -> Iterator[Json]:
        for name in step.inputs:
            yield _input(name, self._artifact_of(name))
        if not step.cached:  # it may look at the champion, whose files are where nothing of this run put them
            yield _input(MODELS, f"s3://{self._made.buckets.models}/{MODELS}")

    def _artifact_of(self, name: str) -> dict[str, Json]:
        if _trains(self._steps[name]):
            return get(f"Steps.{name}.ModelArtifacts.S3ModelArtifacts")
        return get(f"Steps.{name}.ProcessingOutputConfig.Outputs['{ARTIFACT}'].S3Output.S3Uri")

    def _place(self, step: Step, *below: str) -> dict[str, Json]:
        """Where a step's output goes: a folder of the execution."""
        root = f"s3://{self._made.buckets.models}/{self._pipeline.name}"
        return join("/", root, get("Execution.PipelineExecutionId"), step.name, *(below or (ARTIFACT,)))

    def _environment(self) -> dict[str, Json]:
        made = self._made
        return {
            "FAULTWATCH_DATABASE_URL": f"postgresql://{made.database_endpoint}/faultwatch?sslmode=require",
            "FAULTWATCH_DATABASE_SECRET": made.database_secret_arn,
            "FAULTWATCH_LAKE_URL": made.lake_url,
        }

    def _network(self) -> dict[str, Json]:
        sagemaker = self._made.sagemaker
        return {"SecurityGroupIds": [sagemaker.security_group_id], "Subnets": sagemaker.subnet_ids}


def _trains(step: Step) -> bool:
    return step.component is model_trainer.run


def _retries(step: Step) -> dict[str, Json]:
    """The declaration's retries, for what AWS itself fails at; storage that fails is tried again inside the job."""
    if step.retries == 0:
        return {}
    patience: dict[str, Json] = {"IntervalSeconds": 30, "BackoffRate": 2.0, "MaxAttempts": step.retries}
    of_steps: list[Json] = ["Step.SERVICE_FAULT", "Step.THROTTLING"]
    of_jobs: list[Json] = ["SageMaker.JOB_INTERNAL_ERROR", "SageMaker.CAPACITY_ERROR", "SageMaker.RESOURCE_LIMIT"]
    kinds = [of_steps] if step.component is model_pusher.run else [of_steps, of_jobs]
    return {"RetryPolicies": [{"ExceptionType": kind, **patience} for kind in kinds]}


def _everything_at(place: Json) -> dict[str, Json]:
    return {"S3DataType": "S3Prefix", "S3Uri": place, "S3DataDistributionType": "FullyReplicated"}


def _input(name: str, place: Json) -> dict[str, Json]:
    source: dict[str, Json] = {
        "S3Uri": place,
        "LocalPath": str(INSIDE.processing_input(name)),
        "S3DataType": "S3Prefix",
        "S3InputMode": "File",
        "S3DataDistributionType": "FullyReplicated",
    }
    return {"InputName": name, "AppManaged": False, "S3Input": source}


def _output(name: str, place: Json) -> dict[str, Json]:
    target: dict[str, Json] = {
        "S3Uri": place,
        "LocalPath": str(INSIDE.processing_output(name)),
        "S3UploadMode": "EndOfJob",
    }
    return {"OutputName": name, "AppManaged": False, "S3Output": target}
