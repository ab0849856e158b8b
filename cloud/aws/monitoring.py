"""Model Monitor: what an endpoint captures, when it is compared with a baseline, and what it found amiss."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from ...exceptions import ConfigError
from .account import Account, asking, or_undone
from .baselines import CONSTRAINTS, STATISTICS, Baseline
from .made import Made

HOURLY = "cron(0 * ? * * *)"
VIOLATIONS = "constraint_violations.json"
INSIDE = "/opt/ml/processing"
INSTANCE = "ml.m5.large"
DATA = "DataQuality"

_WORDS = {
    "data_type_check": "is of another type than in training",
    "completeness_check": "is missing more often than in training",
    "baseline_drift_check": "has drifted away from what training saw",
    "missing_column_check": "is no longer sent",
    "extra_column_check": "was not there in training",
    "categorical_values_check": "has values that training never saw",
}


class Found(msgspec.Struct, frozen=True):
    """One violation as Model Monitor writes it."""

    feature_name: str
    constraint_check_type: str
    description: str = ""


class Violations(msgspec.Struct, frozen=True):
    """The file that Model Monitor leaves where a comparison found something."""

    violations: list[Found]


@dataclass(frozen=True, slots=True)
class Violation:
    """What is amiss: at which endpoint, when it was looked at (ms), with which sensor, by which check; a sentence."""

    endpoint: str
    at_ms: int
    feature: str
    check: str
    sentence: str


def capture(made: Made) -> dict[str, object]:
    """DataCaptureConfig of CreateEndpointConfig: every request and answer goes to the bucket of predictions."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{made.buckets.predictions}/captured",
        "KmsKeyId": made.sagemaker.kms_key_arn,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    }


def job_definition(made: Made, endpoint: str, analyzer: str) -> dict[str, object]:
    """What CreateDataQualityJobDefinition is asked: compare what an endpoint captured with its baseline.

    `analyzer` is AWS's image of Model Monitor in the region.
    """
    sagemaker, place = made.sagemaker, _baseline(made, endpoint)
    return {
        "JobDefinitionName": _name(endpoint),
        "DataQualityBaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{place}/{CONSTRAINTS}"},
            "StatisticsResource": {"S3Uri": f"{place}/{STATISTICS}"},
        },
        "DataQualityAppSpecification": {"ImageUri": analyzer},
        "DataQualityJobInput": {
            "EndpointInput": {"EndpointName": endpoint, "LocalPath": f"{INSIDE}/input/endpoint", "S3InputMode": "File"}
        },
        "DataQualityJobOutputConfig": {
            "MonitoringOutputs": [
                {
                    "S3Output": {
                        "S3Uri": f"s3://{made.buckets.predictions}/monitored/{endpoint}",
                        "LocalPath": f"{INSIDE}/output",
                        "S3UploadMode": "EndOfJob",
                    }
                }
            ],
            "KmsKeyId": sagemaker.kms_key_arn,
        },
        "JobResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": INSTANCE,
                "VolumeSizeInGB": 20,
                "VolumeKmsKeyId": sagemaker.kms_key_arn,
            }
        },
        "NetworkConfig": {
            "EnableInterContainerTrafficEncryption": False,
            "EnableNetworkIsolation": False,
            "VpcConfig": {"SecurityGroupIds": [sagemaker.security_group_id], "Subnets": sagemaker.subnet_ids},
        },
        "RoleArn": sagemaker.execution_role_arn,
        "StoppingCondition": {"MaxRuntimeInSeconds": 1800},
    }


def schedule(endpoint: str, expression: str = HOURLY) -> dict[str, object]:
    """What CreateMonitoringSchedule is asked: the comparison above, every hour or as `expression` says."""
    return {
        "MonitoringScheduleName": _name(endpoint),
        "MonitoringScheduleConfig": {
            "ScheduleConfig": {"ScheduleExpression": expression},
            "MonitoringJobDefinitionName": _name(endpoint),
            "MonitoringType": DATA,
        },
    }


def watch(
    account: Account, made: Made, endpoint: str, analyzer: str, baseline: Baseline, expression: str = HOURLY
) -> str:
    """Put the baseline where the comparison finds it, and have an endpoint compared with it; return the schedule's ARN.

    Raises AccessError where account or bucket are another's, ConflictError where the endpoint is watched already. Where
    the schedule isn't taken, the job's definition is deleted again.
    """
    account.must_be(made.sagemaker.account)
    account.must_own(made.buckets.models, made.sagemaker.account)
    client, owner = account.client("sagemaker"), made.sagemaker.account
    bucket, _, key = _baseline(made, endpoint).removeprefix("s3://").partition("/")
    with asking(f"bucket {bucket}"):
        for name, content in ((CONSTRAINTS, baseline.constraints), (STATISTICS, baseline.statistics)):
            account.client("s3").put_object(
                Bucket=bucket, Key=f"{key}/{name}", Body=msgspec.json.encode(content), ExpectedBucketOwner=owner
            )
    name = _name(endpoint)
    with asking(f"what endpoint {endpoint} is compared with"):
        client.create_data_quality_job_definition(**job_definition(made, endpoint, analyzer))
    with (
        or_undone(f"Job definition {name}", lambda: client.delete_data_quality_job_definition(JobDefinitionName=name)),
        asking(f"monitoring of endpoint {endpoint}"),
    ):
        return str(client.create_monitoring_schedule(**schedule(endpoint, expression))["MonitoringScheduleArn"])


def violations(account: Account, endpoint: str) -> list[Violation]:
    """What the last comparison of an endpoint found, for alerts of kind `model`; empty where all was well.

    Raises ConfigError where the endpoint isn't watched, or the comparison itself failed.
    """
    client = account.client("sagemaker")
    with asking(f"monitoring of endpoint {endpoint}"):
        found = client.describe_monitoring_schedule(MonitoringScheduleName=_name(endpoint))
    last = found.get("LastMonitoringExecutionSummary") or {}
    state = last.get("MonitoringExecutionStatus", "")
    if state in ("Failed", "Stopped"):
        reason = last.get("FailureReason", "AWS tells no reason")
        raise ConfigError(f"the last comparison of endpoint {endpoint} {state.lower()}: {reason}")
    if state != "CompletedWithViolations":
        return []
    with asking(f"the last comparison of endpoint {endpoint}"):
        job = client.describe_processing_job(ProcessingJobName=last["ProcessingJobArn"].rpartition("/")[2])
        outputs: list[Mapping[str, Mapping[str, str]]] = job["ProcessingOutputConfig"]["Outputs"]
        bucket, _, key = outputs[0]["S3Output"]["S3Uri"].removeprefix("s3://").partition("/")
        body = account.client("s3").get_object(Bucket=bucket, Key=f"{key.rstrip('/')}/{VIOLATIONS}")["Body"].read()
    return list(read_violations(body, endpoint, round(last["ScheduledTime"].timestamp() * 1000)))


def read_violations(body: bytes, endpoint: str, at_ms: int) -> Iterator[Violation]:
    """The violations of a file of Model Monitor, a sentence each. Raises ConfigError where it is something else."""
    try:
        found = msgspec.json.decode(body, type=Violations)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{VIOLATIONS} of endpoint {endpoint} is not what Model Monitor writes: {error}") from error
    for one in found.violations:
        words = _WORDS.get(one.constraint_check_type, f"breaks {one.constraint_check_type}")
        told = f" ({one.description.strip().rstrip('.')})" if one.description.strip() else ""
        sentence = f"{one.feature_name} {words}, says Model Monitor of endpoint {endpoint}{told}"
        yield Violation(endpoint, at_ms, one.feature_name, one.constraint_check_type, sentence)


def _name(endpoint: str) -> str:
    return f"{endpoint[:55]}-data"


def _baseline(made: Made, endpoint: str) -> str:
    return f"s3://{made.buckets.models}/baselines/{endpoint}"
