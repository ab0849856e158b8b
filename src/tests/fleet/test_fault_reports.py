"""Fault reports: made, made again, ended, taken back, sent as a file; by whom, and of whose devices."""

import pytest
from sqlalchemy import Engine

from ...exceptions import AccessError, ConfigError, DataValidationError
from ...fleet import database, fault_report_files
from ...fleet.access import Access
from ...fleet.fault_reports import FaultReports, Made
from ...fleet.principal import Principal
from ...fleet.views import ReportedFault
from .conftest import NOW_MS, Fleet
from .test_acts import HOUR, act, ada, person, words
from .test_alerts import firing, record

__all__ = ["ada"]
HEADER = "device_id,kind,start,end\n"


def add(engine: Engine, who: Principal, key: int, kind: str, start_ms: int, end_ms: int | None = None) -> Made:
    with database.writing(engine) as session:
        return FaultReports(session, who, NOW_MS).add(key, kind, start_ms, end_ms)


def reports(engine: Engine, who: Principal) -> list[ReportedFault]:
    with database.reading(engine) as session:
        return Access(session, who).reported_faults().items


def send(engine: Engine, who: Principal, text: str) -> fault_report_files.Taken:
    with database.writing(engine) as session:
        return fault_report_files.take(session, who, text, NOW_MS)


def test_a_fault_that_lasts_makes_the_device_faulty_until_its_end_is_reported(
    engine: Engine, fleet: Fleet, ada: Principal
) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    made = add(engine, ada, key, "leak", NOW_MS - 3 * HOUR)
    assert made.what == "new" and [(kind, device) for kind, device, _ in words(engine)] == [("confirm", key)]
    assert add(engine, ada, key, "leak", NOW_MS - 3 * HOUR) == Made(made.report_id, "known"), "the same again"
    ended = add(engine, ada, key, "leak", NOW_MS - 3 * HOUR, NOW_MS - HOUR)
    assert ended == Made(made.report_id, "changed")
    assert [kind for kind, _, _ in words(engine)] == ["confirm", "repaired"]
    assert add(engine, ada, key, "leak", NOW_MS - 3 * HOUR).what == "known", "it doesn't open again"
    [report] = reports(engine, ada)
    assert (report.end_ms, report.said_by, report.source) == (NOW_MS - HOUR, "Owner", "operator")


def test_a_fault_that_is_over_is_a_label_and_changes_nothing_now(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    add(engine, ada, fleet.keys[fleet.north, "pump-1"], "leak", NOW_MS - 900 * HOUR, NOW_MS - 800 * HOUR)
    assert words(engine) == []
    assert len(reports(engine, ada)) == 1


def test_the_end_that_was_said_last_holds_and_is_no_second_repair(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    add(engine, ada, key, "leak", NOW_MS - 9 * HOUR, NOW_MS - 5 * HOUR)
    assert add(engine, ada, key, "leak", NOW_MS - 9 * HOUR, NOW_MS - 4 * HOUR).what == "changed"
    assert [report.end_ms for report in reports(engine, ada)] == [NOW_MS - 4 * HOUR]
    assert words(engine) == []


def test_one_fault_that_ends_is_no_repair_while_another_lasts(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    add(engine, ada, key, "leak", NOW_MS - 3 * HOUR)
    add(engine, ada, key, "wear", NOW_MS - 2 * HOUR)
    add(engine, ada, key, "leak", NOW_MS - 3 * HOUR, NOW_MS - HOUR)
    assert [kind for kind, _, _ in words(engine)] == ["confirm", "confirm"]
    assert {(report.kind, report.end_ms) for report in reports(engine, ada)} == {
        ("leak", NOW_MS - HOUR),
        ("wear", None),
    }


def test_an_alert_whose_report_was_taken_back_may_be_confirmed_again(
    engine: Engine, fleet: Fleet, ada: Principal
) -> None:
    [alert_id] = record(engine, 1, firing(fleet))
    assert alert_id is not None
    for _ in range(2):
        act(engine, ada, lambda acts: acts.confirm(alert_id, "leak"))
        [report] = reports(engine, ada)
        with database.writing(engine) as session:
            FaultReports(session, ada, NOW_MS).take_back(report.id)
    assert [kind for kind, _, _ in words(engine)] == ["confirm", "not_faulty"] * 2


def test_a_report_taken_back_is_gone_and_the_device_isnt_faulty_for_it(
    engine: Engine, fleet: Fleet, ada: Principal
) -> None:
    key = fleet.keys[fleet.north, "pump-1"]
    first, second = (add(engine, ada, key, kind, NOW_MS - HOUR) for kind in ("leak", "wear"))
    for report in (first, second):
        with database.writing(engine) as session:
            FaultReports(session, ada, NOW_MS).take_back(report.report_id)
    assert [kind for kind, _, _ in words(engine)] == ["confirm", "confirm", "not_faulty"], "once none is left"
    assert reports(engine, ada) == []


@pytest.mark.parametrize(
    ("kind", "start_ms", "end_ms", "why"),
    [
        ("", NOW_MS, None, "kind of fault: expected 1 to"),
        ("leak", NOW_MS - HOUR, NOW_MS - HOUR, "ends before it begins"),
        ("leak", NOW_MS + HOUR, None, "lies ahead"),
        ("leak", NOW_MS - HOUR, NOW_MS + HOUR, "lies ahead"),
        ("leak", 0, None, "more than ten years ago"),
    ],
)
def test_reports_that_make_no_sense(
    engine: Engine, fleet: Fleet, ada: Principal, kind: str, start_ms: int, end_ms: int | None, why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        add(engine, ada, fleet.keys[fleet.north, "pump-1"], kind, start_ms, end_ms)


def test_nobody_reports_on_anothers_device_and_viewers_report_on_none(
    engine: Engine, fleet: Fleet, ada: Principal
) -> None:
    theirs = fleet.keys[fleet.south, "pump-9"]
    sue = person(engine, "owner", fleet.south)
    made = add(engine, sue, theirs, "leak", NOW_MS - HOUR)
    with pytest.raises(AccessError) as caught:
        add(engine, ada, theirs, "leak", NOW_MS - HOUR)
    assert caught.value.status == 404
    with database.writing(engine) as session, pytest.raises(AccessError) as caught:
        FaultReports(session, ada, NOW_MS).take_back(made.report_id)
    assert caught.value.status == 404
    with pytest.raises(DataValidationError, match="line 2: there is no device 'pump-9'"):
        send(engine, ada, HEADER + "pump-9,leak,2025-11-24T10:00:00Z,\n")
    viewer = person(engine, "viewer", fleet.north)
    with pytest.raises(AccessError) as caught:
        add(engine, viewer, fleet.keys[fleet.north, "pump-1"], "leak", NOW_MS - HOUR)
    assert caught.value.status == 403
    with pytest.raises(AccessError) as caught:
        send(engine, viewer, HEADER)
    assert caught.value.status == 403
    assert reports(engine, ada) == [] and len(reports(engine, sue)) == 1


def test_a_file_is_taken_whole_and_twice_is_once(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    text = "\ufeffDevice_ID,start,end,kind,note\r\npump-1,2025-11-20T10:00:00Z,2025-11-21T10:00:00Z,leak,x\r\n\r\n"
    text += 'pump-2,2025-11-24T10:00:00+02:00,,"wear",\r\n'
    assert send(engine, ada, text) == fault_report_files.Taken(2, 2, 0)
    assert send(engine, ada, text) == fault_report_files.Taken(2, 0, 0)
    assert send(engine, ada, text.replace("21T10", "22T10")) == fault_report_files.Taken(2, 0, 1)
    assert {(r.device_id, r.kind, r.source, r.end_ms is None) for r in reports(engine, ada)} == {
        ("pump-1", "leak", "import", False),
        ("pump-2", "wear", "import", True),
    }


def test_a_file_with_wrong_lines_names_each_and_none_is_taken(engine: Engine, fleet: Fleet, ada: Principal) -> None:
    text = HEADER + (
        "pump-1,leak,2025-11-20T10:00:00Z,2025-11-21T10:00:00Z\n"
        "pump-7,leak,2025-11-20T10:00:00Z,\n"
        "pump-1,,2025-11-20T10:00:00Z,\n"
        "pump-1,leak,yesterday,\n"
        "pump-1,leak,2025-11-20T10:00:00,\n"
        "pump-1,leak,2025-11-20T10:00:00Z,2025-11-19T10:00:00Z\n"
    )
    with pytest.raises(DataValidationError) as caught:
        send(engine, ada, text)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("5 of 6 lines can't be taken, so none was")
    for line, said in zip(
        lines[1:],
        ("3: there is no device", "4: kind is empty", "5: start", "6: start", "7: the fault ends"),
        strict=True,
    ):
        assert line.startswith(f"line {said}")
    assert reports(engine, ada) == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "lacks device_id, kind, start"),
        ("device_id;kind;start\n", "commas"),
        (HEADER, "no line below its header"),
        (HEADER + "pump-1,leak\n", "line 2 has 2 cells; the header has 4"),
        (HEADER + 'pump-1,"leak\n', "line 2 is no CSV"),
        (HEADER + "pump-1,leak,2025-11-20T10:00:00Z,\n" * 2_001, "more than 2,000 lines"),
    ],
)
def test_what_is_no_such_file(engine: Engine, fleet: Fleet, ada: Principal, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        send(engine, ada, text)
