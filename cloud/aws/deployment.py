"""Brings the compiled pipeline to an account, starts it, and says how it goes."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ...components.workplace import Workplace
from ...exceptions import ConfigError, ConflictError
from .account import Account, asking
from .layout import MODELS
from .made import Made
from .sagemaker_pipeline import MADE_BY, Json, definition_text

MARKER = f"{MODELS}/README"
SAYS = b"Models that serve, by type and folder: what training compares a new model with.\n"
FEW = 5
"""Executions that a status lists."""

ABSENT = "Could not find pipeline"


class Definition(msgspec.Struct):
    """As much of a definition as tells whose it is, and what a start may change."""

    metadata: dict[str, str] = msgspec.field(name="Metadata", default_factory=dict)
    parameters: list[dict[str, str | int | float | bool]] = msgspec.field(name="Parameters", default_factory=list)


def deploy(account: Account, made: Made, definition: Mapping[str, Json]) -> str:
    """Make the pipeline, or bring the one that is there up to date; return its ARN.

    Raises AccessError where the account or its bucket is another's, ConflictError where the name is taken by a pipeline
    that isn't faultwatch's. Nothing is changed before all of that is known.
    """
    sagemaker, name = account.client("sagemaker"), made.sagemaker.pipeline_name
    account.must_be(made.sagemaker.account)
    account.must_own(made.buckets.models, made.sagemaker.account)
    there = _there(account, name)
    if there is not None and there.metadata.get("MadeBy") != MADE_BY:
        raise ConflictError(
            f"a pipeline {name!r} is there, and faultwatch didn't make it; delete it, or give the environment another"
            " name in Terraform"
        )
    with asking(f"bucket {made.buckets.models}"):
        _put(account, made, MARKER, SAYS)
    what = {
        "PipelineName": name,
        "PipelineDescription": "Training of faultwatch, compiled by `faultwatch cloud pipeline --deploy`",
        "PipelineDefinition": definition_text(definition),
        "RoleArn": made.sagemaker.execution_role_arn,
    }
    with asking(f"pipeline {name}"):
        return str((sagemaker.create_pipeline if there is None else sagemaker.update_pipeline)(**what)["PipelineArn"])


def start(account: Account, made: Made, parameters: Mapping[str, str]) -> str:
    """Start the pipeline with some of its parameters changed; return the execution's ARN.

    Raises ConfigError where it isn't deployed, or has no such parameter.
    """
    name = made.sagemaker.pipeline_name
    account.must_be(made.sagemaker.account)
    there = _there(account, name)
    if there is None:
        raise ConfigError(f"no pipeline {name!r}; `faultwatch cloud pipeline --deploy` makes it")
    known = {str(parameter["Name"]) for parameter in there.parameters}
    unknown = sorted(set(parameters) - known)
    if unknown:
        raise ConfigError(f"pipeline {name!r} has no parameter {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    given = [{"Name": key, "Value": value} for key, value in parameters.items()]
    with asking(f"a start of pipeline {name}"):
        started = account.client("sagemaker").start_pipeline_execution(PipelineName=name, PipelineParameters=given)
        return str(started["PipelineExecutionArn"])


def status(account: Account, made: Made) -> Iterator[str]:
    """The last executions, the newest first, and why those ended that failed.

    Raises ConfigError where the pipeline isn't deployed.
    """
    name, sagemaker = made.sagemaker.pipeline_name, account.client("sagemaker")
    account.must_be(made.sagemaker.account)
    if _there(account, name) is None:
        raise ConfigError(f"no pipeline {name!r}; `faultwatch cloud pipeline --deploy` makes it")
    with asking(f"executions of pipeline {name}"):
        found = sagemaker.list_pipeline_executions(PipelineName=name, SortOrder="Descending", MaxResults=FEW)
    for execution in found["PipelineExecutionSummaries"]:
        run = execution["PipelineExecutionArn"].rpartition("/")[2]
        state = execution.get("PipelineExecutionStatus", "unknown")
        yield f"{run}: {state}, {execution['StartTime']:%Y-%m-%d %H:%M}"
        if execution.get("PipelineExecutionFailureReason"):
            yield f"  {execution['PipelineExecutionFailureReason']}"
    if not found["PipelineExecutionSummaries"]:
        yield "no execution yet; `faultwatch cloud pipeline --start` makes one"


def publish_champions(account: Account, made: Made, place: Workplace) -> list[str]:
    """Copy the files of the models that serve from a data folder to the bucket, where training finds them.

    Return what was copied, as `type-1/0f3a9c`; files that are there already are written again, which changes nothing.
    """
    account.must_own(made.buckets.models, made.sagemaker.account)
    copied = []
    for type_id, _ in place.types():
        champion = place.champion(type_id)
        if champion is None:
            continue
        folder = place.models(type_id) / champion.folder
        with asking(f"bucket {made.buckets.models}"):
            for file in sorted(folder.iterdir()):
                _put(account, made, f"{MODELS}/type-{type_id}/{champion.folder}/{file.name}", file)
        copied.append(f"type-{type_id}/{champion.folder}")
    return copied


def _there(account: Account, name: str) -> Definition | None:
    """The definition that is deployed under a name; None where there is none."""
    client = account.client("sagemaker")
    with asking(f"pipeline {name}"):
        try:
            text = client.describe_pipeline(PipelineName=name)["PipelineDefinition"]
        except client.exceptions.ClientError as error:
            told = error.response["Error"]
            if told["Code"] == "ResourceNotFound" or ABSENT in told["Message"]:
                return None
            raise
    try:
        return msgspec.json.decode(text, type=Definition)
    except msgspec.MsgspecError:
        return Definition()


def _put(account: Account, made: Made, key: str, content: bytes | Path) -> None:
    body = content.read_bytes() if isinstance(content, Path) else content
    owner = made.sagemaker.account
    account.client("s3").put_object(Bucket=made.buckets.models, Key=key, Body=body, ExpectedBucketOwner=owner)
