"""The JSON API as a script uses it: with a read token, no browser."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import polars as pl
import pytest

from ...telemetry.published import Publisher
from ...web.words import iso
from .conftest import Running
from .world import HOUR, MINUTE, World


@pytest.fixture
def script(calm_server: Running) -> Iterator[httpx.Client]:
    """A client with a read token."""
    headers = {"Authorization": f"Bearer {calm_server.world.tokens['read']}"}
    with httpx.Client(base_url=f"{calm_server.url}/api/v1", headers=headers, timeout=20) as client:
        yield client


def test_devices_come_in_pages_by_id(script: httpx.Client) -> None:
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        answer = script.get("/devices", params={"limit": 25, **({"cursor": cursor} if cursor else {})}).json()
        seen += [device["device_id"] for device in answer["items"]]
        cursor = answer["next"]
    assert len(seen) == 60 and seen == sorted(seen)


def test_devices_are_filtered_by_type_site_status_and_name(script: httpx.Client, calm_server: Running) -> None:
    world = calm_server.world

    def ids(**query: str) -> set[str]:
        return {device["device_id"] for device in script.get("/devices", params=query).json()["items"]}

    assert ids(status="faulty") == {world.faulty}
    assert ids(status="suspect") == {world.suspect, world.inverter}
    assert all(name.startswith("pump") for name in ids(type="pump_station"))
    assert ids(site="Cold Store 2") == ids(site="cold-store-2") == ids(status="silent")
    assert ids(q=world.inverter.upper()) == {world.inverter}
    unknown = script.get("/devices", params={"type": "pump"})
    assert unknown.status_code == 404 and "pump_station" in unknown.json()["detail"]


def test_a_device_tells_its_status_and_newest_reading(script: httpx.Client, calm_server: Running) -> None:
    device = script.get(f"/devices/{calm_server.world.faulty}").json()
    assert device["status"] == "faulty" and device["threshold"] == 6.0
    assert device["owner"] == "Harbour Water" and device["type"] == "pump_station"
    assert device["last_reading"].endswith("Z")


def test_who_sees_several_owners_names_one(calm_server: Running) -> None:
    client = calm_server.sign_in("admin")
    ambiguous = client.get("/api/v1/devices/pump-001")
    assert ambiguous.status_code == 409 and "add ?owner=" in ambiguous.json()["detail"]
    assert client.get("/api/v1/devices/pump-001", params={"owner": "North Grid"}).json()["site"] == "Moor"
    client.close()


def test_readings_in_columns(script: httpx.Client, calm_server: Running) -> None:
    world = calm_server.world
    query = {"from": iso(world.now_ms - HOUR), "to": iso(world.now_ms)}
    answer = script.get(f"/devices/{world.faulty}/readings", params=query).json()
    n = len(answer["timestamp"])
    assert answer["resolution"] == "raw" and 57 <= n <= 61
    assert set(answer["sensors"]) == set(answer["expected"]) and len(answer["sensors"]) == 8
    assert all(len(column) == n for column in answer["sensors"].values())
    assert len(answer["score"]) == n
    low, high = answer["expected"]["vibration"]["low"], answer["expected"]["vibration"]["high"]
    assert all(a < b for a, b in zip(low, high, strict=True)), "the range is joined between where it was stored"
    assert answer["timestamp"] == sorted(answer["timestamp"])


def test_readings_as_csv_and_arrow_by_format_and_by_accept(script: httpx.Client, calm_server: Running) -> None:
    path = f"/devices/{calm_server.world.faulty}/readings"
    by_format = script.get(path, params={"format": "csv", "sensors": "flow"})
    assert by_format.headers["content-type"] == "text/csv; charset=utf-8"
    assert by_format.headers["content-disposition"] == f'attachment; filename="{calm_server.world.faulty}.csv"'
    frame = pl.read_csv(io.BytesIO(by_format.content), try_parse_dates=True)
    assert frame.columns == ["device_id", "timestamp", "score", "flow", "low_flow", "high_flow"]
    by_accept = script.get(path, params={"sensors": "flow"}, headers={"Accept": "application/vnd.apache.arrow.stream"})
    arrow = pl.read_ipc_stream(by_accept.content)
    assert arrow.columns == frame.columns and abs(arrow.height - frame.height) <= 1
    assert arrow.schema["timestamp"] == pl.Datetime("us", "UTC")


def test_a_downsampled_answer_keeps_the_extremes_and_ends_with_the_newest(
    script: httpx.Client, calm_server: Running
) -> None:
    path = f"/devices/{calm_server.world.faulty}/readings"
    raw = script.get(path, params={"sensors": "vibration"}).json()
    few = script.get(path, params={"sensors": "vibration", "resolution": "100"}).json()
    assert few["resolution"] == "extremes" and len(few["timestamp"]) <= 101
    values = [value for value in raw["sensors"]["vibration"] if value is not None]
    shown = [value for value in few["sensors"]["vibration"] if value is not None]
    assert (min(shown), max(shown)) == (min(values), max(values))
    assert few["timestamp"][-1] == raw["timestamp"][-1] and shown[-1] == values[-1]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"from": "yesterday"}, "from='yesterday' is not a time; expected RFC 3339"),
        ({"from": "2026-11-24T04:00:00"}, "has no zone"),
        ({"from": "2026-11-24T04:00:00Z", "to": "2026-11-24T03:00:00Z"}, "is not before to="),
        ({"resolution": "low"}, "expected raw, auto, or a number of points"),
        ({"format": "xml"}, "expected json, csv, arrow"),
        ({"sensors": "flow,flux"}, "a pump_station has no flux; it has vibration"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_so(
    script: httpx.Client, calm_server: Running, query: dict[str, str], words: str
) -> None:
    answer = script.get(f"/devices/{calm_server.world.faulty}/readings", params=query)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 400 and problem["title"] == "Bad Request" and words in problem["detail"]


def test_a_zone_with_an_unescaped_plus_is_understood(script: httpx.Client, calm_server: Running) -> None:
    path = f"/devices/{calm_server.world.faulty}/readings?from=2020-01-01T00:00:00+01:00&sensors=flow&resolution=auto"
    assert script.get(path).status_code == 200


def test_alerts_by_state_and_device(script: httpx.Client, calm_server: Running) -> None:
    world = calm_server.world
    assert len(script.get("/alerts", params={"state": "open"}).json()["items"]) == 4
    page = script.get("/alerts", params={"limit": 5}).json()
    rest = script.get("/alerts", params={"cursor": page["next"]}).json()
    assert len(page["items"]) == 5 and len(rest["items"]) == 13
    (alert,) = script.get("/alerts", params={"device": world.faulty}).json()["items"]
    assert alert["blame"][0]["label"] == "Vibration" and alert["confirmed_kind"] == "bearing_wear"
    detail = script.get(f"/alerts/{alert['id']}").json()
    assert [step["what"] for step in detail["history"]][-1] == "confirmed"


def test_the_fleet_in_numbers(script: httpx.Client, calm_server: Running) -> None:
    fleet = script.get("/fleet").json()
    assert fleet["devices"] == 60 == sum(fleet["counts"].values())
    assert fleet["alerts"] == {"open": 4, "acknowledged": 0, "silenced": 0, "resolved": 14}
    assert fleet["attention"][0]["device_id"] == calm_server.world.faulty
    grid = script.get("/fleet/grid").json()
    assert len(grid["status"]) == len(grid["keys"]) == 60
    names = [site["name"] for site in grid["sites"]]
    assert names == sorted(names) and sum(site["count"] for site in grid["sites"]) == 60
    day = script.get("/fleet/day").json()
    assert len(day["timestamp"]) == len(day["open"]) == 145 and day["open"][-1] == 4


def test_acts_answer_with_the_alert_as_it_is_now(server: Running) -> None:
    client = server.sign_in("owner")
    alert = f"/api/v1/alerts/{server.world.alerts['inverter']}"
    assert client.post(f"{alert}/acknowledge").json()["acknowledged_by"] == "Owner Person"
    until = iso(server.world.now_ms + 3 * HOUR)
    assert client.post(f"{alert}/silence", json={"until": until}).json()["silenced_until"] == until
    assert client.post(f"{alert}/confirm", json={"kind": "leak"}).json()["confirmed_kind"] == "leak"
    assert client.post(f"{alert}/repaired").json()["state"] == "resolved"
    again = client.post(f"{alert}/acknowledge")
    assert again.status_code == 409 and "is over" in again.json()["detail"]
    wrong = client.post(f"{alert}/dismiss", json={"reason": "because"})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["name"] == "reason"
    client.close()


def test_maintenance_begins_and_ends(server: Running) -> None:
    client = server.sign_in("owner")
    path = f"/api/v1/devices/{server.world.inverter}/maintenance"
    assert client.post(path, json={"reason": "Fan"}).status_code == 200
    assert client.post(path, json={"end": True}).status_code == 200
    wrong = client.post(path, json={"from": "now"})
    assert wrong.status_code == 400 and "from='now' is not a time" in wrong.json()["detail"]
    client.close()


def test_the_documentation_names_every_address_of_the_api(calm_server: Running) -> None:
    described = json.loads(httpx.get(f"{calm_server.url}/api/v1/openapi.json").text)
    page = (Path(__file__).parents[3] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    missing = [path for path in described["paths"] if f"{path.replace(':path', '')}`" not in page]
    assert not missing


def test_errors_are_problems_and_pages_are_pages(calm_server: Running) -> None:
    nowhere = httpx.get(f"{calm_server.url}/api/v1/nowhere", headers={"Accept": "text/html"})
    assert nowhere.headers["content-type"] == "application/problem+json" and nowhere.status_code == 404
    client = calm_server.sign_in("owner")
    missing = client.get("/devices/pump-999", headers={"Accept": "text/html"})
    assert missing.status_code == 404 and "There is no device &#39;pump-999&#39;." in missing.text
    client.close()


def test_every_answer_carries_the_policy(calm_server: Running) -> None:
    for path in ("/sign-in", "/healthz", "/api/v1/fleet", "/nowhere"):
        headers = httpx.get(f"{calm_server.url}{path}").headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"


def test_assets_may_be_kept_for_ever(calm_server: Running) -> None:
    page = httpx.get(f"{calm_server.url}/sign-in").text
    address = page.split('rel="stylesheet" href="')[1].split('"')[0]
    answer = httpx.get(f"{calm_server.url}{address}")
    assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]


def test_readings_of_the_tail_are_there_before_the_lake_has_them(server: Running) -> None:
    publish_a_minute(server.world)
    client = server.sign_in("owner")
    later = iso(server.world.now_ms + 5 * MINUTE)
    path = f"/api/v1/devices/{server.world.faulty}/readings"
    answer = client.get(path, params={"to": later, "sensors": "flow"}).json()
    assert answer["sensors"]["flow"][-1] == 123.5
    client.close()


def publish_a_minute(world: World) -> None:
    """Publish one more row of the faulty device, as the loop does each time before a commit to the lake."""
    publisher = Publisher(world.settings.data / "published" / "shard-0")
    row = pl.DataFrame(
        {"device_key": [world.keys[world.faulty]], "ms": [world.now_ms + 2 * MINUTE], "flow": [123.5]}
    ).select(
        "device_key",
        pl.from_epoch("ms", "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("timestamp"),
        "flow",
        pl.lit(0.4, pl.Float32).alias("score"),
        pl.lit(None, pl.List(pl.Float32)).alias("bands"),
        pl.lit(99, pl.Int64).alias("ingest_seq"),
        pl.from_epoch("ms", "ms").cast(pl.Datetime("us")).dt.replace_time_zone("UTC").alias("arrived"),
    )
    publisher.publish_tail(world.types["pump_station"], row, 99, 99)
