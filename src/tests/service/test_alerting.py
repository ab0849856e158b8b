"""What the alert engine decides, in words for people: sentence, blame, severity, and how it ended."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pytest
from structlog.testing import capture_logs

from ...alerts.state import EngineConfig
from ...alerts.status import Status
from ...fleet.alerts import AlertChange
from ...service import spool
from ...service.model_store import ModelStore
from ...service.shard_state import ShardState
from ...settings import Settings
from ...telemetry import records
from ...telemetry.readings import Readings
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS

PUMPS = range(1, 17)
HEALTHY = 40


@dataclass
class Fleet:
    """A state that is fed record by record, and the changes that came of it."""

    state: ShardState
    changes: list[AlertChange] = field(default_factory=list)

    def apply(self, record: records.Record) -> list[AlertChange]:
        """Apply a record; the changes it caused."""
        changes = self.state.apply(self.state.seq + 1, record).changes
        self.changes += changes
        return changes

    def minute(self, number: int, devices: Sequence[int] = PUMPS, *, faulty: Sequence[int] = ()) -> list[AlertChange]:
        """The readings of a minute, and the tick that closes it."""
        rows = fleet_of.readings(1, devices, range(number, number + 1), faulty=faulty)
        return self.send(rows, number) + self.tick(number)

    def send(self, rows: Readings, minute: int) -> list[AlertChange]:
        """Rows that arrive in a minute."""
        return self.apply(records.Rows.of(_ms(minute) + 2_000, rows))

    def tick(self, minute: int) -> list[AlertChange]:
        """A minute is over."""
        return self.apply(records.Tick(now_ms=_ms(minute + 1) + 15_000))

    def word(self, kind: str, device: int, now_ms: int, **payload: object) -> list[AlertChange]:
        """An operator's word."""
        word = records.Word(
            now_ms=now_ms,
            command_id=1,
            kind=kind,  # type: ignore[arg-type]
            device_key=device,
            payload=msgspec.json.encode(payload),
        )
        return self.apply(word)


def _ms(minute: int) -> int:
    return START_MS + minute * MINUTE_MS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, int]]:
    """A folder with a database and the model of type 1."""
    folder = tmp_path_factory.mktemp("model")
    engine, type_id = fleet_of.database(Settings(data=folder))
    kept = ModelStore(folder / "models", engine).keep(type_id, fleet_of.detector(), START_MS, "test")
    engine.dispose()
    return folder, (kept.model, kept.version)


@pytest.fixture
def fleet(model: tuple[Path, tuple[str, int]]) -> Iterator[Fleet]:
    """Sixteen pumps at four sites that have been well for a while."""
    folder, kept = model
    engine, _ = fleet_of.database(Settings(data=folder))
    fleet = Fleet(fleet_of.new_state(folder, engine))
    for record in fleet_of.introduction(1, PUMP, PUMPS, kept):
        fleet.apply(record)
    for minute in range(HEALTHY):
        fleet.minute(minute)
    assert fleet.changes == []
    yield fleet
    engine.dispose()


def _only(changes: Sequence[AlertChange]) -> AlertChange:
    (change,) = changes
    return change


def test_an_anomaly_says_which_sensor_is_off_by_how_much(fleet: Fleet) -> None:
    pumps = fleet.state.types[1].devices
    scores = []
    for minute in range(HEALTHY, HEALTHY + 3):
        fleet.minute(minute, faulty=[3])
        scores.append(pumps.float32("score")[2])
    fired = _only(fleet.changes)
    grave = min(scores) >= EngineConfig().critical_factor * pumps.float32("enter")[2]
    assert fired.severity == ("critical" if grave else "warning")
    assert (fired.kind, fired.to_state, fired.device_key, fired.owner_id) == ("anomaly", "firing", 3, 1)
    assert (fired.site_id, fired.rule, fired.sensor) == (fleet_of.site_of(3), -1, None)
    assert (fired.first_signs_ms, fired.at_ms) == (_ms(HEALTHY), _ms(HEALTHY + 2) + 2_000)
    assert not fired.historic and fired.resolution is None
    assert fired.score is not None and fired.score == fired.peak_score and fired.score > 3
    assert fired.model_version == 1
    first = fired.blame[0]
    assert (first.sensor, first.label, first.unit) == ("heat", "Heat", "u") and first.share > 0.5
    assert first.observed is not None and first.low is not None and first.high is not None
    assert first.observed == fleet_of.readings(1, [3], range(HEALTHY + 2, HEALTHY + 3), faulty=[3]).values[0, 2]
    assert first.low < 40 < first.high < first.observed
    assert [blame.share for blame in fired.blame] == sorted((blame.share for blame in fired.blame), reverse=True)
    assert fired.sentence.startswith("Heat is ")
    assert " u above what is normal for this pump at this hour" in fired.sentence
    assert fleet.state.alerting.status[2] == Status.SUSPECT


def test_an_anomaly_that_gets_worse_is_the_same_alert(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 30):
        rows = fleet_of.readings(1, PUMPS, range(minute, minute + 1))
        rows.values[2] += 1.2 if minute < HEALTHY + 4 else 60.0
        fleet.send(rows, minute)
    assert [change.to_state for change in fleet.changes[:2]] == ["firing", "update"]
    assert [change.severity for change in fleet.changes[:2]] == ["warning", "critical"]


def test_an_anomaly_that_is_over_says_so_and_no_sentence(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 3):
        fleet.minute(minute, faulty=[3])
    for minute in range(HEALTHY + 3, HEALTHY + 60):
        fleet.minute(minute)
    over = fleet.changes[-1]
    assert (over.to_state, over.resolution, over.sentence) == ("resolved", "reading", "")
    assert fleet.state.alerting.status[2] == Status.HEALTHY


def test_what_comes_from_a_file_is_historic(fleet: Fleet, model: tuple[Path, tuple[str, int]]) -> None:
    rows = fleet_of.readings(1, [5], range(HEALTHY, HEALTHY + 4), faulty=[5])
    name = spool.write(model[0] / "spool", "history", rows)
    chunk = records.Backfill(
        now_ms=_ms(500), job_id=1, file_hash="h", chunk=0, last=True, type_id=1, rows=4, spool=name
    )
    fired = _only(fleet.apply(chunk))
    assert fired.historic and fired.to_state == "firing"
    assert fired.at_ms == _ms(HEALTHY + 2), "the time of the row, not of the file"


def test_a_sensor_that_stops_coming_is_named(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 40):
        rows = fleet_of.readings(1, [7], range(minute, minute + 1))
        rows.values[:, 1] = np.nan
        fleet.send(rows, minute)
    fired = next(change for change in fleet.changes if change.kind == "sensor")
    assert (fired.device_key, fired.rule, fired.sensor, fired.to_state) == (7, 1, "load", "firing")
    assert fired.sentence == "Load stopped coming {lasted} ago; the other sensors still report."
    assert fired.blame == ()


def test_a_device_that_falls_silent_is_told_of_and_its_first_reading_ends_it(fleet: Fleet) -> None:
    others = [device for device in PUMPS if device != 7]
    for minute in range(HEALTHY, HEALTHY + 7):
        fleet.minute(minute, others)
    fired = _only(fleet.changes)
    assert (fired.kind, fired.device_key, fired.sentence) == ("silent", 7, "No reading for {lasted}.")
    assert fired.score is None and fired.blame == () and fired.model_version is None
    assert fired.first_signs_ms == _ms(HEALTHY - 1) + 2_000, "its last arrival"
    fleet.minute(HEALTHY + 7)
    assert (fleet.changes[-1].to_state, fleet.changes[-1].resolution) == ("resolved", "reading")


def test_a_site_that_goes_dark_is_one_alert_about_the_site(fleet: Fleet) -> None:
    site = fleet_of.site_of(2)
    dark = [device for device in PUMPS if fleet_of.site_of(device) == site]
    others = [device for device in PUMPS if device not in dark]
    for minute in range(HEALTHY, HEALTHY + 7):
        fleet.minute(minute, others)
    (fired,) = [change for change in fleet.changes if change.to_state == "firing"]
    assert (fired.kind, fired.device_key, fired.site_id, fired.owner_id) == ("site", None, site, 1)
    assert fired.sentence == (
        f"No reading from 4 of 4 devices at Site {site}. Likely power or network, not the devices."
    )
    for minute in range(HEALTHY + 7, HEALTHY + 12):
        fleet.minute(minute)
    ended = [change for change in fleet.changes if change.kind == "site" and change.to_state == "resolved"]
    assert len(ended) == 1 and ended[0].site_id == site and ended[0].sentence != ""


def test_a_word_ends_an_alert_and_lets_the_baseline_move(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 3):
        fleet.minute(minute, faulty=[3])
    over = _only(fleet.word("dismiss", 3, _ms(HEALTHY + 3), alert_kind="anomaly", rule=-1, reason="new_normal"))
    assert (over.to_state, over.resolution, over.device_key) == ("resolved", "dismissed", 3)
    before = len(fleet.changes)
    for minute in range(HEALTHY + 3, HEALTHY + 100):
        fleet.minute(minute, faulty=[3])
    assert fleet.changes[-1].to_state == "resolved" or len(fleet.changes) == before
    assert fleet.state.alerting.status[2] == Status.HEALTHY, "heat as it is now is what is normal for it"


def test_maintenance_keeps_a_device_from_being_told_of(fleet: Fleet) -> None:
    fleet.word("maintenance", 3, _ms(HEALTHY), from_ms=_ms(HEALTHY), until_ms=_ms(HEALTHY + 20))
    for minute in range(HEALTHY, HEALTHY + 5):
        fleet.minute(minute, faulty=[3])
    assert [change for change in fleet.changes if change.to_state == "firing"] == []
    assert fleet.state.alerting.status[2] == Status.MAINTENANCE


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("dismiss", b'{"alert_kind": "mood"}'),
        ("confirm", b'{"rule": "second"}'),
        ("repaired", b"[]"),
        ("dismiss", b"not even JSON"),
        ("maintenance", b'{"from_ms": 5, "until_ms": 5}'),
    ],
)
def test_a_word_that_makes_no_sense_is_logged_and_left(fleet: Fleet, kind: str, payload: bytes) -> None:
    word = records.Word(
        now_ms=_ms(HEALTHY), command_id=8, kind=kind, device_key=3, payload=payload  # type: ignore[arg-type]
    )
    with capture_logs() as said:
        outcome = fleet.state.apply(fleet.state.seq + 1, word)
    assert outcome.changes == [] and outcome.done == [8], "it is done with, and doesn't come again"
    assert [(entry["event"], entry["command"]) for entry in said] == [("word.refused", 8)]


def test_a_word_about_a_device_nobody_knows_is_done_with(fleet: Fleet) -> None:
    assert fleet.word("repaired", 999, _ms(HEALTHY)) == []


def test_a_checkpoint_keeps_open_alerts(fleet: Fleet, model: tuple[Path, tuple[str, int]]) -> None:
    for minute in range(HEALTHY, HEALTHY + 3):
        fleet.minute(minute, faulty=[3])
    engine, _ = fleet_of.database(Settings(data=model[0]))
    again = Fleet(fleet_of.new_state(model[0], engine))
    again.state.thaw(fleet.state.freeze())
    assert again.minute(HEALTHY + 3, faulty=[3]) == fleet.minute(HEALTHY + 3, faulty=[3])
    assert [change.to_state for change in again.word("repaired", 3, _ms(HEALTHY + 4))] == ["resolved"]
    engine.dispose()


def test_a_device_whose_rows_are_all_refused_is_silent_and_its_owner_told_why(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 8):
        fleet.minute(minute, [pump for pump in PUMPS if pump != 3])
        refused = (records.Refused(3), records.Refused(3))
        fleet.apply(records.Quarantined(now_ms=_ms(minute) + 3_000, rows=(), refused=refused))
    fired = _only(fleet.changes)
    assert (fired.kind, fired.to_state, fired.device_key) == ("silent", "firing", 3)
    assert fired.sentence == "No reading for {lasted}. What it sends can't be taken; the page Data quality says why."
    fleet.minute(HEALTHY + 8)
    assert fleet.changes[-1].to_state == "resolved"


def test_a_device_that_never_sent_a_row_that_could_be_taken_falls_silent_too(fleet: Fleet) -> None:
    known = records.DeviceEntry(99, "pump-099", 1, 1, None)
    fleet.apply(records.Devices(now_ms=_ms(HEALTHY), devices=(known,)))
    for minute in range(HEALTHY, HEALTHY + 8):
        fleet.minute(minute)
        fleet.apply(records.Quarantined(now_ms=_ms(minute) + 20_000, rows=(), refused=(records.Refused(99),)))
    fired = _only(fleet.changes)
    assert (fired.kind, fired.device_key) == ("silent", 99) and "Data quality" in fired.sentence


def test_a_sensor_whose_rows_are_refused_as_out_of_range_is_told_and_the_device_is_not_silent(fleet: Fleet) -> None:
    for minute in range(HEALTHY, HEALTHY + 32):
        fleet.minute(minute, [pump for pump in PUMPS if pump != 3])
        refused = (records.Refused(3, _ms(minute), 0b10),)
        fleet.apply(records.Quarantined(now_ms=_ms(minute) + 3_000, rows=(), refused=refused))
    fired = _only(fleet.changes)
    assert (fired.kind, fired.device_key, fired.sensor) == ("sensor", 3, PUMP.sensors[1].name)
    assert "Readings with such a value are set aside" in fired.sentence


def test_what_was_refused_is_kept_in_a_checkpoint(fleet: Fleet, model: tuple[Path, tuple[str, int]]) -> None:
    fleet.apply(records.Quarantined(now_ms=_ms(HEALTHY) + 3_000, rows=(), refused=(records.Refused(3),)))
    frozen = fleet.state.freeze()
    assert np.count_nonzero(frozen.arrays["alerts.refused_ms"]) == 1
    folder, _ = model
    engine, _ = fleet_of.database(Settings(data=folder))
    thawed = fleet_of.new_state(folder, engine)
    thawed.thaw(frozen)
    assert np.array_equal(thawed.freeze().arrays["alerts.refused_ms"], frozen.arrays["alerts.refused_ms"])
    engine.dispose()
