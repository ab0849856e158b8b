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

MODEL = Quality("model", "ModelQuality", "cron(0 0 ? * * *)")
"""What it answered on the day before the last, each midnight (UTC), with what fault reports say: they come late."""

ODD = "2"
"""The column of an answer in CSV, from 0, that says whether a row is odd."""

READING_ENDPOINT = f"{INSIDE}/input/endpoint"


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
    place = _baseline(made, endpoint, DATA)
    return {
        "JobDefinitionName": DATA.name_of(endpoint),
        "DataQualityBaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{place}/{CONSTRAINTS}"},
            "StatisticsResource": {"S3Uri": f"{place}/{STATISTICS}"},
        },
        "DataQualityAppSpecification": {"ImageUri": analyzer},
        "DataQualityJobInput": {
            "EndpointInput": {"EndpointName": endpoint, "LocalPath": READING_ENDPOINT, "S3InputMode": "File"}
        },
        "DataQualityJobOutputConfig": _output(made, endpoint),
        **_work(made),
    }


def model_job_definition(made: Made, endpoint: str, analyzer: str) -> dict[str, object]:
    """What CreateModelQualityJobDefinition is asked: compare what an endpoint answered with what fault reports say.

    `ground_truth.write_day` writes those.
    """
    return {
        "JobDefinitionName": MODEL.name_of(endpoint),
        "ModelQualityBaselineConfig": {
            "ConstraintsResource": {"S3Uri": f"{_baseline(made, endpoint, MODEL)}/{CONSTRAINTS}"},
        },
        "ModelQualityAppSpecification": {"ImageUri": analyzer, "ProblemType": "BinaryClassification"},
        "ModelQualityJobInput": {
            "EndpointInput": {
                "EndpointName": endpoint,
                "LocalPath": READING_ENDPOINT,
                "S3InputMode": "File",
                "InferenceAttribute": ODD,
                "StartTimeOffset": "-P2D",
                "EndTimeOffset": "-P1D",
            },
            "GroundTruthS3Input": {"S3Uri": truth_of(made, endpoint)},
        },
        "ModelQualityJobOutputConfig": _output(made, f"{endpoint}-model"),
        **_work(made),
    }


def truth_of(made: Made, endpoint: str) -> str:
    """Where the truth about what an endpoint was asked is."""
    return f"s3://{made.buckets.predictions}/truth/{endpoint}"


def _output(made: Made, name: str) -> dict[str, object]:
    output = {
        "S3Uri": f"s3://{made.buckets.predictions}/monitored/{name}",
        "LocalPath": f"{INSIDE}/output",
        "S3UploadMode": "EndOfJob",
    }
    return {"MonitoringOutputs": [{"S3Output": output}], "KmsKeyId": made.sagemaker.kms_key_arn}


def _work(made: Made) -> dict[str, object]:
    """Machine, network and role of a comparison."""
    sagemaker = made.sagemaker
    return {
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


def watch(
    account: Account, made: Made, endpoint: str, analyzer: str, baseline: Baseline, quality: Quality = DATA
) -> str:
    """Put the baseline where the comparison finds it, and have an endpoint compared with it; return the schedule's ARN.

    Raises AccessError where account or bucket are another's, ConflictError where the endpoint is watched already. Where
    the schedule isn't taken, the job's definition is deleted again.
    """
    account.must_be(made.sagemaker.account)
    account.must_own(made.buckets.models, made.sagemaker.account)
    client, owner = account.client("sagemaker"), made.sagemaker.account
    bucket, _, key = _baseline(made, endpoint, quality).removeprefix("s3://").partition("/")
    with asking(f"bucket {bucket}"):
        for name, content in ((CONSTRAINTS, baseline.constraints), (STATISTICS, baseline.statistics)):
            account.client("s3").put_object(
                Bucket=bucket, Key=f"{key}/{name}", Body=msgspec.json.encode(content), ExpectedBucketOwner=owner
            )
    name = quality.name_of(endpoint)
    create, delete, asked = {
        DATA: (
            client.create_data_quality_job_definition,
            client.delete_data_quality_job_definition,
            job_definition,
        ),
        MODEL: (
            client.create_model_quality_job_definition,
            client.delete_model_quality_job_definition,
            model_job_definition,
        ),
    }[quality]
    with asking(f"what endpoint {endpoint} is compared with"):
        create(**asked(made, endpoint, analyzer))
    with (
        or_undone(f"Job definition {name}", lambda: delete(JobDefinitionName=name)),
        asking(f"monitoring of endpoint {endpoint}"),
    ):
        return str(client.create_monitoring_schedule(**schedule(endpoint, quality))["MonitoringScheduleArn"])


def _baseline(made: Made, endpoint: str, quality: Quality) -> str:
    return f"s3://{made.buckets.models}/baselines/{endpoint}/{quality.suffix}"
