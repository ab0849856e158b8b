"""The demo's words: what it shows of whatever is open."""

from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert

from ..demo import Note, story
from ..fleet import device_types, model_alerts, models, owners
from ..fleet.database import connect, migrate, writing
from ..settings import Settings
from .service.fleet_of import PUMP, START_MS


def test_a_demo_that_is_gone_on_with_shows_what_it_can_of_every_kind(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    engine = connect(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        owner_id = owners.add(session, "Harbour", START_MS)
        type_id, _ = device_types.add(session, None, PUMP, START_MS)
        device = {"owner_id": owner_id, "device_id": "pump-1", "name": "Pump 1", "type_id": type_id}
        session.execute(insert(models.Device).values(id=1, registered_ms=START_MS, **device))
        for kind in ("anomaly", "threshold"):
            said = {"sentence": f"It is {kind}.", "first_signs_ms": START_MS, "fired_ms": START_MS}
            alert = models.Alert(owner_id=owner_id, device_key=1, kind=kind, state="firing", severity="warning", **said)
            session.add(alert)
        model_alerts.report(session, "training_failed", "Training failed.", "/models", START_MS, subject=PUMP.name)
    engine.dispose()
    now = datetime(2026, 11, 1, tzinfo=UTC)
    note = Note(start=now, now=now, password="x", token="y")
    told = story(settings, note, "http://127.0.0.1:1")
    assert "3 alerts are open" in told and "It is anomaly." in told and "/devices/pump-1" in told
