"""A fleet in time: in real time, faster until it has caught up, each type at its interval."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

import msgspec
import polars as pl

from ...simulator.faults import Fault
from ...simulator.fleet import Fleet
from ...simulator.live import Pace, Sent, frame_at, homes_of, moments, run
from ...simulator.models import model_of
from ...simulator.sending import Pauses, Sender
from .conftest import START
from .server import Server, problem, running

MINUTE = timedelta(minutes=1)


@dataclass
class Clock:
    """A clock that only goes on when someone sleeps."""

    now: datetime
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)

    @property
    def pauses(self) -> Pauses:
        return Pauses(sleep=self.sleep, now=lambda: self.now)


def lived(
    fleet: Fleet, pace: Pace, clock: Clock, prepare: Callable[[Server], None] = lambda server: None, parts: bool = False
) -> tuple[list[Sent], Server]:
    """What was reported, and the server that received it."""
    reports: list[Sent] = []
    with running() as server:
        prepare(server)
        with Sender(server.url, "t", clock.pauses) as sender:
            run(fleet, pace, sender, clock.pauses, parts=parts, sent=reports.append)
    return reports, server


def test_real_time_sends_each_minute_when_it_is_due(faulty: Fleet) -> None:
    clock = Clock(START - timedelta(seconds=20))
    reports, server = lived(faulty, Pace(START, 1.0, 3 * MINUTE), clock)
    assert clock.slept == [20.0, 60.0, 60.0]
    assert len(server.received) == 9
    assert all(report.late == timedelta(0) for report in reports)
    assert sum(report.accepted for report in reports) == sum(request.frame.height for request in server.received)
    for request in server.received:
        frame = request.frame
        assert frame.columns[:4] == ["device_id", "timestamp", "type", "site"]
        assert frame.schema["timestamp"] == pl.Datetime("us", "UTC")


def test_what_is_sent_is_what_files_hold(faulty: Fleet) -> None:
    _, server = lived(faulty, Pace(START + timedelta(hours=40), 1.0, 30 * MINUTE), Clock(START + timedelta(hours=40)))
    homes = dict(faulty.devices().select("device_id", "site").iter_rows())
    for device_type in faulty.types:
        frames = [request.frame for request in server.received]
        sent = pl.concat([frame for frame in frames if frame["type"][0] == device_type.name])
        assert sent["site"].to_list() == [homes[name] for name in sent["device_id"]]
        begin = START + timedelta(hours=40)
        assert sent.drop("type", "site").equals(faulty.readings(device_type.name, begin, begin + 30 * MINUTE))


def test_a_fast_fleet_catches_up_and_goes_on_in_real_time() -> None:
    fleet = Fleet.plan(seed=1, devices=2, start=START, types=["pump_station"])
    clock = Clock(START + timedelta(hours=1))
    reports, _ = lived(fleet, Pace(START, 60.0, timedelta(minutes=64)), clock)
    assert clock.slept == [1.0] * 61 + [59.0, 60.0]
    assert reports[-1].moment == START + timedelta(minutes=63) == clock.now


def test_a_server_that_is_behind_is_waited_for_and_nothing_is_left_out() -> None:
    fleet = Fleet.plan(seed=1, devices=2, start=START, types=["pump_station"])
    clock = Clock(START)

    def busy(server: Server) -> None:
        server.replies += [problem(429, "later", Retry_After="150")]

    reports, server = lived(fleet, Pace(START, 1.0, 4 * MINUTE), clock, busy)
    assert [report.late.total_seconds() for report in reports] == [150.0, 90.0, 30.0, 0.0]
    assert len(server.received) == 5
    keys = [request.headers["Idempotency-Key"] for request in server.received]
    assert keys[0] == keys[1] and len(set(keys)) == 4


def test_types_that_send_parts_send_them() -> None:
    wanted = msgspec.structs.replace(model_of("solar_inverter").type, sends="parts")
    fleet = Fleet.plan(seed=1, devices=6, start=START, types=["pump_station", wanted])
    _, server = lived(fleet, Pace(START, 1.0, MINUTE), Clock(START))
    widths = [request.frame.width - 4 for request in server.received]
    assert widths == [8] + [1] * 8
    _, server = lived(fleet, Pace(START, 1.0, MINUTE), Clock(START), parts=True)
    assert [request.frame.width - 4 for request in server.received] == [1] * 16


def test_a_dark_site_and_a_silent_device_send_nothing() -> None:
    fleet = Fleet.plan(seed=1, devices=4, sites=1, start=START, types=["pump_station"])
    silent = fleet.with_faults([Fault(kind="silent", device_id="pump-002", start=START)])
    frame = frame_at(silent, "pump_station", START, homes_of(silent)["pump_station"])
    assert frame["device_id"].to_list() == ["pump-001", "pump-003", "pump-004"]
    dark = fleet.with_faults([Fault(kind="site_outage", site="harbour-east", start=START)])
    _, server = lived(dark, Pace(START, 1.0, 2 * MINUTE), Clock(START))
    assert server.received == []


def test_types_of_different_intervals_come_in_order() -> None:
    pump = msgspec.structs.replace(model_of("pump_station").type, interval_s=20.0)
    solar = msgspec.structs.replace(model_of("solar_inverter").type, interval_s=90.0)
    fleet = Fleet.plan(seed=1, devices=2, start=START, types=[pump, solar])
    found = list(islice(moments(fleet, START, None), 7))
    assert [(moment - START).total_seconds() for moment, _ in found] == [0, 0, 20, 40, 60, 80, 90]
    assert [name for _, name in found].count("solar_inverter") == 2
    assert len(list(moments(fleet, START, START + timedelta(minutes=3)))) == 9 + 2
