"""A small fleet's records for tests of a shard: a type, a model, devices on sites, readings with a fault."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from ...detection.blocks import TrainingRows
from ...detection.config import DetectorConfig
from ...detection.detector import Detector
from ...fleet import device_types, owners
from ...fleet.database import connect, migrate, writing
from ...service.model_store import ModelStore
from ...service.shard_state import ShardState
from ...settings import Settings
from ...telemetry import records
from ...telemetry.readings import Readings
from ...telemetry.schema import DeviceType, Sensor, encode_type

START_MS = 1_780_272_000_000
"""A midnight in UTC."""
MINUTE_MS = 60_000
N_SENSORS = 3

PUMP = DeviceType(name="pump", sensors=tuple(Sensor(name=name, unit="u") for name in ("flow", "load", "heat")))
PUMP_PARTS = DeviceType(name="pump_parts", sensors=PUMP.sensors, sends="parts")


def values(device: int, minutes: np.ndarray, *, faulty: bool = False) -> np.ndarray:
    """Readings of a device, (n, 3): correlated, with noise that depends on device and minute alone."""
    random = np.random.Generator(np.random.Philox(key=device))
    noise = random.normal(size=(int(minutes.max()) + 1, N_SENSORS))[minutes]
    load = np.sin(minutes / 37 + device) + 0.1 * noise[:, 0]
    rows = np.stack([10 + device + load, 5 + 2 * load + 0.1 * noise[:, 1], 40 + 0.2 * noise[:, 2]], axis=1)
    if faulty:
        rows[:, 2] += 8.0
    return np.round(rows, 4)


def readings(type_id: int, devices: Sequence[int], minutes: range, *, faulty: Sequence[int] = ()) -> Readings:
    """Rows of devices over minutes, in the order of time; the keys are the numbers of the devices."""
    span = np.array(minutes)
    parts = [values(device, span, faulty=device in faulty) for device in devices]
    keys = np.tile(np.array(devices, np.int64), len(span))
    ts = np.repeat(START_MS + span * MINUTE_MS, len(devices))
    return Readings(type_id, keys, ts, np.stack(parts, axis=1).reshape(-1, N_SENSORS))


def detector(devices: Sequence[int] = range(1, 9), minutes: int = 700) -> Detector:
    """A detector that has learnt what is normal for these pumps."""
    rows = readings(1, devices, range(minutes))
    return Detector(DetectorConfig(learn_readings=30)).fit(
        TrainingRows(rows.keys, rows.ts, rows.values, MINUTE_MS, PUMP.sensor_names, np.full(N_SENSORS, np.nan))
    )


def site_of(device: int) -> int:
    """Four sites."""
    return device % 4 + 1


def entries(type_id: int, devices: Sequence[int]) -> tuple[records.DeviceEntry, ...]:
    """Devices of owner 1."""
    return tuple(records.DeviceEntry(d, f"pump-{d:03d}", type_id, 1, site_of(d)) for d in devices)


def database(settings: Settings, spec: DeviceType = PUMP) -> tuple[Engine, int]:
    """A migrated database with an owner and a type; the type's id."""
    engine = connect(settings.database_url)
    migrate(engine)
    with writing(engine) as session:
        owners.add(session, "Harbour Water", START_MS)
        type_id, _ = device_types.add(session, None, spec, START_MS)
    return engine, type_id


def introduction(
    type_id: int, spec: DeviceType, devices: Sequence[int], model: tuple[str, int] | None
) -> Iterator[records.Record]:
    """What a log begins with."""
    yield records.TypeVersion(now_ms=START_MS, type_id=type_id, owner_id=None, spec=encode_type(spec))
    yield records.Devices(now_ms=START_MS, devices=entries(type_id, devices))
    if model is not None:
        yield records.ModelSwap(now_ms=START_MS, type_id=type_id, model=model[0], version=model[1])
    yield records.Start(now_ms=START_MS)


def new_state(folder: Path, engine: Engine) -> ShardState:
    """An empty state whose models and spool are in a folder."""
    settings = Settings(data=folder)
    return ShardState(settings, ModelStore(folder / "models", engine), folder / "spool", "Site {}".format)
