"""Batch transform and endpoints: what AWS is asked, taken by a simulator of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from botocore.stub import Stubber

from ...cloud.aws import batch, endpoints, registry
from ...cloud.aws.account import Account
from ...cloud.aws.made import Made
from ...cloud.cli import batch as batch_command
from ...exceptions import ConfigError, ConflictError, StorageError
from ..systems import s3
from .environments import IMAGE, made, written

NOW = 1_790_000_000_000


@pytest.fixture
def signed_in(moto_server: s3.Bucket) -> Iterator[tuple[Account, Made]]:
    """An account with a bucket of predictions and a group with a model of another type, and one nobody approved."""
    environment = made()
    buckets = msgspec.structs.replace(environment.buckets, predictions=moto_server.name)
    group = f"group-{moto_server.name}"
    sagemaker = msgspec.structs.replace(environment.sagemaker, model_package_group=group)
    with Account() as account:
        account.client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
        found = msgspec.structs.replace(environment, buckets=buckets, sagemaker=sagemaker)
        register(account, found, "display", "Approved")
        register(account, found, "pump", "PendingManualApproval")
        yield account, found


def register(account: Account, environment: Made, type_name: str, approval: str) -> str:
    """A model in the group, as the pipeline registers it."""
    container = {"Image": IMAGE, "ModelDataUrl": "s3://models/model.tar.gz"}
    package: dict[str, Any] = {"Containers": [container], "SupportedContentTypes": ["text/csv"]}
    made_one = account.client("sagemaker").create_model_package(
        ModelPackageGroupName=environment.sagemaker.model_package_group,
        ModelPackageDescription=f"Device type: {type_name}",
        ModelApprovalStatus=approval,
        InferenceSpecification={**package, "SupportedResponseMIMETypes": ["text/csv"]},
    )
    return str(made_one["ModelPackageArn"])


def test_the_newest_approved_model_of_a_type_scores_files(
    signed_in: tuple[Account, Made], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    account, environment = signed_in
    with pytest.raises(ConfigError, match="has no approved model of device type 'pump'; .* somebody approves it"):
        registry.newest_approved(account, environment, "pump")
    approved = register(account, environment, "pump", "Approved")
    assert registry.newest_approved(account, environment, "pump") == approved
    file = written(tmp_path, environment)
    batch_command(file, "s3://readings/day", "pump", dry_run=True)
    assert approved in capsys.readouterr().out
    assert account.client("sagemaker").list_transform_jobs()["TransformJobSummaries"] == []
    name, output = batch.transform(account, environment, approved, "s3://readings/day", NOW)
    assert output == f"s3://{environment.buckets.predictions}/batch/{name}"
    job = account.client("sagemaker").describe_transform_job(TransformJobName=name)
    assert job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"] == "s3://readings/day"
    assert job["ModelName"] == name and job["TransformOutput"]["KmsKeyId"] == environment.sagemaker.kms_key_arn


def test_a_batch_that_is_refused_leaves_no_model_behind(signed_in: tuple[Account, Made]) -> None:
    account, environment = signed_in
    model, job = batch.requests(environment, "arn:aws:sagemaker:::model-package/a/1", "s3://readings/day", NOW)
    with Stubber(account.client("sagemaker")) as stub:
        stub.add_response("create_model", {"ModelArn": "arn:aws:sagemaker:eu-central-1:123456789012:model/a"}, model)
        stub.add_client_error("create_transform_job", "ResourceLimitExceeded", "ml.m5.large", expected_params=job)
        stub.add_response("delete_model", {}, {"ModelName": model["ModelName"]})
        with pytest.raises(StorageError, match="batch transform faultwatch-test-training-batch-.* Service Quotas"):
            batch.transform(account, environment, "arn:aws:sagemaker:::model-package/a/1", "s3://readings/day", NOW)
        stub.assert_no_pending_responses()
    with Stubber(account.client("sagemaker")) as stub:
        stub.add_response("create_model", {"ModelArn": "arn:aws:sagemaker:eu-central-1:123456789012:model/a"}, model)
        stub.add_client_error("create_transform_job", "ResourceLimitExceeded", "ml.m5.large", expected_params=job)
        stub.add_client_error("delete_model", "AccessDenied", "no")
        with pytest.raises(StorageError, match=f"Service Quotas.*Model {model['ModelName']} was made.*: delete it"):
            batch.transform(account, environment, "arn:aws:sagemaker:::model-package/a/1", "s3://readings/day", NOW)
    with pytest.raises(ConfigError, match="input 'readings'; expected s3://BUCKET/PREFIX"):
        batch.transform(account, environment, "arn", "readings", NOW)


def test_an_endpoint_captures_what_it_is_asked_and_says(signed_in: tuple[Account, Made]) -> None:
    account, environment = signed_in
    package, name = register(account, environment, "pump", "Approved"), "faultwatch-pump"
    arn = endpoints.create(account, environment, name, package)
    assert arn.endswith(f"endpoint/{name}")
    config = account.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
    assert config["DataCaptureConfig"]["EnableCapture"]
    assert config["DataCaptureConfig"]["DestinationS3Uri"] == f"s3://{environment.buckets.predictions}/captured"
    with pytest.raises(ConflictError, match="endpoint 'faultwatch-pump' is there already; delete it, or name another"):
        endpoints.create(account, environment, name, package)
