"""Model Monitor: what an endpoint captures, and when it is compared with a baseline."""

from dataclasses import dataclass

import msgspec

from .account import Account, asking, or_undone
from .baselines import CONSTRAINTS, STATISTICS, Baseline
from .made import Made

INSIDE = "/opt/ml/processing"
INSTANCE = "ml.m5.large"


@dataclass(frozen=True, slots=True)
class Quality:
    """One thing that is compared with a baseline: `kind` in AWS's words, how often, by what names."""

    suffix: str
    kind: str
    expression: str

    def name_of(self, endpoint: str) -> str:
        """Name of its job definition and schedule."""
        return f"{endpoint[:55]}-{self.suffix}"


DATA = Quality("data", "DataQuality", "cron(0 * ? * * *)")
"""What an endpoint is sent, every hour."""


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
        "JobDefinitionName": DATA.name_of(endpoint),
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


def schedule(endpoint: str, quality: Quality = DATA) -> dict[str, object]:
    """What CreateMonitoringSchedule is asked: the comparison of that name, as often as it says."""
    return {
        "MonitoringScheduleName": quality.name_of(endpoint),
        "MonitoringScheduleConfig": {
            "ScheduleConfig": {"ScheduleExpression": quality.expression},
            "MonitoringJobDefinitionName": quality.name_of(endpoint),
            "MonitoringType": quality.kind,
        },
    }


def watch(account: Account, made: Made, endpoint: str, analyzer: str, baseline: Baseline) -> str:
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
    name = DATA.name_of(endpoint)
    with asking(f"what endpoint {endpoint} is compared with"):
        client.create_data_quality_job_definition(**job_definition(made, endpoint, analyzer))
    with (
        or_undone(f"Job definition {name}", lambda: client.delete_data_quality_job_definition(JobDefinitionName=name)),
        asking(f"monitoring of endpoint {endpoint}"),
    ):
        return str(client.create_monitoring_schedule(**schedule(endpoint))["MonitoringScheduleArn"])


def _baseline(made: Made, endpoint: str) -> str:
    return f"s3://{made.buckets.models}/baselines/{endpoint}"
