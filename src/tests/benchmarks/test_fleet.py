"""The fleet protocol: what counts as seen, told and false, and a small run from end to end."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from ...benchmarks.detection import run
from ...benchmarks.fleet_alerts import Alert, watch
from ...benchmarks.fleet_events import DAY_MS, belongs, by_kind, events_of, false_alerts, kinds, notified, summary
from ...benchmarks.protocol_fleet import START, Known, Scale, Type, Watched, known_faults
from ...simulator.faults import Fault
from ...simulator.fleet import Fleet

HOUR = 3_600_000


def fault(kind: str = "bias", device: str = "pump-1", hours: tuple[int, int] = (10, 20), effect: float = 5.0) -> Known:
    return Known(device, kind, hours[0] * HOUR, hours[1] * HOUR, ("flow",), effect, effect + 1.0)


def alert(hour: float, device: str = "pump-1", sensors: tuple[str, ...] = ("flow",), kind: str = "anomaly") -> Alert:
    return Alert(device, int(hour * HOUR), kind, sensors)


def watched(faults: list[Known], alerts: list[Alert], devices: int = 90) -> Watched:
    return Watched(1, "pump_station", devices, alerts, faults, 8 * HOUR, 30.0, 1.0, 1000)


def test_an_alert_belongs_to_a_fault_of_its_device_while_it_lasts_and_an_hour_after() -> None:
    assert [belongs(alert(hour), fault()) for hour in (9.9, 10, 15, 20.9, 21.1)] == [False, True, True, True, False]
    assert not belongs(alert(15, "pump-2"), fault())


def test_events_say_how_soon_and_whether_a_guilty_sensor_was_named() -> None:
    one = watched(
        [fault(), fault("drift", "pump-2")], [alert(12, sensors=("speed", "flow")), alert(11, sensors=("a",))]
    )
    seen, missed = events_of(one)
    assert (seen.minutes, seen.named, seen.notified) == (60.0, False, True)
    assert (missed.minutes, missed.named, missed.notified) == (None, False, False)


def test_a_fault_that_was_there_when_the_type_learnt_explains_alerts_and_is_no_event() -> None:
    one = watched([fault(hours=(7, 20))], [alert(12)])
    assert events_of(one) == [] and false_alerts(one) == []


def test_a_fault_may_begin_while_an_alert_of_before_is_open() -> None:
    def under(over: float | None) -> int:
        before = Alert("pump-1", 9 * HOUR, "anomaly", ("flow",), over_ms=None if over is None else int(over * HOUR))
        found = summary([watched([fault()], [before])])
        return int(str(found["missed_while_an_alert_was_open"]))

    assert (under(None), under(11.5), under(10.5)) == (1, 1, 0)


def test_owners_are_told_within_the_budget_of_the_day_and_always_of_sensors() -> None:
    day = [alert(hour) for hour in (1, 2, 3, 4)] + [alert(5, kind="sensor")]
    late = alert(25)
    told = notified([*day, late], 60)
    assert told == {day[0], day[1], day[4], late}
    assert late.opened_ms // DAY_MS == 1


def test_a_device_that_flaps_counts_and_is_told_once() -> None:
    def again(hour: int) -> Alert:
        return Alert("pump-1", hour * HOUR, "anomaly", ("flow",), repeat=True)

    flapping = [alert(1), again(3), again(5)]
    others = [alert(7, "pump-2"), alert(32)]
    assert notified([*flapping, *others], 60) == {*flapping, *others}
    assert false_alerts(watched([], [*flapping, *others])) == [flapping[0], *others]
    told = notified([alert(0, f"pump-{number}") for number in (7, 8)] + [alert(1), again(3), again(25)], 60)
    assert {one.opened_ms // HOUR for one in told if one.device == "pump-1"} == {25}, "nobody knew of what it repeats"


def test_false_alerts_belong_to_nothing() -> None:
    one = watched([fault()], [alert(15), alert(5), alert(15, "pump-2"), alert(5, kind="sensor")])
    assert len(false_alerts(one)) == 2


def test_kinds_stand_with_the_worst_first() -> None:
    one = watched([fault(), fault("drift", "pump-2"), fault("wear", "pump-3", effect=1.0)], [alert(11)])
    assert [kind for kind, _ in kinds([one])] == ["drift", "bias", "wear"]
    lines = {kind: by_kind(kind, events) for kind, events in kinds([one])}
    assert lines["bias"]["large_seen"] == 1.0 and lines["bias"]["median_minutes"] == 60.0
    assert lines["wear"]["large"] == 0 and lines["wear"]["large_seen"] is None
    told = summary([one])
    assert (told["large_faults"], told["event_recall_opened"], told["false_alerts"]) == (2, 0.5, 0)
    slow = summary([watched([fault("wear", effect=2.5)], [alert(11)])])
    assert (slow["large_faults"], slow["large_on_last_day"], slow["event_recall_of_large_on_last_day"]) == (0, 1, 1.0)


def test_a_type_that_learns_again_goes_on_with_an_open_alert() -> None:
    scale = Scale(devices=8, days=4, faults=0.0, learn_days=2, train_every=1, learn_devices=8, sample=0, seeds=(1,))
    plain = Fleet.plan(seed=3, devices=8, sites=2, start=START, days=4, types=["pump_station"])
    start = START + timedelta(days=2, hours=12)
    device = str(plain.groups[0].ids[4])
    broken = Fault(kind="bias", device_id=device, start=start, severity=1.0, sensors=("discharge_pressure",))
    fleet = plain.with_faults([broken])
    (group,) = fleet.groups
    (known,) = known_faults(fleet, scale)
    assert known.effect is not None and known.effect >= 3.0 and known.late == known.effect
    opened = {}
    for train_every in (1, 9):
        alerts, _, rows = watch(Type(fleet, group, scale), scale.learn_days, train_every)
        assert rows == pytest.approx(8 * 2 * 1440, rel=0.05)
        opened[train_every] = [alert for alert in alerts if alert.device == device]
    assert len(opened[1]) == len(opened[9]) == 1
    assert 0 <= opened[1][0].opened_ms - known.start_ms < HOUR
    assert opened[1][0].sensors[0] == "discharge_pressure"


@pytest.mark.verify
def test_a_small_fleet_from_end_to_end(tmp_path: Path) -> None:
    run("fleet", None, "ci", tmp_path / "fleet.json", lambda line: None)
    told = msgspec.json.decode((tmp_path / "fleet.json").read_bytes())
    ours = told["detectors"].pop("faultwatch")
    assert ours["vus_pr"] > max(peer["vus_pr"] for peer in told["detectors"].values())
    assert told["fleet"]["named_in_top_three"] >= 0.9
    assert "| kind |" in (tmp_path / "fleet.md").read_text()
