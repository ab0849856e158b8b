"""What was so of the rows that an endpoint was asked about, by fault reports, where Model Monitor looks for it.

The formats are those of SageMaker's documentation, "Capture data" and "Ingest ground truth labels": a line of JSON for
each request, under `yyyy/mm/dd/hh` of when it came, named by the id that its caller gave it, else by SageMaker's. The
documentation tells of one label a request; a request of many rows has a label a line, as its captured answer has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import structlog

from ...components.model_evaluation.trial import reported
from ...components.workplace import Workplace
from ...exceptions import ConfigError, IngestError
from ...telemetry.timestamps import parse_timestamps
from .account import Account, asking
from .endpoint import who_and_when
from .made import Made
from .monitoring import truth_of

log = structlog.get_logger(__name__)

FILE = "reports.jsonl"


class Part(msgspec.Struct, frozen=True, rename="camel"):
    """A request as it was captured."""

    data: str = ""
    observed_content_type: str = ""
    encoding: str = ""


class Both(msgspec.Struct, frozen=True, rename="camel"):
    """Request and answer; only the request is read."""

    endpoint_input: Part = Part()


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """What names a request."""

    event_id: str = ""
    inference_id: str | None = None


class Captured(msgspec.Struct, frozen=True, rename="camel"):
    """One line of a captured file."""

    capture_data: Both
    event_metadata: Event


@dataclass(frozen=True, slots=True)
class Told:
    """How many requests were told of, and how many not, since they name a device that isn't known, or can't be read."""

    told: int
    untold: int


def write_day(account: Account, made: Made, place: Workplace, type_id: int, endpoint: str, day: datetime) -> Told:
    """Write what was so of all that an endpoint was asked on a day (UTC), hour by hour; again is the same again.

    Raises AccessError where the bucket is another's, and what `asking` raises.
    """
    account.must_be(made.sagemaker.account)
    account.must_own(made.buckets.predictions, made.sagemaker.account)
    keys = _devices(place, type_id)
    faults = reported(place.labels(list(keys.values())))
    told = untold = 0
    for hour in (day + timedelta(hours=number) for number in range(24)):
        lines = []
        for captured in _captured(account, made, endpoint, hour):
            line = _line(captured, keys, faults)
            told, untold = (told + 1, untold) if line else (told, untold + 1)
            lines += [line] if line else []
        if lines:
            bucket, _, below = truth_of(made, endpoint).removeprefix("s3://").partition("/")
            with asking(f"bucket {bucket}"):
                account.client("s3").put_object(
                    Bucket=bucket,
                    Key=f"{below}/{hour:%Y/%m/%d/%H}/{FILE}",
                    Body=b"\n".join(lines) + b"\n",
                    ExpectedBucketOwner=made.sagemaker.account,
                )
    log.info("truth.written", endpoint=endpoint, day=f"{day:%Y-%m-%d}", told=told, untold=untold)
    return Told(told, untold)


def day_of(text: str) -> datetime:
    """The day that a text such as 2026-11-27 names, in UTC. Raises ConfigError where it names none."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"day {text!r}; expected one such as 2026-11-27") from error


def _captured(account: Account, made: Made, endpoint: str, hour: datetime) -> Iterator[Captured]:
    bucket, owner = made.buckets.predictions, made.sagemaker.account
    client = account.client("s3")
    below = f"captured/{endpoint}/all/{hour:%Y/%m/%d/%H}/"
    with asking(f"what endpoint {endpoint} captured"):
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=below, ExpectedBucketOwner=owner)
        for key in [item["Key"] for page in pages for item in page.get("Contents", ())]:
            body = client.get_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)["Body"].read()
            try:
                yield from msgspec.json.Decoder(Captured).decode_lines(body)
            except msgspec.MsgspecError as error:
                raise ConfigError(f"s3://{bucket}/{key} is not what SageMaker captures: {error}") from error


def _devices(place: Workplace, type_id: int) -> dict[str, int]:
    """Keys by names; a name that two owners give says nothing, since a request doesn't say whose it is."""
    names = place.device_ids(type_id)
    known: dict[str, list[int]] = {}
    for key, name in names.items():
        known.setdefault(name, []).append(key)
    return {name: keys[0] for name, keys in known.items() if len(keys) == 1}


def _line(captured: Captured, keys: Mapping[str, int], faults: Mapping[int, Sequence[tuple[int, int]]]) -> bytes | None:
    """The truth of a request: 1 for each row within a reported fault of its device, else 0."""
    part = captured.capture_data.endpoint_input
    try:
        devices, times = who_and_when(part.data.encode(), part.observed_content_type)
    except IngestError:
        return None
    moments, good = parse_timestamps(times)
    if not devices or part.encoding == "BASE64" or not good.all() or not set(devices) <= set(keys):
        return None
    at = moments.astype(np.int64).tolist()
    rows = [
        int(any(start <= moment <= end for start, end in faults.get(keys[device], ())))
        for device, moment in zip(devices, at, strict=True)
    ]
    event = captured.event_metadata
    truth = {"data": "\n".join(map(str, rows)), "encoding": "CSV"}
    named = {"eventId": event.inference_id or event.event_id}
    return msgspec.json.encode({"groundTruthData": truth, "eventMetadata": named, "eventVersion": "0"})
