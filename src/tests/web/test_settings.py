"""The settings page: what each role sees of it, and its forms in a real browser."""

import random
import time
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from ...fleet import commands, models, users
from ...fleet.database import reading
from ...fleet.secrets import open_secrets
from ...service.live import wall_ms
from ...service.notifier import Notifier
from ..service.receivers import receiver
from .conftest import Opener, Running
from .world import PASSWORD, World

EVERYBODY = ["Channels", "Threshold rules", "Maintenance", "Device types"]


def audit_of(world: World) -> list[str]:
    """What the audit log says was done, the newest first."""
    with reading(world.engine) as session:
        return list(session.scalars(select(models.AuditEntry.what).order_by(models.AuditEntry.id.desc())))


@pytest.mark.parametrize(
    ("who", "sections"),
    [
        ("viewer", EVERYBODY),
        ("operator", EVERYBODY),
        ("owner", [*EVERYBODY, "Tokens"]),
        ("admin", [*EVERYBODY, "Tokens", "People", "Audit log"]),
    ],
)
def test_only_what_a_role_may_see_is_shown(
    calm_server: Running, open_page: Opener, who: str, sections: list[str]
) -> None:
    page = open_page(calm_server, "/", who=who)
    page.locator(".account summary").click()
    page.get_by_role("link", name="Settings").click()
    expect(page.locator(".sections a")).to_have_text(sections)
    for title in sections:
        page.locator(".sections").get_by_role("link", name=title, exact=True).click()
        expect(page.locator("#section-title")).to_have_text(title)
        if who == "viewer":
            expect(page.locator("main button")).to_have_count(0)


def test_a_section_that_is_not_theirs_does_not_exist(calm_server: Running) -> None:
    with closing(calm_server.sign_in("owner")) as client:
        for section in ("people", "audit", "nonsense"):
            assert client.get("/settings", params={"section": section}).status_code == 404


def submit(page: Page, dialog: str, **fields: str) -> None:
    """Open a dialog, fill its fields by their labels, and send it."""
    page.locator(f"[data-dialog='{dialog}']").first.click()
    box = page.locator(f"#{dialog}")
    for label, value in fields.items():
        field = box.get_by_label(label.replace("_", " "), exact=True)
        if field.evaluate("e => e.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    box.locator("button.primary").click()


def test_a_person_is_added_changed_and_kept_out(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=people", who="admin")
    fields = {"E-mail_address": "kim@example.com", "Name": "Kim", "Role": "operator", "Password": PASSWORD}
    submit(page, "add-user", **fields)
    expect(page.locator(".toast")).to_contain_text("kim@example.com may sign in now")
    row = page.locator("tr", has_text="kim@example.com")
    expect(row).to_contain_text("Operator")
    now_ms = time.time_ns() // 1_000_000
    assert users.sign_in(server.world.engine, "kim@example.com", PASSWORD, now_ms).user.role == "operator"
    row.get_by_role("button", name="Change").click()
    page.locator("dialog[open]").get_by_role("button", name="No longer let sign in").click()
    expect(page.locator("tr", has_text="kim@example.com")).to_contain_text("may not sign in")
    assert audit_of(server.world)[:2] == ["account disabled", "account added"]


def test_a_form_that_cannot_be_taken_is_shown_again_with_what_was_typed(server: Running) -> None:
    with closing(server.sign_in("admin")) as client:
        token = client.headers["X-CSRF-Token"]
        sent = {"email": "kim@example.com", "name": "Kim", "password": "short", "csrf_token": token}
        answer = client.post("/settings/people", data=sent)
        assert answer.status_code == 422
        assert "The password has 5 characters; expected 10 to 1000." in answer.text
        assert 'value="kim@example.com"' in answer.text and "short" not in answer.text
        rule = {"about": "pump_station.flow", "value": "much", "owner": "Harbour Water", "csrf_token": token}
        answer = client.post("/settings/rules", data=rule)
        assert answer.status_code == 422 and "expected a number" in answer.text
        rule = {**rule, "value": "1", "device": "no-such-pump"}
        answer = client.post("/settings/rules", data=rule)
        assert answer.status_code == 404 and "There is no device" in answer.text


def test_a_token_is_shown_once_and_revoked(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=tokens")
    submit(page, "add-token", Name="Gateway")
    secret = page.locator("#secret").inner_text()
    assert server.app.state.parts.tokens.authenticate(secret) is not None
    page.goto("/settings?section=tokens")
    assert secret not in page.content()
    page.locator("tr", has_text="Gateway").get_by_role("button", name="Revoke").click()
    expect(page.locator("tr", has_text="Gateway")).to_contain_text("Revoked")


def test_a_rule_is_added_and_removed_and_the_loop_is_told(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=rules")
    submit(page, "add-rule", Sensor="pump_station.vibration", Limit="4,5", For_minutes="5", Over_when_back_at="4")
    row = page.locator("tr", has_text="Vibration above 4.5 mm/s for 5 minutes, until 4 mm/s")
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    with reading(server.world.engine) as session:
        told = [word.payload["removed"] for word in commands.pending(session) if word.kind == "rule"]
    assert told[-2:] == [False, True]


def test_send_test_says_whether_the_channel_took_it(server: Running, open_page: Opener) -> None:
    world = server.world
    key = open_secrets(world.settings.secret_key_file)
    with receiver() as taker:
        page = open_page(server, "/settings?section=channels")
        submit(page, "add-channel", Name="Hook", Address=f"{taker.url}/hook")
        expect(page.locator("#secret")).to_be_visible()
        notifier = Notifier(world.engine, key, "http://x", wall_ms, random.random, private_networks="all")
        notifier.start()
        taker.answers["/hook"] = [503]
        for words in ("Test not taken", "Test taken"):
            page.goto("/settings?section=channels")
            row = page.locator("tr", has=page.get_by_text("Hook", exact=True))
            row.get_by_role("button", name="Send test").click()
            expect(row).to_contain_text(words, timeout=10_000)
        notifier.stop()
    assert taker.paths() == ["/hook", "/hook"]


def test_a_notice_that_was_given_up_is_tried_again(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=channels")
    expect(page.locator("tr", has_text="answered 503")).to_have_count(1)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".toast")).to_contain_text("on its way again")
    expect(page.locator("tr", has_text="On call").first).to_contain_text("1 waiting")
    with closing(server.sign_in("owner")) as client:
        sent = {"csrf_token": client.headers["X-CSRF-Token"]}
        again = client.post(f"/settings/notices/{server.world.settings_ids['notice'][0]}/again", data=sent)
        assert again.status_code == 409


def test_the_silence_window_of_a_type_is_a_new_version_of_it(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=types", who="admin")
    box = page.locator(".type", has_text="Pump station")
    box.get_by_label("Silent after").fill("10")
    box.get_by_role("button", name="Set").click()
    expect(page.locator(".type", has_text="Pump station")).to_contain_text("version 2")
    expect(page.locator(".type", has_text="Pump station")).to_contain_text("(10 min)")


def test_maintenance_is_planned_and_ended(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=maintenance")
    submit(page, "plan", Device=server.world.suspect, What_is_done="New seal")
    row = page.locator("tr", has_text="New seal")
    expect(row).to_contain_text(server.world.suspect)
    row.get_by_role("button", name="End").click()
    expect(page.locator("tr", has_text="New seal")).to_have_count(0)


def test_the_audit_log_tells_who_did_what(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/settings?section=audit", who="admin")
    expect(page.locator("tr", has_text="Rule added").first).to_contain_text("Admin Person")
