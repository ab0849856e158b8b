"""Faults are reported on a device's page, by the API and as a file, listed, and taken back."""

import re
from contextlib import closing

import httpx
from playwright.sync_api import expect
from sqlalchemy import select

from ...fleet import models
from ...fleet.commands import pending
from ...fleet.database import reading
from .conftest import Opener, Running

LEAK = {"kind": "leak", "from": "2024-02-01T10:00:00Z", "until": "2024-02-01T12:00:00+01:00"}


def reports(server: Running, device: str) -> list[tuple[str, str, bool]]:
    """Kind and source of a device's reports, and whether they last, in the order they were made."""
    report = models.FaultReport
    query = select(report.kind, report.source, report.end_ms.is_(None)).join(
        models.Device, models.Device.id == report.device_key
    )
    with reading(server.world.engine) as session:
        rows = session.execute(query.where(models.Device.device_id == device).order_by(report.id)).all()
    return [(kind, source, bool(lasts)) for kind, source, lasts in rows]


def words(server: Running) -> list[str]:
    with reading(server.world.engine) as session:
        return [command.kind for command in pending(session)]


def upload(client: httpx.Client, content: bytes) -> httpx.Response:
    data = {"csrf_token": client.headers["X-CSRF-Token"], "back": "/fault-reports"}
    return client.post("/fault-reports", data=data, files={"file": ("reports.csv", content)})


def test_a_script_of_a_person_reports_lists_and_takes_back(server: Running) -> None:
    device = server.world.inverter
    with closing(server.sign_in("owner")) as client:
        made = client.post(f"/api/v1/devices/{device}/fault-reports", json=LEAK).json()
        assert (made["kind"], made["start"], made["end"]) == ("leak", "2024-02-01T10:00:00Z", "2024-02-01T11:00:00Z")
        assert (made["said_by"], made["source"], made["alert_id"]) == ("Owner Person", "operator", None)
        again = client.post(f"/api/v1/devices/{device}/fault-reports", json=LEAK).json()
        assert again == made
        listed = client.get("/api/v1/fault-reports", params={"device": device}).json()
        assert made in listed["items"]
        first = client.get("/api/v1/fault-reports", params={"limit": 1}).json()
        rest = client.get("/api/v1/fault-reports", params={"cursor": first["next"]}).json()
        assert first["items"] == [made] and made not in rest["items"]
        assert client.post(f"/api/v1/fault-reports/{made['id']}/take-back").json() == made
        assert client.post(f"/api/v1/fault-reports/{made['id']}/take-back").status_code == 404
        wrong = client.post(f"/api/v1/devices/{device}/fault-reports", json={**LEAK, "until": "2024-01-01T00:00:00Z"})
        assert wrong.status_code == 422 and "ends before it begins" in wrong.json()["detail"]
    assert reports(server, device) == []


def test_a_file_by_the_api_is_taken_whole_or_refused_line_by_line(server: Running) -> None:
    device = server.world.inverter
    good = f"{device},leak,2024-02-01T10:00:00Z,2024-02-01T12:00:00Z\n"
    with closing(server.sign_in("owner")) as client:
        text = f"device_id,kind,start,end\n{good}moor-2,leak,2024-02-01T10:00:00Z,\n{device},leak,noon,\n"
        wrong = client.post("/api/v1/fault-reports", json={"csv": text})
        assert wrong.status_code == 422
        assert "line 3: there is no device 'moor-2'" in wrong.json()["detail"], "it is another owner's"
        assert "line 4: start" in wrong.json()["detail"]
        assert reports(server, device) == []
        taken = client.post("/api/v1/fault-reports", json={"csv": f"device_id,kind,start,end\n{good}"})
        assert taken.json() == {"reports": 1, "new": 1, "changed": 0}
    assert reports(server, device) == [("leak", "import", False)]


def test_a_file_that_cant_be_taken_comes_back_with_what_is_wrong(server: Running) -> None:
    with closing(server.sign_in("owner")) as client:
        for content, why in (
            (
                b"device_id,kind,start\n<b>,leak,2024-02-01T10:00:00Z\n",
                "line 2: there is no device &#39;&lt;b&gt;&#39;",
            ),
            (b"device_id,kind,start\nx,\xff,2024-02-01T10:00:00Z\n", "is no UTF-8"),
            (b"", "first line has to name the columns"),
        ):
            answer = upload(client, content)
            assert answer.status_code == 422 and why in answer.text


def test_on_pages_a_fault_is_reported_seen_sent_as_a_file_and_taken_back(server: Running, open_page: Opener) -> None:
    device = server.world.inverter
    page = open_page(server, f"/devices/{device}")
    page.get_by_role("button", name="Report fault").first.click()
    dialog = page.locator("#ask-report")
    dialog.get_by_text("Blockage").click()
    dialog.get_by_label("Since", exact=True).fill("2024-02-01T10:00")
    dialog.get_by_role("button", name="Report fault").click()
    card = page.locator(".card", has=page.get_by_role("heading", name="Fault reports"))
    expect(card).to_contain_text(re.compile("Blockage, lasts"))
    assert reports(server, device) == [("blockage", "operator", True)]
    assert words(server)[-1] == "confirm"

    page.goto("/fault-reports")
    content = f"device_id,kind,start,end\n{device},leak,2024-03-01T10:00:00Z,2024-03-02T10:00:00Z\n".encode()
    page.locator("#file").set_input_files({"name": "reports.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Send file").click()
    row = page.locator("tbody tr", has_text="Blockage")
    expect(page.locator("tbody tr", has_text="from a file")).to_have_count(1)
    row.get_by_role("button", name="Take back").click()
    expect(row).to_have_count(0)
    assert reports(server, device) == [("leak", "import", False)]
    assert words(server)[-1] == "not_faulty"


def test_viewers_see_reports_and_are_offered_nothing(calm_server: Running, open_page: Opener) -> None:
    page = open_page(calm_server, "/fault-reports", who="viewer")
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Take back|Send file"))).to_have_count(0)
