"""The models page: what operators see and do there, what owners see, and what it says where there is nothing."""

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect
from sqlalchemy import delete, select, update

from ...components.fault_kinds import evaluation as of_kinds
from ...components.model_evaluation import evaluation
from ...fleet import model_alerts, models
from ...fleet.database import reading, writing
from ...pipelines import history, monitoring
from .conftest import Opener, Running, copy_of, serving
from .modelled import with_models
from .world import World

PICTURES = os.environ.get("FAULTWATCH_SCREENSHOTS")


@pytest.fixture(scope="module")
def modelled(template: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with models; tests get copies."""
    mine = copy_of(template, tmp_path_factory.mktemp("modelled") / "data")
    with_models(mine)
    return mine


@pytest.fixture
def server(modelled: World, tmp_path: Path) -> Iterator[Running]:
    """A server on a world with models of the test's own."""
    mine = copy_of(modelled, tmp_path / "data")
    with serving(mine) as running:
        yield running
    mine.engine.dispose()


def roles(world: World) -> dict[int, str]:
    with reading(world.engine) as session:
        rows = session.scalars(select(models.TrainedModel))
        return {row.version: "champion" if row.champion else "challenger" if row.challenger else "" for row in rows}


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 1440), ("light", 390)])
def test_operators_see_all_of_it(server: Running, open_page: Opener, theme: str, width: int) -> None:
    page = open_page(server, "/models", who="operator", theme=theme, width=width)
    main = page.locator("main")
    expect(page.locator("h1")).to_have_text("1 model needs you.")
    expect(main.locator(".banner")).to_contain_text(
        "Training of Pump station failed at data_transformation: an artifact"
    )
    versions = page.locator("section", has=page.locator("#versions-title")).locator("tbody tr")
    assert [row.split()[0] for row in versions.all_inner_texts()] == ["2", "1"]
    expect(versions.nth(0)).to_contain_text("Challenger, in shadow")
    expect(versions.nth(1)).to_contain_text("Champion")
    expect(versions.nth(1)).to_contain_text("passed")
    expect(main).to_contain_text("Version 2 beside version 1, while it is watched")
    expect(main).to_contain_text("Faults put in that it caught")
    expect(main.locator(".checks li").first).to_be_visible()
    runs = page.locator("details.run")
    expect(runs).to_have_count(4)
    expect(runs.first).to_contain_text("failed in 0.0 s; New data, by faultwatch")
    runs.first.locator("summary").click()
    expect(runs.first).to_contain_text("Because 6 new fault reports.")
    expect(runs.first.locator(".steps li")).to_have_count(3)
    expect(runs.last).to_contain_text("On demand, by kim@example.org")
    page.locator("details.model-card summary").click()
    expect(page.locator(".card-text")).to_contain_text("Where not to use it")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"models-{theme}-{width}.png", full_page=True)
    if width > 600:
        expect(versions.nth(1)).to_contain_text("readings of 16 devices, 4 kept unseen")
        versions.nth(1).get_by_role("link").click()
        expect(main).to_contain_text("Version 1 at its gate")


def test_an_operator_promotes_and_rolls_back(server: Running, open_page: Opener) -> None:
    page = open_page(server, "/models", who="operator")
    page.get_by_role("button", name="Promote 2").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Promote 2").click()
    expect(page.locator("#toasts")).to_contain_text("Pump station: version 2 serves from now on.")
    expect(page.locator(".now")).to_contain_text("Version 2 serves since")
    assert roles(server.world) == {1: "", 2: "champion"}
    page.get_by_role("button", name="Roll back to 1").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back to 1").click()
    expect(page.locator("#toasts")).to_contain_text("rolled back, version 1 serves again.")
    assert roles(server.world) == {1: "champion", 2: ""}
    with reading(server.world.engine) as session:
        said = session.execute(select(models.AuditEntry.who, models.AuditEntry.what, models.AuditEntry.detail)).all()
        swaps = session.scalars(select(models.Command).where(models.Command.kind == "model_swap")).all()
    assert [tuple(row) for row in said][-3:] == [
        ("Operator Person", "model promoted", "version 2"),
        ("Operator Person", "model rolled back", "to version 1"),
        ("Operator Person", "model promoted", "version 1"),
    ]
    assert [swap.payload["version"] for swap in swaps][-2:] == [2, 1], "the loop is told"


def test_what_cannot_be_promoted_says_so(server: Running) -> None:
    type_id = server.world.types["pump_station"]
    with closing(server.sign_in("operator")) as client:

        def post(act: str, token: str | None = None, **more: object) -> tuple[int, str]:
            sent = {"csrf_token": token or client.headers["X-CSRF-Token"], "back": "/", **more}
            answer = client.post(f"/models/{type_id}/{act}", data=sent)
            return answer.status_code, answer.text

        assert post("promote", version=1)[0] == 409
        status, text = post("promote", version=9)
        assert status == 409 and "no model version 9" in text
        assert post("rollback")[0] == 409, "no version served before"
        assert post("promote", version=0)[0] == 422
        assert post("promote", token="forged", version=2)[0] == 403
        assert client.get("/models?type=99").status_code == 404
        assert client.get("/models?type=x").status_code == 400
    assert roles(server.world) == {1: "champion", 2: "challenger"}


def test_owners_see_what_serves_them_and_nothing_of_others(server: Running) -> None:
    type_id = server.world.types["pump_station"]
    with writing(server.world.engine) as session:
        session.execute(update(models.DeviceType).where(models.DeviceType.id == type_id + 1).values(owner_id=2))
    for who in ("owner", "viewer"):
        with closing(server.sign_in(who)) as client:
            text = client.get("/models").text
            assert "Version 1 serves since" in text and "Harbour Water" in text
            for hidden in (
                "North Grid",
                "Promote",
                "Roll back",
                "readings of",
                "failed",
                "watched",
                "kim@",
                "Last runs",
            ):
                assert hidden not in text, f"{who} sees {hidden}"
            assert client.get(f"/models?type={type_id + 1}").status_code == 404, "another owner's type"
            for act, sent in (("promote", {"version": 2}), ("rollback", {})):
                body = {**sent, "csrf_token": client.headers["X-CSRF-Token"], "back": "/"}
                assert client.post(f"/models/{type_id}/{act}", data=body).status_code == 403
                assert client.post(f"/models/{type_id + 1}/{act}", data=body).status_code == 404
    assert roles(server.world) == {1: "champion", 2: "challenger"}


def test_where_there_is_nothing_it_says_what_to_do(server: Running, open_page: Opener) -> None:
    other = server.world.types["solar_inverter"]
    page = open_page(server, f"/models?type={other}", who="operator", width=390)
    expect(page.locator("main")).to_contain_text("faultwatch train --type solar_inverter")
    expect(page.locator("main")).to_contain_text("No run yet.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    with writing(server.world.engine) as session:
        session.execute(delete(models.TrainedModel))
        model_alerts.clear(session, "training_failed", "a good run", server.world.now_ms, subject="pump_station")
    page.goto("/models")
    expect(page.locator("h1")).to_have_text("No type has a model yet.")


def test_files_that_are_gone_or_damaged_leave_the_rest(server: Running) -> None:
    data = server.world.settings.data
    for file in data.rglob("evaluation.json"):
        file.write_text("{")
    for file in data.rglob("card.md"):
        file.unlink()
    with closing(server.sign_in("operator")) as client:
        answer = client.get("/models?version=1")
        assert answer.status_code == 200 and "not judged" in answer.text
        (data / "runs").rename(data / "runs-away")
        answer = client.get("/models")
        assert answer.status_code == 200 and "No run yet." in answer.text


def test_names_of_files_are_those_that_steps_write() -> None:
    assert history.REPORT_FILE == evaluation.REPORT_FILE and history.CARD_FILE == evaluation.CARD_FILE
    assert history.SHADOW_FILE == monitoring.SHADOW_FILE
    assert history.REPORT_FILE == of_kinds.REPORT_FILE and history.CARD_FILE == of_kinds.CARD_FILE


def test_it_answers_soon_beside_a_year_of_runs(server: Running) -> None:
    """The page reads the newest runs only: 500 more are names in a folder."""
    runs = server.world.settings.data / "runs"
    (one,) = [path for path in runs.iterdir() if "-monitoring-" in path.name]
    for number in range(500):
        name = f"2025{1 + number % 12:02}01-{number:06}-monitoring-pump_station"
        (runs / name).mkdir()
        (runs / name / "run.json").write_bytes((one / "run.json").read_bytes())
    took = []
    with closing(server.sign_in("operator")) as client:
        client.get("/models")
        for _ in range(15):
            before = time.process_time()
            assert client.get("/models").status_code == 200
            took.append(time.process_time() - before)
    assert statistics.median(took) < 0.15, f"{took}: processor time of browser's side and server's"
