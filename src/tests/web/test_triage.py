"""From waking up to acknowledging: by mouse, by keyboard, several at once, on a phone."""

from playwright.sync_api import Page, expect

from ...fleet.access import Access, Principal
from ...fleet.database import reading
from ...fleet.views import AlertView
from .conftest import Opener, Running

EVERYBODY = Principal(1, "admin", None, "test")


def alert(server: Running, name: str) -> AlertView:
    """An alert as the database has it now."""
    with reading(server.world.engine) as session:
        return Access(session, EVERYBODY).alert(server.world.alerts[name])


def words(server: Running) -> list[tuple[str, int | None]]:
    """What was queued for the live loop: (kind, device_key)."""
    with server.world.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT kind, device_key FROM commands ORDER BY id")
        return [(kind, key) for kind, key in rows if kind != "type_version"]


def tab(page: Page, name: str) -> None:
    """Expect so many alerts in the tabs, as "open 4"."""
    expect(page.locator(".tabs a", has_text=name.split()[0])).to_contain_text(name.split()[1])


def test_three_clicks_from_the_fleet_to_acknowledged(server: Running, open_page: Opener) -> None:
    page = open_page(server)
    page.locator("#needs li").first.click()
    expect(page.locator(".pill")).to_contain_text("Faulty since")
    expect(page.locator(".pill")).to_contain_text("first signs")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#device-top")).to_contain_text("Acknowledged")
    expect(page.locator("#toasts")).to_contain_text("acknowledged")
    expect(page.locator("#open-alerts")).to_have_text("3")
    assert alert(server, "faulty").acknowledged_by == "Owner Person"
    assert page.locator("#charts[data-drawn]").count() == 1, "the charts were not touched"


def test_triage_by_keyboard_alone(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/alerts")
    expect(page.locator("#alert-charts[data-drawn]")).to_be_visible()
    expect(page.locator("#inbox li.row")).to_have_count(4)
    first = page.locator(".detail h2").first.inner_text()
    page.keyboard.press("a")
    tab(page, "Acknowledged 1")
    expect(page.locator(".detail h2").first).not_to_have_text(first)
    page.keyboard.press("j")
    expect(page.locator("#inbox li.row").nth(1)).to_have_class("row chosen")
    page.keyboard.press("k")
    expect(page.locator("#inbox li.row").nth(0)).to_have_class("row chosen")
    expect(page.locator("body")).not_to_have_attribute("data-moving", "")
    page.goto(f"/alerts?tab=open&chosen={server.world.alerts['suspect']}")
    page.keyboard.press("s")
    expect(page.locator("#ask-silence")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    tab(page, "Silenced 1")
    page.goto(f"/alerts?tab=open&chosen={server.world.alerts['inverter']}")
    page.keyboard.press("c")
    expect(page.locator("#ask-confirm")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("electrical fault confirmed")
    assert alert(server, "inverter").confirmed_kind == "electrical"
    page.keyboard.press("r")
    tab(page, "Resolved 15")
    assert alert(server, "inverter").state == "resolved"
    page.goto(f"/alerts?tab=silenced&chosen={server.world.alerts['suspect']}")
    page.keyboard.press("d")
    page.locator("#ask-dismiss").get_by_label("New normal").check()
    page.keyboard.press("Enter")
    tab(page, "Resolved 16")
    keys = server.world.keys
    inverter, suspect = keys[server.world.inverter], keys[server.world.suspect]
    assert words(server)[-3:] == [
        ("confirm", inverter),
        ("repaired", inverter),
        ("dismiss", suspect),
    ]
    assert "new normal" in str(alert(server, "suspect").resolution)
    page.keyboard.press("?")
    expect(page.locator("#keys-help")).to_be_visible()


def test_several_alerts_at_once(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/alerts")
    boxes = page.locator("#inbox input[type=checkbox]")
    for place in (1, 2):
        boxes.nth(place).check()
    expect(page.locator("#bulk .n")).to_have_text("2 chosen")
    page.locator("#bulk").get_by_role("button", name="Silence").click()
    page.locator("#bulk-silence").get_by_role("button", name="Silence").click()
    tab(page, "Silenced 2")
    expect(page.locator("#toasts")).to_contain_text("2 alerts silenced.")
    boxes.nth(0).check()
    page.locator("#bulk").get_by_role("button", name="Acknowledge").click()
    tab(page, "Acknowledged 1")
    expect(page.locator("#bulk")).to_be_hidden()


def test_triage_on_a_phone(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/alerts", width=390)
    expect(page.locator("#chosen-alert")).to_be_hidden()
    page.locator("#inbox a.open").first.click()
    expect(page.locator("#chosen-alert")).to_be_visible()
    expect(page.locator("#inbox")).to_be_hidden()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator("#toasts")).to_contain_text("acknowledged")
    page.get_by_role("link", name="All alerts").click()
    expect(page.locator("#inbox li.row")).to_have_count(3)


def test_maintenance_from_the_device_page(server: Running, open_page: Opener) -> None:
    page = open_page(server, f"/devices/{server.world.inverter}")
    page.get_by_role("button", name="Maintenance").click()
    page.locator("#m-reason").fill("Fan replaced")
    page.get_by_role("button", name="Start maintenance").click()
    expect(page.locator(".why")).to_contain_text("In maintenance until")
    expect(page.locator(".why")).to_contain_text("Fan replaced")
    assert ("maintenance", server.world.keys[server.world.inverter]) in words(server)


def test_a_viewer_sees_no_button_to_act(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/alerts", who="viewer")
    expect(page.locator("#chosen-alert")).to_be_visible()
    assert page.get_by_role("button", name="Acknowledge").count() == 0
    assert page.locator("#inbox input[type=checkbox]").count() == 0
