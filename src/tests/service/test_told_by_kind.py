"""What owners read, word for word, of each kind of fault: a simulated fleet through detector, engine and sentences."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from ...alerts.sentences import filled
from ...detection.blocks import TrainingRows
from ...detection.config import DetectorConfig
from ...detection.detector import Detector
from ...fleet.alerts import AlertChange
from ...service.model_store import ModelStore
from ...settings import Settings
from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from ...telemetry import records
from ...telemetry.readings import Readings
from ...telemetry.schema import encode_type
from . import fleet_of
from .fleet_of import MINUTE_MS

TYPE = "pump_station"
START = datetime(2026, 6, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
LEARNT, DAYS = 4, 6
TAUGHT = 16

KINDS: dict[str, tuple[tuple[str, ...], float]] = {
    "bias": (("bearing_temperature",), 0.9),
    "calibration_step": (("vibration",), 0.9),
    "cyclic": (("motor_speed", "flow", "discharge_pressure", "motor_current"), 1.0),
    "drift": (("suction_pressure",), 1.0),
    "intermittent": (("suction_pressure",), 0.9),
    "leak": (("flow", "discharge_pressure", "motor_current"), 1.0),
    "loss_of_correlation": (("flow",), 0.9),
    "noise": (("motor_temperature",), 0.9),
    "spike": (("suction_pressure",), 0.9),
    "stuck": (("vibration",), 0.9),
    "wear": (("vibration", "bearing_temperature"), 1.0),
}


def _fleet() -> Fleet:
    fleet = Fleet.plan(seed=3, devices=TAUGHT + len(KINDS), sites=3, start=START, days=DAYS, types=[TYPE])
    begin = START + timedelta(days=LEARNT, hours=9)
    return fleet.with_faults(
        Fault(
            kind=kind,
            device_id=fleet.groups[0].ids[TAUGHT + number],
            start=begin,
            end=begin + timedelta(hours=36),
            severity=severity,
            sensors=sensors,
        )
        for number, (kind, (sensors, severity)) in enumerate(KINDS.items())
    )


def _rows(values: np.ndarray, first_minute: int, type_id: int) -> Readings:
    n_minutes, n_devices, n_sensors = values.shape
    keys = np.tile(np.arange(1, n_devices + 1), n_minutes)
    ts = np.repeat(START_MS + (first_minute + np.arange(n_minutes)) * MINUTE_MS, n_devices)
    return Readings(type_id, keys, ts, values.reshape(-1, n_sensors))


def _told(folder: Path) -> Iterator[AlertChange]:
    """Alerts of a fleet that lives: learnt from, then minute by minute."""
    fleet = _fleet()
    (group,) = fleet.groups
    spec = group.model.type
    settings = Settings(data=folder)
    engine, type_id = fleet_of.database(settings, spec)
    store = ModelStore(folder / "models", engine)
    learnt = fleet.values(TYPE, 0, LEARNT * 1440, None)
    rows = _rows(learnt[:, :TAUGHT], 0, type_id)
    precisions = np.array([np.nan if one.precision is None else one.precision for one in spec.sensors])
    training = TrainingRows(rows.keys, rows.ts, rows.values, MINUTE_MS, spec.sensor_names, precisions)
    kept = store.keep(type_id, Detector(DetectorConfig()).fit(training), START_MS, "test")
    state = fleet_of.new_state(folder, engine)
    entries = [
        records.DeviceEntry(number + 1, name, type_id, 1, int(group.site_of[number]) + 1)
        for number, name in enumerate(group.ids)
    ]
    log: list[records.Record] = [
        records.TypeVersion(now_ms=START_MS, type_id=type_id, owner_id=None, spec=encode_type(spec)),
        records.Devices(now_ms=START_MS, devices=tuple(entries)),
        records.ModelSwap(now_ms=START_MS, type_id=type_id, model=kept.model, version=kept.version),
        records.Start(now_ms=START_MS),
        *(
            records.Rows.of(
                START_MS + hour * 60 * MINUTE_MS, _rows(learnt[hour * 60 : hour * 60 + 60], hour * 60, type_id)
            )
            for hour in range(LEARNT * 24)
        ),
    ]
    for number, record in enumerate(log, 1):
        state.apply(number, record)
    for minute in range(LEARNT * 1440, DAYS * 1440):
        values = fleet.values(TYPE, minute, 1, None)
        now_ms = START_MS + minute * MINUTE_MS
        for record in (
            records.Rows.of(now_ms + 2_000, _rows(values, minute, type_id)),
            records.Tick(now_ms=now_ms + 59_000),
        ):
            yield from state.apply(state.seq + 1, record).changes
    engine.dispose()


@pytest.fixture(scope="module")
def first_words(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The first sentence about each device with a fault, by the kind of its fault."""
    kinds = {TAUGHT + number + 1: kind for number, kind in enumerate(KINDS)}
    found: dict[str, str] = {}
    for change in _told(tmp_path_factory.mktemp("told")):
        if change.to_state == "firing" and change.device_key in kinds:
            assert change.first_signs_ms is not None
            found.setdefault(kinds[change.device_key], filled(change.sentence, change.at_ms - change.first_signs_ms))
    return found


NORMAL = "what is normal for this pump station at this hour"

GOLDEN = {
    "bias": f"Bearing temperature is 9.1 °C above {NORMAL}.",
    "calibration_step": f"Vibration is 0.50 mm/s above {NORMAL}.",
    "cyclic": None,  # within what motor and flow do anyway: nothing is said, and nor is of the leak
    "drift": f"Suction pressure is 0.145 bar above {NORMAL}.",
    "intermittent": f"Discharge pressure keeps about 0.065 bar above {NORMAL}.",
    "leak": None,
    "loss_of_correlation": f"Flow keeps about 13.2 m³/h above {NORMAL}.",
    "noise": f"Motor temperature is 13.2 °C below {NORMAL}.",
    "spike": f"Single readings of suction pressure are far from {NORMAL}, again and again.",
    "stuck": "Vibration has not changed for 30 minutes; it looks stuck.",
    "wear": f"Bearing temperature keeps about 3.0 °C above {NORMAL}, and motor temperature fell with it.",
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_each_kind(first_words: dict[str, str], kind: str) -> None:
    assert first_words.get(kind) == GOLDEN[kind]
