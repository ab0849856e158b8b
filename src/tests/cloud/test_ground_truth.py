"""What fault reports say of what an endpoint was asked, written where Model Monitor looks for it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import insert

from ...cloud.aws.account import Account
from ...cloud.aws.ground_truth import day_of, write_day
from ...cloud.aws.made import Made
from ...cloud.cli_monitor import truth
from ...components.workplace import Workplace
from ...exceptions import ConfigError
from ...fleet import models
from ...fleet.database import writing
from ..components import lakeside
from ..detection import fleet
from ..systems import s3
from .environments import made, written

ENDPOINT = "faultwatch-pump"
MINUTE_MS = 60_000
DAY = datetime.fromtimestamp(fleet.START / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
HOUR = f"{DAY:%Y/%m/%d}/09"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """A data folder with two devices, of which the second was faulty from its tenth minute to its twelfth."""
    found, _ = lakeside.with_readings(tmp_path_factory.mktemp("truth") / "data", 2, 30)
    report = {"kind": "leak", "source": "operator", "said_by": "ann", "created_ms": 1}
    times = {"start_ms": fleet.START + 10 * MINUTE_MS, "end_ms": fleet.START + 12 * MINUTE_MS}
    with writing(found.engine) as session:
        session.execute(insert(models.FaultReport).values(device_key=2, **times, **report))
    yield found
    found.close()


@pytest.fixture
def environment(moto_server: s3.Bucket) -> Made:
    """An environment whose bucket of predictions is there."""
    found = made()
    return msgspec.structs.replace(found, buckets=msgspec.structs.replace(found.buckets, predictions=moto_server.name))


def captured(
    data: str, content_type: str, event: str, encoding: str = "CSV", **named_by_caller: str
) -> dict[str, object]:
    """A request as SageMaker captures it."""
    part = {"observedContentType": content_type, "mode": "INPUT", "data": data, "encoding": encoding}
    answer = {"observedContentType": "text/csv", "mode": "OUTPUT", "data": "1,2,0,0,flow", "encoding": "CSV"}
    return {
        "captureData": {"endpointInput": part, "endpointOutput": answer},
        "eventMetadata": {"eventId": event, **named_by_caller, "inferenceTime": "2026-01-31T09:00:00Z"},
        "eventVersion": "0",
    }


def stamp(minute: int) -> str:
    """A minute of the fleet's time."""
    return datetime.fromtimestamp((fleet.START + minute * MINUTE_MS) / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(account: Account, environment: Made, *requests: dict[str, object]) -> None:
    """Leave captured requests where an endpoint does."""
    body = b"\n".join(map(msgspec.json.encode, requests)) + b"\n"
    key = f"captured/{ENDPOINT}/all/{HOUR}/05-11-000.jsonl"
    account.client("s3").put_object(Bucket=environment.buckets.predictions, Key=key, Body=body)


def test_each_row_is_told_of_under_its_requests_name(
    place: Workplace, environment: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("pump-1", 11), ("pump-2", 9), ("pump-2", 10), ("pump-2", 12), ("pump-2", 13)]
    text = "device_id,timestamp,flow\n" + "\n".join(f"{name},{stamp(minute)},40" for name, minute in rows)
    columns = {"device_id": ["pump-2"], "timestamp": [stamp(11)], "values": {"flow": [1.0]}}
    with Account() as account:
        put(
            account,
            environment,
            captured(text, "text/csv; charset=utf-8", "a"),
            captured(json.dumps(columns), "application/json", "b", "JSON"),
            captured(f"device_id,timestamp,flow\npump-9,{stamp(1)},1", "text/csv", "c"),
            captured("device_id,flow\npump-1,1", "text/csv", "d"),
            captured("cHVtcA==", "application/x-parquet", "e", "BASE64"),
        )
        day = f"{DAY:%Y-%m-%d}"
        truth(written(tmp_path, environment), ENDPOINT, "pump", day, data=place.data)
        assert f"{day}: 2 requests told of, 3 left out" in capsys.readouterr().out
        key = f"truth/{ENDPOINT}/{HOUR}/reports.jsonl"
        body = account.client("s3").get_object(Bucket=environment.buckets.predictions, Key=key)["Body"].read()
        assert [json.loads(line) for line in body.splitlines()] == [
            {
                "groundTruthData": {"data": "0\n0\n1\n1\n0", "encoding": "CSV"},
                "eventMetadata": {"eventId": "a"},
                "eventVersion": "0",
            },
            {
                "groundTruthData": {"data": "1", "encoding": "CSV"},
                "eventMetadata": {"eventId": "b"},
                "eventVersion": "0",
            },
        ]
        again = write_day(account, environment, place, 1, ENDPOINT, DAY)
        assert (again.told, again.untold) == (2, 3)


def test_a_day_without_requests_and_a_file_that_is_none_say_so(place: Workplace, environment: Made) -> None:
    with pytest.raises(ConfigError, match="day 'monday'; expected one such as 2026-11-27"):
        day_of("monday")
    with Account() as account:
        assert write_day(account, environment, place, 1, ENDPOINT, day_of("2020-02-29")).told == 0
        put(account, environment, {"captureData": "nothing"})
        with pytest.raises(ConfigError, match=r"05-11-000\.jsonl is not what SageMaker captures"):
            write_day(account, environment, place, 1, ENDPOINT, DAY)


def test_one_row_is_written_as_the_documentation_writes_it(place: Workplace, environment: Made) -> None:
    """The example of "Ingest Ground Truth labels", with ids of our own; a caller's id goes before SageMaker's."""
    row = f"device_id,timestamp,flow\npump-2,{stamp(11)},40"
    with Account() as account:
        put(
            account,
            environment,
            captured(row, "text/csv", "aaaa-bbbb-cccc"),
            captured(row, "text/csv", "dddd", inferenceId="order-7"),
        )
        write_day(account, environment, place, 1, ENDPOINT, DAY)
        key = f"truth/{ENDPOINT}/{HOUR}/reports.jsonl"
        body = account.client("s3").get_object(Bucket=environment.buckets.predictions, Key=key)["Body"].read()
    told = {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventVersion": "0"}
    assert [json.loads(line) for line in body.splitlines()] == [
        told | {"eventMetadata": {"eventId": name}} for name in ("aaaa-bbbb-cccc", "order-7")
    ]
