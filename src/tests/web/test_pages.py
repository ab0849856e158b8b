"""Every page in both themes and at phone width, in a real browser that may not complain of anything."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import Opener, Running, serving
from .world import World, build

PICTURES = os.environ.get("FAULTWATCH_SCREENSHOTS")
"""The folder that pictures for README and documentation go to; none are taken where it isn't set."""

PATHS = {
    "fleet": "/",
    "map": "/?view=map",
    "devices": "/devices",
    "device": "/devices/{faulty}",
    "healthy": "/devices/{healthy}",
    "alerts": "/alerts",
    "resolved": "/alerts?tab=resolved",
    "silenced": "/alerts?tab=silenced",
    "models": "/models",
    "quality": "/quality",
    "channels": "/settings?section=channels",
    "rules": "/settings?section=rules",
    "types": "/settings?section=types",
    "tokens": "/settings?section=tokens",
}


def address(world: World, name: str) -> str:
    """Where a page is in that world."""
    healthy = next(
        name for name in world.keys if "/" not in name and name not in (world.faulty, world.suspect, world.inverter)
    )
    return PATHS[name].format(faulty=world.faulty, healthy=healthy)


def settle(page: Page, name: str) -> None:
    """Wait until everything a page loads by itself is there."""
    expect(page.locator("#live")).to_have_attribute("data-state", "live")
    if name == "fleet":
        expect(page.locator("#grid canvas")).to_be_visible()
        expect(page.locator("#day canvas")).to_be_visible()
    if name in ("device", "healthy"):
        expect(page.locator("#charts[data-drawn]")).to_be_visible()
    if name == "alerts":
        wide = page.viewport_size is not None and page.viewport_size["width"] > 820
        expect(page.locator("#alert-charts[data-drawn]")).to_be_visible(visible=wide)


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1440), ("light", 390), ("dark", 390)])
def test_every_page_opens_without_a_complaint(calm_server: Running, open_page: Opener, theme: str, width: int) -> None:
    page = open_page(calm_server, "/", theme=theme, width=width)
    for name in PATHS:
        page.goto(address(calm_server.world, name))
        settle(page, name)
        assert page.locator("html").get_attribute("data-theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is wider than the window"


def test_the_first_line_says_whether_there_is_something_to_do(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server)
    expect(page.locator("h1")).to_have_text("3 devices and 1 site need you now.")
    expect(page.locator("#needs li")).to_have_count(4)
    expect(page.locator("#needs li").first).to_contain_text("Vibration is 2.5 mm/s above what is normal")


def test_on_a_phone_what_needs_attention_comes_before_the_grid(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, width=390)
    needs, grid = page.locator("#needs").bounding_box(), page.locator("#every-device").bounding_box()
    assert needs is not None and grid is not None and needs["y"] < grid["y"]
    assert not page.locator("kbd").first.is_visible()


def test_a_cell_of_the_grid_leads_to_its_device(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server)
    settle(page, "fleet")
    page.locator("#grid canvas").click(position={"x": 142, "y": 10})
    page.wait_for_url("**/devices/*")


def test_plotting_areas_of_all_charts_line_up(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, f"/devices/{calm_server.world.faulty}")
    settle(page, "device")
    edges = page.eval_on_selector_all(
        ".u-over", "all => all.map(e => { const b = e.getBoundingClientRect(); return [b.left, b.width]; })"
    )
    assert len(edges) == 9
    assert all(edge == edges[0] for edge in edges)


def test_dragging_zooms_and_the_address_is_the_exact_view(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, f"/devices/{calm_server.world.faulty}")
    settle(page, "device")
    box = page.locator(".u-over").nth(1).bounding_box()
    assert box is not None
    with page.expect_response("**/readings?*"):
        page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 20, steps=5)
        page.mouse.up()
    assert "from=" in page.url and "to=" in page.url
    exact = page.url
    page.goto(exact)
    settle(page, "device")
    expect(page.locator("[data-hours][aria-pressed=true]")).to_have_count(0)
    assert "from=" in (page.locator("#csv").get_attribute("href") or "")


def test_figures_at_the_right_are_the_last_points_and_red_when_outside(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, f"/devices/{calm_server.world.faulty}")
    settle(page, "device")
    vibration = page.locator(".chart", has=page.get_by_role("heading", name="Vibration"))
    expect(vibration.locator(".now")).to_have_class("now outside")
    expect(vibration.locator(".expected")).to_contain_text("expected")
    answer = page.request.get(f"/api/v1/devices/{calm_server.world.faulty}/readings?sensors=vibration").json()
    last = next(value for value in reversed(answer["sensors"]["vibration"]) if value is not None)
    expect(vibration.locator(".now")).to_have_text(f"{last:.2f}")


def test_choosing_a_theme_stays(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server)
    page.locator(".account summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/alerts")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_searching_devices_narrows_the_list(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, "/")
    page.keyboard.press("/")
    page.keyboard.type("inverter")
    page.keyboard.press("Enter")
    page.wait_for_url("**/devices?q=inverter")
    rows = page.locator("#list tbody tr")
    assert rows.count() > 1
    page.locator("#q").fill(calm_server.world.inverter)
    expect(rows).to_have_count(1)


def test_signing_out_ends_the_session(server: Running, open_page: Opener) -> None:
    page = open_page(server)
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto("/devices")
    page.wait_for_url("**/sign-in?next=%2Fdevices")


@pytest.mark.skipif(not PICTURES, reason="FAULTWATCH_SCREENSHOTS names no folder")
def test_pictures_for_the_documentation(open_page: Opener, tmp_path: Path) -> None:
    folder = Path(PICTURES or "")
    folder.mkdir(parents=True, exist_ok=True)
    large = build(tmp_path / "data")
    with serving(large) as server:
        for theme, width, tag in (("light", 1440, "light"), ("dark", 1440, "dark"), ("light", 390, "phone")):
            page = open_page(server, "/", theme=theme, width=width)
            for name in ("fleet", "device", "alerts", "devices"):
                page.goto(address(large, name))
                settle(page, name)
                page.screenshot(path=folder / f"{name}-{tag}.png", full_page=tag == "phone" or name == "device")
    large.engine.dispose()
