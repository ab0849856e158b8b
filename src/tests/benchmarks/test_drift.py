"""`faultwatch benchmark drift`: figures of made-up weeks, and its files."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ...benchmarks import drift
from ...benchmarks.drift import Scale, Weeks, figures_of, judge, run


def made_weeks(n_weeks: int = 7, n_devices: int = 400) -> Weeks:
    rng = np.random.default_rng(1)
    level = rng.normal(size=(n_devices, 1))
    cells = level + rng.normal(size=(n_weeks, 7, drift.PER_DAY, n_devices, 1)) * 0.5
    weather = 0.2 * np.resize([1.0, -1.0], n_weeks).reshape(-1, 1, 1)
    readings = rng.normal(size=(n_weeks, 3000, 1)) + weather
    return Weeks(
        (cells + weather[:, None, None]).astype(np.float32),
        readings,
        np.zeros(n_devices, np.int64),
        np.ones(1),
        ("heat",),
    )


def test_weather_fools_plain_ks_alone_and_a_small_shift_is_seen_by_device_alone() -> None:
    figures = figures_of(judge(made_weeks()))
    assert figures["weeks"] == 3
    assert figures["plain_ks_false_alarms"] == 1.0
    assert figures["pooled_false_alarms"] == figures["by_device_false_alarms"] == figures["pooled_power"] == 0.0
    assert figures["by_device_power"] == 1.0


def test_figures_and_a_table_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(drift.SCALES, "ci", Scale(40, {"pump_station": 6}))
    text = run("ci", tmp_path / "drift.json", lambda line: None)
    told = msgspec.json.decode((tmp_path / "drift.json").read_bytes())
    assert told["types"]["pump_station"]["weeks"] == 2
    assert (tmp_path / "drift.md").read_text() == text and "| pump_station | 2 |" in text
