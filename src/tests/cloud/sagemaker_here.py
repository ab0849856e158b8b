"""Runs a pipeline's definition as SageMaker would, on this machine: each job's command line as a process, in a folder
laid out as its container's, with S3 as a folder. What a job asks of its API is checked against botocore's model."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

ROOT = Path("/opt/ml")
EXECUTION = "execution1"
PROGRAM = Path(sys.executable).parent / "faultwatch"
OPERATIONS = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "RegisterModel": ("CreateModelPackage", None),
}


@cache
def api() -> ServiceModel:
    """botocore's model of SageMaker's API, which takes a second to read."""
    return botocore.session.get_session().get_service_model("sagemaker")


def complaints(kind: str, request: Mapping[str, Any]) -> str:
    """What botocore's model of the API has against the request of a step; empty where nothing."""
    operation, name = OPERATIONS[kind]
    model = api().operation_model(operation)
    named = {**request, name: "job"} if name else dict(request)
    return str(ParamValidator().validate(named, model.input_shape).generate_report())


@dataclass
class Here:
    """One execution. `given` is put over each job's environment: the database and the lake of this machine."""

    definition: Mapping[str, Any]
    folder: Path
    given: Mapping[str, str]
    parameters: dict[str, str] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    registered: list[dict[str, Any]] = field(default_factory=list)
    failed: str = ""
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, steps: list[dict[str, Any]] | None = None) -> "Here":
        """Run all steps, or these, up to one that fails."""
        for step in self.definition["Steps"] if steps is None else steps:
            if self.failed:
                break
            assert set(step.get("DependsOn", [])) <= set(self.ran), f"{step['Name']} waits for what comes later"
            {"Condition": self._condition, "Fail": self._fail}.get(step["Type"], self._work)(step)
            self.ran.append(step["Name"])
        return self

    def resolve(self, value: Any) -> Any:
        """A value with all that the service fills in."""
        if isinstance(value, list):
            return [self.resolve(one) for one in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"Get"}:
            return self._get(value["Get"])
        if set(value) == {"Std:Join"}:
            joined = value["Std:Join"]
            return joined["On"].join(_text(self.resolve(one)) for one in joined["Values"])
        if set(value) == {"Std:JsonGet"}:
            return self._json_get(value["Std:JsonGet"])
        return {name: self.resolve(one) for name, one in value.items()}

    def at(self, uri: str) -> Path:
        """The place that stands for an address of S3."""
        assert uri.startswith("s3://"), uri
        return self.folder / "s3" / uri.removeprefix("s3://")

    def container(self, name: str) -> Path:
        """The folder that stands for a container's /opt/ml."""
        return self.folder / "containers" / name

    def _get(self, what: str) -> Any:
        kind, _, rest = what.partition(".")
        if kind == "Parameters":
            defaults = {one["Name"]: one["DefaultValue"] for one in self.definition["Parameters"]}
            return self.parameters.get(rest, defaults[rest])
        if what == "Execution.PipelineExecutionId":
            return EXECUTION
        step, _, path = rest.partition(".")
        if path == "ModelArtifacts.S3ModelArtifacts":
            output = self.requests[step]["OutputDataConfig"]["S3OutputPath"]
            return f"{output}/job/output/model.tar.gz"
        outputs = self.requests[step]["ProcessingOutputConfig"]["Outputs"]
        named = path.removeprefix("ProcessingOutputConfig.Outputs['").removesuffix("'].S3Output.S3Uri")
        return next(one["S3Output"]["S3Uri"] for one in outputs if one["OutputName"] == named)

    def _json_get(self, asked: Mapping[str, Any]) -> Any:
        _, name, _, wanted = asked["PropertyFile"]["Get"].split(".")
        step = next(one for one in self.definition["Steps"] if one["Name"] == name)
        file = next(one for one in step["PropertyFiles"] if one["PropertyFileName"] == wanted)
        outputs = self.requests[name]["ProcessingOutputConfig"]["Outputs"]
        output = next(one for one in outputs if one["OutputName"] == file["OutputName"])
        found = json.loads((self.at(output["S3Output"]["S3Uri"]) / file["FilePath"]).read_text())
        for part in asked["Path"].split("."):
            found = found[part]
        return found

    def _condition(self, step: dict[str, Any]) -> None:
        arguments = step["Arguments"]
        assert {condition["Type"] for condition in arguments["Conditions"]} == {"Equals"}
        holds = all(self.resolve(one["LeftValue"]) == one["RightValue"] for one in arguments["Conditions"])
        self.ran.append(step["Name"])
        self.run(arguments["IfSteps"] if holds else arguments["ElseSteps"])

    def _fail(self, step: dict[str, Any]) -> None:
        self.failed = self.resolve(step["Arguments"]["ErrorMessage"])

    def _work(self, step: dict[str, Any]) -> None:
        request = self.resolve(step["Arguments"])
        assert complaints(step["Type"], request) == ""
        self.requests[step["Name"]] = request
        if step["Type"] == "RegisterModel":
            self.registered.append(request)
            return
        root = self.container(step["Name"])
        shutil.rmtree(root, ignore_errors=True)
        {"Processing": self._lay_out_processing, "Training": self._lay_out_training}[step["Type"]](root, request)
        specification = request.get("AppSpecification") or request["AlgorithmSpecification"]
        done = self._process(root, request, specification)
        if done.returncode:
            reason = root / "output" / ("failure" if step["Type"] == "Training" else "message")
            self.failed = reason.read_text() if reason.exists() else done.stderr
            return
        {"Processing": self._keep_processing, "Training": self._keep_training}[step["Type"]](root, request)

    def _process(
        self, root: Path, request: Mapping[str, Any], specification: Mapping[str, Any]
    ) -> subprocess.CompletedProcess[str]:
        program, *rest = specification["ContainerEntrypoint"]
        assert program == "faultwatch"
        environment = {**os.environ, **request["Environment"], **self.given, "FAULTWATCH_CONTAINER_ROOT": str(root)}
        environment = {name: text for name, text in environment.items() if text}
        command = [str(PROGRAM), *rest, *specification["ContainerArguments"]]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=280)

    def _lay_out_processing(self, root: Path, request: Mapping[str, Any]) -> None:
        for one in request["ProcessingInputs"]:
            self._bring(one["S3Input"]["S3Uri"], _below(root, one["S3Input"]["LocalPath"]))
        for one in request["ProcessingOutputConfig"]["Outputs"]:
            _below(root, one["S3Output"]["LocalPath"]).mkdir(parents=True)

    def _lay_out_training(self, root: Path, request: Mapping[str, Any]) -> None:
        for one in request["InputDataConfig"]:
            self._bring(one["DataSource"]["S3DataSource"]["S3Uri"], root / "input" / "data" / one["ChannelName"])
        (root / "input" / "config").mkdir(parents=True)
        (root / "input" / "config" / "hyperparameters.json").write_text(json.dumps(request["HyperParameters"]))
        (root / "model").mkdir()

    def _bring(self, uri: str, target: Path) -> None:
        source = self.at(uri)
        assert source.exists(), f"nothing at {uri}: AWS would fail the job"
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            target.mkdir(parents=True)
            shutil.copy(source, target)

    def _keep_processing(self, root: Path, request: Mapping[str, Any]) -> None:
        for one in request["ProcessingOutputConfig"]["Outputs"]:
            output = one["S3Output"]
            shutil.copytree(_below(root, output["LocalPath"]), self.at(output["S3Uri"]), dirs_exist_ok=True)

    def _keep_training(self, root: Path, request: Mapping[str, Any]) -> None:
        place = self.at(request["OutputDataConfig"]["S3OutputPath"]) / "job" / "output"
        place.mkdir(parents=True, exist_ok=True)
        with tarfile.open(place / "model.tar.gz", "w:gz") as packed:
            for file in sorted((root / "model").iterdir()):
                packed.add(file, file.name)


def _below(root: Path, path: str) -> Path:
    return root / Path(path).relative_to(ROOT)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
