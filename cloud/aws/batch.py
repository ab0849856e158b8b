"""Batch transform: a registered model scores files of S3, by the container's contract that endpoints keep, too."""

from collections.abc import Mapping
from datetime import UTC, datetime

from ...exceptions import ConfigError
from .account import Account, asking, or_undone
from .made import Made

INSTANCE = "ml.m5.large"
MOST_MB = 100
"""The largest file, as SageMaker limits it; a file is one request, since a device's level settles on its own rows."""


def model_request(made: Made, name: str, package: str) -> dict[str, object]:
    """What CreateModel is asked: a registered model, in the network of jobs."""
    sagemaker = made.sagemaker
    return {
        "ModelName": name,
        "ExecutionRoleArn": sagemaker.execution_role_arn,
        "Containers": [{"ModelPackageName": package}],
        "VpcConfig": {"SecurityGroupIds": [sagemaker.security_group_id], "Subnets": sagemaker.subnet_ids},
    }


def transform_request(made: Made, name: str, source: str, target: str) -> dict[str, object]:
    """What CreateTransformJob is asked: each CSV below `source` is one request, its answer goes below `target`."""
    key = made.sagemaker.kms_key_arn
    return {
        "TransformJobName": name,
        "ModelName": name,
        "BatchStrategy": "SingleRecord",
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": MOST_MB,
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": source}},
            "ContentType": "text/csv",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {"S3OutputPath": target, "Accept": "text/csv", "AssembleWith": "Line", "KmsKeyId": key},
        "TransformResources": {"InstanceType": INSTANCE, "InstanceCount": 1, "VolumeKmsKeyId": key},
    }


def requests(made: Made, package: str, source: str, now_ms: int) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """What CreateModel and CreateTransformJob are asked, under one name of this second.

    Raises ConfigError where `source` is no address of S3.
    """
    if not source.startswith("s3://") or not source.removeprefix("s3://").strip("/"):
        raise ConfigError(f"input {source!r}; expected s3://BUCKET/PREFIX with CSV files")
    moment = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{made.sagemaker.pipeline_name}-batch-{moment}"[-63:].lstrip("-")
    target = f"s3://{made.buckets.predictions}/batch/{name}"
    return model_request(made, name, package), transform_request(made, name, source, target)


def transform(account: Account, made: Made, package: str, source: str, now_ms: int) -> tuple[str, str]:
    """Start a batch transform; return the job's name and the address of its output.

    Raises AccessError where the account or its bucket is another's; where the job isn't taken, the model that was made
    for it is deleted again.
    """
    model, job = requests(made, package, source, now_ms)
    account.must_be(made.sagemaker.account)
    account.must_own(made.buckets.predictions, made.sagemaker.account)
    client = account.client("sagemaker")
    name = model["ModelName"]
    with asking(f"model {name}"):
        client.create_model(**model)
    with (
        or_undone(f"Model {name}", lambda: client.delete_model(ModelName=name)),
        asking(f"batch transform {job['TransformJobName']}"),
    ):
        client.create_transform_job(**job)
    output = job["TransformOutput"]
    assert isinstance(output, dict)
    return str(job["TransformJobName"]), str(output["S3OutputPath"])
