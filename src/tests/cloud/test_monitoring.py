"""Model Monitor: baselines in its format, what AWS is asked by botocore's model of it, violations read back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from botocore.stub import Stubber
from sqlalchemy import delete, insert, select

from ...cloud.aws import comparisons, monitoring
from ...cloud.aws.account import Account
from ...cloud.aws.baselines import SKETCH, Baseline, _sketched, data_quality, model_quality
from ...cloud.aws.made import Made
from ...cloud.cli_monitor import baseline, show_violations
from ...components.command import newest_of
from ...components.data_ingestion import read_ingested
from ...components.workplace import Workplace
from ...exceptions import ConfigError, ConflictError
from ...fleet import models
from ...fleet.database import writing
from ...pipelines.runner import execute
from ...pipelines.runs import Trigger
from ...pipelines.training import TRAINING
from ..components import lakeside
from ..detection import fleet
from ..systems import s3
from .environments import made

ENDPOINT = "faultwatch-pump"
FAULTY = 11
"""Key of a device that no model learns from."""

ANALYZER = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/sagemaker-model-monitor-analyzer"
NAMED = {"MonitoringScheduleName": f"{ENDPOINT}-data"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A data folder in which a model was trained."""
    values = fleet.values(1, 12, 500)
    values[-60:, FAULTY - 1, 1] -= 5
    place, type_id = lakeside.with_readings(tmp_path_factory.mktemp("trained") / "data", 12, 500, values=values)
    report = {"kind": "leak", "source": "operator", "said_by": "ann", "created_ms": 1}
    with writing(place.engine) as session:
        for start, end in ((440, 499), (10, 20)):
            times = {"start_ms": fleet.START + start * 60_000, "end_ms": fleet.START + end * 60_000}
            session.execute(insert(models.FaultReport).values(device_key=FAULTY, **times, **report))
    execute(TRAINING, place, type_id, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW)
    yield place
    place.close()


@pytest.fixture
def environment(moto_server: s3.Bucket) -> Made:
    """An environment whose bucket is there."""
    found = made(moto_server.name)
    return msgspec.structs.replace(found, buckets=msgspec.structs.replace(found.buckets, predictions=moto_server.name))


def test_baselines_say_what_training_saw_in_the_documented_format(trained: Workplace, tmp_path: Path) -> None:
    baseline(tmp_path, "pump", data=trained.data)
    statistics = json.loads((tmp_path / "data" / "statistics.json").read_text())
    constraints = json.loads((tmp_path / "data" / "constraints.json").read_text())
    names = ["device_id", "timestamp", *fleet.NAMES]
    assert [one["name"] for one in statistics["features"]] == [one["name"] for one in constraints["features"]] == names
    rows = statistics["dataset"]["item_count"]
    assert rows > 4000 and statistics["version"] == constraints["version"] == 0.0
    flow = next(one for one in statistics["features"] if one["name"] == "flow")["numerical_statistics"]
    assert flow["common"]["num_present"] + flow["common"]["num_missing"] == rows and flow["common"]["num_missing"] > 0
    assert flow["min"] < flow["mean"] < flow["max"] and flow["std_dev"] > 0
    buckets = flow["distribution"]["kll"]["buckets"]
    assert len(buckets) == 10 and sum(one["count"] for one in buckets) == flow["common"]["num_present"]
    allowed = next(one for one in constraints["features"] if one["name"] == "flow")
    assert allowed["completeness"] == pytest.approx(flow["common"]["num_present"] / rows)
    assert allowed["num_constraints"] == {"is_non_negative": True} and allowed["inferred_type"] == "Fractional"
    assert constraints["monitoring_config"]["distribution_constraints"]["perform_comparison"] == "Enabled"


def test_the_models_baseline_is_its_verdicts_on_unseen_rows_beside_fault_reports(
    trained: Workplace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline(tmp_path, "pump", data=trained.data)
    metrics = json.loads((tmp_path / "model" / "statistics.json").read_text())["binary_classification_metrics"]
    matrix = metrics["confusion_matrix"]
    judged = sum(matrix[truth][said] for truth in "01" for said in "01")
    ingested = read_ingested(newest_of(trained, 1, "data_ingestion")["data_ingestion"])
    assert 200 <= judged <= 250 and len(ingested.split.held_out) == 1 and sum(matrix["1"].values()) == 60
    assert metrics["recall"]["value"] == matrix["1"]["1"] / 60 > 0.5
    assert metrics["false_positive_rate"]["value"] < 0.1
    constraints = json.loads((tmp_path / "model" / "constraints.json").read_text())["binary_classification_constraints"]
    recall = {"threshold": metrics["recall"]["value"], "comparison_operator": "LessThanThreshold"}
    assert constraints["recall"] == recall
    assert constraints["false_positive_rate"]["comparison_operator"] == "GreaterThanThreshold"
    with writing(trained.engine) as session:
        kept = session.execute(select(models.FaultReport.__table__)).mappings().all()
        session.execute(delete(models.FaultReport))
    execute(TRAINING, trained, 1, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW + 1)
    capsys.readouterr()
    baseline(tmp_path / "bare", "pump", data=trained.data)
    assert "no reported fault is among the 2" in capsys.readouterr().out and not (tmp_path / "bare" / "model").exists()
    with writing(trained.engine) as session:
        session.execute(insert(models.FaultReport), [dict(row) for row in kept])
    execute(TRAINING, trained, 1, Trigger("on demand", "ann"), clock=lambda: lakeside.NOW + 2)


def test_the_baseline_is_of_rows_for_training_alone(trained: Workplace, tmp_path: Path) -> None:
    baseline(tmp_path, "pump", data=trained.data)
    ingested = read_ingested(newest_of(trained, 1, "data_ingestion")["data_ingestion"])
    devices = next(
        one
        for one in json.loads((tmp_path / "data" / "statistics.json").read_text())["features"]
        if one["name"] == "device_id"
    )
    assert devices["string_statistics"]["distinct_count"] == len(ingested.split.training)


@pytest.mark.parametrize("n", [1, 7, SKETCH, SKETCH + 1, 10_000, 123_457])
def test_a_sketch_stands_for_every_value_and_keeps_quantiles(n: int) -> None:
    values = np.sort(np.random.default_rng(n).normal(size=n))
    levels = [np.array(level) for level in _sketched(values)]
    assert sum(len(level) << at for at, level in enumerate(levels)) == n
    assert max(len(level) for level in levels) <= SKETCH
    weights = np.concatenate([np.full(len(level), 1 << at) for at, level in enumerate(levels)])
    order = np.argsort(np.concatenate(levels))
    ranks = np.cumsum(weights[order]) / n
    median = np.concatenate(levels)[order][np.searchsorted(ranks, 0.5)]
    assert abs(np.searchsorted(values, median) / n - 0.5) < max(2 / SKETCH, 1 / n)


def test_what_is_captured_is_compared_every_hour(trained: Workplace, environment: Made) -> None:
    snapshot = newest_of(trained, 1, "data_ingestion")["data_ingestion"]
    arn = "arn:aws:sagemaker:eu-central-1:123456789012"
    with Account() as account:
        asked = monitoring.job_definition(environment, ENDPOINT, ANALYZER)
        with Stubber(account.client("sagemaker")) as stub:
            definition = {"JobDefinitionArn": f"{arn}:data-quality-job-definition/a"}
            stub.add_response("create_data_quality_job_definition", definition, asked)
            scheduled = {"MonitoringScheduleArn": f"{arn}:monitoring-schedule/a"}
            stub.add_response("create_monitoring_schedule", scheduled, monitoring.schedule(ENDPOINT))
            made_one = monitoring.watch(account, environment, ENDPOINT, ANALYZER, data_quality(trained, snapshot))
            assert made_one == scheduled["MonitoringScheduleArn"]
            stub.assert_no_pending_responses()
        for name in ("statistics.json", "constraints.json"):
            key = f"baselines/{ENDPOINT}/data/{name}"
            stored = account.client("s3").get_object(Bucket=environment.buckets.models, Key=key)
            assert b"pressure" in stored["Body"].read()
        taken = account.client("sagemaker").create_data_quality_job_definition(**asked)
        assert taken["JobDefinitionArn"].endswith(f"/{ENDPOINT}-data")


def test_what_is_answered_is_compared_with_fault_reports_every_day(trained: Workplace, environment: Made) -> None:
    made_before = newest_of(trained, 1, "data_ingestion", "model_trainer")
    found = model_quality(trained, made_before["data_ingestion"], made_before["model_trainer"])
    asked = monitoring.model_job_definition(environment, ENDPOINT, ANALYZER)
    arn = "arn:aws:sagemaker:eu-central-1:123456789012"
    with Account() as account, Stubber(account.client("sagemaker")) as stub:
        definition = {"JobDefinitionArn": f"{arn}:model-quality-job-definition/a"}
        stub.add_response("create_model_quality_job_definition", definition, asked)
        wanted = monitoring.schedule(ENDPOINT, monitoring.MODEL)
        stub.add_response("create_monitoring_schedule", {"MonitoringScheduleArn": f"{arn}:schedule/a"}, wanted)
        monitoring.watch(account, environment, ENDPOINT, ANALYZER, found, monitoring.MODEL)
        stub.add_response("create_model_quality_job_definition", definition)
        stub.add_client_error("create_monitoring_schedule", "ResourceInUse", "there is one")
        stub.add_response("delete_model_quality_job_definition", {}, {"JobDefinitionName": f"{ENDPOINT}-model"})
        with pytest.raises(ConflictError, match="the name is taken"):
            monitoring.watch(account, environment, ENDPOINT, ANALYZER, found, monitoring.MODEL)
        stub.assert_no_pending_responses()
    with Account() as account:
        key = f"baselines/{ENDPOINT}/model/constraints.json"
        body = account.client("s3").get_object(Bucket=environment.buckets.models, Key=key)["Body"].read()
        taken = account.client("sagemaker").create_model_quality_job_definition(**asked)
    assert b"recall" in body and taken["JobDefinitionArn"].endswith(f"/{ENDPOINT}-model")
    config: Any = wanted["MonitoringScheduleConfig"]
    assert config["MonitoringType"] == "ModelQuality" and config["MonitoringJobDefinitionName"] == f"{ENDPOINT}-model"


def test_a_schedule_that_is_refused_leaves_no_definition_behind(environment: Made) -> None:
    with Account() as account, Stubber(account.client("sagemaker")) as stub:
        arn = {"JobDefinitionArn": "arn:aws:sagemaker:eu-central-1:123456789012:data-quality-job-definition/a"}
        stub.add_response("create_data_quality_job_definition", arn)
        stub.add_client_error("create_monitoring_schedule", "ResourceInUse", "there is one")
        stub.add_response("delete_data_quality_job_definition", {}, {"JobDefinitionName": f"{ENDPOINT}-data"})
        with pytest.raises(ConflictError, match=f"monitoring of endpoint {ENDPOINT}: .* the name is taken"):
            monitoring.watch(account, environment, ENDPOINT, ANALYZER, Baseline({}, {}))
        stub.assert_no_pending_responses()


def summary(state: str, **more: object) -> dict[str, Any]:
    """What AWS says of a schedule whose last comparison ended like this."""
    now = datetime(2026, 11, 28, 10, tzinfo=UTC)
    arn = "arn:aws:sagemaker:eu-central-1:123456789012"
    last = {
        "MonitoringScheduleName": f"{ENDPOINT}-data",
        "ScheduledTime": now,
        "CreationTime": now,
        "LastModifiedTime": now,
        "MonitoringExecutionStatus": state,
        "ProcessingJobArn": f"{arn}:processing-job/compare-1",
        **more,
    }
    return {
        "MonitoringScheduleArn": f"{arn}:monitoring-schedule/{ENDPOINT}-data",
        "MonitoringScheduleName": f"{ENDPOINT}-data",
        "MonitoringScheduleStatus": "Scheduled",
        "CreationTime": now,
        "LastModifiedTime": now,
        "MonitoringScheduleConfig": monitoring.schedule(ENDPOINT)["MonitoringScheduleConfig"],
        "LastMonitoringExecutionSummary": last,
    }


def compared(bucket: str) -> dict[str, Any]:
    """What AWS says of the job that compared, as far as botocore demands it."""
    output = {
        "S3Uri": f"s3://{bucket}/monitored/10",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    return {
        "ProcessingJobName": "compare-1",
        "ProcessingJobArn": "arn:aws:sagemaker:eu-central-1:123456789012:processing-job/compare-1",
        "ProcessingJobStatus": "Completed",
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 20}
        },
        "AppSpecification": {"ImageUri": ANALYZER},
        "CreationTime": datetime(2026, 11, 28, 10, tzinfo=UTC),
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "result", "S3Output": output}]},
    }


VIOLATIONS = {
    "violations": [
        {
            "feature_name": "pressure",
            "constraint_check_type": "completeness_check",
            "description": "Completeness requirement is not met. Expected: 99.0%. Observed: 50.0%.",
        },
        {"feature_name": "speed", "constraint_check_type": "extra_column_check"},
    ]
}


def test_violations_are_read_back_with_a_sentence_each(environment: Made, capsys: pytest.CaptureFixture[str]) -> None:
    bucket = environment.buckets.predictions
    with Account() as account:
        body = msgspec.json.encode(VIOLATIONS)
        account.client("s3").put_object(Bucket=bucket, Key="monitored/10/constraint_violations.json", Body=body)
        with Stubber(account.client("sagemaker")) as stub:
            stub.add_response("describe_monitoring_schedule", summary("CompletedWithViolations"), NAMED)
            stub.add_response("describe_processing_job", compared(bucket), {"ProcessingJobName": "compare-1"})
            first, second = comparisons.violations(account, ENDPOINT)
            stub.add_response("describe_monitoring_schedule", summary("Completed"), NAMED)
            assert comparisons.violations(account, ENDPOINT) == []
            stub.add_response("describe_monitoring_schedule", summary("Failed", FailureReason="no data"), NAMED)
            with pytest.raises(ConfigError, match="the last comparison of endpoint faultwatch-pump failed: no data"):
                comparisons.violations(account, ENDPOINT)
            stub.add_client_error("describe_monitoring_schedule", "ResourceNotFound", "no such schedule")
            with pytest.raises(
                ConfigError, match="monitoring of endpoint faultwatch-pump: .* there is none of that name"
            ):
                comparisons.violations(account, ENDPOINT)
    of_metric = {"constraint_check_type": "LessThanThreshold", "metric_name": "recall", "description": "0.2 < 0.9."}
    (less,) = comparisons.read_violations(msgspec.json.encode({"violations": [of_metric]}), ENDPOINT, 0)
    assert less.sentence.startswith("recall is less than when the model was judged, says Model Monitor of endpoint")
    assert first.sentence == (
        "pressure is missing more often than in training, says Model Monitor of endpoint faultwatch-pump"
        " (Completeness requirement is not met. Expected: 99.0%. Observed: 50.0%)"
    )
    assert first.at_ms == 1_795_860_000_000 and first.check == "completeness_check"
    assert second.sentence == "speed was not there in training, says Model Monitor of endpoint faultwatch-pump"


def test_the_command_exits_with_3_where_something_is_amiss(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moto_server: s3.Bucket
) -> None:
    found = list(comparisons.read_violations(msgspec.json.encode(VIOLATIONS), ENDPOINT, 0))
    monkeypatch.setattr(comparisons, "violations", lambda *_: found)
    with pytest.raises(typer.Exit) as left:
        show_violations(ENDPOINT)
    assert left.value.exit_code == 3 and capsys.readouterr().out.count("says Model Monitor") == 2
    with pytest.raises(typer.Exit):
        show_violations(ENDPOINT, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["feature"] == "pressure"
    monkeypatch.setattr(comparisons, "violations", lambda *_: [])
    show_violations(ENDPOINT)
    with pytest.raises(ConfigError, match="is not what Model Monitor writes"):
        list(comparisons.read_violations(b"[]", ENDPOINT, 0))
