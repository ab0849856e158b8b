"""Intake: what is logged, what each sender is told, and that nothing answered for is lost or counted twice."""

import itertools
import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...exceptions import StorageError
from ...fleet import device_types
from ...fleet.database import writing
from ...service.answers import Answer
from ...service.decoded import Block, Decoded, Names
from ...service.intake import Request
from ...telemetry.log import read_log
from ...telemetry.records import DeviceEntry, Devices, Quarantined, Receipt, Record, Rows, Tick, TypeVersion
from ...telemetry.schema import DeviceType, Sensor, encode_type
from .intakes import FRIDGE, ISO, NOW, PUMP, WayIn, told, way_in
from .requests_of import FORMATS, Sent, decoded, json_rows, row

GOOD: Sent = ("pump-1", ISO, {"pressure": 2.5, "flow": 40.0})


def at(seconds: int) -> float:
    """A timestamp so many seconds after now."""
    return NOW / 1000 + seconds


def test_a_row_is_on_disk_before_it_is_answered(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        assert way.send([GOOD]).counts == (1, 0, 0)
        (device,) = way.devices()
        assert (device.device_id, device.owner_id, device.type_id) == ("pump-1", way.owner, way.pump)
        on_disk = list(read_log(tmp_path / "log", after=0))
        assert on_disk == way.logged
        assert [type(record) for _, record in on_disk] == [Devices, Rows]
        assert way.rows() == [("pump-1", NOW, [2.5, 40.0])]


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_taken_and_its_repetition_is_a_duplicate(tmp_path: Path, name: str) -> None:
    content_type, write = FORMATS[name]
    rows: list[Sent] = [GOOD, ("pump-2", ISO, {"pressure": 2.5, "flow": None}), ("pump-1", at(1), {"pressure": 99.0})]
    with way_in(tmp_path) as way:
        request = decoded(write(rows), content_type)
        assert told(way.ask(request)).counts == (2, 0, 1)
        assert told(way.ask(request)).counts == (0, 2, 1)
        assert len(way.rows()) == 2


@pytest.mark.parametrize(
    ("sent", "reason", "message"),
    [
        (
            row("pump-1", ISO, {"pressure": 17}),
            "out_of_range",
            "pressure is 17 bar; its valid range is 0 to 16 bar",
        ),
        (
            row("pump-1", ISO, {"presure": 2}),
            "unknown_sensor",
            "sensor 'presure' is not of type 'pump', which has pressure, flow",
        ),
        (
            row("pump-1", at(3600), {"pressure": 2}),
            "future",
            "timestamp 2026-01-01T13:00:00Z is 1 hour ahead of this server's clock; it may be 5 minutes at most:"
            " set the device's clock",
        ),
        (
            row("pump-1", "2020-03-09T15:56:30Z", {"pressure": 2}),
            "too_old",
            "timestamp 2020-03-09T15:56:30Z is 2,124 days old; live readings may be 48 hours old at most:"
            " send older ones as a file with `faultwatch ingest`",
        ),
        (
            row("pump-1", ISO, {"pressure": 3}),
            "conflict",
            "there is a reading of 2026-01-01T12:00:00Z already, with pressure 2.5 bar instead of 3 bar:"
            " the first one stays",
        ),
        (
            row("pump-1", ISO, {"pressure": 2.5}, type="fridge"),
            "wrong_type",
            "device 'pump-1' is a 'pump', but the row names type 'fridge'",
        ),
        (
            row("pump-1", ISO, {"pressure": 2.5}, type="boiler"),
            "unknown_type",
            "there is no device type 'boiler': add it with `faultwatch types add`, or name another",
        ),
        (
            row("new", ISO, {"pressure": 2.5}, type="boiler"),
            "unknown_type",
            "there is no device type 'boiler': add it with `faultwatch types add`, or name another",
        ),
        (
            row("new", ISO, {"pressure": 2.5}),
            "unknown_device",
            "device 'new' is not known: name its type, so that it can be registered",
        ),
        (
            row("new\n", ISO, {"pressure": 2.5}, type="pump"),
            "unparsable",
            "device_id 'new\\n' can't be that of a new device: it has control characters or outer blanks",
        ),
        (
            row("new", ISO, {"pressure": 2.5}, type="pump", site="--"),
            "unparsable",
            "site '--': expected a name with 1 to 200 letters and digits",
        ),
        (
            row("pump-1", ISO, {"pressure": float("nan")}),
            "not_finite",
            "pressure is nan, not a finite number: send null where there is no value",
        ),
        (row("pump-1", ISO, {"pressure": "2"}), "unparsable", "pressure is the text '2'; expected a number or null"),
    ],
)
def test_a_bad_row_goes_to_quarantine_and_takes_no_good_row_with_it(
    tmp_path: Path, sent: dict[str, object], reason: str, message: str
) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD])
        beside = [row("pump-1", at(1), {"pressure": 1}), sent, row("pump-1", at(2), {"pressure": 1})]
        answer = told(way.ask(decoded(json.dumps(beside).encode())))
        assert answer.counts == (2, 0, 1)
        assert answer.reasons == {reason: 1}
        device_id = str(sent["device_id"])
        assert answer.examples == [{"row": 1, "device_id": device_id, "reason": reason, "message": message}]
        (bad,) = way.bad_rows()
        assert (bad.owner_id, bad.device_id, bad.reason, bad.message) == (way.owner, device_id, reason, message)
        assert json.loads(bad.raw)["device_id"] == device_id
        assert [device.device_id for device in way.devices()] == ["pump-1"]


def test_the_log_says_which_known_devices_sent_rows_that_were_not_taken(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD])
        (key,) = [device.key for device in way.devices()]
        way.send([("pump-1", at(1), {"pressure": 99.0}), ("pump-1", at(2), {"speed": 1.0}), ("new", at(1), {"x": 1.0})])
        forbidding = way.token(may_register=False, devices=["pump-2"])
        way.send([("pump-1", at(3), {"pressure": 99.0})], token=forbidding)
        quarantined = [record for _, record in way.logged if isinstance(record, Quarantined)]
        (outside, other), nobody = (sorted(record.refused, key=lambda row: -row.outside) for record in quarantined)
        assert (outside.device_key, outside.outside.bit_count(), outside.ts % 1000) == (key, 1, 0)
        assert (other.device_key, other.outside) == (key, 0)
        assert nobody == [], "a token that may not write a device says nothing of it"


def test_a_token_that_may_not_register_finds_new_devices_unknown(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        answer = way.send([GOOD], token=way.token(may_register=False))
        assert answer.why == ("unknown_device", "device 'pump-1' is not known, and this token may not register devices")
        assert not way.devices()
        way.send([GOOD])
        assert way.send([("pump-1", at(1), {"flow": 1})], token=way.token(may_register=False)).counts == (1, 0, 0)


def test_a_token_for_some_devices_writes_those_only(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD, ("pump-2", ISO, {"flow": 1})])
        token = way.token(may_register=False, devices=["pump-2"])
        answer = way.send([("pump-1", at(1), {"flow": 1}), ("pump-2", at(1), {"flow": 1})], token=token)
        assert answer.counts == (1, 0, 1)
        assert answer.why == ("forbidden_device", "this token may not write device 'pump-1': it is for 'pump-2' only")


def test_a_device_of_another_owner_looks_unknown(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD])
        stranger = way.token(way.other, may_register=False)
        assert way.send([("pump-1", at(1), {"flow": 1})], token=stranger).reasons == {"unknown_device": 1}
        assert way.send([GOOD], token=way.token(way.other)).counts == (1, 0, 0)
        mine, theirs = way.devices()
        assert (mine.device_id, mine.owner_id) == ("pump-1", way.owner)
        assert (theirs.device_id, theirs.owner_id) == ("pump-1", way.other)
        assert mine.key != theirs.key


def test_devices_register_with_their_site_on_their_first_row_even_if_it_is_refused(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        rows = [
            row("bad", ISO, {"pressure": 99}, type="pump"),
            row("slip", ISO, {"temperature": 4}, type="pump"),
            row("a", ISO, {"pressure": 99}, type="pump", site="Harbour East"),
            row("a", at(1), {"pressure": 9}, type="pump", site="Harbour East"),
            row("f", ISO, {"temperature": 4}, type="fridge"),
            row("f", ISO, {"temperature": 4}, type="pump"),
        ]
        answer = told(way.ask(decoded(json.dumps(rows).encode())))
        assert answer.counts == (2, 0, 4)
        assert answer.reasons == {"out_of_range": 2, "wrong_type": 1, "unknown_sensor": 1}
        assert {(device.device_id, device.type_id, device.site_id is None) for device in way.devices()} == {
            ("a", way.pump, False),
            ("bad", way.pump, True),
            ("f", way.fridge, True),
        }
        way.send([("a", at(2), {"flow": 1})])
        assert len(way.devices()) == 3
        (quarantined,) = [record for _, record in way.logged if isinstance(record, Quarantined)]
        key_of = {device.device_id: device.key for device in way.devices()}
        assert key_of["bad"] in {row.device_key for row in quarantined.refused}


def test_requests_that_wait_together_share_a_write_and_get_their_own_counts(tmp_path: Path) -> None:
    with way_in(tmp_path, started=False) as way:
        first = decoded(json_rows([GOOD, ("pump-2", ISO, {"pressure": 99})]))
        second = decoded(json_rows([("pump-3", ISO, {"flow": 1.0}), GOOD]))
        third = decoded(json_rows([("pump-1", ISO, {"flow": 41.0})]))
        asking = threading.Timer(0.2, way.intake.start)
        asking.start()
        answers = [
            told(answer) for answer in way.ask_all([(first, None, None), (second, None, None), (third, None, None)])
        ]
        assert [answer.counts for answer in answers] == [(1, 0, 1), (1, 1, 0), (0, 0, 1)]
        assert [list(answer.reasons) for answer in answers] == [["out_of_range"], [], ["conflict"]]
        assert answers[0].examples[0]["row"] == 1
        assert [type(record).__name__ for _, record in way.logged] == ["Devices", "Rows", "Quarantined"]
        way.intake.stop()


def test_late_parts_are_taken_and_old_rows_that_memory_does_not_know_are_left_to_the_lake(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([("pump-1", ISO, {"pressure": 2.5})])
        assert way.send([("pump-1", ISO, {"flow": 40.0})]).counts == (1, 0, 0)
        answer = way.send([("pump-1", at(-60), {"flow": 40.0}), GOOD])
        assert (answer.counts, answer.unchecked) == ((1, 1, 0), 1)
        _, last = way.logged[-1]
        assert isinstance(last, Rows)
        assert last.unchecked_mask().tolist() == [True]


def test_timestamps_are_cut_to_the_resolution_of_the_type(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        assert way.send([("pump-1", NOW + 999, {"flow": 1.0}), ("pump-1", NOW, {"flow": 1.0})]).counts == (1, 1, 0)
        assert way.rows()[0][1] == NOW


def test_after_a_restart_repeated_rows_are_known_again(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD, ("pump-1", at(1), {"flow": 2.0})])
        kept = [record for _, record in way.logged if isinstance(record, Rows)]
        key = way.devices()[0].key
    with way_in(tmp_path, newest={key: NOW + 1000}, recent=kept) as way:
        answer = way.send([GOOD, ("pump-1", at(1), {"flow": 3.0}), ("pump-1", at(2), {"flow": 3.0})])
        assert answer.counts == (1, 1, 1)
        assert not way.devices()
    with way_in(tmp_path, newest={key: NOW + 1000}) as way:
        assert way.send([GOOD]).unchecked == 1


def test_a_type_of_which_nothing_is_in_memory_yet_is_no_trouble(tmp_path: Path) -> None:
    with way_in(tmp_path, newest={5: NOW}) as way:
        assert way.send([("cold", ISO, {"temperature": -18.0})], "fridge").counts == (1, 0, 0)


# Idempotency keys.


def test_the_same_key_gets_the_same_answer(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        request = decoded(json_rows([GOOD]))
        first = way.ask(request, key="k1")
        again = way.ask(request, key="k1")
        assert (again.body, again.replayed, first.replayed) == (first.body, True, False)
        assert told(way.ask(request, key="k2")).counts == (0, 1, 0)
        assert not way.ask(request, token=way.token(way.other), key="k3").replayed


def test_the_same_key_twice_at_once_is_judged_once(tmp_path: Path) -> None:
    with way_in(tmp_path, started=False) as way:
        request = decoded(json_rows([GOOD]))
        threading.Timer(0.2, way.intake.start).start()
        first, second = way.ask_all([(request, None, "k"), (request, None, "k")])
        assert first.body == second.body
        assert (first.replayed, second.replayed) == (False, True)
        assert len(way.rows()) == 1
        way.intake.stop()


def test_answers_survive_a_crash_with_the_rows_they_speak_of(tmp_path: Path) -> None:
    request = decoded(json_rows([GOOD]))
    with way_in(tmp_path) as way:
        first = way.ask(request, key="k")
    receipts = [
        receipt
        for _, record in read_log(tmp_path / "log", 0)
        if isinstance(record, Rows)
        for receipt in record.receipts
    ]
    assert receipts == [Receipt(1, "k", first.body)]
    with way_in(tmp_path, receipts=receipts) as way:
        again = way.ask(request, key="k")
        assert (again.body, again.replayed) == (first.body, True)


def test_a_key_is_forgotten_after_a_day(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        request = decoded(json_rows([GOOD]))
        way.ask(request, key="k")
        way.now[0] += 23 * 3_600_000
        assert way.ask(request, key="k").replayed
        way.now[0] += 3_600_000
        assert not way.ask(request, key="k").replayed


# When storage does not keep up.


def test_nothing_is_acknowledged_while_the_disk_is_full_and_all_goes_on_afterwards(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.log.full = True
        refused = way.ask(decoded(json_rows([GOOD])), key="k")
        problem = json.loads(refused.body)
        assert (refused.status, refused.retry_after_s, refused.content_type) == (503, 5, "application/problem+json")
        assert problem["detail"] == "the log can't be written: no space left on device; free some"
        assert problem["title"] == "Service Unavailable"
        with pytest.raises(StorageError, match="no space left"):
            way.intake.submit([Tick(now_ms=NOW)]).result(timeout=10)
        way.log.full = False
        answer = way.ask(decoded(json_rows([GOOD])), key="k")
        assert (told(answer).counts, answer.replayed) == ((1, 0, 0), False)
        # The device was registered while its rows could not be logged: the log is told of it all the same.
        assert [device.device_id for device in way.devices()] == ["pump-1"]
        assert way.intake.submit([Tick(now_ms=NOW)]).result(timeout=10) == [3]


def test_senders_wait_while_the_scorer_is_behind(tmp_path: Path) -> None:
    with way_in(tmp_path, max_queue_rows=3) as way:
        rows: list[Sent] = [("pump-1", at(i), {"flow": 1.0}) for i in range(4)]
        assert way.send(rows).accepted == 4
        refused = way.ask(decoded(json_rows([GOOD])))
        assert (refused.status, refused.retry_after_s) == (429, 5)
        assert json.loads(refused.body)["detail"] == (
            "4 rows wait to be scored, more than the 3 that may: send the readings again in 5 seconds"
        )
        for _, record in list(way.logged):
            way.intake.scored(record)
        assert way.intake.waiting_rows == 0
        assert way.send([("pump-1", at(9), {"flow": 1.0})]).accepted == 1


def test_a_bug_is_answered_and_does_not_end_the_service(tmp_path: Path) -> None:
    broken = Block(
        np.arange(1),
        np.zeros(1, np.int64),
        pl.Series(["a"]),
        np.array([NOW]),
        Names.same("pump", 1),
        None,
        ("p",),
        np.zeros((7, 7)),
    )
    with way_in(tmp_path) as way:
        answer = way.ask(Decoded(1, blocks=[broken]))
        assert answer.status == 500
        assert "a bug of this server: the readings were not taken" in json.loads(answer.body)["detail"]
        assert way.send([GOOD]).accepted == 1


def test_what_waits_at_the_end_is_answered_and_what_comes_later_is_turned_away(tmp_path: Path) -> None:
    with way_in(tmp_path, started=False) as way:
        answers: list[Answer] = []
        for _ in range(3):
            way.intake.offer(Request(way.token(), decoded(json_rows([GOOD])), answers.append))
        way.intake.start()
        way.intake.stop()
        assert [told(answer).counts for answer in answers] == [(1, 0, 0), (0, 1, 0), (0, 1, 0)]
        way.intake.offer(Request(way.token(), decoded(json_rows([GOOD])), answers.append))
        assert answers[-1].status == 503
        with pytest.raises(StorageError, match="is stopping"):
            way.intake.submit([Tick(now_ms=NOW)]).result(timeout=1)


# Other records.


def test_other_records_are_logged_in_their_order_and_their_numbers_told(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        numbers = [way.intake.submit([Tick(now_ms=NOW + i), Tick(now_ms=NOW + i)]) for i in range(5)]
        assert [number for future in numbers for number in future.result(timeout=10)] == list(range(1, 11))
        assert [record.now_ms - NOW for _, record in way.logged] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_sensor_that_is_added_to_a_live_type_is_taken_without_a_restart(tmp_path: Path) -> None:
    wider = DeviceType(name="pump", sensors=(*PUMP.sensors, Sensor(name="vibration", unit="mm/s", low=0.0)))
    with way_in(tmp_path) as way:
        sent: Sent = ("pump-1", at(1), {"pressure": 2.0, "vibration": 0.3})
        assert way.send([GOOD, sent]).reasons == {"unknown_sensor": 1}
        with writing(way.registry._engine) as session:
            type_id, version = device_types.add(session, None, wider, NOW)
        assert (type_id, version) == (way.pump, 2)
        assert way.send([sent]).reasons == {"unknown_sensor": 1}
        spec = encode_type(PUMP.successor(wider))
        record = TypeVersion(now_ms=NOW, type_id=way.pump, owner_id=None, spec=spec)
        way.intake.submit([record]).result(timeout=10)
        assert way.send([sent]).counts == (1, 0, 0)
        assert way.rows()[-1] == ("pump-1", NOW + 1000, [2.0, pytest.approx(float("nan"), nan_ok=True), 0.3])
        # Rows from before the sensor was there are still known.
        assert way.send([GOOD, ("pump-1", ISO, {"vibration": 0.1})]).counts == (1, 1, 0)


def test_a_retired_sensor_is_refused(tmp_path: Path) -> None:
    narrower = DeviceType(name="pump", sensors=PUMP.sensors[:1])
    with way_in(tmp_path) as way:
        way.send([GOOD])
        with writing(way.registry._engine) as session:
            device_types.add(session, None, narrower, NOW)
        spec = encode_type(PUMP.successor(narrower))
        way.intake.submit([TypeVersion(now_ms=NOW, type_id=way.pump, owner_id=None, spec=spec)]).result(timeout=10)
        answer = way.send([("pump-1", at(1), {"flow": 40.0}), ("pump-1", at(2), {"pressure": 1.0, "flow": None})])
        assert answer.why == ("unknown_sensor", "sensor 'flow' of type 'pump' is retired: leave it out")
        assert answer.counts == (1, 0, 1)


def test_devices_and_readings_that_came_by_another_way_are_known(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        way.send([GOOD])
        elsewhere = DeviceEntry(77, "from-a-file", way.pump, way.owner, None)
        record: Record = Devices(now_ms=NOW, devices=(elsewhere,))
        way.intake.submit([record], newest=(np.array([77]), np.array([NOW]))).result(timeout=10)
        token = way.token(may_register=False)
        answer = way.send([("from-a-file", at(1), {"flow": 1}), ("from-a-file", ISO, {"flow": 1})], token=token)
        assert (answer.counts, answer.unchecked) == ((2, 0, 0), 1)
        assert way.rows()[-1][0] == "from-a-file"


# Properties.

some_rows = st.lists(
    st.builds(
        lambda device, second, values, bad: row(device, NOW / 1000 + second, values, **bad),
        st.sampled_from(["a", "b", "c"]),
        st.integers(-2, 2),
        st.dictionaries(
            st.sampled_from(["pressure", "flow", "presure"]), st.sampled_from([None, 1.0, 2.0, 99.0]), max_size=2
        ),
        st.sampled_from([{}, {}, {}, {"type": "fridge"}, {"type": "nothing"}, {"extra": 1}]),
    ),
    max_size=10,
)


def total(way: WayIn, requests: Sequence[Sequence[Mapping[str, object]]], tag: str) -> list[object]:
    """What became of requests sent one after the other: counts and reasons added up, rows, rows in quarantine."""
    before = len(way.rows()), len(way.bad_rows())
    counts, reasons = Counter[str](), Counter[str]()
    for rows in requests:
        named = [{**row, "device_id": f"{row['device_id']}{tag}"} for row in rows]
        answer = told(way.ask(decoded(json.dumps({"type": "pump", "rows": named}).encode())))
        assert sum(answer.counts) == len(rows)
        assert sum(answer.reasons.values()) == answer.rejected
        counts.update(dict(zip(("accepted", "duplicate", "rejected"), answer.counts, strict=True)))
        reasons.update(answer.reasons)
    stored = sorted(str((device[0], ts, values)) for device, ts, values in way.rows()[before[0] :])
    return [counts, reasons, stored, len(way.bad_rows()) - before[1]]


def test_it_does_not_matter_how_rows_are_split_into_requests(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        tags = itertools.count()

        @settings(max_examples=60, deadline=None)
        @given(some_rows, st.data())
        def splits(rows: list[dict[str, object]], data: st.DataObject) -> None:
            cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), max_size=3)))
            split = [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
            outcomes = []
            for requests in ([rows], split):
                tag = f"-{next(tags)}"
                # The devices are there already: else the first row decides of which type a device is.
                there = [row(device, NOW / 1000 - 100, {"flow": 0.0}) for device in "abc"]
                outcomes.append(total(way, [there, *requests], tag))
            assert outcomes[0] == outcomes[1]

        splits()


def test_many_senders_at_once_lose_and_double_nothing(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        accepted = [0] * 8

        def sender(number: int) -> None:
            for minute in range(20):
                rows: list[Sent] = [(f"pump-{number}", at(60 * minute - 3600), {"flow": float(minute)})]
                accepted[number] += way.send(rows * 2).accepted

        threads = [threading.Thread(target=sender, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert accepted == [20] * 8
        assert len(way.rows()) == len({(device, ts) for device, ts, _ in way.rows()}) == 160
        numbers = [number for number, _ in way.logged]
        assert numbers == list(range(1, len(numbers) + 1))


def test_fridges_and_pumps_in_one_request_are_logged_by_type(tmp_path: Path) -> None:
    with way_in(tmp_path) as way:
        rows = [row("p", ISO, {"flow": 1.0}, type="pump"), row("f", ISO, {"temperature": 4.0}, type="fridge")]
        assert told(way.ask(decoded(json.dumps(rows).encode()))).accepted == 2
        logged = {record.type_id: record.n_sensors for _, record in way.logged if isinstance(record, Rows)}
        assert logged == {way.pump: len(PUMP.sensors), way.fridge: len(FRIDGE.sensors)}
