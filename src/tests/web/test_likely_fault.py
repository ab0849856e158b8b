"""From a fleet's reports, made through the API, to a kind of fault that pages and API tell of a new alert."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from playwright.sync_api import expect
from sqlalchemy import delete, select

from ...fleet import kind_versions, models
from ...fleet.alerts import AlertChange, record
from ...fleet.database import applying, reading, writing
from ...fleet.likely_kinds import Found, Likely, keep
from ...fleet.registry import Registry
from ...pipelines.cli import train
from ...service.kind_watch import KindWatch
from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from ...telemetry.lake import Lake
from ..service.loops import until
from .conftest import Opener, Running, copy_of, serving
from .world import HOUR, MINUTE, World

PICTURES = os.environ.get("FAULTWATCH_SCREENSHOTS")
KINDS = ("noise", "bias")
EACH = 12
SENSOR = "discharge_pressure"


@pytest.fixture
def server(template: World, tmp_path: Path) -> Iterator[Running]:
    """A world with pumps beside its own, most of which had a fault yesterday."""
    world = copy_of(template, tmp_path / "data")
    (world.settings.data / "mlflow").write_text("MLflow can't be told here, and needn't: it takes seconds")
    with serving(world) as running:
        yield running
    world.engine.dispose()


def faulty_pumps(world: World) -> tuple[list[tuple[str, str]], datetime]:
    """Pumps with a fault of each kind in turn, over six hours, after three days without: (id, kind), and its start.

    The last one has an alert now; the others' faults are for people to report.
    """
    end = datetime.fromtimestamp(world.now_ms / 1000, UTC)
    start = end - timedelta(hours=6)
    count = len(KINDS) * EACH + 1
    plain = Fleet.plan(seed=4, devices=count, sites=2, start=end - timedelta(days=4), types=["pump_station"])
    ids = [str(name) for name in plain.groups[0].ids]
    told = [(f"new-{name}", KINDS[number % len(KINDS)]) for number, name in enumerate(ids)]
    faults = [
        Fault(kind=kind, device_id=name, start=start, end=end + timedelta(hours=1), severity=1.0, sensors=(SENSOR,))
        for name, (_, kind) in zip(ids, told, strict=True)
    ]
    rows = plain.with_faults(faults).readings("pump_station", start - timedelta(days=3), end, ids)
    type_id = world.types["pump_station"]
    items = [(name, type_id, None) for name, _ in told]
    keys = {entry.device_id: entry.key for entry in Registry(world.engine).register(world.owner_id, items, 1)}
    frame = rows.select(
        ("new-" + pl.col("device_id")).replace_strict(keys, return_dtype=pl.Int64).alias("device_key"),
        pl.exclude("device_id"),
    ).with_columns(ingest_seq=pl.lit(99, pl.Int64), arrived=pl.col("timestamp"))
    Lake(world.settings.lake_url).append(type_id, frame, app_id="shard-0", version=99)
    world.keys.update(keys)
    return told, start


def alert_of(world: World, device: str, start: datetime) -> int:
    """The engine finds a device odd."""
    change = AlertChange(
        owner_id=world.owner_id,
        device_key=world.keys[device],
        site_id=None,
        kind="anomaly",
        to_state="firing",
        at_ms=round(start.timestamp() * 1000) + 5 * MINUTE,
        first_signs_ms=round(start.timestamp() * 1000),
        sentence="Discharge pressure is odd.",
    )
    with applying(world.engine) as session:
        (alert_id,) = record(session, 0, 99, [change], world.now_ms)
    assert alert_id is not None
    return alert_id


def test_reported_kinds_name_the_kind_of_a_new_alert(server: Running, open_page: Opener) -> None:
    world = server.world
    told, start = faulty_pumps(world)
    *reported, (device, kind) = told
    span = {"from": start.isoformat(), "until": datetime.fromtimestamp(world.now_ms / 1000, UTC).isoformat()}
    with closing(server.sign_in("owner")) as client:
        for name, reported_kind in reported:
            answer = client.post(f"/api/v1/devices/{name}/fault-reports", json={"kind": reported_kind, **span})
            assert answer.status_code == 200, answer.text
        train(data=world.settings.data, faults=True)
        alert_id = alert_of(world, device, start)
        assert client.get(f"/api/v1/alerts/{alert_id}").json()["likely_fault"] is None
        watch = KindWatch(world.settings, world.engine, every_s=0.05)
        watch.start()
        until(lambda: client.get(f"/api/v1/alerts/{alert_id}").json()["likely_fault"] is not None, 100)
        watch.stop()
        likely = client.get(f"/api/v1/alerts/{alert_id}").json()["likely_fault"]
        assert likely["kind"] == kind and 0.5 <= likely["probability"] <= 1.0
        assert [one["kind"] for one in likely["others"]] and likely["model_version"] == 1
        listed = client.get("/api/v1/alerts", params={"device": device}).json()["items"]
        assert [one["likely_fault"] for one in listed] == [likely]
    with closing(server.sign_in("other")) as client:
        assert client.get(f"/api/v1/alerts/{alert_id}").status_code == 404
        assert device not in client.get("/alerts").text
    percent = f"{100 * likely['probability']:.0f} %"
    page = open_page(server, f"/devices/{device}")
    expect(page.locator(".likely")).to_contain_text(f"Likely {kind} ({percent})")
    page.goto(f"/alerts?chosen={alert_id}")
    expect(page.locator("#chosen-alert .likely")).to_contain_text(f"Likely {kind} ({percent})")
    assert likely["signs"] and likely["signs"][0] in page.locator("#chosen-alert .likely").inner_text()
    expect(page.locator("#inbox .chosen .title")).to_contain_text(f"likely {kind}")
    operators_see_its_model(server, open_page)


def operators_see_its_model(server: Running, open_page: Opener) -> None:
    """The model of kinds on the models page: version, figures, card, runs; promoted by hand, and nobody else's."""
    world = server.world
    with writing(world.engine) as session:
        kind_versions.promote(session, kind_versions.add(session, "other", None, "made for a test", 1), "Ann", 1)
    for width in (390, 1440):
        page = open_page(server, "/models?type=fault-kinds", who="operator", width=width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    main = page.locator("main")
    expect(main).to_contain_text("Version 2 names the likeliest kind")
    expect(main).to_contain_text("24 faults of 24 devices")
    page.get_by_role("button", name="Roll back to 1").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back to 1").click()
    expect(page.locator("#toasts")).to_contain_text("rolled back, version 1 names kinds again.")
    expect(main).to_contain_text("Named right")
    page.locator("details.model-card summary").click()
    expect(page.locator(".card-text")).to_contain_text("Where not to use it")
    expect(page.locator("details.run")).to_have_count(1)
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "kinds-1440.png", full_page=True)
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=Path(PICTURES) / "kinds-390.png", full_page=True)
    with closing(server.sign_in("operator")) as client:
        sent = {"csrf_token": client.headers["X-CSRF-Token"], "back": "/"}
        assert client.post("/models/fault-kinds/promote", data={**sent, "version": 1}).status_code == 409
        assert client.post("/models/fault-kinds/promote", data={**sent, "version": 9}).status_code == 409
        assert client.post("/models/fault-kinds/promote", data={**sent, "version": 2}).status_code == 303
    with closing(server.sign_in("owner")) as client:
        assert client.get("/models?type=fault-kinds").status_code == 404
        assert "Kinds of fault" not in client.get("/models").text
        sent = {"csrf_token": client.headers["X-CSRF-Token"], "back": "/"}
        for act in ("promote", "rollback"):
            assert client.post(f"/models/fault-kinds/{act}", data={**sent, "version": 1}).status_code == 403


def found(world: World, *kinds: Likely) -> None:
    """The suspect display's alert is taken for these."""
    with writing(world.engine) as session:
        session.execute(delete(models.LikelyKinds))
        one = Found(
            alert_id=world.alerts["suspect"],
            at_ms=world.now_ms,
            until_ms=world.now_ms,
            next_ms=world.now_ms + HOUR,
            model_version=3,
            kinds=kinds,
            signs=("Evaporator temperature reads above what is expected", "The other sensors behave"),
        )
        keep(session, one, world.owner_id, news=True)


def test_below_an_even_chance_nothing_is_said(server: Running) -> None:
    world = server.world
    found(world, Likely("bias", 0.49), Likely("drift", 0.4))
    with closing(server.sign_in("owner")) as client:
        assert client.get(f"/api/v1/alerts/{world.alerts['suspect']}").json()["likely_fault"] is None
        assert "Likely" not in client.get(f"/devices/{world.suspect}").text
        found(world, Likely("bias", 0.5), Likely("drift", 0.4))
        assert "Likely bias (50 %)" in client.get(f"/devices/{world.suspect}").text


def test_who_confirms_a_kind_hears_no_guess_any_more(server: Running) -> None:
    world = server.world
    found(world, Likely("bias", 0.9), Likely("drift", 0.08), Likely("leak", 0.02))
    with closing(server.sign_in("owner")) as client:
        page = client.get(f"/devices/{world.suspect}").text
        assert "Likely bias (90 %)" in page and "else drift (8 %) or leak (2 %)" in page
        assert "<li>The other sensors behave.</li>" in page
        client.post(f"/api/v1/alerts/{world.alerts['suspect']}/confirm", json={"kind": "leak"})
        assert "Likely bias" not in client.get(f"/devices/{world.suspect}").text
        assert "Likely bias" not in client.get(f"/alerts?chosen={world.alerts['suspect']}").text


@pytest.mark.parametrize("width", [390, 1440])
def test_pages_show_it_at_every_width(server: Running, open_page: Opener, width: int) -> None:
    world = server.world
    found(world, Likely("calibration_step", 0.84), Likely("loss_of_correlation", 0.09), Likely("drift", 0.04))
    for path in (f"/devices/{world.suspect}", f"/alerts?chosen={world.alerts['suspect']}"):
        page = open_page(server, path, width=width)
        expect(page.locator(".likely")).to_contain_text("Likely calibration step (84 %)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_alert_that_is_gone_is_left_alone(server: Running) -> None:
    world = server.world
    with writing(world.engine) as session:
        keep(
            session,
            Found(alert_id=987_654, at_ms=1, until_ms=1, next_ms=None, model_version=1),
            world.owner_id,
            news=True,
        )
    with reading(world.engine) as session:
        assert session.scalars(select(models.LikelyKinds.alert_id)).all() == []
