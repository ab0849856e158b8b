"""A first start: the one-time link, the first account, and a page that shows the way to the first reading."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from ...fleet import owners
from ...fleet.database import connect, migrate, writing
from ...fleet.registry import Registry
from ...fleet.users import make_setup_link
from ...settings import Settings
from ...telemetry.published import Clock, Publisher
from ...telemetry.schema import DeviceType, Sensor
from .conftest import Running, listen, serving
from .world import PASSWORD, World


@pytest.fixture
def empty(template: World, tmp_path: Path) -> Iterator[Running]:
    """A server on a data folder that nobody has used yet."""
    folder = tmp_path / "data"
    folder.mkdir()
    settings = Settings(data=folder)
    engine = connect(settings.database_url)
    migrate(engine)
    with serving(replace(template, settings=settings, engine=engine)) as running:
        yield running
    engine.dispose()


def test_from_the_set_up_link_to_the_first_reading(empty: Running, browser: Browser) -> None:
    world = empty.world
    token = make_setup_link(world.engine, empty.app.state.parts.now_ms())
    context = browser.new_context(base_url=empty.url)
    complaints: list[str] = []
    listen(context, complaints)
    page = context.new_page()
    page.goto(f"/setup/{token}")
    page.get_by_label("Your name").fill("Kim Maker")
    page.get_by_label("E-mail address").fill("kim@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.locator("h1")).to_have_text("No device has sent a reading yet.")
    expect(page.locator("#toasts")).to_contain_text("Welcome")
    expect(page.locator("#make-type")).to_contain_text("faultwatch types add --data")
    expect(page.locator("#send-reading")).to_contain_text(f"curl {empty.url}/api/v1/readings")
    page.goto("/devices")
    expect(page.locator("#make-token")).to_contain_text("faultwatch tokens create --data")
    page.goto("/")
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    register(world)
    expect(page.locator("#grid canvas")).to_be_visible()
    expect(page.locator("h1")).to_have_text("1 device is learning what is normal.")
    assert page.request.get(f"/setup/{token}").status == 404, "the link works once"
    context.close()
    unexpected = [complaint for complaint in complaints if "/setup/" not in complaint]
    assert not unexpected, "\n".join(unexpected)


def register(world: World) -> None:
    """A device registers with its first reading, and the loop publishes."""
    registry = Registry(world.engine)
    with writing(world.engine) as session:
        owner_id = owners.add(session, "My company", world.now_ms)
    type_id, _ = registry.add_type(None, DeviceType(name="my_type", sensors=(Sensor(name="heat"),)), world.now_ms)
    registry.register(owner_id, [("first-device", type_id, None)], world.now_ms)
    folder = world.settings.data / "published" / "shard-0"
    clock = Clock(now_ms=world.now_ms, published_ms=world.now_ms, last_seq=1, applied_seq=1, lake_seq=0)
    Publisher(folder).publish(clock, {})
