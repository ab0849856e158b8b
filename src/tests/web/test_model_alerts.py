"""Alerts about models on the pages: in the inbox of operators, and nowhere for owners."""

import os
from contextlib import closing
from pathlib import Path

from playwright.sync_api import expect
from sqlalchemy import select

from ...fleet import model_alerts, models
from ...fleet.database import reading, writing
from .conftest import Opener, Running

PICTURES = os.environ.get("FAULTWATCH_SCREENSHOTS")
SAID = "Training of Pump station failed at model_trainer: the disk is full. The model that serves goes on."


def reported(server: Running) -> int:
    with writing(server.world.engine) as session:
        return model_alerts.report(
            session, "training_failed", SAID, "/models?type=1", server.world.now_ms, subject="pump_station"
        )


def test_operators_find_it_in_their_inbox_and_acknowledge_it(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/", who="operator", width=1440)
    before = int(page.locator("#open-alerts").inner_text())
    alert_id = reported(server)
    expect(page.locator("#open-alerts")).to_have_text(str(before + 1))
    page.goto("/")
    expect(page.locator("h1")).to_contain_text("1 model need")
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"/alerts?chosen={alert_id}")
        chosen = page.locator("#chosen-alert")
        expect(chosen).to_contain_text("Pump station")
        expect(chosen.locator(".pill")).to_contain_text("Training failed since")
        expect(chosen.locator("p.sentence")).to_have_text(SAID)
        assert chosen.locator("h2 a").first.get_attribute("href") == "/models?type=1"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        if PICTURES:
            page.screenshot(path=Path(PICTURES) / f"model-alert-{width}.png")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)
    expect(page.locator("#inbox")).to_contain_text("for operators only")
    page.get_by_role("button", name="Acknowledge").last.click()
    expect(page.locator("#inbox .tabs")).to_contain_text("Acknowledged 1")
    with reading(server.world.engine) as session:
        assert session.get_one(models.Alert, alert_id).acknowledged_ms is not None
        assert session.scalars(select(models.AuditEntry.subject)).all()[-1] == f"alert {alert_id}"


def test_owners_find_nothing_of_it(server: Running) -> None:
    alert_id = reported(server)
    for who in ("owner", "viewer", "other"):
        with closing(server.sign_in(who)) as client:
            for path in ("/", "/alerts", "/alerts?tab=all", "/api/v1/alerts?state=all&limit=1000", "/api/v1/fleet"):
                answer = client.get(path).text
                assert SAID not in answer and "1 model" not in answer, f"{who}: {path}"
            assert client.get(f"/alerts?chosen={alert_id}").status_code == 404
            assert client.get(f"/api/v1/alerts/{alert_id}").status_code == 404
            assert client.post(f"/api/v1/alerts/{alert_id}/acknowledge").status_code == 404
    with closing(server.sign_in("operator")) as client:
        told = client.get(f"/api/v1/alerts/{alert_id}").json()
        assert (told["owner"], told["cause"], told["subject"]) == (None, "training_failed", "pump_station")
        refused = client.post(f"/api/v1/alerts/{alert_id}/repaired")
        assert refused.status_code == 409 and "the next good run" in refused.text


def test_an_admin_adds_a_channel_of_operators(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=channels", who="admin", width=1440)
    page.get_by_role("button", name="Add a channel").click()
    page.get_by_label("Name").fill("Models desk")
    page.get_by_label("Address").fill("https://hooks.example.com/models")
    page.get_by_label("For operators instead").check()
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "operators-channel.png")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#channels tbody tr").first).to_contain_text("Operators")
    expect(page.locator("#channels tbody tr").first).to_contain_text("models")
    with closing(server.sign_in("owner")) as client:
        assert "Models desk" not in client.get("/settings?section=channels").text
        sent = {"name": "mine", "address": "https://x.example.com", "operators": "true"}
        sent |= {"csrf_token": client.headers["X-CSRF-Token"], "back": "/"}
        assert client.post("/settings/channels", data=sent).status_code == 403
