"""What Model Monitor's last comparison of an endpoint came to: the violations that it found, a sentence each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from ...exceptions import ConfigError
from .account import Account, asking
from .monitoring import DATA, Quality

VIOLATIONS = "constraint_violations.json"
FOUND, CLEAN = "CompletedWithViolations", "Completed"
BROKEN = ("Failed", "Stopped")

_WORDS = {
    "data_type_check": "is of another type than in training",
    "completeness_check": "is missing more often than in training",
    "baseline_drift_check": "has drifted away from what training saw",
    "missing_column_check": "is no longer sent",
    "extra_column_check": "was not there in training",
    "categorical_values_check": "has values that training never saw",
    "LessThanThreshold": "is less than when the model was judged",
    "GreaterThanThreshold": "is more than when the model was judged",
}


class Found(msgspec.Struct, frozen=True):
    """One violation as Model Monitor writes it: of a feature, or of a metric of the model."""

    constraint_check_type: str
    feature_name: str = ""
    metric_name: str = ""
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """The last one: its `state` in AWS's words, empty where there was none yet; the `reason` where it failed."""

    state: str
    reason: str
    found: list[Violation]


def last_of(account: Account, endpoint: str, quality: Quality = DATA) -> Comparison:
    """The last comparison of an endpoint. Raises ConfigError where it isn't watched."""
    client = account.client("sagemaker")
    with asking(f"monitoring of endpoint {endpoint}"):
        told = client.describe_monitoring_schedule(MonitoringScheduleName=quality.name_of(endpoint))
    last = told.get("LastMonitoringExecutionSummary") or {}
    state = last.get("MonitoringExecutionStatus", "")
    reason = last.get("FailureReason") or "AWS tells no reason"
    if state != FOUND:
        return Comparison(state, reason if state in BROKEN else "", [])
    with asking(f"the last comparison of endpoint {endpoint}"):
        job = client.describe_processing_job(ProcessingJobName=last["ProcessingJobArn"].rpartition("/")[2])
        outputs: list[Mapping[str, Mapping[str, str]]] = job["ProcessingOutputConfig"]["Outputs"]
        bucket, _, key = outputs[0]["S3Output"]["S3Uri"].removeprefix("s3://").partition("/")
        body = account.client("s3").get_object(Bucket=bucket, Key=f"{key.rstrip('/')}/{VIOLATIONS}")["Body"].read()
    at_ms = round(last["ScheduledTime"].timestamp() * 1000)
    return Comparison(state, "", list(read_violations(body, endpoint, at_ms)))


def violations(account: Account, endpoint: str, quality: Quality = DATA) -> list[Violation]:
    """What the last comparison of an endpoint found; empty where all was well.

    Raises ConfigError where the endpoint isn't watched, or the comparison itself failed.
    """
    last = last_of(account, endpoint, quality)
    if last.state in BROKEN:
        raise ConfigError(f"the last comparison of endpoint {endpoint} {last.state.lower()}: {last.reason}")
    return last.found


def read_violations(body: bytes, endpoint: str, at_ms: int) -> Iterator[Violation]:
    """The violations of a file of Model Monitor, a sentence each. Raises ConfigError where it is something else."""
    try:
        found = msgspec.json.decode(body, type=Violations)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{VIOLATIONS} of endpoint {endpoint} is not what Model Monitor writes: {error}") from error
    for one in found.violations:
        name = one.feature_name or one.metric_name or "something"
        words = _WORDS.get(one.constraint_check_type, f"breaks {one.constraint_check_type}")
        told = f" ({one.description.strip().rstrip('.')})" if one.description.strip() else ""
        sentence = f"{name} {words}, says Model Monitor of endpoint {endpoint}{told}"
        yield Violation(endpoint, at_ms, name, one.constraint_check_type, sentence)
