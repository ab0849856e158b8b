"""Sentences, word for word: read them aloud before changing one."""

import math

import pytest

from ...alerts.kinds import Condition
from ...alerts.sentences import Blame, Peers, anomaly, filled, lasted, quantity, sensor, silent, site, threshold
from ...telemetry.schema import DeviceType, Sensor

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
PUMP = DeviceType(
    name="pump",
    sensors=(
        Sensor(name="vibration", unit="mm/s", precision=0.1, low=0),
        Sensor(name="bearing_temperature", unit="°C", precision=0.5, high=150),
        Sensor(name="flow", unit="l/min", precision=1),
        Sensor(name="pressure", unit="bar", low=0, high=16),
        Sensor(name="humidity", unit="%", precision=1, low=0, high=100),
        Sensor(name="co2", label="CO2 level", unit="ppm", precision=5),
        Sensor(name="ph", label="pH"),
    ),
)
VIBRATION = Blame(0, 6.63, 1.2, 4.5, 0.6)
TEMPERATURE = Blame(1, 81.2, 55.0, 70.0, 0.3)
FLOW = Blame(2, 80, 100, 140, 0.2)
NORMAL = "what is normal for this pump at this hour"


@pytest.mark.parametrize(
    ("blamed", "sentence"),
    [
        ([VIBRATION], f"Vibration is 2.1 mm/s above {NORMAL}."),
        (
            [VIBRATION, TEMPERATURE],
            f"Vibration is 2.1 mm/s above {NORMAL}, and bearing temperature rose with it.",
        ),
        (
            [TEMPERATURE, VIBRATION, FLOW],
            f"Vibration is 2.1 mm/s above {NORMAL}, and bearing temperature rose and flow fell with it.",
        ),
        ([FLOW], f"Flow is 20 l/min below {NORMAL}."),
        ([VIBRATION, Blame(2, 80, 100, 140, 0.1)], f"Vibration is 2.1 mm/s above {NORMAL}."),
        ([Blame(2, 120, 100, 140, 0.9), VIBRATION], f"Vibration is 2.1 mm/s above {NORMAL}."),
        ([Blame(3, 2.3456, 5.4321, 6.0, 1.0)], f"Pressure is 3.09 bar below {NORMAL}."),
        ([Blame(4, 92, 40, 80, 1.0)], f"Humidity is 12 percentage points above {NORMAL}."),
        ([Blame(0, 4.52, 1.2, 4.5, 1.0)], f"Vibration is slightly above {NORMAL}."),
        ([Blame(5, 1650, 400, 625, 1.0)], f"CO2 level is 1,025 ppm above {NORMAL}."),
        ([Blame(6, 9.25, 6.5, 8.0, 1.0)], f"pH is 1.25 above {NORMAL}."),
        (
            [VIBRATION, Blame(5, 1650, 400, 625, 0.3)],
            f"Vibration is 2.1 mm/s above {NORMAL}, and CO2 level rose with it.",
        ),
        ([Blame(2, 120, 100, 140, 0.9)], "Flow does not move as is normal for this pump at this hour."),
        (
            [Blame(2, 120, 100, 140, 0.9, off=9.0), VIBRATION],
            "Flow keeps about 9 l/min above what is normal for this pump at this hour, and vibration rose with it.",
        ),
        ([Blame(0, 4.6, 1.2, 4.5, 0.9, off=-0.5)], f"Vibration keeps about 0.5 mm/s below {NORMAL}."),
        ([Blame(0, 9.6, 1.2, 4.5, 0.9, off=2.5)], f"Vibration is 5.1 mm/s above {NORMAL}."),
        (
            [Blame(2, 120, 100, 140, 0.9, "sudden")],
            "Flow moved more suddenly than is normal for this pump at this hour.",
        ),
        ([Blame(2, 160, 100, 140, 0.9, "sudden")], f"Flow is 20 l/min above {NORMAL}."),
        ([Blame(2, 120, 100, 140, 0.9, "noise")], "Flow jumps about more than is normal for this pump."),
        (
            [Blame(5, 600, 400, 625, 0.9, "jumps"), VIBRATION],
            "Single readings of CO2 level are far from what is normal for this pump at this hour, again and again.",
        ),
        (
            [Blame(2, 120, 100, 140, 0.6, "together", 8.0), Blame(5, 600, 400, 625, 0.3, "together", -9.0)],
            "Flow and CO2 level do not fit together as is normal for this pump at this hour.",
        ),
        (
            [Blame(5, 600, 400, 625, 0.9, "together", -9.0)],
            "CO2 level and the other sensors do not fit together as is normal for this pump at this hour.",
        ),
        ([Blame(2, math.nan, 100, 140, 0.9)], f"Its sensors together do not fit {NORMAL}."),
        ([], f"Its sensors together do not fit {NORMAL}."),
    ],
)
def test_anomaly(blamed: list[Blame], sentence: str) -> None:
    assert anomaly(PUMP, blamed) == sentence


@pytest.mark.parametrize(
    ("peers", "sentence"),
    [
        (Peers(0, 7, "at Cold Store 2"), " The 7 others at Cold Store 2 do not show it."),
        (Peers(0, 1, "at Cold Store 2"), " The one other at Cold Store 2 does not show it."),
        (Peers(1, 7, "at Cold Store 2"), " 1 of 7 others at Cold Store 2 shows it too: look for a common cause."),
        (Peers(5, 7, "at Cold Store 2"), " 5 of 7 others at Cold Store 2 show it too: look for a common cause."),
        (Peers(0, 0, "at Cold Store 2"), ""),
    ],
)
def test_anomaly_beside_its_peers(peers: Peers, sentence: str) -> None:
    assert anomaly(PUMP, [FLOW], peers) == f"Flow is 20 l/min below {NORMAL}.{sentence}"


@pytest.mark.parametrize(
    ("number", "condition", "sentence"),
    [
        (2, Condition.STUCK, "Flow has not changed for 42 minutes; it looks stuck."),
        (3, Condition.MISSING, "Pressure stopped coming 42 minutes ago; the other sensors still report."),
        (
            3,
            Condition.OUT_OF_RANGE,
            "Pressure has been outside its possible range (0 to 16 bar) for 42 minutes."
            " Readings with such a value are set aside.",
        ),
        (
            4,
            Condition.OUT_OF_RANGE,
            "Humidity has been outside its possible range (0 to 100%) for 42 minutes."
            " Readings with such a value are set aside.",
        ),
        (
            1,
            Condition.OUT_OF_RANGE,
            "Bearing temperature has been above what is possible (150.0 °C) for 42 minutes."
            " Readings with such a value are set aside.",
        ),
        (
            0,
            Condition.OUT_OF_RANGE,
            "Vibration has been below what is possible (0.0 mm/s) for 42 minutes."
            " Readings with such a value are set aside.",
        ),
        (
            2,
            Condition.OUT_OF_RANGE,
            "Flow has been outside its possible range for 42 minutes. Readings with such a value are set aside.",
        ),
    ],
)
def test_sensor(number: int, condition: Condition, sentence: str) -> None:
    assert filled(sensor(PUMP, number, condition), 42 * MINUTE) == sentence


def test_sensor_missing_with_all_the_others() -> None:
    assert (
        filled(sensor(PUMP, 3, Condition.MISSING, others_report=False), HOUR)
        == "Pressure stopped coming 60 minutes ago."
    )


def test_silent_and_site() -> None:
    assert filled(silent(), 7 * MINUTE) == "No reading for 7 minutes."
    assert (
        filled(site(8, 8, "Cold Store 2"), 0)
        == "No reading from 8 of 8 devices at Cold Store 2. Likely power or network, not the devices."
    )


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (-1, "0 seconds"),
        (1_000, "1 second"),
        (45_000, "45 seconds"),
        (MINUTE, "1 minute"),
        (119_999, "119 seconds"),
        (2 * MINUTE, "2 minutes"),
        (119 * MINUTE, "119 minutes"),
        (2 * HOUR, "2 hours"),
        (47 * HOUR + 59 * MINUTE, "47 hours"),
        (3 * DAY, "3 days"),
    ],
)
def test_lasted(duration: int, words: str) -> None:
    assert lasted(duration) == words


@pytest.mark.parametrize(
    ("precision", "unit", "value", "text"),
    [
        (0.1, "bar", 3.14159, "3.1 bar"),
        (0.5, "°C", 11.2, "11.0 °C"),
        (5.0, "ppm", 1023.0, "1,025 ppm"),
        (None, "V", 0.012345, "0.0123 V"),
        (None, "W", 12345.6, "12,346 W"),
        (None, "", 2.0, "2"),
        (None, "bar", 0.0, "0 bar"),
        (1.0, "%", 12.4, "12%"),
    ],
)
def test_quantity_is_rounded_to_the_sensors_precision(
    precision: float | None, unit: str, value: float, text: str
) -> None:
    assert quantity(Sensor(name="x", unit=unit, precision=precision), value) == text


def test_a_rule_says_its_limit_and_what_it_allows() -> None:
    pump = DeviceType(name="pump", sensors=(Sensor(name="pressure", unit="bar", precision=0.1),))
    held = threshold(pump, 0, above=True, limit=12.0, hold_ms=10 * MINUTE)
    said = "Pressure has been above 12 bar for 12 minutes; your rule allows 10 minutes."
    assert filled(held, 12 * MINUTE) == said
    at_once = threshold(pump, 0, above=False, limit=1.5, hold_ms=0)
    assert at_once == "Pressure is below 1.5 bar, which your rule does not allow."
