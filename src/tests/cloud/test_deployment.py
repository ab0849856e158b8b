"""Deploying, starting and looking after the pipeline, against a simulator of AWS on the loopback."""

import json
import re
from pathlib import Path

import boto3
import msgspec
import pytest

from ...cloud.aws.account import Account
from ...cloud.aws.deployment import deploy, publish_champions, start
from ...cloud.aws.made import Buckets, Made, SageMaker, read_made
from ...cloud.aws.sagemaker_pipeline import Json, compile_pipeline, definition_text
from ...cloud.cli import pipeline
from ...exceptions import AccessError, ConfigError, ConflictError
from ...pipelines.runner import execute
from ...pipelines.runs import Trigger
from ...pipelines.training import TRAINING
from ..checkout import ROOT
from ..components import lakeside
from ..systems import s3
from .environments import ACCOUNT, IMAGE, made, written


def definition(environment: Made) -> dict[str, Json]:
    """The training pipeline for an environment."""
    return compile_pipeline(TRAINING, environment, IMAGE, "pump")


@pytest.fixture
def environment(moto_server: s3.Bucket) -> Made:
    """An environment whose bucket of models is there, and no pipeline."""
    with Account() as account:
        client = account.client("sagemaker")
        for found in client.list_pipelines()["PipelineSummaries"]:
            client.delete_pipeline(PipelineName=found["PipelineName"], ClientRequestToken="0" * 32)
    return made(moto_server.name)


def test_it_is_made_brought_up_to_date_started_and_looked_at(
    environment: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, environment)
    with Account() as account:
        with pytest.raises(ConfigError, match="no pipeline 'faultwatch-test-training'; .* --deploy` makes it"):
            start(account, environment, {})
    pipeline(file, IMAGE, "pump", deploy=True)
    pipeline(file, IMAGE.replace("000", "111"), "pump", deploy=True, start=True, changes=["data_ingestion__days=30"])
    assert capsys.readouterr().out.count("deployed: arn:aws:sagemaker:") == 2
    pipeline(file, IMAGE, "pump", dry_run=True)
    assert capsys.readouterr().out == definition_text(definition(environment))
    pipeline(file, status=True)
    line, *_ = capsys.readouterr().out.splitlines()  # moto gives the reason None to a run that didn't fail
    assert ": Executing, " in line or ": Succeeded, " in line
    with Account() as account:
        client = account.client("sagemaker")
        kept = json.loads(client.describe_pipeline(PipelineName="faultwatch-test-training")["PipelineDefinition"])
        (run,) = client.list_pipeline_executions(PipelineName="faultwatch-test-training")["PipelineExecutionSummaries"]
        given = client.list_pipeline_parameters_for_execution(PipelineExecutionArn=run["PipelineExecutionArn"])
        with pytest.raises(ConfigError, match="has no parameter days; it has Approval, DeviceType, "):
            start(account, environment, {"days": "3"})
    assert kept["Parameters"][0]["DefaultValue"] == IMAGE.replace("000", "111")
    assert {"Name": "data_ingestion__days", "Value": "30"} in given["PipelineParameters"]


def test_a_name_that_is_taken_is_not_overwritten(environment: Made) -> None:
    with Account() as account:
        account.client("sagemaker").create_pipeline(
            PipelineName="faultwatch-test-training",
            PipelineDefinition='{"Version": "2020-12-01", "Steps": []}',
            ClientRequestToken="0" * 32,
            RoleArn=environment.sagemaker.execution_role_arn,
        )
        with pytest.raises(ConflictError, match="is there, and faultwatch didn't make it; delete it, or"):
            deploy(account, environment, definition(environment))
        with pytest.raises(ConflictError):
            deploy(account, environment, definition(environment))


def test_a_bucket_of_another_owner_and_another_account_are_refused_before_anything_is_made(environment: Made) -> None:
    with Account() as account:
        absent = made("faultwatch-nowhere")
        with pytest.raises(ConfigError, match="bucket faultwatch-nowhere .* there is none of that name; apply"):
            deploy(account, absent, definition(absent))
        role = environment.sagemaker.execution_role_arn.replace(ACCOUNT, "210987654321")
        other = msgspec.structs.replace(
            environment, sagemaker=msgspec.structs.replace(environment.sagemaker, execution_role_arn=role)
        )
        with pytest.raises(
            AccessError, match=f"signed in to account {ACCOUNT}; expected 210987654321, .* set AWS_PROFILE"
        ):
            deploy(account, other, definition(other))
        assert account.client("sagemaker").list_pipelines()["PipelineSummaries"] == []


def test_models_that_serve_go_to_where_training_compares(environment: Made, tmp_path: Path) -> None:
    place, type_id = lakeside.with_readings(tmp_path / "data", 12, 500)
    with Account() as account:
        assert publish_champions(account, environment, place) == []
        execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
        champion = place.champion(type_id)
        assert champion is not None
        folder = place.models(type_id) / champion.folder
        assert publish_champions(account, environment, place) == [f"type-{type_id}/{champion.folder}"]
        store = account.client("s3")
        for file in folder.iterdir():
            key = f"models/type-{type_id}/{champion.folder}/{file.name}"
            assert store.get_object(Bucket=environment.buckets.models, Key=key)["Body"].read() == file.read_bytes()
    place.close()


def test_what_is_needed_is_named(environment: Made, tmp_path: Path) -> None:
    file = written(tmp_path, environment)
    with pytest.raises(ConfigError, match="expected --dry-run, --deploy, --start or --status"):
        pipeline(file)
    with pytest.raises(ConfigError, match="expected --image REPOSITORY@sha256:DIGEST and --type NAME"):
        pipeline(file, "faultwatch:latest", "pump", dry_run=True)
    with pytest.raises(ConfigError, match="--set 'days': expected NAME=VALUE"):
        pipeline(file, start=True, changes=["days"])
    with pytest.raises(ConfigError, match="can't be read: No such file or directory; write it with: terraform"):
        read_made(tmp_path / "nowhere.json")
    file.write_text('{"buckets": {}}')
    with pytest.raises(ConfigError, match="is not what Terraform says of an environment"):
        read_made(file)


def test_terraform_tells_all_that_is_read() -> None:
    text = (ROOT / "infrastructure" / "faultwatch" / "outputs.tf").read_text(encoding="utf-8")
    outputs = dict(re.findall(r'output "(\w+)" \{(.*?)\n\}', text, re.S))
    assert {field.name for field in msgspec.structs.fields(Made)} <= set(outputs)
    for name, kind in (("buckets", Buckets), ("sagemaker", SageMaker)):
        told = set(re.findall(r"^    (\w+) +=", outputs[name], re.M))
        assert {field.name for field in msgspec.structs.fields(kind)} <= told


def test_who_is_signed_in_is_known(moto_server: s3.Bucket) -> None:
    with Account() as account:
        assert account.number() == ACCOUNT
        assert account.client("s3") is account.client("s3")
    assert boto3.client("sts").get_caller_identity()["Account"] == ACCOUNT
