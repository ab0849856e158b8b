"""What is wrong with the data, on its page and in the API: nothing of another owner, calm where nothing is wrong."""

from contextlib import closing

import polars as pl
from playwright.sync_api import expect

from ...fleet.alerts import AlertChange, record
from ...fleet.database import applying
from ...telemetry.published import Clock, PublishedReader, Publisher
from .conftest import Opener, Running
from .world import MINUTE, World


def make_late(world: World, device: str, minutes: int) -> None:
    """Publish anew, with a device whose newest reading came so many minutes after its time."""
    folder = world.settings.data / "published" / "shard-0"
    reader = PublishedReader(folder)
    frames = {type_id: reader.devices(type_id) for type_id in world.types.values()}
    delayed = pl.when(pl.col("device_key") == world.keys[device]).then(pl.col("last_ts") + minutes * MINUTE)
    changed = {
        type_id: frame.with_columns(delayed.otherwise(pl.col("last_arrival")).alias("last_arrival"))
        for type_id, frame in frames.items()
    }
    now = world.now_ms + 1000
    Publisher(folder).publish(Clock(now_ms=now, published_ms=now, last_seq=9, applied_seq=9, lake_seq=9), changed)


def get_stuck(world: World, device: str) -> None:
    """A sensor of a device has been stuck for two hours."""
    change = AlertChange(
        owner_id=world.owner_id,
        device_key=world.keys[device],
        site_id=None,
        kind="sensor",
        rule=0,
        sensor="vibration",
        to_state="firing",
        at_ms=world.now_ms,
        first_signs_ms=world.now_ms - 120 * MINUTE,
        sentence="Vibration has not changed for {lasted}; it looks stuck.",
    )
    with applying(world.engine) as session:
        record(session, 0, 1_000, [change], world.now_ms)


def test_the_page_says_what_is_wrong_and_with_what(server: Running, open_page: Opener) -> None:
    world = server.world
    get_stuck(world, world.faulty)
    make_late(world, world.spare, 30)
    page = open_page(server, "/")
    page.get_by_role("link", name="Data quality").click()
    expect(page.locator("h1")).to_contain_text(
        "1 sensor is in trouble, 1 device sends late and 13 rows were set aside."
    )
    first = page.locator(".reason").first
    expect(first).to_contain_text("Out of a sensor's range")
    expect(first.locator("summary .n")).to_have_text("12")
    expect(first.locator("li")).to_have_count(3)
    expect(first.locator("li").first).to_contain_text("flow is 9999 m³/h; its valid range is 0 to 2000 m³/h")
    page.locator(".reason summary").nth(1).press("Enter")
    expect(page.locator(".reason").nth(1)).to_contain_text("set the device's clock")
    expect(page.get_by_text("Vibration has not changed for 2 hours; it looks stuck.")).to_be_visible()
    expect(page.locator("tr", has_text=world.spare)).to_contain_text("30 min")
    expect(page.locator("tr", has=page.locator(".mark.silent")).first).to_contain_text("Cold Store 2")


def test_whoever_sees_all_may_choose_an_owner(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, "/quality", who="operator")
    expect(page.locator("h1")).to_contain_text("14 rows were set aside")
    page.get_by_label("Owner").select_option("North Grid")
    expect(page.locator("h1")).to_have_text("1 row was set aside.")
    expect(page.locator(".reason li")).to_contain_text("moor-2")
    expect(page.get_by_text("Every sensor behaves.")).to_be_visible()
    assert "owner=North" in page.url


def test_an_owner_learns_nothing_of_anothers_rows(calm_server: Running) -> None:
    with closing(calm_server.sign_in("owner")) as client:
        found = client.get("/api/v1/quality").json()
        assert [(each["reason"], each["rows"]) for each in found["set_aside"]] == [("out_of_range", 12), ("future", 1)]
        assert client.get("/api/v1/quality", params={"owner": "North Grid"}).status_code == 404
    with closing(calm_server.sign_in("other")) as client:
        found = client.get("/api/v1/quality").json()
        assert [(each["reason"], each["rows"]) for each in found["set_aside"]] == [("out_of_range", 1)]
        assert found["silent"] == {"count": 0, "devices": []}
        assert found["sensors"]["count"] == found["late"]["count"] == 0


def test_silent_devices_are_told_the_longest_first(calm_server: Running) -> None:
    with closing(calm_server.sign_in("owner")) as client:
        silent = client.get("/api/v1/quality").json()["silent"]
    assert silent["count"] == len(silent["devices"]) > 0
    since = [each["since"] for each in silent["devices"]]
    assert since == sorted(since)
    assert {each["site"] for each in silent["devices"]} == {"Cold Store 2"}
