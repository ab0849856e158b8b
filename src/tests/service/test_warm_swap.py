"""A model that has lived through the past takes over: in a replay to the byte, and under load with no reading lost."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ...components import warming
from ...components.model_pusher import serve
from ...components.replaying import DeviceRows
from ...components.workplace import Workplace
from ...detection.detector import Detector
from ...detection.state import PEERS
from ...exceptions import StorageError
from ...fleet import model_versions
from ...fleet.database import reading, writing
from ...fleet.tokens import TokenInfo
from ...service.answers import Answer
from ...service.intake import Request
from ...service.model_store import ModelStore
from ...service.shard_state import Outcome, ShardState
from ...settings import Settings
from ...telemetry import records
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, START_MS
from .intakes import told
from .loops import NOW_MS, Loop, running, settings_of, until
from .requests_of import ARROW, decoded, stream_of

DEVICES = range(1, 9)


def lived(detector: Detector, devices: range, minutes: range) -> warming.Lived:
    """What a detector knows of devices after some minutes."""
    rows = fleet_of.readings(1, devices, minutes)
    frame = pl.DataFrame({"device_key": rows.keys, "timestamp": pl.Series(rows.ts).cast(pl.Datetime("ms", "UTC"))})
    frame = frame.hstack([pl.Series(name, rows.values[:, at]) for at, name in enumerate(PUMP.sensor_names)])
    ordered = DeviceRows.of(frame.sort("device_key", "timestamp"), PUMP.sensor_names, {})
    state = detector.new_state(len(devices))
    detector.update(state, ordered.block(detector.sensor_names_))
    return warming.Lived(ordered.keys, state)


def history(folder: Path, first: Detector, second: Detector, store: ModelStore) -> Iterator[records.Record]:
    """A log in which the second model takes over with what it knows of half of the devices."""
    models = [store.keep(1, detector, START_MS, "test") for detector in (first, second)]
    yield from fleet_of.introduction(1, PUMP, DEVICES, (models[0].model, models[0].version))
    for minute in range(0, 60, 5):
        now_ms = START_MS + (minute + 5) * MINUTE_MS
        yield records.Rows.of(now_ms, fleet_of.readings(1, DEVICES, range(minute, minute + 5)))
    name = warming.write(folder / "spool", lived(second, range(1, 5), range(50)))
    swap = records.ModelSwap(now_ms=START_MS + 60 * MINUTE_MS, type_id=1, model=models[1].model, version=2, warm=name)
    yield swap
    for minute in range(60, 120, 5):
        now_ms = START_MS + (minute + 5) * MINUTE_MS
        yield records.Rows.of(now_ms, fleet_of.readings(1, DEVICES, range(minute, minute + 5), faulty=[3]))


def test_a_replay_with_a_warm_swap_gives_the_same_bytes(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    engine, _ = fleet_of.database(settings)
    store = ModelStore(tmp_path / "models", engine)
    log = list(history(tmp_path, fleet_of.detector(), fleet_of.detector(minutes=900), store))
    at = next(number for number, record in enumerate(log) if isinstance(record, records.ModelSwap) and record.warm)
    through = fleet_of.new_state(tmp_path, engine)
    changes = [outcome.changes for outcome in _apply(through, log)]
    assert any(change.to_state == "firing" for outcome in changes for change in outcome)
    for cut in (at, at + 1, at + 3):
        before, after = fleet_of.new_state(tmp_path, engine), fleet_of.new_state(tmp_path, engine)
        first = [outcome.changes for outcome in _apply(before, log[:cut])]
        after.thaw(before.freeze())
        assert first + [outcome.changes for outcome in _apply(after, log[cut:], cut)] == changes
        there, here = through.freeze(), after.freeze()
        assert there.meta == here.meta
        assert all(there.arrays[name].tobytes() == here.arrays[name].tobytes() for name in there.arrays)
    assert through.spooled == [(at + 1, log[at].warm)]  # type: ignore[union-attr]
    engine.dispose()


def test_devices_begin_where_the_model_has_left_them(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    engine, _ = fleet_of.database(settings)
    second = fleet_of.detector(minutes=900)
    log = list(history(tmp_path, fleet_of.detector(), second, ModelStore(tmp_path / "models", engine)))
    at = next(number for number, record in enumerate(log) if isinstance(record, records.ModelSwap) and record.warm)
    state = fleet_of.new_state(tmp_path, engine)
    list(_apply(state, log[: at + 1]))
    expected = lived(second, range(1, 5), range(50))
    arrays = state.freeze().arrays
    slots = state.roster.type_slots[state.roster.slots(expected.keys)]
    for name, array in expected.state.to_arrays().items():
        if name not in PEERS and name != "group":
            np.testing.assert_array_equal(arrays[f"type-1.detector.{name}"][slots], array)
    others = state.roster.type_slots[state.roster.slots(np.arange(5, 9))]
    assert (arrays["type-1.detector.count"][others] == 60).all(), "what the first model knew has moved over"
    engine.dispose()


def test_a_file_that_is_gone_or_damaged_says_so(tmp_path: Path) -> None:
    name = warming.write(tmp_path, lived(fleet_of.detector(), range(1, 3), range(40)))
    assert (warming.read(tmp_path, name).keys == [1, 2]).all()
    (tmp_path / name).write_bytes(b"PK\x03\x04")
    for missing in (name, "warm-0.npz"):
        with pytest.raises(StorageError, match="can't be read"):
            warming.read(tmp_path, missing)


def test_what_an_earlier_version_learnt_is_learnt_anew(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    engine, _ = fleet_of.database(settings)
    store = ModelStore(tmp_path / "models", engine)
    log = list(history(tmp_path, fleet_of.detector(), fleet_of.detector(minutes=900), store))
    at = next(number for number, record in enumerate(log) if isinstance(record, records.ModelSwap) and record.warm)
    before = fleet_of.new_state(tmp_path, engine)
    list(_apply(before, log[:at]))
    frozen = before.freeze()
    old = {name: array for name, array in frozen.arrays.items() if name != "type-1.detector.shared_at"}
    after = fleet_of.new_state(tmp_path, engine)
    after.thaw(replace(frozen, arrays=old))
    state = after.types[1]
    assert state.installed is None and state.learning is not None and state.is_learning().all()
    np.testing.assert_array_equal(state.devices.int64("readings"), before.types[1].devices.int64("readings"))
    assert (state.devices.int64("site") == before.types[1].devices.int64("site")).all()

    swap = log[at]
    assert isinstance(swap, records.ModelSwap) and swap.warm
    head = store.path(1, swap.model) / "detector.json"
    head.write_text(head.read_text().replace('"format": 3', '"format": 2'))
    outcomes = list(_apply(after, log[at:], at))
    assert state.installed is None, "a model of the earlier version isn't taken up"
    assert len(state.learning) > 0 and outcomes, "rows go on being taken in, and taught with"
    assert (state.devices.int64("readings") > before.types[1].devices.int64("readings")).all()
    engine.dispose()


def _apply(state: ShardState, log: list[records.Record], after: int = 0) -> Iterator[Outcome]:
    for number, record in enumerate(log, after + 1):
        yield state.apply(number, record)


FLEET = 500
STEP = 4
FAULTY, FROM = 7, 60


class Load(threading.Thread):
    """Sends two hours of a fleet, as fast as it is taken; counts what was answered for."""

    def __init__(self, loop: Loop) -> None:
        super().__init__(name="load")
        self.loop = loop
        self.accepted = 0
        self.minute = 0
        self.rate = 0.0

    def run(self) -> None:
        """Send."""
        began = time.monotonic()
        names = [f"pump-{device:03d}" for device in range(1, FLEET + 1)]
        values = np.stack([fleet_of.values(1 + device % 8, np.arange(120)) for device in range(FLEET)])
        values[FAULTY - 1, FROM:, 2] += 8.0
        for first in range(0, 120, STEP):
            self.minute = first
            span = np.repeat(np.arange(first, first + STEP), FLEET)
            flat = values[:, first : first + STEP].transpose(1, 0, 2).reshape(-1, 3)
            frame = pl.DataFrame(
                {"device_id": names * STEP, "timestamp": pl.Series(START_MS + span * MINUTE_MS)}
            ).with_columns(pl.col("timestamp").cast(pl.Datetime("ms", "UTC")), type=pl.lit("pump"))
            frame = frame.hstack([pl.Series(name, flat[:, at]) for at, name in enumerate(PUMP.sensor_names)])
            answered = threading.Event()

            def reply(answer: Answer, answered: threading.Event = answered) -> None:
                self.accepted += told(answer).accepted
                answered.set()

            token = TokenInfo(1, self.loop.owner_id, True, None)
            body = decoded(stream_of(frame), ARROW, max_rows=100_000)
            self.loop.live.intake.offer(Request(token, body, reply, None))
            assert answered.wait(60)
        self.rate = FLEET * 120 / (time.monotonic() - began)


def test_models_take_over_under_load_and_are_rolled_back(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "data")
    with running(settings) as loop:
        place = replace(Workplace.open(settings), who="ann")
        load = Load(loop)
        load.start()
        until(lambda: load.minute > FROM)
        second = fleet_of.detector(minutes=900)
        second.save(place.models(loop.type_id) / "second")
        with writing(place.engine) as session:
            version = model_versions.add(session, loop.type_id, "second", None, "test", NOW_MS)
        command = serve(place, version, NOW_MS, 1.0)
        until(lambda: command is not None and loop.done(command))
        with reading(place.engine) as session:
            assert [one.role for one in model_versions.versions(session, loop.type_id)] == ["champion", ""]
            first = model_versions.before(session, loop.type_id)
        began = time.monotonic()
        back = serve(place, first, NOW_MS, 0)
        until(lambda: back is not None and loop.done(back))
        seconds = time.monotonic() - began
        load.join()
        until(loop.idle)
        rows = loop.rows()
        assert load.accepted == FLEET * 120 == len(rows) == rows.select("device_key", "timestamp").n_unique()
        assert rows["model_version"].null_count() == 0 and set(rows["model_version"]) >= {1}
        faults = [alert for alert in loop.alerts() if alert["kind"] == "anomaly" and alert["state"] == "firing"]
        assert len(faults) == 1 and len([a for a in loop.alerts() if a["device_key"] == faults[0]["device_key"]]) == 1
        assert loop.notices().count("alert.fired") <= 1
        assert seconds < 5, f"rolled back in {seconds:.2f} s"
        place.close()
