"""False alerts on recordings in which nothing is wrong."""

from pathlib import Path

import numpy as np
import pytest

from ...benchmarks.budget import CMAPSS_LEARN, SKAB_LEARNT, cmapss_thirds, measure, skab_run
from ...exceptions import ConfigError


def write_run(folder: Path, drift: float) -> None:
    """A run as SKAB writes it: two sensors that wander, one of them off by `drift` after what is learnt from."""
    rng = np.random.default_rng(4)
    n = 2 * SKAB_LEARNT + 1_000
    wander = np.zeros((n, 2))
    noise = rng.normal(size=(n, 2))
    for second in range(1, n):
        wander[second] = 0.9 * wander[second - 1] + noise[second]
    wander[SKAB_LEARNT:, 1] += drift
    lines = [f"2020-02-08 13:30:47;{a:.4f};{b:.4f}" for a, b in wander + 100]
    (folder / "anomaly-free.csv").write_text("\n".join(["datetime;Pressure;Current", *lines]) + "\n")


def write_engines(path: Path, n_engines: int = 12) -> None:
    """Engines as NASA writes them, whose sensors wear off towards the end."""
    rng = np.random.default_rng(5)
    lines = []
    for engine in range(1, n_engines + 1):
        life = int(rng.integers(240, 300))
        for cycle in range(1, life + 1):
            wear = max(0.0, cycle / life - 0.6) * 10
            sensors = 50 + rng.normal(size=21) + wear
            lines.append(" ".join(f"{value:.4f}" for value in (engine, cycle, 0.0, 0.0, 100.0, *sensors)))
    path.write_text("\n".join(lines) + "\n")


def test_a_steady_run_keeps_the_budget_and_one_that_moves_away_is_said_to_be_in_alarm(tmp_path: Path) -> None:
    write_run(tmp_path, 0.0)
    steady = skab_run(tmp_path)
    assert steady["intervals"] == SKAB_LEARNT + 1_000 and steady["allowed"] == 20.0
    assert 1 <= steady["alerts"] <= 60 and steady["in_alarm"] < 0.3
    assert steady["low"] <= steady["alerts_per_1000"] <= steady["high"]
    write_run(tmp_path, 60.0)
    drifting = skab_run(tmp_path)
    assert drifting["in_alarm"] > 0.8 and not drifting["kept"]


def test_the_healthy_third_of_engines_that_did_not_teach_is_judged(tmp_path: Path) -> None:
    write_engines(tmp_path / "engines.txt")
    found = cmapss_thirds(tmp_path / "engines.txt")
    assert 6 * (240 / 3 - CMAPSS_LEARN) <= found["intervals"] <= 6 * (300 / 3 - CMAPSS_LEARN)
    assert found["allowed"] == pytest.approx(found["intervals"] * 20 / 1000, abs=0.1)
    assert found["alerts"] > 0 and found["in_alarm"] < 0.3


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name at least one recording"):
        measure(None, None)
    with pytest.raises(ConfigError, match="no anomaly-free.csv in"):
        measure(tmp_path, None)
    (tmp_path / "anomaly-free.csv").write_text("datetime;Pressure\n2020;1.0\n")
    with pytest.raises(ConfigError, match="has 1 rows; expected 8000 or more"):
        measure(tmp_path, None)
    (tmp_path / "anomaly-free.csv").write_text("datetime;Pressure\n2020;high\n")
    with pytest.raises(ConfigError, match="can't be read as CSV"):
        measure(tmp_path, None)
