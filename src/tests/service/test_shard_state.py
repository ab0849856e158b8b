"""Replay is live, byte for byte: however records are batched, ordered between closings, or sharded."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from sqlalchemy import Engine

from ...exceptions import StorageError
from ...fleet.alerts import AlertChange
from ...service.frames import lake_frame
from ...service.model_store import ModelStore
from ...service.shard_state import Outcome, ShardState
from ...settings import Settings
from ...telemetry import records
from ...telemetry.readings import Readings
from ...telemetry.schema import DeviceType, Sensor, encode_type
from . import fleet_of
from .fleet_of import MINUTE_MS, PUMP, PUMP_PARTS, START_MS

DEVICES = range(1, 17)
RULES: tuple[tuple[str, Literal["above", "below"], float, float, int, int | None], ...] = (
    ("heat", "above", 45.0, 44.0, 5 * MINUTE_MS, None),
    ("load", "below", 4.0, 4.5, 0, None),
    ("flow", "above", 15.0, 15.0, 0, 6),
)
"""Sensor, comparison, value, back, duration, device."""
FAULTY = (3, 8, 14)
HEALTHY_MINUTES, MINUTES = 40, 60
Comparable = tuple[dict[tuple[int, int], bytes], list[tuple[object, ...]], list[int]]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Engine, tuple[str, int]]:
    """A folder with a database and a trained model of type 1."""
    folder = tmp_path_factory.mktemp("model")
    engine, type_id = fleet_of.database(Settings(data=folder))
    kept = ModelStore(folder / "models", engine).keep(type_id, fleet_of.detector(), START_MS, "test")
    return folder, engine, (kept.model, kept.version)


def _minute(type_id: int, minute: int, devices: Sequence[int]) -> Readings:
    faulty = FAULTY if minute >= HEALTHY_MINUTES else ()
    return fleet_of.readings(type_id, devices, range(minute, minute + 1), faulty=faulty)


def _parts(rows: Readings) -> Readings:
    """Each row as one part per sensor."""
    s = rows.n_sensors
    spread = np.where(np.tile(np.eye(s, dtype=bool), (len(rows), 1)), np.repeat(rows.values, s, axis=0), np.nan)
    return Readings(rows.type_id, np.repeat(rows.keys, s), np.repeat(rows.ts, s), spread)


def _batched(rows: Readings, size: int, now_ms: int) -> Iterator[records.Rows]:
    for start in range(0, len(rows), size):
        yield records.Rows.of(now_ms, rows.take(np.arange(start, min(start + size, len(rows)))))


def _history(
    devices: Sequence[int], spec: DeviceType, model: tuple[str, int], size: int, seed: int | None
) -> Iterator[records.Record]:
    """A log of all minutes, in batches of `size`, the rows of a minute shuffled by `seed`."""
    yield from fleet_of.introduction(1, spec, devices, model)
    for number, rule in enumerate(RULES, 1):
        yield _rule(number, *rule)
    for minute in range(MINUTES):
        if minute == MINUTES - 5:
            yield _rule(2, *RULES[1], removed=True)
        rows = _minute(1, minute, devices)
        if spec.sends == "parts":
            rows = _parts(rows)
        if seed is not None:
            rows = rows.take(np.random.default_rng([seed, minute]).permutation(len(rows)))
        now_ms = START_MS + minute * MINUTE_MS + 2_000
        yield from _batched(rows, size, now_ms)
        yield records.Tick(now_ms=START_MS + (minute + 1) * MINUTE_MS + 15_000)


def _rule(
    number: int,
    sensor: str,
    comparison: Literal["above", "below"],
    value: float,
    back: float,
    hold_ms: int,
    device_key: int | None,
    removed: bool = False,
) -> records.Rule:
    return records.Rule(
        now_ms=START_MS,
        rule_id=number,
        owner_id=1,
        type_id=1,
        device_key=device_key,
        sensor=sensor,
        comparison=comparison,
        value=value,
        back=back,
        hold_ms=hold_ms,
        severity="warning",
        removed=removed,
    )


def _live(folder: Path, engine: Engine, log: Iterable[records.Record]) -> tuple[ShardState, list[Outcome]]:
    state = fleet_of.new_state(folder, engine)
    return state, [state.apply(seq, record) for seq, record in enumerate(log, 1)]


def _compared(results: Sequence[tuple[ShardState, list[Outcome]]]) -> Comparable:
    """What must be equal: each row's bytes by key, the alerts, the status of each device; not the record's number."""
    rows: dict[tuple[int, int], bytes] = {}
    alerts: list[tuple[object, ...]] = []
    status: dict[int, int] = {}
    for state, outcomes in results:
        frame = _frame(state, outcomes).drop("ingest_seq", "arrived")
        for row in frame.iter_rows(named=True):
            key = (row["device_key"], row["timestamp"].timestamp())
            assert key not in rows, "a row was scored twice"
            rows[key] = repr(row).encode()
        alerts += [_told(change) for outcome in outcomes for change in outcome.changes]
        status |= dict(zip(state.roster.keys.tolist(), state.alerting.status.tolist(), strict=True))
    return rows, sorted(alerts, key=repr), [status[key] for key in sorted(status)]


def _frame(state: ShardState, outcomes: Sequence[Outcome]) -> pl.DataFrame:
    """All rows of type 1 as the lake gets them."""
    return lake_frame([item for outcome in outcomes for item in outcome.rows.get(1, ())], state.types[1].spec)


def _told(change: AlertChange) -> tuple[object, ...]:
    return (change.device_key, change.kind, change.rule, change.to_state, change.first_signs_ms, change.score)


@pytest.mark.parametrize("spec", [PUMP, PUMP_PARTS], ids=["rows", "parts"])
def test_replay_is_live_in_any_batches_in_any_order_and_in_three_shards(
    model: tuple[Path, Engine, tuple[str, int]], spec: DeviceType
) -> None:
    folder, engine, kept = model
    live = _compared([_live(folder, engine, _history(DEVICES, spec, kept, 7, None))])
    assert len(live[0]) == len(DEVICES) * MINUTES
    assert {told[0] for told in live[1] if told[3] == "firing"} >= set(FAULTY)
    by_rule = {told[2] for told in live[1] if told[1:2] + told[3:4] == ("threshold", "firing")}
    assert by_rule == {1, 2, 3}, "every rule is met by some device"
    for size, seed in ((1, 5), (1000, None), (1000, 6)):
        assert _compared([_live(folder, engine, _history(DEVICES, spec, kept, size, seed))]) == live
    shards = [[d for d in DEVICES if fleet_of.site_of(d) % 3 == shard] for shard in range(3)]
    split = [_live(folder, engine, _history(mine, spec, kept, 7, None)) for mine in shards]
    assert _compared(split) == live


def test_a_checkpoint_in_the_middle_changes_nothing(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    folder, engine, kept = model
    log = list(enumerate(_history(DEVICES, PUMP_PARTS, kept, 50, 1), 1))
    one = fleet_of.new_state(folder, engine)
    whole = [one.apply(*item) for item in log]
    half = len(log) // 2
    first = fleet_of.new_state(folder, engine)
    outcomes = [first.apply(*item) for item in log[:half]]
    second = fleet_of.new_state(folder, engine)
    second.thaw(first.freeze())
    outcomes += [second.apply(*item) for item in log[half:]]
    assert _compared([(second, outcomes)]) == _compared([(one, whole)])
    frozen, expected = second.freeze(), one.freeze()
    assert frozen.meta == expected.meta
    for name, array in expected.arrays.items():
        assert array.tobytes() == np.ascontiguousarray(frozen.arrays[name]).tobytes(), name


def test_an_alert_of_a_rule_says_value_limit_and_time(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    folder, engine, kept = model
    state, outcomes = _live(folder, engine, _history(DEVICES, PUMP, kept, 1000, None))
    changes = [change for outcome in outcomes for change in outcome.changes if change.kind == "threshold"]
    hot = next(change for change in changes if change.rule == 1)
    assert (hot.device_key in FAULTY, hot.to_state, hot.sensor, hot.severity) == (True, "firing", "heat", "warning")
    assert hot.sentence == "Heat has been above 45 u for {lasted}; your rule allows 5 minutes."
    assert hot.first_signs_ms is not None and hot.at_ms - hot.first_signs_ms >= 5 * MINUTE_MS
    [blame] = hot.blame
    assert blame.observed is not None and blame.observed > 45 and (blame.low, blame.high) == (None, 45.0)
    assert hot.score is None and hot.model_version is None, "no model said it"
    at_once = next(change for change in changes if change.rule == 2)
    assert at_once.sentence == "Load is below 4 u, which your rule does not allow."
    ended = [change for change in changes if change.rule == 2 and change.resolution == "rule"]
    assert ended, "a rule that is taken back ends its alerts"
    assert {change.device_key for change in changes if change.rule == 3} == {6}
    assert state.alerting.rules == {1, 3}


def test_a_rule_about_what_the_shard_does_not_know_is_left(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    folder, engine, kept = model
    state, _ = _live(folder, engine, fleet_of.introduction(1, PUMP, DEVICES, kept))
    for strange in (
        _rule(1, "noise", "above", 1.0, 1.0, 0, None),
        _rule(1, "heat", "above", 1.0, 1.0, 0, 999),
        _rule(1, "heat", "above", 1.0, 2.0, 0, None),
    ):
        assert state.apply(state.seq + 1, strange).changes == []
    assert state.alerting.rules == frozenset()


def test_a_type_learns_by_itself_and_scores_from_the_next_row(tmp_path: Path) -> None:
    engine, type_id = fleet_of.database(Settings(data=tmp_path))
    settings = Settings(data=tmp_path, learn_readings=400)
    state = ShardState(settings, ModelStore(tmp_path / "models", engine), tmp_path / "spool", "Site {}".format)
    devices = range(1, 9)
    log = [*fleet_of.introduction(type_id, PUMP, devices, None)]
    log += [records.Rows.of(START_MS, fleet_of.readings(type_id, devices, range(m, m + 1))) for m in range(60)]
    outcomes = [state.apply(seq, record) for seq, record in enumerate(log, 1)]
    frame = _frame(state, outcomes)
    assert frame["score"].is_null().to_list() == [True] * 400 + [False] * 80
    assert frame["model_version"].to_list() == [None] * 400 + [1] * 80
    assert state.types[type_id].is_learning().all(), "each device has fewer than 300 readings of its own"


def test_a_sensor_added_to_a_live_type_is_kept_at_once_and_learnt(
    model: tuple[Path, Engine, tuple[str, int]],
) -> None:
    folder, engine, kept = model
    state = fleet_of.new_state(folder, engine)
    wider = PUMP.successor(DeviceType(name="pump", sensors=(*PUMP.sensors, Sensor(name="noise"))))
    log: list[records.Record] = [*fleet_of.introduction(1, PUMP, range(1, 5), kept)]
    log.append(records.Rows.of(START_MS, fleet_of.readings(1, range(1, 5), range(0, 20))))
    log.append(records.TypeVersion(now_ms=START_MS, type_id=1, owner_id=None, spec=encode_type(wider)))
    after = fleet_of.readings(1, range(1, 5), range(20, 40)).widen(4)
    after.values[:, 3] = 1.25
    log.append(records.Rows.of(START_MS, after))
    outcomes = [state.apply(seq, record) for seq, record in enumerate(log, 1)]
    frame = _frame(state, outcomes[-1:])
    assert frame["noise"].to_list() == [1.25] * 80
    assert frame["score"].null_count() == 0, "the model in use goes on with the sensors it knows"
    assert state.snapshot()[1]["value_noise"].to_list() == [1.25] * 4
    assert state.types[1].learning is not None and len(state.types[1].learning) == 80


def test_a_late_row_is_kept_and_marked_but_not_scored(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    folder, engine, kept = model
    state = fleet_of.new_state(folder, engine)
    log = [*fleet_of.introduction(1, PUMP, [1], kept)]
    log += [records.Rows.of(START_MS, fleet_of.readings(1, [1], range(m, m + 1))) for m in (5, 3, 5, 6)]
    outcomes = [state.apply(seq, record) for seq, record in enumerate(log, 1)][-4:]
    frame = _frame(state, outcomes)
    assert frame["late"].to_list() == [False, True, True, False]
    assert frame["score"].is_null().to_list() == [False, True, True, False]


def test_a_gap_in_the_log_is_an_error(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    state = fleet_of.new_state(model[0], model[1])
    state.apply(1, records.Tick(now_ms=START_MS))
    with pytest.raises(StorageError, match="record 3 follows record 1"):
        state.apply(3, records.Tick(now_ms=START_MS))


def test_rows_of_a_type_that_was_never_made_known_are_an_error(model: tuple[Path, Engine, tuple[str, int]]) -> None:
    state = fleet_of.new_state(model[0], model[1])
    with pytest.raises(StorageError, match="type 1 before it was made known"):
        state.apply(1, records.Rows.of(START_MS, fleet_of.readings(1, [1], range(1))))
